// Synthetic weights: made-up numbers with the statistics of real weights, for benchmarks and tests
// of models whose files are not at hand. Every element is a function of (seed, tensor name, index)
// alone, so any part of a tensor can be made at any time, on any machine, and a script can make the
// same (all integers are unsigned 64-bit and wrap, all floats are float32 and every operation
// rounds):
//
//   mix(z):   z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
//             z = (z ^ (z >> 27)) * 0x94d049bb133111eb
//             z ^ (z >> 31)                                          (splitmix64's finalizer)
//   fnv(s):   h = 0xcbf29ce484222325; for each byte b of s: h = (h ^ b) * 0x100000001b3 (FNV-1a, 64
//   bits) key       = mix(mix(seed + 0x9e3779b97f4a7c15) ^ fnv(name)) bits(i)   = mix(key + (i + 1)
//   * 0x9e3779b97f4a7c15)               (splitmix64 as a counter-based generator) sum(i)    = the
//   sum of the four 16-bit quarters of bits(i), minus 131070 value(i)  = float(sum(i)) *
//   0x1.bb67aep-16 * scale + offset
//
// sum has mean 0 and standard deviation sqrt((2^32 - 1) / 3), which the constant, sqrt(3) * 2^-16
// in float32, scales to 1: the sum of four uniforms, close to a normal distribution cut at 3.46.
#ifndef QUERN_IR_WEIGHTS_SYNTHETICWEIGHTS_H
#define QUERN_IR_WEIGHTS_SYNTHETICWEIGHTS_H

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::weights {

/// What a synthetic weight is made from: normal(offset, scale), roughly. `scale` 0 gives a
/// constant.
struct Synthetic {
  uint64_t seed = 0;
  std::string name;
  float scale = 1;
  float offset = 0;
};

/// The tensor's key, as defined above.
uint64_t synthetic_key(uint64_t seed, std::string_view name);

/// Writes elements first .. first+n-1 (indices in row-major order) to `out`.
void generate(const Synthetic &synthetic, int64_t first, int64_t n, float *out);

} // namespace quern::weights

#endif // QUERN_IR_WEIGHTS_SYNTHETICWEIGHTS_H
