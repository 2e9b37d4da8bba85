// Orders in which warps and blocks run, by a seed: what is correct is so in all of them.
#ifndef QUERN_TESTS_PTX_SCHEDULES_H
#define QUERN_TESTS_PTX_SCHEDULES_H

#include "tests/ptx/Observer.h"

#include <memory>
#include <string_view>

namespace quern::ptx {

enum class Policy : u8 {
  RoundRobin, ///< in short turns
  Depth,      ///< one as far as it goes, then the next
  Reversed,   ///< the last as far as it goes, then the one before it
  Random      ///< any, in turns of any length
};

std::string_view name_of(Policy policy);

/// By seeds 1, 2, 3 ... the policies one after another, and with each a new sequence of chances.
/// Who gives way over and over (waiting for another block, in a loop) lets others go on in every
/// policy.
std::unique_ptr<Scheduler> new_schedule(u64 seed);
Policy policy_of(u64 seed);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_SCHEDULES_H
