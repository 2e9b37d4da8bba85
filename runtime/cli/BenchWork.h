// What device steps must move and compute, dispatch by dispatch: the other side of their times.
#ifndef QUERN_RUNTIME_CLI_BENCHWORK_H
#define QUERN_RUNTIME_CLI_BENCHWORK_H

#include "runtime/session/Engine.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace quern::cli {

/// Bytes of weights and state, which lie in memory; activations stay in caches.
struct Work {
  double bytes = 0;
  double integer_ops = 0; ///< a multiply-add is two
  double float_ops = 0;

  Work &operator+=(const Work &other) {
    bytes += other.bytes;
    integer_ops += other.integer_ops;
    float_ops += other.float_ops;
    return *this;
  }
};

/// A sequence's part of a device step: `count` tokens after the first `position`.
struct StepPart {
  uint64_t position = 0;
  uint64_t count = 0;
};

/// Calls visit(parts, wanted) for each device step that Engine::step makes of `count` tokens for
/// each of `num_seqs` sequences that hold `position`, the logits of the last of each wanted.
template <class Visit>
void for_each_device_step(const session::Engine &engine, uint64_t num_seqs, uint64_t position,
                          uint64_t count, Visit visit) {
  std::vector<StepPart> parts;
  uint64_t seq = 0, done = 0;
  while (seq < num_seqs) {
    parts.clear();
    uint64_t used = 0, wanted = 0;
    while (seq < num_seqs && parts.size() < engine.max_seqs() && used < engine.max_tokens()) {
      const uint64_t take = std::min<uint64_t>(count - done, engine.max_tokens() - used);
      parts.push_back({position + done, take});
      used += take;
      done += take;
      if (done == count) {
        ++seq;
        ++wanted;
        done = 0;
      }
    }
    visit(std::span<const StepPart>(parts), wanted);
  }
}

/// Each dispatch's work in a device step of these parts, `wanted` rows of logits asked for.
std::vector<Work> step_work(const session::Engine &engine, const artifact::Bucket &bucket,
                            std::span<const StepPart> parts, uint64_t wanted);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_BENCHWORK_H
