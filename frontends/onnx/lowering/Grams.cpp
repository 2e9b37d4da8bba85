// How often sequences of codes that are known, n-grams, are in a text of codes.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

namespace quern::onnx {
namespace {

/// The n-grams that are looked for, in the order of their columns.
struct Pool {
  std::vector<int64_t> codes;         ///< of all, one after the other
  std::vector<int64_t> firsts, sizes; ///< by n-gram
  std::vector<int64_t> begins;        ///< by column, and behind the last
};

std::optional<Pool> read_pool(NodeLowering &node, int64_t columns) {
  const auto codes = node.integers("pool_int64s"), counts = node.integers("ngram_counts"),
             indexes = node.integers("ngram_indexes");
  const int64_t least = node.integer("min_gram_length", 1),
                most = node.integer("max_gram_length", 1);
  if (!codes || !counts || !indexes) {
    node.refuse("it has not the attributes pool_int64s, ngram_counts and ngram_indexes",
                "texts are taken as codes: do the tokenizing outside the model");
    return std::nullopt;
  }
  const auto end = static_cast<int64_t>(codes->size());
  // An n-gram that is there twice is the later one.
  std::map<std::vector<int64_t>, int64_t> grams;
  int64_t id = 0;
  for (size_t i = 0; i < counts->size(); ++i) {
    const auto size = static_cast<int64_t>(i) + 1;
    const int64_t first = (*counts)[i], last = i + 1 < counts->size() ? (*counts)[i + 1] : end;
    if (first < 0 || last < first || last > end) {
      node.refuse("its ngram_counts are not places in its pool, one behind the other",
                  "the model is not as its exporter meant it: export it again");
      return std::nullopt;
    }
    for (int64_t at = first; at + size <= last; at += size, ++id) {
      if (id >= static_cast<int64_t>(indexes->size())) {
        node.refuse("its pool has more n-grams than it has ngram_indexes",
                    "the model is not as its exporter meant it: export it again");
        return std::nullopt;
      }
      const int64_t column = (*indexes)[static_cast<size_t>(id)];
      if (size >= least && size <= most && column >= 0 && column < columns)
        grams[{codes->begin() + at, codes->begin() + at + size}] = column;
    }
  }
  std::multimap<int64_t, const std::vector<int64_t> *> sorted;
  for (const auto &[gram, column] : grams)
    sorted.emplace(column, &gram);
  Pool pool;
  for (const auto &[column, gram] : sorted) {
    while (static_cast<int64_t>(pool.begins.size()) <= column)
      pool.begins.push_back(static_cast<int64_t>(pool.sizes.size()));
    pool.firsts.push_back(static_cast<int64_t>(pool.codes.size()));
    pool.sizes.push_back(static_cast<int64_t>(gram->size()));
    pool.codes.insert(pool.codes.end(), gram->begin(), gram->end());
  }
  while (static_cast<int64_t>(pool.begins.size()) <= columns)
    pool.begins.push_back(static_cast<int64_t>(pool.sizes.size()));
  return pool;
}

void tf_idf(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array text = node.in(0);
  const Sizes shape = node.out_shape();
  const auto columns = shape.back().constant();
  if (!columns)
    return node.refuse("how many columns its result has is not fixed");
  const auto pool = read_pool(node, *columns);
  if (!pool)
    return;
  const std::string mode = node.string("mode", "TF");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    return node.refuse(absl::StrCat("its mode is '", mode, "'"), "use TF, IDF or TFIDF");
  const int64_t skips = node.integer("max_skip_count", 0);
  const auto list = [&](const std::vector<int64_t> &values) {
    const auto count = static_cast<int64_t>(values.size());
    return count == 0 ? a.integers({0}, {1}) : a.integers(values, {count});
  };
  const Array codes = list(pool->codes), firsts = list(pool->firsts), sizes = list(pool->sizes),
              begins = list(pool->begins);
  std::optional<Array> weights;
  if (const auto given = node.floats("weights"); given && !given->empty() && mode != "TF") {
    if (static_cast<int64_t>(given->size()) < *columns)
      return node.refuse("it has fewer weights than columns",
                         "the model is not as its exporter meant it: export it again");
    weights = a.numbers(ElementType::Float32, *given, {static_cast<int64_t>(given->size())});
  }
  const Scalar length = a.size_index(text.shape.back());
  node.set(a.generate(ElementType::Float32, shape, [&](Writer &w, const Scalars &at) {
    const auto entry = [](Writer &inner, const Array &table, const Scalar &place) {
      return to_index(Arrays::element(inner, table, {place}));
    };
    const Scalar column = at.back(), zero = index(w, 0);
    const Scalars found = loop(
        w, entry(w, begins, column), entry(w, begins, column + 1.0), {zero},
        [&](const Scalar &gram, const Scalars &before) {
          const Scalar first = entry(*gram.w, firsts, gram), size = entry(*gram.w, sizes, gram);
          // Of one code there is nothing to skip.
          const Scalar ways = select(equal(size, 1.0), index(*gram.w, 1),
                                     index(*gram.w, std::max<int64_t>(skips, 0) + 1));
          return loop(*gram.w, zero, ways, before, [&](const Scalar &skip, const Scalars &sums) {
            const Scalar apart = skip + 1.0;
            const Scalar starts = max(length - apart * (size - 1.0), 0.0);
            return loop(*skip.w, zero, starts, sums, [&](const Scalar &start, const Scalars &now) {
              const Scalars all =
                  loop(*start.w, zero, size, {number(*start.w, ElementType::Bool, 1)},
                       [&](const Scalar &item, const Scalars &same) {
                         Writer &inner = *item.w;
                         Scalars from = at;
                         from.back() = start + item * apart;
                         const Scalar code = Arrays::element(inner, text, from);
                         const Scalar wanted = Arrays::element(inner, codes, {first + item});
                         return Scalars{same[0] & equal(cast(code, ElementType::Int64), wanted)};
                       });
              return Scalars{select(all[0], now[0] + 1.0, now[0])};
            });
          });
        });
    Scalar value = from_index(found[0], ElementType::Float32);
    if (mode == "IDF")
      value = min(value, 1.0);
    return weights ? value * Arrays::element(w, *weights, {column}) : value;
  }));
}

constexpr LoweringRow kRows[] = {{"TfIdfVectorizer", tf_idf, Takes::Integers, 1}};

} // namespace

std::span<const LoweringRow> gram_lowerings() { return kRows; }

} // namespace quern::onnx
