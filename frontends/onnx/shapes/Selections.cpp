// Ops whose results depend on the values of their inputs: which elements they keep, or how many.
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::onnx {
namespace {

void top_k(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 1))
    return;
  Shape shape = node.shape(0);
  const size_t axis = node.axis(node.integer("axis", -1), shape.size());
  const auto k = node.dims(1);
  if (node.has_attribute("k")) // before version 10
    shape[axis] = node.integer("k", 1);
  else
    shape[axis] = k && k->size() == 1 ? (*k)[0] : node.fresh(0, axis);
  node.set(0, node.type(0), shape);
  node.set(1, ElementType::Int64, std::move(shape));
}

void non_zero(NodeShapes &node) {
  node.set(0, ElementType::Int64,
           {static_cast<int64_t>(node.rank(0)), node.counted(0, 1, product(node.shape(0)))});
}

void unique(NodeShapes &node) {
  if (!node.has_attribute("axis")) {
    const Dim count = node.fresh(0, 0);
    node.set(0, node.type(0), {count});
    for (size_t i = 1; i < node.outputs(); ++i)
      node.set(i, ElementType::Int64, {i == 2 ? product(node.shape(0)) : count});
    return;
  }
  Shape shape = node.shape(0);
  const size_t axis = node.axis(node.integer("axis", 0), shape.size());
  if (node.failed())
    return;
  const Dim all = shape[axis], count = node.fresh(0, axis);
  shape[axis] = count;
  node.set(0, node.type(0), std::move(shape));
  for (size_t i = 1; i < node.outputs(); ++i)
    node.set(i, ElementType::Int64, {i == 2 ? all : count});
}

void compress(NodeShapes &node) {
  // A condition may be shorter than what it chooses from; what is beyond it is left out.
  const Dim conditions = product(node.shape(1));
  if (!node.has_attribute("axis"))
    return node.set(0, node.type(0),
                    {node.counted(0, 0, symbols::min(conditions, product(node.shape(0))))});
  Shape shape = node.shape(0);
  const size_t axis = node.axis(node.integer("axis", 0), shape.size());
  if (node.failed())
    return;
  shape[axis] = node.counted(0, axis, symbols::min(conditions, shape[axis]));
  node.set(0, node.type(0), std::move(shape));
}

void non_max_suppression(NodeShapes &node) {
  node.set(0, ElementType::Int64, {node.fresh(0, 0), 3});
}

void multinomial(NodeShapes &node) {
  if (node.want_rank(0, 2))
    node.set(0, node.type_attribute("dtype", ElementType::Int32),
             {node.shape(0)[0], node.integer("sample_size", 1)});
}

void string_concat(NodeShapes &node) {
  node.set(0, ElementType::String, node.broadcast(node.shape(0), node.shape(1)));
}

void regex_full_match(NodeShapes &node) { node.set(0, ElementType::Bool, node.shape(0)); }

void string_normalizer(NodeShapes &node) {
  Shape shape = node.shape(0);
  if (shape.empty())
    return node.fail("its input is no vector of texts");
  shape.back() = node.fresh(0, shape.size() - 1); // stop words go
  node.set(0, ElementType::String, std::move(shape));
}

void string_split(NodeShapes &node) {
  Shape shape = node.shape(0);
  node.set(1, ElementType::Int64, shape);
  shape.push_back(node.fresh(0, shape.size()));
  node.set(0, ElementType::String, std::move(shape));
}

void tf_idf(NodeShapes &node) {
  const auto indexes = node.integers("ngram_indexes");
  if (!indexes || indexes->empty())
    return node.fail("it has no ngram_indexes");
  const int64_t most = *std::ranges::max_element(*indexes);
  if (most < 0 || most == INT64_MAX)
    return node.fail("its ngram_indexes are none");
  Shape shape = node.shape(0);
  if (shape.empty() || shape.size() > 2)
    return node.fail("its input is neither a vector nor a matrix");
  shape.back() = most + 1;
  node.set(0, ElementType::Float32, std::move(shape));
}

void image_decoder(NodeShapes &node) {
  const bool grey = node.string("pixel_format", "RGB") == "Grayscale";
  node.set(0, ElementType::Uint8, {node.fresh(0, 0), node.fresh(0, 1), grey ? 1 : 3});
}

constexpr Rule kRules[] = {
    {"TopK", top_k},
    {"NonZero", non_zero},
    {"Unique", unique},
    {"Compress", compress, 2},
    {"NonMaxSuppression", non_max_suppression, 2},
    {"Multinomial", multinomial},
    {"StringConcat", string_concat, 2},
    {"RegexFullMatch", regex_full_match},
    {"StringNormalizer", string_normalizer},
    {"StringSplit", string_split},
    {"TfIdfVectorizer", tf_idf},
    {"ImageDecoder", image_decoder},
};

} // namespace

std::span<const Rule> selection_rules() { return kRules; }

} // namespace quern::onnx
