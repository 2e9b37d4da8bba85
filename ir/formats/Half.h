// The 16-bit float types as bits: IEEE binary16 and bfloat16, to and from float32.
//
// Freestanding (no library, no intrinsics), so that microkernels, the compiler and the tests share
// one definition. Widening is exact. Narrowing rounds to nearest, ties to even; overflow gives
// infinity; a NaN stays a NaN (quiet).
#ifndef QUERN_IR_FORMATS_HALF_H
#define QUERN_IR_FORMATS_HALF_H

#include <stdint.h>

namespace quern::formats {

constexpr float f16_to_f32(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = half & 0x7fffu;
  uint32_t bits = 0;
  if (magnitude >= 0x7c00u) { // infinity, NaN
    bits = 0x7f800000u | (magnitude & 0x3ffu) << 13;
  } else if (magnitude >= 0x400u) {
    bits = (magnitude << 13) + (112u << 23);
  } else { // subnormal: an integer multiple of 2^-24; no denormal float appears, so DAZ does no
           // harm
    bits = __builtin_bit_cast(uint32_t, static_cast<float>(magnitude) * 0x1p-24f);
  }
  return __builtin_bit_cast(float, bits | sign);
}

constexpr uint16_t f32_to_f16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude >= 0x477ff000u) // 65520 and above is nearer to 2^16 than to 65504
    return sign | 0x7c00u;
  if (magnitude >= 0x38800000u) { // 2^-14, the smallest normal
    magnitude += 0xfffu + (magnitude >> 13 & 1u);
    return static_cast<uint16_t>(sign | (magnitude - 0x38000000u) >> 13);
  }
  // 0.5f has steps of 2^-24, which are the subnormals' steps: the addition does the rounding.
  const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
  return static_cast<uint16_t>(sign | (__builtin_bit_cast(uint32_t, shifted) - 0x3f000000u));
}

constexpr float bf16_to_f32(uint16_t value) {
  return __builtin_bit_cast(float, uint32_t{value} << 16);
}

constexpr uint16_t f32_to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_HALF_H
