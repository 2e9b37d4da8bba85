// What the machine can do at best, measured with the pool that runs the model.
#pragma once

#include "runtime/device/cpu/WorkerPool.h"

#include <cstdint>
#include <span>

namespace quern::device {

// Bytes a second at which the pool's workers, each with its contiguous shares, read `bytes` and
// `more`: the best of several passes. Nothing is computed but a sum that keeps the loads alive.
double probe_read(WorkerPool &pool, std::span<const uint8_t> bytes, std::span<const uint8_t> more);

} // namespace quern::device
