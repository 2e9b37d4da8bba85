// What benchmarks/gpu/pack leaves of each kernel for benchmarks/gpu/run to time: a product of some
// rows with a packed weight, in one of the ways in which it can be cut.
//
// The folder has `index.json`, an array of these, and of each FILE FILE.ptx and
// FILE.<variant>.cubin. The kernel is product(const u8 *weights, const u8 *rows, float *results,
// int rows).
#ifndef QUERN_BENCHMARKS_GPU_KERNELINDEX_H
#define QUERN_BENCHMARKS_GPU_KERNELINDEX_H

#include "runtime/artifact/manifest_generated.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstring>
#include <string>

namespace quern::kit {

struct TimedKernel {
  std::string file;
  std::string packing; ///< "q4.g32.z0.min.u8.row"
  int64_t inputs = 0, outputs = 0, panels = 0;
  int rows = 1;
  int together = 0, ring = 0; ///< panels that a block computes together, bytes of a warp's ring
  bool built_in = false;      ///< that is how it is cut where no table says otherwise
  uint32_t shared = 0, items = 0;
  uint64_t weight_bytes = 0, row_bytes = 0;
  bool quantized = false; ///< rows are quantized ones
  std::string made;       ///< an artifact::MadeWeight at offset 0, its bytes in hexadecimal
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TimedKernel, file, packing, inputs, outputs, panels, rows,
                                   together, ring, built_in, shared, items, weight_bytes, row_bytes,
                                   quantized, made)

inline std::string hex_of(const artifact::MadeWeight &weight) {
  const auto *bytes = reinterpret_cast<const unsigned char *>(&weight);
  std::string text;
  for (size_t i = 0; i < sizeof weight; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

/// Of a text that hex_of made; zeros for any other.
inline artifact::MadeWeight made_of(const std::string &hex) {
  artifact::MadeWeight weight;
  unsigned char bytes[sizeof weight] = {};
  if (hex.size() == 2 * sizeof weight)
    for (size_t i = 0; i < sizeof weight; ++i)
      bytes[i] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  std::memcpy(static_cast<void *>(&weight), bytes, sizeof weight);
  return weight;
}

} // namespace quern::kit

#endif // QUERN_BENCHMARKS_GPU_KERNELINDEX_H
