// Matrix products of float weights (f32, f16, bf16) with float activations.
#include "codegen/cpu/microkernels/GemmFloatAmx.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

/// M rows times `Lanes` channels from `first` on. Even and odd k are two chains: that hides fma's
/// latency where M is small, and is the same order for all.
template <class T, int M, int Lanes>
QK_INLINE void gemm_lanes(const uint8_t *panel, const float *x, int64_t stride, int64_t k,
                          float *acc, int first) {
  using F = Vector<float, Lanes>;
  constexpr int kRow = 16 * sizeof(T);
  const int64_t offset = first * static_cast<int64_t>(sizeof(T));
  F even[M] = {};
  F odd[M] = {};
  int64_t i = 0;
  for (; i + 2 <= k; i += 2, panel += 2 * kRow) {
    if constexpr (M == 1)
      QK_UNROLL for (int line = 0; line < 2 * kRow; line += 64)
          __builtin_prefetch(panel + kPrefetchAhead + line);
    const F w0 = load_as_float<T, Lanes>(panel + offset);
    const F w1 = load_as_float<T, Lanes>(panel + offset + kRow);
    QK_UNROLL for (int m = 0; m < M; ++m) even[m] = fma(w0, F(x[m * stride + i]), even[m]);
    QK_UNROLL for (int m = 0; m < M; ++m) odd[m] = fma(w1, F(x[m * stride + i + 1]), odd[m]);
  }
  if (i < k) {
    const F w = load_as_float<T, Lanes>(panel + offset);
    QK_UNROLL for (int m = 0; m < M; ++m) even[m] = fma(w, F(x[m * stride + i]), even[m]);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) store(acc + m * 16 + first, F(even[m] + odd[m]));
}

/// Tiles that fit the registers: 8 rows by 16 lanes with AVX-512's 32, 4 rows by 8 with AVX2's 16.
template <class T, int M>
QK_INLINE void gemm(const uint8_t *panel, const float *x, int64_t stride, int64_t k, float *acc) {
#ifdef __AVX512F__
  gemm_lanes<T, M, 16>(panel, x, stride, k, acc, 0);
#else
  if constexpr (M == 1)
    gemm_lanes<T, 1, 16>(panel, x, stride, k, acc, 0);
  else
    for (int m = 0; m < M; m += 4)
      for (int first = 0; first < 16; first += 8)
        gemm_lanes<T, 4, 8>(panel, x + m * stride, stride, k, acc + m * 16, first);
#endif
}

/// Eight rows at a time, then four, then one.
template <class T>
QK_INLINE void gemm_rows(const uint8_t *panel, const float *x, int64_t stride, int64_t k,
                         int64_t rows, float *acc) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8)
    gemm<T, 8>(panel, x + row * stride, stride, k, acc + 16 * row);
  for (; row + 4 <= rows; row += 4)
    gemm<T, 4>(panel, x + row * stride, stride, k, acc + 16 * row);
  for (; row < rows; ++row)
    gemm<T, 1>(panel, x + row * stride, stride, k, acc + 16 * row);
}

template <class T>
QK_SHARED void gemm_panels(const uint8_t *panel, int64_t panel_bytes, int64_t panels,
                           const float *x, int64_t stride, int64_t k, int64_t rows, float *acc,
                           int64_t acc_stride) {
  int64_t row = 0;
#ifdef QK_AMX
  if constexpr (sizeof(T) == 2)
    for (int64_t many; rows - row >= kLeastFloatRows<T>; row += many) {
      constexpr int64_t kMost = kMostTiles * kTileRows, kPanels = kMostPanels;
      many = rows - row < kMost ? rows - row : kMost;
      for (int64_t at = 0; at < panels; at += kPanels)
        gemm_float_tiles<T>(panel + at * panel_bytes, panel_bytes,
                            static_cast<int>(panels - at < kPanels ? panels - at : kPanels),
                            x + row * stride, stride, k, static_cast<int>(many),
                            acc + 16 * row + at * acc_stride, acc_stride);
    }
#endif
  for (int64_t at = 0; at < panels; ++at)
    gemm_rows<T>(panel + at * panel_bytes, x + row * stride, stride, k, rows - row,
                 acc + at * acc_stride + 16 * row);
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_GEMM(NAME, TYPE)                                                                        \
  QK_KERNEL void qk_gemm_##NAME##_m1(const QkPanel *panel, const float *x, int64_t k,              \
                                     float *acc) {                                                 \
    gemm<TYPE, 1>(bytes_of(panel), x, 0, k, acc);                                                  \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_rows(const QkFloatProduct *product) {                            \
    const QkFloatProduct of = *product;                                                            \
    gemm_panels<TYPE>(bytes_of(of.panel), of.panel_bytes, of.panels, of.x, of.x_stride, of.k,      \
                      of.rows, of.acc, of.acc_stride);                                             \
  }
QK_FOR_EACH_FLOAT_PACKING(QK_GEMM)

QK_KERNEL void qk_prefetch(const void *address) { __builtin_prefetch(address); }
QK_END
