// See DeviceHeaders.h.
#include "codegen/cuda/DeviceHeaders.h"

namespace quern::cuda {

std::span<const DeviceHeader> device_headers() {
  static constexpr DeviceHeader kHeaders[] = {
      // NVRTC comes without standard headers.
      {"stdint.h", R"(#pragma once
using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long;
)"},
#include "codegen/cuda/DeviceHeaders.inc"
  };
  return kHeaders;
}

} // namespace quern::cuda
