// The bytes of a tensor as a golden describes it (tests/frontends/goldens).
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENTENSORS_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENTENSORS_H

#include "ir/formats/Half.h"
#include "ir/weights/SyntheticWeights.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace quern {

inline constexpr uint64_t kGoldenSeed = 1;

/// The type of the tensor's elements, by safetensors' name.
inline std::string golden_dtype(const nlohmann::json &tensor) {
  return tensor.value("dtype", "F32");
}

/// Appends `count` bytes of `value`, lowest first.
inline void append_bytes(std::string &bytes, uint64_t value, int count) {
  for (int i = 0; i < count; ++i)
    bytes += static_cast<char>(value >> 8 * i & 255);
}

inline void append_float(std::string &bytes, float value, const std::string &dtype) {
  if (dtype == "F16")
    append_bytes(bytes, formats::f32_to_f16(value), 2);
  else if (dtype == "BF16")
    append_bytes(bytes, formats::f32_to_bf16(value), 2);
  else
    append_bytes(bytes, std::bit_cast<uint32_t>(value), 4);
}

/// The bits that SyntheticWeights.h makes element `i` of a tensor of.
inline uint64_t golden_bits(uint64_t key, uint64_t i) {
  uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

inline std::string golden_bytes(const std::string &name, const nlohmann::json &tensor) {
  const std::string dtype = golden_dtype(tensor);
  std::string bytes;
  if (tensor.contains("text"))
    return tensor["text"];
  if (tensor.contains("parts")) { // other tensors, one behind the other
    for (const auto &[part, values] : tensor["parts"].items())
      bytes += golden_bytes(part, values);
    return bytes;
  }
  if (tensor.contains("values")) {
    for (const auto &value : tensor["values"])
      if (dtype.find('F') != dtype.npos)
        append_float(bytes, value.get<float>(), dtype);
      else
        append_bytes(bytes, static_cast<uint64_t>(value.get<int64_t>()),
                     dtype == "I64"   ? 8
                     : dtype == "I32" ? 4
                                      : 1);
    return bytes;
  }
  int64_t count = 1;
  for (int64_t n : tensor["shape"])
    count *= n;
  if (tensor.contains("bits")) {
    const uint64_t key = weights::synthetic_key(kGoldenSeed, name);
    const auto keep = tensor["and"].get<uint64_t>(), put = tensor["or"].get<uint64_t>();
    for (int64_t i = 0; i < count; ++i)
      append_bytes(bytes, (golden_bits(key, static_cast<uint64_t>(i)) & keep) | put,
                   tensor["bits"].get<int>() / 8);
    return bytes;
  }
  std::vector<float> values(static_cast<size_t>(count));
  weights::generate({.seed = kGoldenSeed,
                     .name = name,
                     .scale = tensor["spread"].get<float>(),
                     .offset = tensor["mean"].get<float>()},
                    0, count, values.data());
  for (const float value : values)
    append_float(bytes, value, dtype);
  return bytes;
}

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENTENSORS_H
