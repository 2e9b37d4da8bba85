// Microkernels: the innermost tiles of the CPU code.
//
// Each is a small function with C linkage. At build time clang compiles the sources once a variant
// to LLVM bitcode (Bitcode.h); the compiler links them into the module it generates and inlines
// them, so that the constants of the model (K, strides, head dimension) specialise them. For tests
// and benchmarks the same sources are also built natively (Native.h).
//
// Determinism is the contract. For each output element the sequence of float operations is the same
// for every tile height M and every variant: results are bitwise equal, and stay so when code
// around them is optimized, since no operation is contracted, reassociated or approximated. fma(a,
// b, c) below means one rounding; everything else rounds after each operation.
//
// Nothing here is declared but in lists, which name results, parameters and fields: from these come
// the declarations, and what the compiler holds the calls that it writes against
// (codegen/cpu/MicrokernelTable.h). Arguments that travel together are structs, handed over by
// pointer: where the microkernel is inlined nothing of that is left. Pointers to what only a
// microkernel can read have types of their own, so that one is not taken for another.
//
// They are freestanding: no libc but memcpy and memset, no globals with constructors, no
// exceptions. Pointers need the alignment of their element type only (panels and rows go faster on
// 64 bytes); buffers must not overlap. Sizes are >= 0. NaN and infinity are never undefined
// behaviour.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H

#include "codegen/cpu/microkernels/UnaryFunctions.h"
#include "ir/formats/PackingTable.h"
#include "runtime/abi/KvFormats.h"
#include "runtime/abi/StepArgs.h"

#include <stdint.h>

// ---- Lists
//
// Each calls X for its members; those of packings and formats hand on what else they are given.
//
// The quantized packings: their names, which are those of their constants too, and their fields
// (ir/formats/PackingTable.h).
#define QK_FOR_EACH_QUANTIZED_PACKING(X, ...) QUERN_FOR_EACH_PACKING(X __VA_OPT__(, ) __VA_ARGS__)

// The float packings: name and element type.
#define QK_FOR_EACH_FLOAT_PACKING(X, ...)                                                          \
  X(f32, float __VA_OPT__(, ) __VA_ARGS__)                                                         \
  X(f16, _Float16 __VA_OPT__(, ) __VA_ARGS__)                                                      \
  X(bf16, BFloat16 __VA_OPT__(, ) __VA_ARGS__)

// Rows of queries that attention takes at once: how many, and the kv format.
#define QK_FOR_EACH_ATTN_HEIGHT(X, ...)                                                            \
  X(1, __VA_ARGS__) X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(6, __VA_ARGS__)
#define QK_ATTN_HEIGHTS_(NAME, TYPE, FACTS, X, ...)                                                \
  QK_FOR_EACH_ATTN_HEIGHT(X, NAME, TYPE __VA_OPT__(, ) __VA_ARGS__)
#define QK_FOR_EACH_ATTN_BLOCK(X, ...)                                                             \
  QUERN_FOR_EACH_KV_FORMAT(QK_ATTN_HEIGHTS_, X __VA_OPT__(, ) __VA_ARGS__)

// ---- What pointers point at
struct QkPanel;  // a packed panel of weights (ir/formats/PackingLayout.h)
struct QkQ8Row;  // a row of activations quantized to int8 (runtime/abi/StepArgs.h)
struct QkKeys;   // a head's keys in a page of kv state (runtime/abi/StepArgs.h)
struct QkValues; // its values, which follow them

// ---- Arguments that travel together
//
// Lists of fields F(type, name); the structs are made from them below.

// Rows of activations times panels of weights.
//   panel, panel_bytes, panels   the first panel, from one to the next, and how many there are
//   x, x_stride, rows            the rows, and how far they are apart: bytes of quantized ones,
//                                floats of others
//   k                            inputs; of quantized rows a multiple of 32
//   acc, acc_stride              [rows][16] floats, written; those of a panel acc_stride floats
//                                apart. There is place for a multiple of 16 rows, and what lies
//                                behind the last may be written
#define QK_PRODUCT_FIELDS_(F, X)                                                                   \
  F(const QkPanel *, panel)                                                                        \
  F(int64_t, panel_bytes)                                                                          \
  F(int64_t, panels)                                                                               \
  F(const X *, x)                                                                                  \
  F(int64_t, x_stride)                                                                             \
  F(int64_t, rows)                                                                                 \
  F(int64_t, k)                                                                                    \
  F(float *, acc)                                                                                  \
  F(int64_t, acc_stride)
#define QK_Q8_PRODUCT_FIELDS(F) QK_PRODUCT_FIELDS_(F, QkQ8Row)
#define QK_FLOAT_PRODUCT_FIELDS(F) QK_PRODUCT_FIELDS_(F, float)

// Columns [first, first + count) of rows of k, to be quantized.
//   x, x_stride, rows   these columns of the rows, which are x_stride floats apart
//   first, count        multiples of 32, unless first + count is k
//   to, to_stride       whole rows, to_stride bytes apart
#define QK_COLUMNS_FIELDS(F)                                                                       \
  F(const float *, x)                                                                              \
  F(int64_t, x_stride)                                                                             \
  F(int64_t, rows)                                                                                 \
  F(int64_t, first)                                                                                \
  F(int64_t, count)                                                                                \
  F(int64_t, k)                                                                                    \
  F(QkQ8Row *, to)                                                                                 \
  F(int64_t, to_stride)

// Query rows of attention, and what each sees of a page.
//   q, stride        rows of d floats, stride floats apart
//   lo, hi           row m sees the page's positions [lo[m], hi[m]), clamped to [0, P). The others
//                    are never used: they may be uninitialised or NaN. Where it is empty, the row's
//                    state stays as it was, bit for bit
//   bias             null, or [M][P]: added to the scores last; not used for what a row does not
//                    see
//   scale, softcap   scale multiplies the scores; then, unless softcap is 0, score = softcap *
//                    tanh(score / softcap)
#define QK_QUERIES_FIELDS(F)                                                                       \
  F(const float *, q)                                                                              \
  F(int64_t, stride)                                                                               \
  F(const int32_t *, lo)                                                                           \
  F(const int32_t *, hi)                                                                           \
  F(const float *, bias)                                                                           \
  F(float, scale)                                                                                  \
  F(float, softcap)

// A head's part of a page of kv state.
//   keys, values   in the format, d and v numbers a position
//   next_keys      those of the page that comes next, to be fetched ahead; never read
#define QK_PAGE_FIELDS(F)                                                                          \
  F(const QkKeys *, keys)                                                                          \
  F(const QkValues *, values)                                                                      \
  F(const QkKeys *, next_keys)                                                                     \
  F(int64_t, d)                                                                                    \
  F(int64_t, v)

// The online softmax of rows: the largest score so far, the sum of weights, and the sum of weighted
// values.
//   max, sum, step    [M], step floats apart
//   acc, acc_stride   [M][v], rows acc_stride floats apart
#define QK_SOFTMAX_FIELDS(F)                                                                       \
  F(float *, max)                                                                                  \
  F(float *, sum)                                                                                  \
  F(int64_t, step)                                                                                 \
  F(float *, acc)                                                                                  \
  F(int64_t, acc_stride)

// One token of dv columns of a head of a linear recurrence. The state S is [dk][dv], that is, keys
// by values (the transpose of DESIGN.md's S_t); its rows, and those of an elementwise decay and of
// the rate, are `stride` floats apart.
//   r, k: [dk]; v, out: [dv]; decay: as its kind says; a, b, rate, beta and bonus where they are
//   used
#define QK_RECURRENCE_FIELDS(F)                                                                    \
  F(float *, state)                                                                                \
  F(const float *, r)                                                                              \
  F(const float *, k)                                                                              \
  F(const float *, v)                                                                              \
  F(const float *, decay)                                                                          \
  F(const float *, a)                                                                              \
  F(const float *, b)                                                                              \
  F(const float *, rate)                                                                           \
  F(const float *, bonus)                                                                          \
  F(float, beta)                                                                                   \
  F(int64_t, dk)                                                                                   \
  F(int64_t, dv)                                                                                   \
  F(int64_t, stride)                                                                               \
  F(float *, out)

// A token's choice of experts, as quern.route says it.
//   logits, bias        [experts]; bias may be null
//   score               0: softmax;  1: sigmoid;  2: the logits, and softmax over those chosen
//   numbers             for the time of the call: 2 * experts + groups of them
//   marks               likewise: experts + groups
//   ids, weights        [top_k], written
#define QK_ROUTE_FIELDS(F)                                                                         \
  F(const float *, logits)                                                                         \
  F(const float *, bias)                                                                           \
  F(int64_t, experts)                                                                              \
  F(int64_t, top_k)                                                                                \
  F(int64_t, score)                                                                                \
  F(int64_t, groups)                                                                               \
  F(int64_t, top_groups)                                                                           \
  F(int64_t, group_top)                                                                            \
  F(int64_t, normalize)                                                                            \
  F(float, eps)                                                                                    \
  F(float, scale)                                                                                  \
  F(float *, numbers)                                                                              \
  F(int32_t *, marks)                                                                              \
  F(int32_t *, ids)                                                                                \
  F(float *, weights)

// All of them: name and fields.
#define QK_FOR_EACH_STRUCT(X)                                                                      \
  X(QkRoute, QK_ROUTE_FIELDS)                                                                      \
  X(QkQ8Product, QK_Q8_PRODUCT_FIELDS)                                                             \
  X(QkFloatProduct, QK_FLOAT_PRODUCT_FIELDS)                                                       \
  X(QkColumns, QK_COLUMNS_FIELDS)                                                                  \
  X(QkQueries, QK_QUERIES_FIELDS)                                                                  \
  X(QkPage, QK_PAGE_FIELDS)                                                                        \
  X(QkSoftmax, QK_SOFTMAX_FIELDS)                                                                  \
  X(QkRecurrence, QK_RECURRENCE_FIELDS)

#define QK_FIELD_(TYPE, NAME) TYPE NAME;
#define QK_STRUCT_(NAME, FIELDS)                                                                   \
  struct NAME {                                                                                    \
    FIELDS(QK_FIELD_)                                                                              \
  };
QK_FOR_EACH_STRUCT(QK_STRUCT_)
#undef QK_STRUCT_
#undef QK_FIELD_
// A field as text; those of a struct make one string.
#define QK_FIELD_TEXT(TYPE, NAME) #TYPE " " #NAME "; "

// ---- The microkernels
//
// Lists of X(result, name, parameters).

// ---- Matrix products with quantized weights
//
// qk_gemm_<packing>_m1 and _rows: one row of activations times one panel of 16 output channels, or
// rows times panels (QkQ8Product). Codes of activations lie in [-127, 127].
// For each element, from 0 and over the panel's records in ascending order:
//   dot_h = sum over the 16 inputs of group h of (code_w - zero) * code_x
// where zero is 0 in a record of 32 inputs unless the zero point is 128, else the zero point. A
// record of 32 inputs has two of these, and a pair of activations:
//   dots = dot_0 + ratio * dot_1
// A record of 16 inputs has one, dots = dot_0 or ratio * dot_1. All of that is exact, in integers
// or in floats. Then
//   acc = fma(scale_w, scale * dots, acc)
//   acc = fma(min_w, sum, acc)    where the packing has a min, or a zero point that is not in the
//                                 dots: min_w = -zero_point * scale_w
// scale_w and min_w are products, rounded, where there are super-scales.
// m1 is for decoding: it streams the panel and prefetches ahead, beyond its end into the next one.
// So do rows, whose loops are not inlined.
//
// qk_decode_row_<packing>: output channel `row` of the panels (panel_bytes apart) back to k floats,
// bitwise what formats::decode_packed_row gives. For looking up an embedding tied to the output
// matrix.
#define QK_DECODE_ROW_(X, NAME)                                                                    \
  X(void, qk_decode_row_##NAME,                                                                    \
    (const QkPanel *panels, int64_t row, int64_t k, int64_t panel_bytes, float *out))
#define QK_QUANTIZED_WEIGHTS_(NAME, FIELDS, X)                                                     \
  X(void, qk_gemm_##NAME##_m1,                                                                     \
    (const QkPanel *panel, const QkQ8Row *x, int64_t k_padded, float *acc))                        \
  X(void, qk_gemm_##NAME##_rows, (const QkQ8Product *product))                                     \
  QK_DECODE_ROW_(X, NAME)

// ---- Matrix products with float weights
//
// qk_gemm_{f32,f16,bf16}_m1 and _rows: as above with rows of floats (QkFloatProduct).
//   even = fma(w[k], x[k], even) over k = 0, 2, ...; odd likewise over k = 1, 3, ...; acc = even +
//   odd
// The variant amx has many rows by f16 and bf16 in tiles (GemmFloatAmx.h): activations keep 16
// bits, sums are those of TDPBF16PS (Amx.h), 32 inputs at a time.
#define QK_FLOAT_WEIGHTS_(NAME, TYPE, X)                                                           \
  X(void, qk_gemm_##NAME##_m1, (const QkPanel *panel, const float *x, int64_t k, float *acc))      \
  X(void, qk_gemm_##NAME##_rows, (const QkFloatProduct *product))                                  \
  QK_DECODE_ROW_(X, NAME)

// ---- Around matrix products
//
// qk_quantize_row: quantizes a row of k floats to the int8 row those read (StepArgs.h), of
// quern_q8_row_bytes(k) bytes; codes past k are 0; what lies behind the pairs is the variant's. A
// pair of groups of 16: amax = the largest |x| of either; its group has step = amax / 127 and
// inverse = 127 / amax, the other (the second, if both have it) step * 2^-n and inverse * 2^n, n in
// [0, 4] being how often its own largest |x| can be doubled without exceeding amax. scale is the
// first group's step, ratio the second's over it; code = round-to-nearest-even(x * inverse). A pair
// whose amax is under 2^-110 is all zeros. If one holds NaN or infinity, scale is NaN or infinity
// and the pair's codes are 0, so that the products come out NaN.
// qk_quantize_columns: the same of some columns of rows.
//
// qk_prefetch: fetches the cache line that `address` lies in: for results that a product is about
// to write.
//
// The largest column of a step's result, where only that is asked for (QuernArgmax):
// qk_columns_at: where a kernel writes columns of its result: there, or to memory of its own.
// qk_update_argmax: compares `n` values, columns from `column` on, with what the worker found so
// far; does nothing where all of the result is asked for. A worker's columns come in ascending
// order.
#define QK_AROUND_PRODUCTS_(X)                                                                     \
  X(void, qk_quantize_row, (const float *x, int64_t k, QkQ8Row *row))                              \
  X(void, qk_quantize_columns, (const QkColumns *columns))                                         \
  X(void, qk_prefetch, (const void *address))                                                      \
  X(float *, qk_columns_at, (const QuernStepArgs *args, float *result, float *own))                \
  X(void, qk_update_argmax,                                                                        \
    (const QuernStepArgs *args, int64_t worker, const float *values, int64_t n, int64_t column))

// ---- Reductions
//
// Lane i of 16 takes x[i], x[i+16], ... in order, starting from 0 (or -infinity); then lanes are
// combined in a tree: i with i+8, i+4, i+2, i+1. Of each lane:
//   qk_sum_squares          p = fma(x, x, p)
//   qk_sum_squares_around   d = x - center; p = fma(d, d, p)
//   qk_dot                  p = fma(x, y, p)
//   qk_max                  -infinity if n is 0; NaN's are passed over
#define QK_REDUCTIONS_(X)                                                                          \
  X(float, qk_sum, (const float *x, int64_t n))                                                    \
  X(float, qk_sum_squares, (const float *x, int64_t n))                                            \
  X(float, qk_sum_squares_around, (const float *x, float center, int64_t n))                       \
  X(float, qk_dot, (const float *x, const float *y, int64_t n))                                    \
  X(float, qk_max, (const float *x, int64_t n))

// ---- Scalar functions
//
// Branch-free, so that after inlining LLVM's loop vectorizer turns a loop that calls them into
// vector code. NaN in gives NaN out. UnaryFunctions.h has those of quern.unary, and their errors.
// The others', found as those are:
//   log         1 ulp; log(0) = -inf; NaN for x < 0
//   log1p       2; log1p(-1) = -inf; NaN for x < -1
//   erf         2
//   round_bf16  the nearest bfloat16, ties to even; overflows to infinity
//   sqrt        correctly rounded
//   rsqrt       1 / sqrt(x), two roundings
#define QK_UNARY_(X, NAME, ...) X(float, qk_##NAME, (float x))
#define QK_SCALAR_FUNCTIONS_(X)                                                                    \
  QK_FOR_EACH_UNARY_FUNCTION(QK_UNARY_, X)                                                         \
  X(float, qk_log, (float x))                                                                      \
  X(float, qk_log1p, (float x))                                                                    \
  X(float, qk_erf, (float x))                                                                      \
  X(float, qk_round_bf16, (float x))                                                               \
  X(float, qk_sqrt, (float x))                                                                     \
  X(float, qk_rsqrt, (float x))

// ---- Functions of double
//
// Branch-free but for erf, erfc and fmod (DoubleFunctions.h). NaN in gives NaN out, and what C's
// functions make of infinities and zeros holds. Largest errors, found against long double libm, in
// ulp:
//   exp, expm1, log, log2, log1p, sin, cos, atan, sqrt's 1.5; exp2 too
//   log10, tan, asin, acos, sinh, cosh, tanh, asinh, acosh, atanh, atan2, erf, cbrt, rsqrt 3
//   pow        1 for results within 1e+-20, growing to 8 at the ends of the range
//   erfc       6 up to 1, 3 beyond, but for what is not normal
//   fmod       exact
//   sin, cos, tan: NaN for |x| > 2^50
// qk_round_to_odd: to the nearest float towards 0, with its last bit set where something is lost,
// so that what rounds it again, to a shorter type, rounds as if from x.
// qk_round_bf16_quiet: as qk_round_bf16; a NaN's upper half is one, too.
#define QK_FOR_EACH_DOUBLE_FUNCTION(X)                                                             \
  X(exp, exponential)                                                                              \
  X(exp2, exponential_2)                                                                           \
  X(expm1, exponential_less_one)                                                                   \
  X(log, logarithm)                                                                                \
  X(log2, logarithm_2)                                                                             \
  X(log10, logarithm_10)                                                                           \
  X(log1p, logarithm_plus_one)                                                                     \
  X(tan, tangent)                                                                                  \
  X(asin, arc_sine)                                                                                \
  X(acos, arc_cosine)                                                                              \
  X(atan, arc_tangent)                                                                             \
  X(sinh, hyperbolic_sine)                                                                         \
  X(cosh, hyperbolic_cosine)                                                                       \
  X(tanh, hyperbolic_tangent)                                                                      \
  X(asinh, area_sine)                                                                              \
  X(acosh, area_cosine)                                                                            \
  X(atanh, area_tangent)                                                                           \
  X(cbrt, cube_root)
#define QK_DOUBLE_FUNCTIONS_(X)                                                                    \
  X(double, qk_exp_f64, (double x))                                                                \
  X(double, qk_exp2_f64, (double x))                                                               \
  X(double, qk_expm1_f64, (double x))                                                              \
  X(double, qk_log_f64, (double x))                                                                \
  X(double, qk_log2_f64, (double x))                                                               \
  X(double, qk_log10_f64, (double x))                                                              \
  X(double, qk_log1p_f64, (double x))                                                              \
  X(double, qk_sin_f64, (double x))                                                                \
  X(double, qk_cos_f64, (double x))                                                                \
  X(double, qk_tan_f64, (double x))                                                                \
  X(double, qk_asin_f64, (double x))                                                               \
  X(double, qk_acos_f64, (double x))                                                               \
  X(double, qk_atan_f64, (double x))                                                               \
  X(double, qk_sinh_f64, (double x))                                                               \
  X(double, qk_cosh_f64, (double x))                                                               \
  X(double, qk_tanh_f64, (double x))                                                               \
  X(double, qk_asinh_f64, (double x))                                                              \
  X(double, qk_acosh_f64, (double x))                                                              \
  X(double, qk_atanh_f64, (double x))                                                              \
  X(double, qk_erf_f64, (double x))                                                                \
  X(double, qk_erfc_f64, (double x))                                                               \
  X(double, qk_cbrt_f64, (double x))                                                               \
  X(double, qk_rsqrt_f64, (double x))                                                              \
  X(double, qk_pow_f64, (double x, double y))                                                      \
  X(double, qk_atan2_f64, (double y, double x))                                                    \
  X(double, qk_fmod_f64, (double x, double y))                                                     \
  X(float, qk_round_to_odd, (double x))                                                            \
  X(float, qk_round_bf16_quiet, (float x))

// ---- Attention
//
// qk_attn_block_<format>_m<M>, M in {1, 2, 3, 4, 6}: updates the online softmax of M query rows
// with one page of P = QUERN_KV_PAGE positions (StepArgs.h). For each row:
//   score[p] = (fma over i ascending of q[i] * keys[i][p]) * scale, capped, + bias[p]
//   new_max  = max(max, scores);  w[p] = exp(score[p] - new_max);  c = exp(max - new_max)
//   sum      = fma(sum, c, sum of w as qk_sum has it, position p in lane p mod 16)
//   acc      = acc * c, then fma(w[p], values[p], acc) over p ascending
#define QK_ATTN_BLOCK_(M, NAME, TYPE, X)                                                           \
  X(void, qk_attn_block_##NAME##_m##M,                                                             \
    (const QkQueries *queries, const QkPage *page, const QkSoftmax *state))

// qk_attn_floats_<format>: writes a page's keys and values as a page of float32 has them: P * d
// floats, then P * v. What lies at positions that nothing was stored at yet comes out as anything.
// Of the next page the values, too, are fetched ahead: they lie as far behind next_keys as values
// behind keys. qk_attn_floats_from_<format> is the number of rows from which on that is faster than
// converting the page's numbers for every tile of rows again.
#define QK_ATTN_FLOATS_(NAME, TYPE, FACTS, X)                                                      \
  X(int64_t, qk_attn_floats_from_##NAME, (void))                                                   \
  X(void, qk_attn_floats_##NAME, (const QkPage *page, float *to))

// qk_attn_shared_<format>: the same of a page that holds keys alone, whose first v numbers are the
// values; of one in f32 only the values are written, at to + P * d.
#define QK_ATTN_SHARED_(NAME, TYPE, FACTS, X)                                                      \
  X(void, qk_attn_shared_##NAME, (const QkPage *page, float *to))

// qk_store_{key,value}_<format>: stores a head's key of d floats, or value of v, at `place` of a
// page's keys or values, in the format: rounded to nearest even, where what is finite stays so: f16
// and bf16 end at their largest number. In int8, groups of QUERN_KV_GROUP have a scale of amax /
// 127 each, codes and exceptions as of qk_quantize_row.
#define QK_KV_STORE_(NAME, TYPE, FACTS, X)                                                         \
  X(void, qk_store_key_##NAME, (const float *key, int64_t d, QkKeys *keys, int64_t place))         \
  X(void, qk_store_value_##NAME, (const float *value, int64_t v, QkValues *values, int64_t place))

// qk_pack_{keys,values}: writes the keys (d floats each) or values of `count` <= P tokens, rows
// `stride` floats apart, as the first positions of a page in float32. What lies behind the last is
// left as it is, or becomes 0.
#define QK_PACK_ROWS_(X)                                                                           \
  X(void, qk_pack_keys,                                                                            \
    (const float *rows, int64_t stride, int64_t count, int64_t d, QkKeys *keys))                   \
  X(void, qk_pack_values,                                                                          \
    (const float *rows, int64_t stride, int64_t count, int64_t v, QkValues *values))

// qk_attn_init_row: the state of a row that has seen nothing: max = -1e30, sum = 0, acc = 0. (A row
// with an attention sink of logit s starts with max = s, sum = 1 instead.)
// qk_attn_merge_row: adds to a row's state that of the same row over later positions; one that has
// seen nothing there (its sum is 0) stays as it is, bit for bit.
//   new_max = max(max, other max);  c = exp(max - new_max);  o = exp(other max - new_max)
//   sum = fma(sum, c, other sum * o);  acc = fma(acc, c, other acc * o)
// qk_attn_finish_row: out = acc / sum; zeros for a row that has seen nothing.
#define QK_ATTN_ROWS_(X)                                                                           \
  X(void, qk_attn_init_row, (const QkSoftmax *row, int64_t v))                                     \
  X(void, qk_attn_merge_row, (const QkSoftmax *row, const QkSoftmax *other, int64_t v))            \
  X(void, qk_attn_finish_row, (const QkSoftmax *row, int64_t v, float *out))

// ---- Linear recurrence
//
//   decay_kind   0: decay[0] for all;  1: decay[i], per key;  2: decay[j], per value;
//                3: decay[i][j];  4: exp(decay[j] * rate[i][j])
//   S[i][j] = fma(k[i], v[j], S[i][j] * decay)
//   out[j]  = fma over i ascending of S[i][j] * r[i]
// qk_recurrence_step_corrected: the same with a rank-one correction,
//   u[j]    = fma over i ascending of a[i] * S[i][j]                 S before the step
//   S[i][j] = fma(k[i], v[j], fma(b[i], u[j], S[i][j] * decay))
// qk_recurrence_step_delta: the same with beta * (v[j] - u[j]) in the place of v[j],
//   u[j]    = fma over i ascending of k[i] * (S[i][j] * decay)
// qk_recurrence_step_bonus: out is read before the update,
//   c       = sum over i of r[i] * bonus[i] * k[i]
//   out[j]  = fma(c, v[j], fma over i ascending of S[i][j] * r[i])   S before the step
// qk_recurrence_read: out alone, S as it is.
#define QK_RECURRENCES_(X)                                                                         \
  X(void, qk_recurrence_step, (const QkRecurrence *token, int32_t decay_kind))                     \
  X(void, qk_recurrence_step_corrected, (const QkRecurrence *token, int32_t decay_kind))           \
  X(void, qk_recurrence_step_delta, (const QkRecurrence *token, int32_t decay_kind))               \
  X(void, qk_recurrence_step_bonus, (const QkRecurrence *token, int32_t decay_kind))               \
  X(void, qk_recurrence_read, (const QkRecurrence *token))

// ---- Experts
//
// qk_route: the choice of one token. Whatever the logits are, also NaN, ids are top_k different
// experts in rising number; of equal scores the lower number is chosen.
// qk_expert_blocks: of n ids in [0, experts), each expert's are cut into blocks of `height`, of one
// expert after the other: first[e], for e in [0, experts], is the number of blocks of those below.
// qk_expert_of_block: whose block that is, block < first[experts].
// qk_rows_of_expert: the places of an expert's ids but the first `skip`, at most `most` of them, in
// order; returns how many.
// qk_gather_rows: row i of `to` is row found[i] / share of `rows`; all are `bytes` long.
#define QK_EXPERTS_(X)                                                                             \
  X(void, qk_route, (const QkRoute *route))                                                        \
  X(void, qk_expert_blocks,                                                                        \
    (const int32_t *ids, int64_t n, int64_t experts, int64_t height, int64_t *first))              \
  X(int64_t, qk_expert_of_block, (const int64_t *first, int64_t experts, int64_t block))           \
  X(int64_t, qk_rows_of_expert,                                                                    \
    (const int32_t *ids, int64_t n, int64_t expert, int64_t skip, int64_t most, int32_t *found))   \
  X(void, qk_gather_rows,                                                                          \
    (const void *rows, int64_t bytes, const int32_t *found, int64_t count, int64_t share,          \
     uint8_t *to))

// ---- Workers
//
// qk_barrier: all num_workers workers of a step meet: what each wrote before is visible to all
// after. Spins, then calls args->yield (if not null) now and then. Returns at once if num_workers
// is 1. The barrier starts zeroed and can be used again at once.
// qk_next_chunk: numbers from 0 on, each given once, to whichever worker asks; from 0 again after
// a barrier.
// qk_report_fault: leaves what went wrong in args->fault, unless that is null or something is
// there. qk_note_time: worker 0 writes the time stamp counter to args->ticks[dispatch], unless
// ticks is null.
#define QK_WORKERS_(X)                                                                             \
  X(void, qk_barrier, (const QuernStepArgs *args, int32_t worker, int32_t num_workers))            \
  X(int64_t, qk_next_chunk, (const QuernStepArgs *args))                                           \
  X(void, qk_report_fault,                                                                         \
    (const QuernStepArgs *args, int64_t dispatch, int64_t site, int64_t value, int64_t limit))     \
  X(void, qk_note_time, (const QuernStepArgs *args, int32_t worker, int64_t dispatch))

// All of them.
#define QK_FOR_EACH_KERNEL(X)                                                                      \
  QK_FOR_EACH_QUANTIZED_PACKING(QK_QUANTIZED_WEIGHTS_, X)                                          \
  QK_FOR_EACH_FLOAT_PACKING(QK_FLOAT_WEIGHTS_, X)                                                  \
  QK_AROUND_PRODUCTS_(X)                                                                           \
  QK_REDUCTIONS_(X)                                                                                \
  QK_SCALAR_FUNCTIONS_(X)                                                                          \
  QK_DOUBLE_FUNCTIONS_(X)                                                                          \
  QK_FOR_EACH_ATTN_BLOCK(QK_ATTN_BLOCK_, X)                                                        \
  QUERN_FOR_EACH_SHORT_KV_FORMAT(QK_ATTN_FLOATS_, X)                                               \
  QUERN_FOR_EACH_KV_FORMAT(QK_ATTN_SHARED_, X)                                                     \
  QUERN_FOR_EACH_KV_FORMAT(QK_KV_STORE_, X)                                                        \
  QK_PACK_ROWS_(X)                                                                                 \
  QK_ATTN_ROWS_(X)                                                                                 \
  QK_RECURRENCES_(X)                                                                               \
  QK_EXPERTS_(X)                                                                                   \
  QK_WORKERS_(X)

// The bitcode has C linkage; native builds put each variant into a namespace instead (Native.h).
#ifdef QK_NAMESPACE
#define QK_BEGIN namespace QK_NAMESPACE {
#else
#define QK_BEGIN extern "C" {
#endif
#define QK_END }

QK_BEGIN
#define QK_DECLARE_(RESULT, NAME, PARAMETERS) RESULT NAME PARAMETERS;
QK_FOR_EACH_KERNEL(QK_DECLARE_)
#undef QK_DECLARE_
QK_END

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H
