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
// They are freestanding: no libc but memcpy and memset, no globals with constructors, no
// exceptions. Pointers need the alignment of their element type only (panels and rows go faster on
// 64 bytes); buffers must not overlap. Sizes are >= 0. NaN and infinity are never undefined
// behaviour.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H

#include "codegen/cpu/microkernels/UnaryFunctions.h"
#include "ir/formats/PackingLayout.h"
#include "runtime/abi/StepArgs.h"

#include <stdint.h>

// The quantized packings (ir/formats/PackingLayout.h): name, the largest code a panel may hold, and
// the packing. The code is what keeps AVX2's 16-bit sums exact: a larger one gives wrong sums,
// nothing worse.
#define QK_PACKING(BITS, GROUP, ZERO, HAS_MIN, SCALE, SUPER)                                       \
  quern::formats::quant_packing(BITS, GROUP, ZERO, HAS_MIN, quern::formats::ScaleType::SCALE, SUPER)
#define QK_FOR_EACH_QUANTIZED_PACKING(X)                                                           \
  X(q4_g32_z8_f16, 15, QK_PACKING(4, 32, 8, false, F16, 0))                                        \
  X(q4_g32_z0_min_f16, 15, QK_PACKING(4, 32, 0, true, F16, 0))                                     \
  X(q4_g32_z0_min_u8_row, 15, QK_PACKING(4, 32, 0, true, U8, quern::formats::kWholeRow))           \
  X(q4_g32_z0_min_u8_s256, 15, QK_PACKING(4, 32, 0, true, U8, 256))                                \
  X(q8_g32_z128_f16, 255, QK_PACKING(8, 32, 128, false, F16, 0))                                   \
  X(q8_g32_z16_f16, 31, QK_PACKING(8, 32, 16, false, F16, 0))                                      \
  X(q8_g32_z0_min_f16, 31, QK_PACKING(8, 32, 0, true, F16, 0))                                     \
  X(q8_g32_z0_min_u8_s256, 31, QK_PACKING(8, 32, 0, true, U8, 256))                                \
  X(q8_g32_z128_i8_s256, 255, QK_PACKING(8, 32, 128, false, I8, 256))                              \
  X(q8_g16_z32_i8_s256, 63, QK_PACKING(8, 16, 32, false, I8, 256))                                 \
  X(q4_g32_z0_min_f32, 15, QK_PACKING(4, 32, 0, true, F32, 0))                                     \
  X(q4_g32_z8_f32, 15, QK_PACKING(4, 32, 8, false, F32, 0))                                        \
  X(q8_g32_z128_f32, 255, QK_PACKING(8, 32, 128, false, F32, 0))                                   \
  X(q8_g32_z128_min_f32, 255, QK_PACKING(8, 32, 128, true, F32, 0))                                \
  X(q8_g16_z32_f32, 63, QK_PACKING(8, 16, 32, false, F32, 0))

// The float packings: name and element type.
#define QK_FOR_EACH_FLOAT_PACKING(X)                                                               \
  X(f32, float)                                                                                    \
  X(f16, _Float16)                                                                                 \
  X(bf16, BFloat16)

// The bitcode has C linkage; native builds put each variant into a namespace instead (Native.h).
#ifdef QK_NAMESPACE
#define QK_BEGIN namespace QK_NAMESPACE {
#else
#define QK_BEGIN extern "C" {
#endif
#define QK_END }

QK_BEGIN

// ---- Matrix products with quantized weights
// -------------------------------------------------------------------
//
// qk_gemm_<packing>_m1 and _rows: one row of activations times one panel of 16 output channels, or
// `rows` rows times `panels` panels.
//   panel     the packed panel: k_padded/group records, and super-scales; others panel_bytes apart
//   x         rows of int8 codes with their QuernQ8Pair's (StepArgs.h), x_stride bytes apart. Codes
//             lie in [-127, 127]
//   k_padded  inputs, a multiple of 32
//   acc       [rows][16] floats, written; those of a panel acc_stride floats apart. There is place
//             for a multiple of 16 rows, and what lies behind the last may be written
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
// So do rows, which are not inlined.
#define QK_DECLARE_GEMM(NAME, ...)                                                                 \
  void qk_gemm_##NAME##_m1(const uint8_t *panel, const uint8_t *x, int64_t x_stride,               \
                           int64_t k_padded, float *acc);                                          \
  void qk_gemm_##NAME##_rows(const uint8_t *panel, int64_t panel_bytes, int64_t panels,            \
                             const uint8_t *x, int64_t x_stride, int64_t k_padded, int64_t rows,   \
                             float *acc, int64_t acc_stride);
QK_FOR_EACH_QUANTIZED_PACKING(QK_DECLARE_GEMM)
#undef QK_DECLARE_GEMM

// Quantizes a row of k floats to the int8 row those read (StepArgs.h), of quern_q8_row_bytes(k)
// bytes; codes past k are 0; what lies behind the pairs is the variant's. A pair of
// groups of 16: amax = the largest |x| of either; its group has step = amax / 127 and inverse = 127
// / amax, the other (the second, if both have it) step * 2^-n and inverse * 2^n, n in [0, 4] being
// how often its own largest |x| can be doubled without exceeding amax. scale is the first group's
// step, ratio the second's over it; code = round-to-nearest-even(x * inverse). A pair whose amax is
// under 2^-110 is all zeros. If one holds NaN or infinity, scale is NaN or infinity and the pair's
// codes are 0, so that the products come out NaN.
void qk_quantize_row(const float *x, int64_t k, uint8_t *row);
// The same of columns [first, first + count) of rows of k: x has these columns, rows x_stride
// floats apart, and `to` whole int8 rows, to_stride bytes apart. `first` is a multiple of 32, and
// so is `count`, unless it reaches to k.
void qk_quantize_columns(const float *x, int64_t x_stride, int64_t rows, int64_t first,
                         int64_t count, int64_t k, uint8_t *to, int64_t to_stride);

// ---- Matrix products with float weights
// -----------------------------------------------------------------------
//
// qk_gemm_{f32,f16,bf16}_m1 and _rows: as above with rows of floats, x_stride floats apart.
//   even = fma(w[k], x[k], even) over k = 0, 2, ...; odd likewise over k = 1, 3, ...; acc = even +
//   odd
// The variant amx has many rows by f16 and bf16 in tiles (GemmFloatTiles.h): activations keep 16
// bits, sums are those of TDPBF16PS (Amx.h), 32 inputs at a time.
#define QK_DECLARE_GEMM(NAME, ...)                                                                 \
  void qk_gemm_##NAME##_m1(const uint8_t *panel, const float *x, int64_t x_stride, int64_t k,      \
                           float *acc);                                                            \
  void qk_gemm_##NAME##_rows(const uint8_t *panel, int64_t panel_bytes, int64_t panels,            \
                             const float *x, int64_t x_stride, int64_t k, int64_t rows,            \
                             float *acc, int64_t acc_stride);
QK_FOR_EACH_FLOAT_PACKING(QK_DECLARE_GEMM)
#undef QK_DECLARE_GEMM

// Fetches the cache line that `address` lies in: for results that a product is about to write.
void qk_prefetch(const void *address);

// qk_decode_row_<packing>: output channel `row` of the panels (panel_bytes apart) back to k floats,
// bitwise what formats::decode_packed_row gives. For looking up an embedding tied to the output
// matrix.
#define QK_DECLARE_DECODE_ROW(NAME, ...)                                                           \
  void qk_decode_row_##NAME(const uint8_t *panels, int64_t row, int64_t k, int64_t panel_bytes,    \
                            float *out);
QK_FOR_EACH_QUANTIZED_PACKING(QK_DECLARE_DECODE_ROW)
QK_FOR_EACH_FLOAT_PACKING(QK_DECLARE_DECODE_ROW)
#undef QK_DECLARE_DECODE_ROW

// ---- Reductions
// ------------------------------------------------------------------------------------------------
//
// Lane i of 16 takes x[i], x[i+16], ... in order, starting from 0 (or -infinity); then lanes are
// combined in a tree: i with i+8, i+4, i+2, i+1.
float qk_sum(const float *x, int64_t n);
// Each lane: p = fma(x, x, p).
float qk_sum_squares(const float *x, int64_t n);
// Each lane: d = x - center; p = fma(d, d, p).
float qk_sum_squares_around(const float *x, float center, int64_t n);
// Each lane: p = fma(x, y, p).
float qk_dot(const float *x, const float *y, int64_t n);
// -infinity if n is 0; NaN's are passed over.
float qk_max(const float *x, int64_t n);

// ---- The largest column of a step's result, where only that is asked for (QuernBest)
//
// Where a kernel writes columns of its result: there, or to memory of its own.
float *qk_columns_at(const QuernStepArgs *args, float *result, float *own);
// Compares `n` values, columns from `column` on, with what the worker found so far; does nothing
// where all of the result is asked for. A worker's columns come in ascending order.
void qk_keep_best(const QuernStepArgs *args, int64_t worker, const float *values, int64_t n,
                  int64_t column);

// ---- Scalar functions
// --------------------------------------------------------------------------------------------
//
// Branch-free, so that after inlining LLVM's loop vectorizer turns a loop that calls them into
// vector code. NaN in gives NaN out. UnaryFunctions.h has those of quern.unary, and their errors.
#define QK_DECLARE_UNARY(X, NAME, ...) float qk_##NAME(float x);
QK_FOR_EACH_UNARY_FUNCTION(QK_DECLARE_UNARY, )
#undef QK_DECLARE_UNARY
// The others', found as those are:
float qk_log(float x);        // 1 ulp; log(0) = -inf; NaN for x < 0
float qk_log1p(float x);      // 2 ulp; log1p(-1) = -inf; NaN for x < -1
float qk_erf(float x);        // 2 ulp
float qk_round_bf16(float x); // the nearest bfloat16, ties to even; overflows to infinity
float qk_sqrt(float x);       // correctly rounded
float qk_rsqrt(float x);      // 1 / sqrt(x), two roundings
float qk_sin(float x); // 1 ulp for |x| <= 1e7 (computed in double); beyond, only within [-1, 1]
float qk_cos(float x); // the same

// ---- Attention
// ---------------------------------------------------------------------------------------------------
//
// qk_attn_block_<format>_m<M>, M in {1, 2, 3, 4, 6}: updates the online softmax of M query rows
// with one page of P = QUERN_KV_PAGE positions (StepArgs.h).
//   q         M rows of d floats, q_stride floats apart
//   keys, values: a page's (StepArgs.h), in the format;  next_keys: those of the page that comes
//   next, to be
//             fetched ahead; never read
//   lo, hi    row m sees the page's positions [lo[m], hi[m]), clamped to [0, P). The others are
//   never used: they may
//             be uninitialised or NaN. Where it is empty, the row's state stays as it was, bit for
//             bit
//   scale     multiplies the scores; then, unless softcap is 0, score = softcap * tanh(score /
//   softcap)
//   bias      null, or [M][P]: added to the scores last; not used for what a row does not see
//   row_max, row_sum [M] (row_step floats apart), acc [M][v] (rows acc_stride floats apart): the
//             state
// For each row:
//   score[p] = (fma over i ascending of q[i] * keys[i][p]) * scale, capped, + bias[p]
//   new_max  = max(row_max, scores);  w[p] = exp(score[p] - new_max);  c = exp(row_max - new_max)
//   row_sum  = fma(row_sum, c, sum of w as qk_sum has it, position p in lane p mod 16)
//   acc      = acc * c, then fma(w[p], values[p], acc) over p ascending
#define QK_DECLARE_ATTN_BLOCK(M, NAME, T)                                                          \
  void qk_attn_block_##NAME##_m##M(                                                                \
      const float *q, int64_t q_stride, const void *keys, const void *values,                      \
      const void *next_keys, const int32_t *lo, const int32_t *hi, float scale, float softcap,     \
      const float *bias, int64_t d, int64_t v, float *row_max, float *row_sum, int64_t row_step,   \
      float *acc, int64_t acc_stride);
#define QK_FOR_EACH_ATTN_HEIGHT(X, ...)                                                            \
  X(1, __VA_ARGS__) X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(6, __VA_ARGS__)
#define QK_FOR_EACH_KV_FORMAT(X)                                                                   \
  X(f32, float) X(f16, _Float16) X(bf16, BFloat16) X(int8, signed char)
#define QK_FOR_EACH_ATTN_BLOCK(X)                                                                  \
  QK_FOR_EACH_ATTN_HEIGHT(X, f32, float)                                                           \
  QK_FOR_EACH_ATTN_HEIGHT(X, f16, _Float16)                                                        \
  QK_FOR_EACH_ATTN_HEIGHT(X, bf16, BFloat16)                                                       \
  QK_FOR_EACH_ATTN_HEIGHT(X, int8, signed char)
QK_FOR_EACH_ATTN_BLOCK(QK_DECLARE_ATTN_BLOCK)
#undef QK_DECLARE_ATTN_BLOCK

// Stores a head's key of d floats, or value of v, at `place` of a page's keys or values, in the
// format: rounded to nearest even; in int8, groups of QUERN_KV_GROUP have a scale of amax / 127
// each, codes and exceptions as of qk_quantize_row.
#define QK_DECLARE_KV_STORE(NAME, T)                                                               \
  void qk_store_key_##NAME(const float *key, int64_t d, void *keys, int64_t place);                \
  void qk_store_value_##NAME(const float *value, int64_t v, void *values, int64_t place);
QK_FOR_EACH_KV_FORMAT(QK_DECLARE_KV_STORE)
#undef QK_DECLARE_KV_STORE

// Writes a page's keys and values, in the format, as a page of float32 has them: kPage * d floats,
// then kPage * v. What lies at positions that nothing was stored at yet comes out as anything.
// next_keys: as above; its values lie as far behind it as `values` behind `keys`.
// qk_attn_floats_from_<format> is the number of rows from which on that is faster than converting
// the page's numbers for every tile of rows again.
#define QK_DECLARE_ATTN_FLOATS(NAME)                                                               \
  int64_t qk_attn_floats_from_##NAME(void);                                                        \
  void qk_attn_floats_##NAME(const void *keys, const void *values, const void *next_keys,          \
                             int64_t d, int64_t v, float *to);
QK_DECLARE_ATTN_FLOATS(f16)
QK_DECLARE_ATTN_FLOATS(bf16)
QK_DECLARE_ATTN_FLOATS(int8)
#undef QK_DECLARE_ATTN_FLOATS

// The state of a row that has seen nothing: row_max = -1e30, row_sum = 0, acc = 0. (A row with an
// attention sink of logit s starts with row_max = s, row_sum = 1 instead.)
void qk_attn_init_row(float *row_max, float *row_sum, float *acc, int64_t v);
// Adds to a row's state that of the same row over later positions; one that has seen nothing there
// (other_sum is 0) stays as it is, bit for bit.
//   new_max = max(row_max, other_max);  c = exp(row_max - new_max);  o = exp(other_max - new_max)
//   row_sum = fma(row_sum, c, other_sum * o);  acc = fma(acc, c, other_acc * o)
void qk_attn_merge_row(float *row_max, float *row_sum, float *acc, float other_max, float other_sum,
                       const float *other_acc, int64_t v);
// out = acc / row_sum; zeros for a row that has seen nothing.
void qk_attn_finish_row(const float *acc, float row_sum, int64_t v, float *out);

// ---- Linear recurrence
// -------------------------------------------------------------------------------------------
//
// One token of a head: the state S is [dk][dv], that is, keys by values (the transpose of
// DESIGN.md's S_t).
//   decay_kind  0: decay[0] for all;  1: decay[i], per key;  2: decay[j], per value;  3:
//   decay[i][j] S[i][j] = fma(k[i], v[j], S[i][j] * decay) out[j]  = fma over i ascending of
//   S[i][j] * r[i]
// r, k: [dk]; v, out: [dv].
void qk_recurrence_step(float *state, const float *r, const float *k, const float *v,
                        const float *decay, int32_t decay_kind, int64_t dk, int64_t dv, float *out);
// The same with a rank-one correction, a, b: [dk]:
//   u[j]    = fma over i ascending of a[i] * S[i][j]                 S before the step
//   S[i][j] = fma(k[i], v[j], fma(b[i], u[j], S[i][j] * decay))
void qk_recurrence_step_delta(float *state, const float *r, const float *k, const float *v,
                              const float *decay, int32_t decay_kind, const float *a,
                              const float *b, int64_t dk, int64_t dv, float *out);

// ---- Workers
// -----------------------------------------------------------------------------------------------------
//
// All num_workers workers of a step meet: what each wrote before is visible to all after. Spins,
// then calls args->yield (if not null) now and then. Returns at once if num_workers is 1. The
// barrier starts zeroed and can be used again at once.
void qk_barrier(const QuernStepArgs *args, int32_t worker, int32_t num_workers);

// Numbers from 0 on, each given once, to whichever worker asks; from 0 again after a barrier.
int64_t qk_next_ticket(const QuernStepArgs *args);

// Worker 0 writes the time stamp counter to args->ticks[dispatch], unless ticks is null.
void qk_note_time(const QuernStepArgs *args, int32_t worker, int64_t dispatch);

QK_END

// Every function above, as X(name).
#define QK_EACH_GEMM_(X, NAME) X(qk_gemm_##NAME##_m1) X(qk_gemm_##NAME##_rows)
#define QK_EACH_UNARY_(X, NAME, ...) X(qk_##NAME)
#define QK_FOR_EACH_KERNEL(X)                                                                      \
  QK_EACH_GEMM_(X, q4_g32_z8_f16)                                                                  \
  QK_EACH_GEMM_(X, q4_g32_z0_min_f16)                                                              \
  QK_EACH_GEMM_(X, q4_g32_z0_min_u8_row)                                                           \
  QK_EACH_GEMM_(X, q4_g32_z0_min_u8_s256)                                                          \
  QK_EACH_GEMM_(X, q8_g32_z128_f16)                                                                \
  QK_EACH_GEMM_(X, q8_g32_z16_f16)                                                                 \
  QK_EACH_GEMM_(X, q8_g32_z0_min_f16)                                                              \
  QK_EACH_GEMM_(X, q8_g32_z0_min_u8_s256)                                                          \
  QK_EACH_GEMM_(X, q8_g32_z128_i8_s256)                                                            \
  QK_EACH_GEMM_(X, q8_g16_z32_i8_s256)                                                             \
  QK_EACH_GEMM_(X, q4_g32_z0_min_f32)                                                              \
  QK_EACH_GEMM_(X, q4_g32_z8_f32)                                                                  \
  QK_EACH_GEMM_(X, q8_g32_z128_f32)                                                                \
  QK_EACH_GEMM_(X, q8_g32_z128_min_f32)                                                            \
  QK_EACH_GEMM_(X, q8_g16_z32_f32)                                                                 \
  QK_EACH_GEMM_(X, f32)                                                                            \
  QK_EACH_GEMM_(X, f16)                                                                            \
  QK_EACH_GEMM_(X, bf16)                                                                           \
  X(qk_decode_row_q4_g32_z8_f16)                                                                   \
  X(qk_decode_row_q4_g32_z0_min_f16)                                                               \
  X(qk_decode_row_q4_g32_z0_min_u8_row)                                                            \
  X(qk_decode_row_q4_g32_z0_min_u8_s256)                                                           \
  X(qk_decode_row_q8_g32_z128_f16)                                                                 \
  X(qk_decode_row_q8_g32_z16_f16)                                                                  \
  X(qk_decode_row_q8_g32_z0_min_f16)                                                               \
  X(qk_decode_row_q8_g32_z0_min_u8_s256)                                                           \
  X(qk_decode_row_q8_g32_z128_i8_s256)                                                             \
  X(qk_decode_row_q8_g16_z32_i8_s256)                                                              \
  X(qk_decode_row_q4_g32_z0_min_f32)                                                               \
  X(qk_decode_row_q4_g32_z8_f32)                                                                   \
  X(qk_decode_row_q8_g32_z128_f32)                                                                 \
  X(qk_decode_row_q8_g32_z128_min_f32)                                                             \
  X(qk_decode_row_q8_g16_z32_f32)                                                                  \
  X(qk_decode_row_f32)                                                                             \
  X(qk_decode_row_f16)                                                                             \
  X(qk_decode_row_bf16)                                                                            \
  X(qk_prefetch)                                                                                   \
  X(qk_quantize_row)                                                                               \
  X(qk_quantize_columns)                                                                           \
  X(qk_sum)                                                                                        \
  X(qk_sum_squares)                                                                                \
  X(qk_sum_squares_around)                                                                         \
  X(qk_dot)                                                                                        \
  X(qk_max)                                                                                        \
  QK_FOR_EACH_UNARY_FUNCTION(QK_EACH_UNARY_, X)                                                    \
  X(qk_log)                                                                                        \
  X(qk_log1p)                                                                                      \
  X(qk_erf)                                                                                        \
  X(qk_round_bf16)                                                                                 \
  X(qk_sqrt)                                                                                       \
  X(qk_rsqrt)                                                                                      \
  X(qk_sin)                                                                                        \
  X(qk_cos)                                                                                        \
  X(qk_attn_block_f32_m1)                                                                          \
  X(qk_attn_block_f32_m2)                                                                          \
  X(qk_attn_block_f32_m3)                                                                          \
  X(qk_attn_block_f32_m4)                                                                          \
  X(qk_attn_block_f32_m6)                                                                          \
  X(qk_attn_block_f16_m1)                                                                          \
  X(qk_attn_block_f16_m2)                                                                          \
  X(qk_attn_block_f16_m3)                                                                          \
  X(qk_attn_block_f16_m4)                                                                          \
  X(qk_attn_block_f16_m6)                                                                          \
  X(qk_attn_block_bf16_m1)                                                                         \
  X(qk_attn_block_bf16_m2)                                                                         \
  X(qk_attn_block_bf16_m3)                                                                         \
  X(qk_attn_block_bf16_m4)                                                                         \
  X(qk_attn_block_bf16_m6)                                                                         \
  X(qk_attn_block_int8_m1)                                                                         \
  X(qk_attn_block_int8_m2)                                                                         \
  X(qk_attn_block_int8_m3)                                                                         \
  X(qk_attn_block_int8_m4)                                                                         \
  X(qk_attn_block_int8_m6)                                                                         \
  X(qk_store_key_f32)                                                                              \
  X(qk_store_key_f16)                                                                              \
  X(qk_store_key_bf16)                                                                             \
  X(qk_store_key_int8)                                                                             \
  X(qk_store_value_f32)                                                                            \
  X(qk_store_value_f16)                                                                            \
  X(qk_store_value_bf16)                                                                           \
  X(qk_store_value_int8)                                                                           \
  X(qk_attn_floats_from_f16)                                                                       \
  X(qk_attn_floats_from_bf16)                                                                      \
  X(qk_attn_floats_from_int8)                                                                      \
  X(qk_attn_floats_f16)                                                                            \
  X(qk_attn_floats_bf16)                                                                           \
  X(qk_attn_floats_int8)                                                                           \
  X(qk_attn_merge_row)                                                                             \
  X(qk_attn_init_row)                                                                              \
  X(qk_attn_finish_row)                                                                            \
  X(qk_recurrence_step)                                                                            \
  X(qk_recurrence_step_delta)                                                                      \
  X(qk_columns_at)                                                                                 \
  X(qk_keep_best)                                                                                  \
  X(qk_barrier)                                                                                    \
  X(qk_next_ticket)                                                                                \
  X(qk_note_time)

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_MICROKERNELS_H
