#include "runtime/cli/BenchWork.h"

#include <algorithm>

namespace quern::cli {
namespace {

using artifact::items;

// Positions below `position` that a layer keeps.
double kept(uint64_t position, uint64_t window) {
  return static_cast<double>(window == 0 ? position : std::min(position, window));
}

// Positions that the part's tokens look at, all together: each itself and what came before.
double looked_at(const StepPart &part, uint64_t window) {
  const uint64_t first = part.position + 1, last = part.position + part.count;
  if (window == 0 || last <= window)
    return static_cast<double>(part.count) * static_cast<double>(first + last) / 2;
  double sum = 0;
  for (uint64_t p = first; p <= last; ++p)
    sum += static_cast<double>(std::min(p, window));
  return sum;
}

uint64_t window_of(const artifact::Manifest &manifest, const artifact::State &state) {
  return state.kind() == artifact::StateKind::kv
             ? manifest.kv_groups()->Get(state.group())->window()
             : 0;
}

double state_bytes(const artifact::Manifest &manifest, const artifact::State &state, bool attends,
                   std::span<const StepPart> parts) {
  const auto bytes = static_cast<double>(state.bytes());
  double sum = 0;
  for (const StepPart &part : parts) {
    const auto count = static_cast<double>(part.count);
    if (state.kind() != artifact::StateKind::kv)
      sum += 2 * bytes; // read and written
    else if (attends)
      sum += (kept(part.position, window_of(manifest, state)) + count) * bytes / QUERN_KV_PAGE;
    else
      sum += count * bytes / QUERN_KV_PAGE;
  }
  return sum;
}

} // namespace

std::vector<Work> step_work(const session::Engine &engine, const artifact::Bucket &bucket,
                            std::span<const StepPart> parts, uint64_t wanted) {
  const artifact::Manifest &manifest = engine.manifest();
  double tokens = 0;
  for (const StepPart &part : parts)
    tokens += static_cast<double>(part.count);
  std::vector<Work> work;
  for (const artifact::Dispatch *dispatch : items(bucket.dispatches())) {
    Work &of = work.emplace_back();
    const double rows = dispatch->wanted_rows() ? static_cast<double>(wanted) : tokens;
    const auto once = static_cast<double>(dispatch->weight_bytes());
    const auto each = static_cast<double>(dispatch->row_weight_bytes());
    const auto row_ops = static_cast<double>(dispatch->row_flops());
    of.bytes += each * rows + (rows > 0 ? once : 0);
    // Weights of fewer than ten bits are multiplied as integers.
    ((once + each) * 8 < row_ops / 2 * 10 ? of.integer_ops : of.float_ops) += row_ops * rows;
    for (uint32_t index : items(dispatch->states())) {
      const artifact::State &state = *manifest.states()->Get(index);
      of.bytes += state_bytes(manifest, state, dispatch->position_flops() != 0, parts);
      for (const StepPart &part : parts)
        of.float_ops += static_cast<double>(dispatch->position_flops()) *
                        looked_at(part, window_of(manifest, state));
    }
  }
  return work;
}

} // namespace quern::cli
