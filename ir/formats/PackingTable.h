// The quantized packings, one a line: its name, and what it is made of (PackingLayout.h).
// Freestanding.
//
// A line here is all that a new packing takes, if it is made of codes, codebooks and scales that
// there are: formats name it (`packings::q6_g16_z32_i8_s256`), and packing, unpacking, microkernels
// of every variant, device code and their tests follow from the table. What kinds of codes and
// scales take is in docs/guides/adding-a-format.md.
//
// Bytes are of 256 weights of a channel, but for what a row has in front of it.
//
//   packing                    bytes   formats
//   iq1s_g32_z9_odd_s256       50      iq1_s
//   iq1m_g16_z9_odd_s256       56      iq1_m
//   iq2xxs_g32_z128_odd_s256   66      iq2_xxs
//   iq2xs_g16_z128_odd_s256    74      iq2_xs
//   iq2s_g16_z128_odd_s256     82      iq2_s
//   iq3xxs_g32_z128_odd_s256   98      iq3_xxs
//   iq3s_g32_z15_odd_s256      110     iq3_s
//   q2_g16_z0_min_u4_s256      84      q2_k
//   q2_g32_z1_s256             66      tq2_0
//   q2_g32_z2_s128             72      int2:g128:sym:f32
//   q2_g32_z0_min_s128         80      int2:g128:asym:f32
//   t5_g32_z1_s256             54      tq1_0
//   q3_g16_z4_i6_s256          110     q3_k
//   q3_g32_z0_min_u8_row       112     int3
//   q3_g32_z4_s128             104     int3:g128:sym:f32
//   q3_g32_z0_min_s128         112     int3:g128:asym:f32
//   q4_g32_z8_f16              144     q4_0, int4:*:sym
//   q4_g32_z0_min_f16          160     q4_1, int4:*:asym
//   q4_g32_z0_min_u8_s256      148     q4_k
//   q4_g32_z0_min_u8_row       144     int4
//   q4_g32_z8_f32              160     int4:g32:sym:f32
//   q4_g32_z0_min_f32          192     int4:g32:asym:f32
//   q4_g32_z8_s128             136     int4:g128:sym:f32
//   q4_g32_z0_min_s128         144     int4:g128:asym:f32
//   q4_g32_z8_row              128     int4:row:sym:f32
//   iq4_g32_z128_f16           144     iq4_nl
//   iq4_g32_z128_i8_s256       138     iq4_xs
//   e2m1_g32_z12_e8m0          136     mxfp4
//   e2m1_g16_z12_e4m3          144     nvfp4
//   e2m1_g16_z12_e4m3_row      144
//   q5_g32_z16_f16             176     q5_0
//   q5_g32_z0_min_f16          192     q5_1
//   q5_g32_z0_min_u8_s256      180     q5_k
//   q5_g32_z0_min_u8_row       176     int5
//   q6_g16_z32_i8_s256         210     q6_k
//   q6_g32_z0_min_u8_row       208     int6
//   q8_g32_z128_f16            272     q8_0, int8
//   q8_g32_z128_f32            288     int8:sym:f32
//   q8_g32_z128_s128           264     int8:g128:sym:f32
//   q8_g32_z128_row            256     int8:row:sym:f32
//   q8_g32_z128_min_f32        320     int8:asym:f32
#ifndef QUERN_IR_FORMATS_PACKINGTABLE_H
#define QUERN_IR_FORMATS_PACKINGTABLE_H

#include "ir/formats/PackingLayout.h"

// X(name, (bits, group, zero point, has_min, scale, super, codebook[, layout]), ...) for each of
// them: the second makes the packing, which is quern::formats::packings::name; what follows is
// handed on.
#define QUERN_FOR_EACH_PACKING(X, ...)                                                             \
  X(iq1s_g32_z9_odd_s256, (8, 32, 9, false, Odd, 256, IQ1S, Lattice)__VA_OPT__(, ) __VA_ARGS__)    \
  X(iq1m_g16_z9_odd_s256, (8, 16, 9, false, Odd, 256, IQ1M, Lattice)__VA_OPT__(, ) __VA_ARGS__)    \
  X(iq2xxs_g32_z128_odd_s256,                                                                      \
    (8, 32, 128, false, Odd, 256, IQ2XXS, Lattice)__VA_OPT__(, ) __VA_ARGS__)                      \
  X(iq2xs_g16_z128_odd_s256,                                                                       \
    (8, 16, 128, false, Odd, 256, IQ2XS, Lattice)__VA_OPT__(, ) __VA_ARGS__)                       \
  X(iq2s_g16_z128_odd_s256,                                                                        \
    (8, 16, 128, false, Odd, 256, IQ2S, Lattice)__VA_OPT__(, ) __VA_ARGS__)                        \
  X(iq3xxs_g32_z128_odd_s256,                                                                      \
    (8, 32, 128, false, Odd, 256, IQ3XXS, Lattice)__VA_OPT__(, ) __VA_ARGS__)                      \
  X(iq3s_g32_z15_odd_s256, (8, 32, 15, false, Odd, 256, IQ3S, Lattice)__VA_OPT__(, ) __VA_ARGS__)  \
  X(q2_g16_z0_min_u4_s256, (2, 16, 0, true, U4, 256, None)__VA_OPT__(, ) __VA_ARGS__)              \
  X(q2_g32_z1_s256, (2, 32, 1, false, None, 256, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q2_g32_z2_s128, (2, 32, 2, false, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q2_g32_z0_min_s128, (2, 32, 0, true, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)               \
  X(t5_g32_z1_s256, (2, 32, 1, false, None, 256, None, Trits)__VA_OPT__(, ) __VA_ARGS__)           \
  X(q3_g16_z4_i6_s256, (3, 16, 4, false, I6, 256, None)__VA_OPT__(, ) __VA_ARGS__)                 \
  X(q3_g32_z0_min_u8_row, (3, 32, 0, true, U8, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)         \
  X(q3_g32_z4_s128, (3, 32, 4, false, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q3_g32_z0_min_s128, (3, 32, 0, true, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)               \
  X(q4_g32_z8_f16, (4, 32, 8, false, F16, 0, None)__VA_OPT__(, ) __VA_ARGS__)                      \
  X(q4_g32_z0_min_f16, (4, 32, 0, true, F16, 0, None)__VA_OPT__(, ) __VA_ARGS__)                   \
  X(q4_g32_z0_min_u8_s256, (4, 32, 0, true, U8, 256, None)__VA_OPT__(, ) __VA_ARGS__)              \
  X(q4_g32_z0_min_u8_row, (4, 32, 0, true, U8, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)         \
  X(q4_g32_z8_f32, (4, 32, 8, false, F32, 0, None)__VA_OPT__(, ) __VA_ARGS__)                      \
  X(q4_g32_z0_min_f32, (4, 32, 0, true, F32, 0, None)__VA_OPT__(, ) __VA_ARGS__)                   \
  X(q4_g32_z8_s128, (4, 32, 8, false, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q4_g32_z0_min_s128, (4, 32, 0, true, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)               \
  X(q4_g32_z8_row, (4, 32, 8, false, None, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)             \
  X(iq4_g32_z128_f16, (4, 32, 128, false, F16, 0, IQ4)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(iq4_g32_z128_i8_s256, (4, 32, 128, false, I8, 256, IQ4)__VA_OPT__(, ) __VA_ARGS__)             \
  X(e2m1_g32_z12_e8m0, (4, 32, 12, false, E8M0, 0, E2M1)__VA_OPT__(, ) __VA_ARGS__)                \
  X(e2m1_g16_z12_e4m3, (4, 16, 12, false, E4M3, 0, E2M1)__VA_OPT__(, ) __VA_ARGS__)                \
  X(e2m1_g16_z12_e4m3_row, (4, 16, 12, false, E4M3, kWholeRow, E2M1)__VA_OPT__(, ) __VA_ARGS__)    \
  X(q5_g32_z16_f16, (5, 32, 16, false, F16, 0, None)__VA_OPT__(, ) __VA_ARGS__)                    \
  X(q5_g32_z0_min_f16, (5, 32, 0, true, F16, 0, None)__VA_OPT__(, ) __VA_ARGS__)                   \
  X(q5_g32_z0_min_u8_s256, (5, 32, 0, true, U8, 256, None)__VA_OPT__(, ) __VA_ARGS__)              \
  X(q5_g32_z0_min_u8_row, (5, 32, 0, true, U8, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)         \
  X(q6_g16_z32_i8_s256, (6, 16, 32, false, I8, 256, None)__VA_OPT__(, ) __VA_ARGS__)               \
  X(q6_g32_z0_min_u8_row, (6, 32, 0, true, U8, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)         \
  X(q8_g32_z128_f16, (8, 32, 128, false, F16, 0, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q8_g32_z128_f32, (8, 32, 128, false, F32, 0, None)__VA_OPT__(, ) __VA_ARGS__)                  \
  X(q8_g32_z128_s128, (8, 32, 128, false, None, 128, None)__VA_OPT__(, ) __VA_ARGS__)              \
  X(q8_g32_z128_row, (8, 32, 128, false, None, kWholeRow, None)__VA_OPT__(, ) __VA_ARGS__)         \
  X(q8_g32_z128_min_f32, (8, 32, 128, true, F32, 0, None)__VA_OPT__(, ) __VA_ARGS__)

namespace quern::formats::packings {
#define QUERN_PACKING_OF_(BITS, GROUP, ZERO, HAS_MIN, SCALE, SUPER, CODEBOOK, ...)                 \
  quant_packing(BITS, GROUP, ZERO, HAS_MIN, ScaleType::SCALE, SUPER,                               \
                Codebook::CODEBOOK __VA_OPT__(, CodeLayout::) __VA_ARGS__)
#define QUERN_PACKING_(NAME, FIELDS) inline constexpr Packing NAME = QUERN_PACKING_OF_ FIELDS;
QUERN_FOR_EACH_PACKING(QUERN_PACKING_)
#undef QUERN_PACKING_
#undef QUERN_PACKING_OF_
} // namespace quern::formats::packings

#endif // QUERN_IR_FORMATS_PACKINGTABLE_H
