// An estimate of a kernel's time on a GPU, from what the interpreter counted.
//
// A roofline: the time of the busiest of DRAM, L2, shared memory, tensor pipes, the arithmetic
// pipes and the issue of instructions, where DRAM goes no faster than the bytes that the resident
// warps keep in flight allow (Little's law). It is an estimate, for comparing one kernel with
// another and with the bound; no GPU was asked.
#ifndef QUERN_TESTS_PTX_COUNTERS_ESTIMATE_H
#define QUERN_TESTS_PTX_COUNTERS_ESTIMATE_H

#include "tests/ptx/counters/Counters.h"

#include <string>
#include <vector>

namespace quern::ptx {

/// A GPU in numbers. Sources beside the values, in Estimate.cpp.
struct Model {
  std::string_view name;
  u32 multiprocessors;
  double clock;      ///< GHz
  double dram;       ///< GB/s
  double dram_share; ///< of it that reads reach
  double latency;    ///< ns of a read from DRAM under load
  double l2;         ///< GB/s
  double launch;     ///< us of a launch behind another, in a graph
  u32 warps, blocks; ///< resident on a multiprocessor
  u32 registers;     ///< of 32 bits
  u32 shared_bytes;
  double tensor; ///< operations a clock and multiprocessor, dense bfloat16, of mma.sync
  double floats, integers, doubles, specials, converts; ///< lanes a clock and multiprocessor
};

/// "a100", "h100"; null for others.
const Model *model_of(std::string_view name);

struct Estimate {
  double us = 0;        ///< of one launch, its own overhead included
  std::string bound;    ///< the busiest: "dram", "issue" ...
  double dram_us = 0;   ///< at the full rate: what cannot be had faster
  double in_flight = 0; ///< bytes of a multiprocessor
};

/// `registers`: of a thread, from ptxas; 0 where it is not known.
Estimate estimate(const Counters &counters, const Model &model, u32 registers);

/// All kernels as JSON: counters and estimates, by the model where one is named.
std::string to_json(const std::vector<Counters> &kernels, const Model *model);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_COUNTERS_ESTIMATE_H
