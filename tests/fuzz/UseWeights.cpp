#include "tests/fuzz/UseWeights.h"

#include "ir/weights/WeightStore.h"
#include "tests/fuzz/Fuzz.h"

#include <algorithm>

namespace quern::fuzz {
namespace {

/// More of one weight is not read: rows are alike.
constexpr int64_t kMostElements = 1 << 14;

} // namespace

void use_weights(const LoadedModel &model) {
  const std::vector<recipe::Tensor> wanted = recipe::tensors(model.decoder);
  require(model.source.places.size() == wanted.size(), "a tensor of the model has no place");
  if (model.source.synthetic_seed)
    return;
  weights::WeightStore store;
  for (const std::string &file : model.source.files)
    require(store.add(file).ok(), "a model's file cannot be opened again");
  for (size_t i = 0; i < wanted.size(); ++i) {
    const recipe::Place &place = model.source.places[i];
    weights::WeightRef ref;
    ref.file = place.file;
    ref.offset = static_cast<uint64_t>(place.offset);
    ref.format = place.format;
    ref.coded = place.coded;
    ref.shape = wanted[i].shape;
    if (place.coded && wanted[i].transposed) // the codes are [out, in] whatever the recipe says
      std::swap(ref.shape[0], ref.shape[1]);
    require(store.check(ref).ok(), "a weight that was placed is not there");
    if (ref.rows() == 0 || ref.row_elements() == 0 || ref.row_elements() > kMostElements)
      continue;
    const int64_t rows = std::min(ref.rows(), kMostElements / ref.row_elements());
    std::vector<float> values(static_cast<size_t>(rows * ref.row_elements()));
    // Values may be refused (a group that is not there), but not crash.
    (void)store.read_rows(ref, 0, rows, values.data());
    (void)store.read_rows(ref, ref.rows() - rows, rows, values.data());
  }
}

} // namespace quern::fuzz
