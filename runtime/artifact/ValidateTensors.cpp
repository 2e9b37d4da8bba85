#include "runtime/artifact/ValidateTensors.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/SizeExpression.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

namespace quern::artifact {
namespace {

constexpr uint32_t kMaxRank = 16;
constexpr uint32_t kMaxSizes = 1024;
constexpr uint32_t kMaxEqual = 4096;

bool is_step_symbol(std::string_view symbol) {
  return symbol == "T" || symbol == "B" || symbol == "R";
}

// Of an entry whose caller chooses sizes, the greatest value that the dimension has room for.
absl::Status check_dim(const TensorDesc &tensor, uint32_t i, uint32_t num_sizes,
                       const std::string &where, uint64_t *most) {
  const SizeExpression *dim = items(tensor.dims())[i];
  const std::string_view mistake = mistake_in(dim, num_sizes);
  if (!mistake.empty())
    return wrong(where, absl::StrCat("a symbolic dimension: ", std::string(mistake)));
  *most = dim->most();
  return absl::OkStatus();
}

absl::Status check_tensor(const TensorDesc &tensor, uint32_t num_sizes, const std::string &where) {
  if (tensor.type() < ElementType::MIN || tensor.type() > ElementType::MAX)
    return wrong(where, "unknown element type");
  const auto shape = items(tensor.shape());
  const auto symbols = items(tensor.symbols());
  if (shape.size() > kMaxRank || !is_aligned(tensor.shape()))
    return wrong(where, "too many dimensions, or misplaced ones");
  if (!symbols.empty() && symbols.size() != shape.size())
    return wrong(where, "as many symbols as dimensions are needed");
  if (items(tensor.dims()).size() != (num_sizes == 0 ? 0 : shape.size()))
    return wrong(where, "as many expressions as dimensions are needed where sizes are chosen");
  uint64_t elements = 1;
  for (uint32_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < -1)
      return wrong(where, "negative dimension");
    auto most = static_cast<uint64_t>(shape[i]);
    if (shape[i] == -1) {
      const std::string_view symbol = symbols.empty() ? "" : text(symbols[i]);
      if (symbol.empty())
        return wrong(where, "a symbolic dimension without a name");
      if (num_sizes == 0) {
        // The runtime passes generated code T, B and R, so no other symbol can mean anything to it.
        if (!is_step_symbol(symbol))
          return wrong(where, "a symbolic dimension must be T, B or R");
        continue;
      }
      if (absl::Status status = check_dim(tensor, i, num_sizes, where, &most); !status.ok())
        return status;
    }
    if (most > kMostSize || (most != 0 && elements > kMaxBytes / most))
      return wrong(where, "shape too large");
    elements *= most;
  }
  return absl::OkStatus();
}

} // namespace

absl::Status wrong(const std::string &where, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("manifest: ", where, ": ", std::string(what),
                   "\nhint: the file is damaged, or another program wrote it; compile it again"));
}

bool is_aligned(const flatbuffers::Vector<int64_t> *shape) {
  // The writer aligns none that is empty.
  return !shape || shape->size() == 0 ||
         reinterpret_cast<uintptr_t>(shape->data()) % alignof(int64_t) == 0;
}

absl::Status check_tensors(const Entry &entry, const std::string &where) {
  for (const auto *tensors : {entry.inputs(), entry.outputs()})
    for (const TensorDesc *tensor : items(tensors))
      if (absl::Status status = check_tensor(
              *tensor, items(entry.sizes()).size(),
              absl::StrCat(where, " tensor '", std::string(text(tensor->name())), "'"));
          !status.ok())
        return status;
  return absl::OkStatus();
}

// Of the sizes, those that the expression reads.
static void mark_read(const SizeExpression &expression, std::vector<bool> &read) {
  for (const SizeStep *step : items(expression.steps()))
    if (step->op() == SizeOp::size)
      read[static_cast<size_t>(step->value())] = true;
}

// What the model counts is bounded by what its caller chooses, and nothing that is looked at before
// a call depends on it.
static absl::Status check_counted(const Entry &entry, const std::vector<bool> &said,
                                  const std::string &where) {
  const auto sizes = items(entry.sizes());
  std::vector<bool> read(sizes.size());
  for (const Size *size : sizes)
    if (size->bound()) {
      if (const std::string_view mistake = mistake_in(size->bound(), sizes.size());
          !mistake.empty())
        return wrong(where, absl::StrCat("a size's bound: ", std::string(mistake)));
      mark_read(*size->bound(), read);
    }
  for (const EqualSizes *equal : items(entry.equal())) {
    mark_read(*equal->left(), read);
    mark_read(*equal->right(), read);
  }
  for (uint32_t i = 0; i < sizes.size(); ++i)
    if (sizes[i]->bound() && (said[i] || read[i]))
      return wrong(where, absl::StrCat("the size '", std::string(text(sizes[i]->name())),
                                       "' is counted, and has to be known before"));
  return absl::OkStatus();
}

absl::Status check_sizes(const Entry &entry, const std::string &where) {
  const auto sizes = items(entry.sizes());
  if (sizes.size() > kMaxSizes || items(entry.equal()).size() > kMaxEqual)
    return wrong(where, "too many sizes, or too many that have to be equal");
  std::vector<bool> bound(sizes.size());
  for (const TensorDesc *input : items(entry.inputs()))
    for (const SizeExpression *dim : items(input->dims()))
      if (!mistake_in(dim, sizes.size()).empty())
        continue; // of a fixed dimension
      else
        mark_read(*dim, bound);
  for (uint32_t i = 0; i < sizes.size(); ++i) {
    const std::string_view name = text(sizes[i]->name());
    if (name.empty() || is_step_symbol(name) || sizes[i]->most() > kMostSize)
      return wrong(where, "a size without a name of its own, or an impossible one");
    if (!bound[i] && !sizes[i]->bound())
      return wrong(where, absl::StrCat("no input says the size '", std::string(name), "'"));
  }
  for (const EqualSizes *equal : items(entry.equal()))
    for (const SizeExpression *side : {equal->left(), equal->right()})
      if (const std::string_view mistake = mistake_in(side, sizes.size()); !mistake.empty())
        return wrong(where, absl::StrCat("what has to be equal: ", std::string(mistake)));
  if (absl::Status status = check_counted(entry, bound, where); !status.ok())
    return status;
  if (sizes.empty())
    return absl::OkStatus();
  const auto buckets = items(entry.buckets());
  for (uint32_t i = 0; i < buckets.size(); ++i) {
    if (buckets[i]->min_tokens() != 1 || buckets[i]->max_tokens() != 1 ||
        buckets[i]->max_seqs() != 1)
      return wrong(where, "its caller chooses sizes, and its buckets are of tokens");
    for (uint32_t j = 0; j < i; ++j)
      if (text(buckets[j]->target()) == text(buckets[i]->target()))
        return wrong(where, "its caller chooses sizes, and it has two buckets of a target");
  }
  return absl::OkStatus();
}

} // namespace quern::artifact
