#include "runtime/device/Staging.h"

#include "runtime/abi/CudaStep.h"
#include "runtime/artifact/SizeExpression.h"

#include <algorithm>
#include <limits>

namespace quern::device {
namespace {

using artifact::items;
using artifact::text;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kAlignment = 256; // what device memory itself has

uint64_t plus(uint64_t a, uint64_t b) { return a > kMax - b ? kMax : a + b; }
uint64_t times(uint64_t a, uint64_t b) { return a != 0 && b > kMax / a ? kMax : a * b; }
uint64_t aligned(uint64_t offset, uint64_t alignment) {
  return offset > kMax - alignment ? kMax : (offset + alignment - 1) / alignment * alignment;
}

// Places one part after the other.
class Places {
public:
  uint64_t place(uint64_t bytes, uint64_t alignment) {
    const uint64_t at = aligned(end_, alignment);
    end_ = plus(at, bytes);
    return at;
  }
  uint64_t end() const { return end_; }

private:
  uint64_t end_ = 0;
};

// Of a step that is run, what Engine::call has looked at: its expressions have values, at most
// `most`.
uint64_t size_of(const artifact::SizeExpression &dim, const StepShape &step) {
  if (step.dims.empty())
    return dim.most();
  const auto value = artifact::value_of(dim, step.dims);
  return value.ok() && *value > 0 ? std::min(static_cast<uint64_t>(*value), dim.most()) : 0;
}

} // namespace

StepShape step_shape(const artifact::Entry &entry, const QuernStepArgs &args) {
  StepShape shape{static_cast<uint64_t>(args.num_tokens), static_cast<uint64_t>(args.num_seqs),
                  static_cast<uint64_t>(args.num_rows)};
  if (args.dims)
    shape.dims = {args.dims, items(entry.sizes()).size()};
  return shape;
}

StepShape largest_step(const artifact::Bucket &bucket) {
  return {bucket.max_tokens(), bucket.max_seqs(), bucket.max_tokens()};
}

uint64_t tensor_bytes(const artifact::TensorDesc &tensor, const StepShape &step) {
  uint64_t bytes = artifact::element_bytes(tensor.type());
  const auto shape = items(tensor.shape());
  for (uint32_t d = 0; d < shape.size(); ++d) {
    if (shape[d] >= 0) {
      bytes = times(bytes, static_cast<uint64_t>(shape[d]));
      continue;
    }
    if (!items(tensor.dims()).empty()) {
      bytes = times(bytes, size_of(*items(tensor.dims())[d], step));
      continue;
    }
    const std::string_view symbol = text(items(tensor.symbols())[d]);
    bytes = times(bytes, symbol == "T" ? step.tokens : symbol == "B" ? step.seqs : step.rows);
  }
  return bytes;
}

StepLayout step_layout(const artifact::Manifest &manifest, const artifact::Entry &entry,
                       const artifact::Bucket &bucket) {
  const StepShape largest = largest_step(bucket);
  const uint64_t groups = items(manifest.kv_groups()).size();
  Places places;
  places.place(sizeof(QuernCudaStep), kAlignment);
  StepLayout layout;
  layout.argmax = places.place(sizeof(unsigned long long), 64); // on cache lines of their own
  layout.barrier = places.place(sizeof(unsigned), 64);
  layout.arrivals = places.place(QUERN_CUDA_ARRIVALS * sizeof(unsigned), 64);
  layout.kv = places.place(groups * sizeof(QuernCudaKvGroup), 64);
  layout.fixed_state = places.place(largest.seqs * sizeof(void *), 8);
  layout.cu_seqlens = places.place((largest.seqs + 1) * sizeof(int), 16);
  layout.positions = places.place(largest.tokens * sizeof(int), 16);
  layout.token_seq = places.place(largest.tokens * sizeof(int), 16);
  layout.rows = places.place(largest.rows * sizeof(int), 16);
  for (const artifact::TensorDesc *input : items(entry.inputs()))
    layout.inputs.push_back(places.place(tensor_bytes(*input, largest), 64));
  layout.tables = aligned(places.end(), 16);
  layout.table_bytes = groups * largest.seqs * sizeof(int);
  return layout;
}

std::vector<uint64_t> result_layout(const artifact::Entry &entry, const artifact::Bucket &bucket) {
  const StepShape largest = largest_step(bucket);
  Places places;
  std::vector<uint64_t> offsets;
  for (const artifact::TensorDesc *output : items(entry.outputs()))
    offsets.push_back(places.place(tensor_bytes(*output, largest), kAlignment));
  offsets.push_back(aligned(places.end(), kAlignment));
  return offsets;
}

uint64_t StagingSizes::block(uint64_t pages) const {
  return aligned(plus(step, times(per_page, pages)), kAlignment);
}

uint64_t StagingSizes::total(uint64_t pages) const { return plus(block(pages), results); }

StagingSizes staging_sizes(const artifact::Manifest &manifest, std::string_view target) {
  StagingSizes sizes;
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets())) {
      if (text(bucket->target()) != target)
        continue;
      const StepLayout layout = step_layout(manifest, *entry, *bucket);
      sizes.step = std::max(sizes.step, layout.tables);
      sizes.per_page = std::max(sizes.per_page, layout.table_bytes);
      sizes.results = std::max(sizes.results, result_layout(*entry, *bucket).back());
    }
  return sizes;
}

} // namespace quern::device
