// The control flow of a function's code: blocks, where ways meet again, what registers live.
#ifndef QUERN_TESTS_PTX_FLOW_H
#define QUERN_TESTS_PTX_FLOW_H

#include "tests/ptx/Syntax.h"

#include <vector>

namespace quern::ptx {

/// Where an instruction may go on.
struct Step {
  bool next = true;         ///< to the one that follows
  std::vector<u32> targets; ///< of branches
};

/// A use of a register by an instruction. A write under a guard leaves the old value where it does
/// not hold, and counts as a read too.
struct Touch {
  u32 instr;
  u32 slot;
  u32 reg;
  bool read, write;
};

/// Of every instruction, the first one that all ways from it to the end pass (behind itself); the
/// number of instructions where there is none but the end.
std::vector<u32> post_dominators(const std::vector<Step> &steps);

struct Interval {
  u32 first = ~0u, last = 0;
  bool used() const { return first != ~0u; }
};

/// Of every register, the stretch of code in which it lives. `touches` are in the order of the
/// code.
std::vector<Interval> lives(const std::vector<Step> &steps, const std::vector<Touch> &touches,
                            u32 registers);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_FLOW_H
