// Matrix products of float weights (f32, f16, bf16) with float activations.
#include "codegen/cpu/microkernels/GemmFloatAmx.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

/// M rows times `Lanes` channels of P panels, from `first` on. Even and odd k are two chains: that
/// hides fma's latency where M is small, and is the same order for all.
template <class T, int M, int Lanes, int P = 1>
QK_INLINE void gemm_lanes(const uint8_t *panel, int64_t panel_bytes, const float *x, int64_t stride,
                          int64_t k, float *acc, int64_t acc_stride, int first = 0) {
  using F = Vector<float, Lanes>;
  constexpr int kRow = 16 * sizeof(T);
  panel += first * static_cast<int64_t>(sizeof(T));
  F even[M][P] = {};
  F odd[M][P] = {};
  const auto add = [&](F(&sums)[M][P], int64_t i) __attribute__((always_inline)) {
    F w[P];
    QK_UNROLL for (int p = 0; p < P; ++p) w[p] =
        load_as_float<T, Lanes>(panel + p * panel_bytes + i * kRow);
    QK_UNROLL for (int m = 0; m < M; ++m) {
      const F value = F(x[m * stride + i]);
      QK_UNROLL for (int p = 0; p < P; ++p) sums[m][p] = fma(w[p], value, sums[m][p]);
    }
  };
  int64_t i = 0;
  for (; i + 2 <= k; i += 2) {
    if constexpr (M == 1)
      QK_UNROLL for (int line = 0; line < 2 * kRow; line += 64)
          __builtin_prefetch(panel + i * kRow + kPrefetchAhead + line);
    add(even, i);
    add(odd, i + 1);
  }
  if (i < k)
    add(even, i);
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int p = 0; p < P; ++p)
      store(acc + p * acc_stride + m * 16 + first, F(even[m][p] + odd[m][p]));
}

template <class T> inline constexpr bool kWide = sizeof(T) == 4;

/// Rows of P panels, in tiles that fit the registers. Of float32 they ask for fewer loads than they
/// have products: 6 rows by two panels with AVX-512's 32 registers, 3 rows by one with AVX2's 16;
/// what these leave is done by fours where that leaves no more single rows. Of 16 bits, where fewer
/// conversions count more, 8 rows by a panel, and 4 by half of one.
template <class T, int P>
QK_INLINE void gemm_rows(const uint8_t *panel, int64_t panel_bytes, const float *x, int64_t stride,
                         int64_t k, int64_t rows, float *acc, int64_t acc_stride) {
  const auto go_on = [&](int done) __attribute__((always_inline)) {
    rows -= done;
    x += done * stride;
    acc += 16 * done;
  };
#ifdef __AVX512F__
  constexpr int kTall = kWide<T> ? 6 : 8;
  while (rows >= kTall && !(kWide<T> && (rows == 8 || rows == 9))) {
    gemm_lanes<T, kTall, 16, P>(panel, panel_bytes, x, stride, k, acc, acc_stride);
    go_on(kTall);
  }
  while (rows >= 4) {
    gemm_lanes<T, 4, 16, P>(panel, panel_bytes, x, stride, k, acc, acc_stride);
    go_on(4);
  }
#else
  static_assert(P == 1);
  while (kWide<T> && rows >= 3 && rows != 4 && rows != 5 && rows != 8) {
    gemm_lanes<T, 3, 16>(panel, panel_bytes, x, stride, k, acc, acc_stride);
    go_on(3);
  }
  while (rows >= 4) {
    QK_LOOP for (int first = 0; first < 16; first += 8)
        gemm_lanes<T, 4, 8>(panel, panel_bytes, x, stride, k, acc, acc_stride, first);
    go_on(4);
  }
#endif
  while (rows > 0) {
    QK_LOOP for (int p = 0; p < P; ++p)
        gemm_lanes<T, 1, 16>(panel + p * panel_bytes, 0, x, stride, k, acc + p * acc_stride, 0);
    go_on(1);
  }
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
  int64_t at = 0;
#ifdef __AVX512F__
  for (; kWide<T> && at + 2 <= panels; at += 2)
    gemm_rows<T, 2>(panel + at * panel_bytes, panel_bytes, x + row * stride, stride, k, rows - row,
                    acc + at * acc_stride + 16 * row, acc_stride);
#endif
  for (; at < panels; ++at)
    gemm_rows<T, 1>(panel + at * panel_bytes, panel_bytes, x + row * stride, stride, k, rows - row,
                    acc + at * acc_stride + 16 * row, acc_stride);
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_GEMM(NAME, TYPE)                                                                        \
  QK_KERNEL void qk_gemm_##NAME##_m1(const QkPanel *panel, const float *x, int64_t k,              \
                                     float *acc) {                                                 \
    gemm_lanes<TYPE, 1, 16>(bytes_of(panel), 0, x, 0, k, acc, 0);                                  \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_rows(const QkFloatProduct *product) {                            \
    const QkFloatProduct of = *product;                                                            \
    gemm_panels<TYPE>(bytes_of(of.panel), of.panel_bytes, of.panels, of.x, of.x_stride, of.k,      \
                      of.rows, of.acc, of.acc_stride);                                             \
  }
QK_FOR_EACH_FLOAT_PACKING(QK_GEMM)

QK_KERNEL void qk_prefetch(const void *address) { __builtin_prefetch(address); }
QK_END
