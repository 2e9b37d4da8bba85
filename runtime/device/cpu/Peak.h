// The arithmetic bound: how fast the pool's workers could multiply if no byte had to move.
#ifndef QUERN_RUNTIME_DEVICE_CPU_PEAK_H
#define QUERN_RUNTIME_DEVICE_CPU_PEAK_H

#include "runtime/device/cpu/WorkerPool.h"

#include <span>
#include <string>

namespace quern::device {

/// Operations a second (a multiply-add is two) of the fastest instruction for products of 8-bit
/// integers
/// (`integer`) or of float32 that code with these CPU features may use, on all workers at once. 0
/// if none of the instructions that are measured here is among them. Takes about 0.1 s.
double probe_ops(WorkerPool &pool, bool integer, std::span<const std::string> features);

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_PEAK_H
