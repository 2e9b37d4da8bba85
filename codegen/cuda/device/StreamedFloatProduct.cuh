// Float weights times a few rows of floats (StreamedProducts.cuh), in float32: a lane has 16 bytes
// of an input's 16 channels, and adds up every 16th input, or every 8th of float32.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STREAMEDFLOATPRODUCT_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_STREAMEDFLOATPRODUCT_CUH

#include "codegen/cuda/device/StreamedProducts.cuh"

namespace quern {

namespace streamed {

/// 16 bytes of weights as floats.
template <Packing P, int kCount> QN_DEVICE void to_floats(uint4 words, float (&to)[kCount]) {
  const u32 four[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (P.kind == Packing::F32) {
      to[i] = __uint_as_float(four[i]);
    } else if constexpr (P.kind == Packing::F16) {
      to[2 * i] = float_of_f16(static_cast<u16>(four[i]));
      to[2 * i + 1] = float_of_f16(static_cast<u16>(four[i] >> 16));
    } else {
      to[2 * i] = __uint_as_float(four[i] << 16);
      to[2 * i + 1] = __uint_as_float(four[i] & 0xffff0000u);
    }
  }
}

/// Adds up kCount sums over the lanes that are kApart, kApart / 2, ... kLeast apart. A lane is left
/// with some of them, from `first` on.
template <int kApart, int kLeast, int kCount> QN_DEVICE void scatter_sums(float *sums, int &first) {
  if constexpr (kApart < kLeast) {
    // All lanes are added up.
  } else if constexpr (kCount == 1) {
    sums[0] += __shfl_xor_sync(~0u, sums[0], kApart);
    scatter_sums<kApart / 2, kLeast, 1>(sums, first);
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = lane() & kApart;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float given = upper ? sums[i] : sums[i + kHalf];
      const float kept = upper ? sums[i + kHalf] : sums[i];
      sums[i] = kept + __shfl_xor_sync(~0u, given, kApart);
    }
    first += upper ? kHalf : 0;
    scatter_sums<kApart / 2, kLeast, kHalf>(sums, first);
  }
}

} // namespace streamed

template <StreamedShape kShape, int kChannels, class PanelOf, class Which = RowsInOrder>
class StreamedFloatProduct {
  static constexpr Packing P = kShape.packing;
  using Stream = ProductStream<kShape, kChannels, PanelOf>;

public:
  static constexpr int kRows = kShape.rows, kPanels = kShape.panels;
  static constexpr int kScratch = static_cast<int>(kShape.shared_bytes());
  static constexpr i64 kRowBytes = kShape.inputs * 4;

  QN_DEVICE StreamedFloatProduct(const u8 *weights, u8 *scratch, PanelOf panel_of, int count)
      : stream_(weights, scratch, panel_of, count),
        sums_(reinterpret_cast<float *>(scratch + kShape.ring_bytes())),
        held_(scratch + kShape.ring_bytes() + kShape.sums_bytes()) {}

  template <int kWidth> QN_DEVICE void multiply(const u8 *x, int height, float *tile) {
    if constexpr (kRows == 1)
      multiply_rows<1, kWidth>(x, height, tile);
    else if (height <= 2)
      multiply_rows<2, kWidth>(x, height, tile);
    else
      multiply_rows<8, kWidth>(x, height, tile);
    ++multiplied_;
  }
  QN_DEVICE void choose(Which which) {
    which_ = which;
    rows_ = nullptr;
  }

private:
  static constexpr int kInputs = static_cast<int>(kShape.inputs);
  static constexpr int kUnitInputs = kShape.unit_inputs(), kStepInputs = kShape.step_inputs();
  /// Lanes that share an input, and the channels of each.
  static constexpr int kInputLanes = kWarpLanes / kStepInputs, kOwn = kLanes / kInputLanes;

  template <int kTogether, int kWidth>
  QN_DEVICE void multiply_rows(const u8 *x, int height, float *tile) {
    using Rows = HeldRows<kShape.holds_rows(kTogether), kRowBytes, kInputs * 4,
                          static_cast<int>(kShape.row_stride(kTogether))>;
    if (x != rows_) {
      Rows::hold(held_, x, which_, height);
      rows_ = x;
    }
    float sums[kTogether * kOwn] = {};
    if (stream_.has_panel(multiplied_)) {
      const u8 *rows[kTogether];
#pragma unroll
      for (int m = 0; m < kTogether; ++m)
        rows[m] = Rows::row(held_, x, which_, m, height);
      for (int unit = Stream::part(); unit < Stream::kUnits; unit += Stream::kParts) {
        const u8 *at = stream_.ring.wait();
        if (kInputs % kUnitInputs == 0 || unit != Stream::kUnits - 1)
          add_unit<true>(at, unit, rows, sums);
        else
          add_unit<false>(at, unit, rows, sums);
        stream_.ring.release();
        stream_.fetch();
      }
    }
    hand_in<kTogether>(sums);
    Stream::template add_parts<kTogether, kWidth>(sums_, tile);
  }

  template <bool kWhole, int kTogether>
  QN_DEVICE static void add_unit(const u8 *weights, int unit, const u8 *const (&rows)[kTogether],
                                 float (&sums)[kTogether * kOwn]) {
    // Eight rows' loads of all steps together would not leave registers enough.
    constexpr int kUnroll = kTogether == 8 ? 2 : 4;
#pragma unroll kUnroll
    for (int step = 0; step < 4; ++step) {
      const int input = unit * kUnitInputs + step * kStepInputs + lane() / kInputLanes;
      if (!kWhole && input >= kInputs)
        continue;
      float w[kOwn];
      streamed::to_floats<P>(
          *reinterpret_cast<const uint4 *>(weights + (step * kWarpLanes + lane()) * 16), w);
#pragma unroll
      for (int m = 0; m < kTogether; ++m) {
        const float value = reinterpret_cast<const float *>(rows[m])[input];
#pragma unroll
        for (int i = 0; i < kOwn; ++i)
          sums[m * kOwn + i] = fma(w[i], value, sums[m * kOwn + i]);
      }
    }
  }

  /// Leaves the warp's sums in shared memory: [kTogether][kSumsStride].
  template <int kTogether> QN_DEVICE void hand_in(float (&sums)[kTogether * kOwn]) const {
    int first = 0;
    constexpr int kMost = kTogether * kOwn;
    streamed::scatter_sums<kWarpLanes / 2, kInputLanes, kMost>(sums, first);
    // Where there are fewer sums than lanes, several are left with the same: the first has it.
    constexpr int kSharers = kStepInputs / kMost;
    if (kSharers > 1 && lane() / kInputLanes % kSharers != 0)
      return;
    // They are one row's, side by side.
    constexpr int kLeft = kMost > kStepInputs ? kMost / kStepInputs : 1;
    float *to = sums_ + (warp() * kTogether + first / kOwn) * kShape.kSumsStride +
                lane() % kInputLanes * kOwn + first % kOwn;
    if constexpr (kLeft == 4)
      *reinterpret_cast<float4 *>(to) = {sums[0], sums[1], sums[2], sums[3]};
    else if constexpr (kLeft == 2)
      *reinterpret_cast<float2 *>(to) = {sums[0], sums[1]};
    else
      *to = sums[0];
  }

  Stream stream_;
  float *sums_; // [kWarps][kTogether][kSumsStride]
  u8 *held_;
  const u8 *rows_ = nullptr; // that are held
  Which which_{};
  int multiplied_ = 0;
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_STREAMEDFLOATPRODUCT_CUH
