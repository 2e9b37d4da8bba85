#include "runtime/device/cuda/StepBlock.h"

#include "runtime/abi/CudaStep.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace quern::device::cuda {
namespace {

using artifact::items;

// Pages that hold the sequence's positions, those of this step included.
int64_t pages_of(const QuernStepArgs &args, int64_t seq) {
  const int32_t end = args.cu_seqlens[seq + 1];
  return end == args.cu_seqlens[seq] ? 0 : args.positions[end - 1] / QUERN_KV_PAGE + 1;
}

template <typename T> void put(uint8_t *to, const T *from, uint64_t count) {
  if (count != 0)
    std::memcpy(to, from, count * sizeof(T));
}

} // namespace

absl::StatusOr<uint64_t> fill_step(std::span<uint8_t> block, DevicePtr address,
                                   const StepLayout &layout, const artifact::Manifest &manifest,
                                   const artifact::Entry &entry, const QuernStepArgs &args) {
  const StepShape shape = step_shape(entry, args);
  const uint64_t groups = args.kv ? items(manifest.kv_groups()).size() : 0;
  int64_t stride = 0;
  for (int64_t b = 0; groups != 0 && b < args.num_seqs; ++b)
    stride = std::max(stride, pages_of(args, b));
  const uint64_t table = shape.seqs * static_cast<uint64_t>(stride); // of a group
  const uint64_t used = layout.tables + groups * table * sizeof(int);
  if (used > block.size())
    return absl::InternalError(absl::StrCat("a step of ", used, " bytes does not fit in the ",
                                            block.size(), " that were taken for it"));
  const auto at = [&](uint64_t offset) { return address + offset; };
  const auto pointer = [&](uint64_t offset) {
    return reinterpret_cast<const int *>(static_cast<uintptr_t>(at(offset)));
  };

  QuernCudaStep step{};
  step.num_tokens = args.num_tokens;
  step.num_seqs = args.num_seqs;
  step.num_rows = args.num_rows;
  step.cu_seqlens = pointer(layout.cu_seqlens);
  step.positions = pointer(layout.positions);
  step.token_seq = pointer(layout.token_seq);
  step.rows = pointer(layout.rows);
  step.kv = reinterpret_cast<const QuernCudaKvGroup *>(static_cast<uintptr_t>(at(layout.kv)));
  step.fixed_state =
      reinterpret_cast<unsigned char *const *>(static_cast<uintptr_t>(at(layout.fixed_state)));
  step.argmax =
      args.argmax
          ? reinterpret_cast<unsigned long long *>(static_cast<uintptr_t>(at(layout.argmax)))
          : nullptr;
  step.barrier = reinterpret_cast<unsigned *>(static_cast<uintptr_t>(at(layout.barrier)));
  step.arrivals = reinterpret_cast<unsigned *>(static_cast<uintptr_t>(at(layout.arrivals)));
  std::memcpy(block.data(), &step, sizeof step);
  std::memset(&block[layout.argmax], 0, sizeof *step.argmax);
  std::memset(&block[layout.barrier], 0, sizeof *step.barrier);
  std::memset(&block[layout.arrivals], 0, QUERN_CUDA_ARRIVALS * sizeof *step.arrivals);

  put(&block[layout.cu_seqlens], args.cu_seqlens, shape.seqs + 1);
  put(&block[layout.positions], args.positions, shape.tokens);
  put(&block[layout.token_seq], args.token_seq, shape.tokens);
  put(&block[layout.rows], args.rows, shape.rows);
  if (args.fixed_state)
    put(&block[layout.fixed_state], args.fixed_state, shape.seqs);
  const auto inputs = items(entry.inputs());
  for (uint32_t i = 0; i < inputs.size(); ++i)
    put(&block[layout.inputs[i]], static_cast<const uint8_t *>(args.inputs[i]),
        tensor_bytes(*inputs[i], shape));

  auto *tables = reinterpret_cast<int32_t *>(&block[0] + layout.tables);
  for (uint64_t g = 0; g < groups; ++g) {
    const QuernKvGroup &from = args.kv[g];
    const QuernCudaKvGroup group{from.pages, from.page_bytes,
                                 pointer(layout.tables + g * table * sizeof(int)), stride};
    std::memcpy(&block[layout.kv + g * sizeof group], &group, sizeof group);
    for (int64_t b = 0; b < args.num_seqs; ++b, tables += stride) {
      const int64_t pages = pages_of(args, b);
      std::copy_n(from.block_tables[b], pages, tables);
      std::fill(tables + pages, tables + stride, -1); // no page: reading it would be an error
    }
  }
  return used;
}

QuernArgmax read_argmax(uint64_t packed) {
  QuernArgmax nothing{-std::numeric_limits<float>::infinity(), -1, {}};
  const auto order = static_cast<uint32_t>(packed >> 32);
  constexpr uint32_t kSign = 0x80000000u;
  const auto value = std::bit_cast<float>(order & kSign ? order & ~kSign : ~order);
  if (packed == 0 || !(value > nothing.value))
    return nothing;
  return {value, static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(packed)), {}};
}

} // namespace quern::device::cuda
