#include "ir/weights/SyntheticWeights.h"

namespace quern::weights {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr float kUnitDeviation = 0x1.bb67aep-16f;

constexpr uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

constexpr uint64_t fnv(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

} // namespace

uint64_t synthetic_key(uint64_t seed, std::string_view name) {
  return mix(mix(seed + kGolden) ^ fnv(name));
}

void generate(const Synthetic &synthetic, int64_t first, int64_t n, float *out) {
  const uint64_t base =
      synthetic_key(synthetic.seed, synthetic.name) + (static_cast<uint64_t>(first) + 1) * kGolden;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t bits = mix(base + static_cast<uint64_t>(i) * kGolden);
    const auto sum = static_cast<int32_t>((bits & 0xffff) + (bits >> 16 & 0xffff) +
                                          (bits >> 32 & 0xffff) + (bits >> 48)) -
                     131070;
    out[i] = static_cast<float>(sum) * kUnitDeviation * synthetic.scale + synthetic.offset;
  }
}

} // namespace quern::weights
