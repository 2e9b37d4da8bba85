// The functions of double, and roundings to short floats, one element each.
#include "codegen/cpu/microkernels/DoubleFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"

namespace micro = quern::micro;

QK_BEGIN
#define QK_DEFINE_DOUBLE(NAME, FUNCTION)                                                           \
  QK_KERNEL double qk_##NAME##_f64(double x) { return micro::FUNCTION(x); }
QK_FOR_EACH_DOUBLE_FUNCTION(QK_DEFINE_DOUBLE)
#undef QK_DEFINE_DOUBLE
QK_OUTLINE double qk_erf_f64(double x) { return micro::error_function(x); }
QK_OUTLINE double qk_erfc_f64(double x) { return micro::error_function_complement(x); }
QK_KERNEL double qk_rsqrt_f64(double x) { return 1.0 / micro::square_root(x); }
QK_KERNEL double qk_sin_f64(double x) { return micro::sine_of_quarter(x, 0); }
QK_KERNEL double qk_cos_f64(double x) { return micro::sine_of_quarter(x, 1); }
QK_KERNEL double qk_atan2_f64(double y, double x) { return micro::arc_tangent(y, x); }
QK_KERNEL double qk_pow_f64(double x, double y) { return micro::power(x, y); }
QK_OUTLINE double qk_fmod_f64(double x, double y) { return micro::remainder(x, y); }
QK_KERNEL float qk_round_to_odd(double x) { return micro::round_to_odd(x); }
QK_KERNEL float qk_round_bf16_quiet(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u), quiet = bits | 0x400000u;
  return __builtin_bit_cast(float, (x == x ? rounded : quiet) & 0xffff0000u);
}
QK_END
