// What the machine can do at best, measured with the pool that runs the model.
#ifndef QUERN_RUNTIME_DEVICE_CPU_PROBE_H
#define QUERN_RUNTIME_DEVICE_CPU_PROBE_H

#include "runtime/device/cpu/WorkerPool.h"

#include <cstdint>
#include <span>

namespace quern::device {

/// Bytes a second at which the pool's workers, each with its contiguous shares, read `bytes` and
/// `more`: the best of several passes. Nothing is computed but a sum that keeps the loads alive.
double probe_read(WorkerPool &pool, std::span<const uint8_t> bytes, std::span<const uint8_t> more);

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_PROBE_H
