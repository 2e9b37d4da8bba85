// How floats become int8 codes under a scale, for activations and kv state.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_INT8CODES_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_INT8CODES_H

#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

using I8x16 = Vector<int8_t, 16>;

/// |x| as integers, which compare like the floats, with NaN above infinity: a NaN anywhere makes
/// the largest NaN.
QK_INLINE U32x16 magnitudes(F32x16 x) { return __builtin_bit_cast(U32x16, x) & 0x7fffffffu; }

/// Added to a float of less than 2^22, 1.5 * 2^23 rounds it to a whole number, which then is the
/// lowest bits of the sum.
inline constexpr float kRounding = 0x1.8p23f;

/// Codes of x, as what kRounding makes of them; 0 for what is not finite.
QK_INLINE F32x16 quantize(F32x16 x, U32x16 magnitudes, float inverse) {
  return (magnitudes < 0x7f800000u ? F32x16(x * inverse) : F32x16(0.0f)) + kRounding;
}
QK_INLINE I8x16 as_bytes(F32x16 codes) { return convert<I8x16>(__builtin_bit_cast(U32x16, codes)); }

/// What numbers whose largest magnitudes are given (their bits) are multiplied with, and their
/// codes again.
template <class F> struct Scaling {
  F inverse, scale;
  template <class U> QK_INLINE Scaling of(U largest) {
    const F amax = __builtin_bit_cast(F, largest);
    const auto zero = amax < 0x1p-110f; // 127 / amax, sixteen times, would overflow
    const auto finite = largest < 0x7f800000u;
    return {(zero | !finite) ? F(0.0f) : 127.0f / amax, zero ? F(0.0f) : amax / 127.0f};
  }
};

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_INT8CODES_H
