// Forms are compiled twice: for any x86-64, and for AVX2 with FMA and F16C (which Forms.cpp takes
// where the CPU has it). Only what lies between the two macros is compiled for more than the
// build's own CPU, so that no inline function of a library can reach a CPU that lacks it.
#ifndef QUERN_TESTS_PTX_LEVEL_H
#define QUERN_TESTS_PTX_LEVEL_H

#ifdef QUERN_PTX_AVX2
#define QUERN_PTX_LEVEL avx2
// clang-format off
#define QUERN_PTX_BEGIN \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c,bmi,bmi2\"))), apply_to=function)") \
  namespace quern::ptx::avx2 {
// clang-format on
#define QUERN_PTX_END                                                                              \
  }                                                                                                \
  _Pragma("clang attribute pop")
#else
#define QUERN_PTX_LEVEL plain
#define QUERN_PTX_BEGIN namespace quern::ptx::plain {
#define QUERN_PTX_END }
#endif

#endif // QUERN_TESTS_PTX_LEVEL_H
