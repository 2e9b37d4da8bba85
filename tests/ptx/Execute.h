// Execution of a launch: blocks in turn or all at once, warps in turn, splits of a warp in turn.
#ifndef QUERN_TESTS_PTX_EXECUTE_H
#define QUERN_TESTS_PTX_EXECUTE_H

#include "tests/ptx/Warp.h"

#include <optional>
#include <string>

namespace quern::ptx {

/// What a launch ended with, if not well.
struct Report {
  std::string kind;   ///< of Fault
  std::string what;   ///< of Fault
  std::string kernel; ///< the entry
  std::string opcode;
  int line = 0; ///< of the PTX text
  u32 block[3] = {0, 0, 0};
  u32 thread[3] = {0, 0, 0}; ///< the first one it holds for
  bool has_thread = false;
  std::string text() const; ///< all of it in a sentence
};

/// Runs a launch to its end, or to the first fault.
std::optional<Report> execute(Launch &launch);

// For handlers of control flow. The running split's pc is already behind the instruction.

void branch(Warp &warp, const Instr &instr, Mask taken);
/// brx.idx: a target of instr.aux for each lane, by the register o[0].
void branch_indexed(Warp &warp, const Instr &instr, Mask mask);
void call(Warp &warp, const Instr &instr, Mask mask);
void return_from(Warp &warp, const Instr &instr, Mask mask);
void exit_lanes(Warp &warp, const Instr &instr, Mask mask);

/// Lanes come to an instruction that `named` execute together. All of them who are there now, once
/// the last has come; none as long as some are missing: then the running split waits. `one_place`:
/// all at this very instruction.
Mask meet(Warp &warp, Mask mask, Mask named, bool one_place);

/// The running split comes to a barrier of its block. `threads`: how many it is for, 0 for all.
void arrive_at_barrier(Warp &warp, const Instr &instr, Mask mask, u32 barrier, u32 threads,
                       bool waits, bool aligned);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_EXECUTE_H
