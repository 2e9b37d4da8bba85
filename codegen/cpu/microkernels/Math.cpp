// The scalar functions: one element each, for LLVM's loop vectorizer to widen.
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/UnaryFunctions.h"

namespace micro = quern::micro;

QK_BEGIN
#define QK_DEFINE_UNARY(X, NAME, ...)                                                              \
  QK_KERNEL float qk_##NAME(float x) {                                                             \
    using namespace quern::micro;                                                                  \
    return __VA_ARGS__;                                                                            \
  }
QK_FOR_EACH_UNARY_FUNCTION(QK_DEFINE_UNARY, )
#undef QK_DEFINE_UNARY
QK_KERNEL float qk_log(float x) { return micro::logarithm(x); }
QK_KERNEL float qk_log1p(float x) { return micro::logarithm_plus_one(x); }
QK_KERNEL float qk_erf(float x) { return micro::error_function(x); }
QK_KERNEL float qk_round_bf16(float x) { return micro::round_to_bf16(x); }
QK_KERNEL float qk_sqrt(float x) { return micro::square_root(x); }
QK_KERNEL float qk_rsqrt(float x) { return 1.0f / micro::square_root(x); }
QK_END
