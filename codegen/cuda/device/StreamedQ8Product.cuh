// Integer weights times a few rows of int8 activations on the tensor cores (StreamedProducts.cuh).
//
// A panel's bytes are what mma wants of them: four inputs of a channel are a word, a lane's two
// channels (2g and 2g + 1, for its rows g and g + 8) lie side by side, and a low and a high nibble
// are inputs 16 apart, as the two halves of 32 inputs are. So codes are masked, no more: a high one
// counts 16 times, which is made good in the row's ratio.
//
// Sums of the two groups of a pair have to be told apart, for each has its scale. With one row or
// two they are two columns of one mma over 32 inputs, whose other inputs are 0 there; and the
// columns that are left are given to further pairs, so that each lane's sums are its own row's of
// its own pair, and none are computed in vain. With up to eight rows a group is an mma over 16
// inputs.
//
// Integers begin as 1.5 * 2^23 has its bits, less what the zero point adds, so that what comes out
// is a float after one subtraction. All that is exact; then, of a pair,
//   sum = fma(scale_w, scale * (dot_0 + ratio * dot_1), sum)
//   sum = fma(min_w, the pair's sum, sum)    where there is a min
// with scale_w and min_w rounded products, where there are super-scales.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STREAMEDQ8PRODUCT_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_STREAMEDQ8PRODUCT_CUH

#include "codegen/cuda/device/Mma.cuh"
#include "codegen/cuda/device/Quantize.cuh"
#include "codegen/cuda/device/StreamedProducts.cuh"

namespace quern {

namespace streamed {

/// Exact between integers under 2^22 and their sums with this.
inline constexpr int kIntegerZero = 0x4b400000;
QN_DEVICE float float_of(int sum) { return __int_as_float(sum) - 12582912.0f; }

/// Byte kIndex of a word, unsigned, or signed if so.
template <int kIndex, bool kSigned> QN_DEVICE float float_of_byte(u32 word) {
  const u32 bits = __byte_perm(kSigned ? word ^ 0x80808080u : word, 0x4b000000u, 0x7650 + kIndex);
  return __uint_as_float(bits) - (kSigned ? 8388736.0f : 8388608.0f);
}

/// Numbers 2g and 2g + 1 of an array of 16 scales.
template <Scale kScale> QN_DEVICE float2 two_scales(const u8 *at, int g) {
  if constexpr (kScale == Scale::F16) {
    const u32 two = reinterpret_cast<const u32 *>(at)[g];
    return {float_of_f16(static_cast<u16>(two)), float_of_f16(static_cast<u16>(two >> 16))};
  } else if constexpr (kScale == Scale::F32) {
    return reinterpret_cast<const float2 *>(at)[g];
  } else {
    const u32 two = reinterpret_cast<const u16 *>(at)[g];
    constexpr bool kSigned = kScale == Scale::I8;
    return {float_of_byte<0, kSigned>(two), float_of_byte<1, kSigned>(two)};
  }
}

} // namespace streamed

template <StreamedShape kShape, int kChannels, class PanelOf, class Which = RowsInOrder>
class StreamedQ8Product {
  static constexpr Packing P = kShape.packing;
  using Stream = ProductStream<kShape, kChannels, PanelOf>;

public:
  static constexpr int kRows = kShape.rows, kPanels = kShape.panels;
  static constexpr int kScratch = static_cast<int>(kShape.shared_bytes());
  static constexpr i64 kRowBytes = q8_row_bytes(static_cast<int>(kShape.inputs));

  QN_DEVICE StreamedQ8Product(const u8 *weights, u8 *scratch, PanelOf panel_of, int count)
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
  static constexpr int kPairs = static_cast<int>(kShape.pairs());
  static constexpr int kCodes = kPairs * 32; // bytes in front of a row's pairs
  static constexpr int kUnitPairs = kShape.unit_pairs();
  static constexpr int kStride = kShape.pair_stride();
  /// Whether both groups of a pair are in one record.
  static constexpr bool kOneRecord = P.group == 32;
  static_assert(kOneRecord || (!P.has_min && P.bits == 8), "a pair's sum is of one record");
  static_assert(kShape.unit_head_bytes() == 0 || kStride == kShape.pair_bytes());
  /// How often a code of the second group counts.
  static constexpr int kSecond = P.bits == 4 ? 16 : 1;

  /// A lane's sums: of kRounds times 4 / kRounds pairs, two channels, and one or two rows. Computed
  /// together are 1, 2 or 8 rows.
  template <int kTogether> struct Sums {
    static constexpr int kOwnRows = kTogether == 8 ? 2 : 1;
    static constexpr int kRounds = kTogether == 8 ? 4 : kTogether;
    float of[kRounds][kOwnRows][2] = {};
  };
  /// The super-scales of the lane's channels.
  struct Supers {
    float2 scale, min;
  };

  template <int kTogether, int kWidth>
  QN_DEVICE void multiply_rows(const u8 *x, int height, float *tile) {
    constexpr bool kHeld = kShape.holds_rows(kTogether);
    using Rows =
        HeldRows<kHeld, kRowBytes, kPairs * 48, static_cast<int>(kShape.row_stride(kTogether))>;
    if (x != rows_) {
      Rows::hold(held_, x, which_, height);
      rows_ = x;
    }
    Sums<kTogether> sums;
    if (stream_.has_panel(multiplied_)) {
      const auto row = [&](int m) { return Rows::row(held_, x, which_, m, height); };
      Supers supers{};
      for (int unit = Stream::part(); unit < Stream::kUnits; unit += Stream::kParts) {
        const u8 *at = stream_.ring.wait();
        if (P.super != kWholeRow || unit == Stream::part())
          read_supers(at, supers);
        at += kShape.head_bytes() + kShape.unit_head_bytes();
        constexpr int kLast = kPairs - (Stream::kUnits - 1) * kUnitPairs;
        if (kLast == kUnitPairs || unit != Stream::kUnits - 1)
          add_unit<kUnitPairs>(at, unit, row, supers, sums);
        else
          add_unit<kLast>(at, unit, row, supers, sums);
        stream_.ring.release();
        stream_.fetch();
      }
    }
    hand_in(sums);
    Stream::template add_parts<kTogether, kWidth>(sums_, tile);
  }

  QN_DEVICE static void read_supers(const u8 *at, Supers &supers) {
    if constexpr (P.super != 0) {
      const int g = lane() / 4;
      supers.scale = streamed::two_scales<P.super_type()>(at, g);
      if constexpr (P.has_min)
        supers.min = streamed::two_scales<P.super_type()>(at + P.super_min_offset(), g);
    }
  }

  template <int kCount, int kTogether, class Row>
  QN_DEVICE static void add_unit(const u8 *records, int unit, Row row, const Supers &supers,
                                 Sums<kTogether> &sums) {
#pragma unroll
    for (int first = 0; first + 4 <= kCount; first += 4)
      add_four<4>(records + first * kStride, unit * kUnitPairs + first, row, supers, sums);
    if constexpr (kCount % 4 != 0)
      add_four<kCount % 4>(records + kCount / 4 * 4 * kStride, unit * kUnitPairs + kCount / 4 * 4,
                           row, supers, sums);
  }

  /// Adds the first kCount of four pairs, from pair `first` of the row on.
  template <int kCount, int kTogether, class Row>
  QN_DEVICE static void add_four(const u8 *records, int first, Row row, const Supers &supers,
                                 Sums<kTogether> &sums) {
    const int g = lane() / 4, t = lane() % 4;
    if constexpr (kTogether == 8) {
      const u8 *codes = row(g) + first * 32 + 4 * t;
      const u8 *pairs[2] = {row(2 * t) + kCodes + first * 16, row(2 * t + 1) + kCodes + first * 16};
#pragma unroll
      for (int pair = 0; pair < kCount; ++pair) {
        u32 weights[4];
        read_codes(records + pair * kStride, weights);
        float4 numbers[2];
        int dots[2][4];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          numbers[m] = *reinterpret_cast<const float4 *>(pairs[m] + pair * 16);
          dots[0][m] = dots[0][m + 2] = zero<0>(numbers[m]);
          dots[1][m] = dots[1][m + 2] = zero<1>(numbers[m]);
        }
#pragma unroll
        for (int group = 0; group < 2; ++group)
          mma_u8_s8(dots[group], {weights[2 * group], weights[2 * group + 1]},
                    *reinterpret_cast<const u32 *>(codes + pair * 32 + group * 16));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          const int of_row[4] = {dots[0][m], dots[1][m], dots[0][m + 2], dots[1][m + 2]};
          add_pair(records + pair * kStride, numbers[m], of_row, supers, sums.of[pair][m]);
        }
      }
    } else {
      constexpr int kAtOnce = 4 / kTogether; // pairs that share an mma's columns
      // Of column g, and of columns 2t and 2t + 1: the row, and which pair of these.
      const int group = g % 2, own_pair = g / 2 % kAtOnce, sum_pair = t % kAtOnce;
      const u8 *codes = row(g / 2 / kAtOnce) + (first + own_pair) * 32 + group * 16 + 4 * t;
      const u8 *pairs = row(t / kAtOnce) + kCodes + (first + sum_pair) * 16;
#pragma unroll
      for (int round = 0; round < kTogether; ++round) {
        const int from = round * kAtOnce;
        const bool whole = from + kAtOnce <= kCount;
        if (from >= kCount)
          break;
        const bool has_sum = whole || from + sum_pair < kCount;
        u32 word = 0;
        if (whole || from + own_pair < kCount)
          word = *reinterpret_cast<const u32 *>(codes + from * 32);
        float4 numbers{};
        if (has_sum)
          numbers = *reinterpret_cast<const float4 *>(pairs + from * 16);
        int dots[4];
        dots[0] = dots[2] = zero<0>(numbers);
        dots[1] = dots[3] = zero<1>(numbers);
#pragma unroll
        for (int pair = 0; pair < kAtOnce; ++pair) {
          if (from + pair >= kCount)
            break;
          u32 weights[4];
          read_codes(records + (from + pair) * kStride, weights);
          const u32 own = kAtOnce == 1 || pair == own_pair ? word : 0;
          mma_u8_s8(dots, weights, {group == 0 ? own : 0, group == 0 ? 0 : own});
        }
        if (has_sum)
          add_pair(records + (from + sum_pair) * kStride, numbers, dots, supers, sums.of[round][0]);
      }
    }
  }

  /// What a sum of products of codes begins with.
  template <int kGroup> QN_DEVICE static int zero(const float4 &numbers) {
    if constexpr (P.zero_point == 0)
      return streamed::kIntegerZero;
    const int code_sums = __float_as_int(numbers.w);
    return streamed::kIntegerZero - P.zero_point * (kGroup == 0 ? 1 : kSecond) *
                                        (kGroup == 0 ? code_sums << 16 >> 16 : code_sums >> 16);
  }

  /// The lane's codes of a pair, as mma has them: of its two channels in the first group, then in
  /// the second.
  QN_DEVICE static void read_codes(const u8 *pair, u32 (&a)[4]) {
    const int at = 64 * (lane() % 4) + 8 * (lane() / 4);
    const uint2 first = *reinterpret_cast<const uint2 *>(pair + at);
    if constexpr (P.bits == 4) {
      a[0] = first.x & 0x0f0f0f0fu;
      a[1] = first.y & 0x0f0f0f0fu;
      a[2] = first.x & 0xf0f0f0f0u;
      a[3] = first.y & 0xf0f0f0f0u;
    } else {
      constexpr int kNext = kOneRecord ? 256 : P.record_bytes();
      const uint2 second = *reinterpret_cast<const uint2 *>(pair + kNext + at);
      a[0] = first.x;
      a[1] = first.y;
      a[2] = second.x;
      a[3] = second.y;
    }
  }

  /// Adds a pair, of which `dots` are the first channel's two sums and the second's.
  QN_DEVICE static void add_pair(const u8 *pair, const float4 &numbers, const int (&dots)[4],
                                 const Supers &supers, float (&sums)[2]) {
    const int g = lane() / 4;
    const float scale = numbers.x, ratio = numbers.y * (1.0f / kSecond), sum = numbers.z;
    const float2 scales =
        times(supers.scale, streamed::two_scales<P.scale>(pair + P.scale_offset(), g));
    float2 second{}, mins{};
    if constexpr (!kOneRecord)
      second = times(supers.scale,
                     streamed::two_scales<P.scale>(pair + P.record_bytes() + P.scale_offset(), g));
    if constexpr (P.has_min)
      mins = times(supers.min, streamed::two_scales<P.scale>(pair + P.min_offset(), g));
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float dot = streamed::float_of(dots[2 * c]), next = streamed::float_of(dots[2 * c + 1]);
      const float scale_w = c == 0 ? scales.x : scales.y;
      if constexpr (kOneRecord) {
        sums[c] = fma(scale_w, scale * fma(ratio, next, dot), sums[c]);
      } else {
        sums[c] = fma(scale_w, scale * dot, sums[c]);
        sums[c] = fma(c == 0 ? second.x : second.y, scale * (ratio * next), sums[c]);
      }
      if constexpr (P.has_min)
        sums[c] = fma(P.super == 0 ? (c == 0 ? mins.x : mins.y) : -(c == 0 ? mins.x : mins.y), sum,
                      sums[c]);
    }
  }

  QN_DEVICE static float2 times(float2 super, float2 stored) {
    if constexpr (P.super == 0)
      return stored;
    else
      return {super.x * stored.x, super.y * stored.y};
  }

  /// Leaves the warp's sums in shared memory: [kTogether][kSumsStride].
  template <int kTogether> QN_DEVICE void hand_in(const Sums<kTogether> &sums) const {
    const int g = lane() / 4, t = lane() % 4;
    float *to = sums_ + warp() * kTogether * kShape.kSumsStride + 2 * g;
    if constexpr (kTogether <= 2) {
      float2 all{};
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float sum = sums.of[0][0][c];
        sum += __shfl_xor_sync(~0u, sum, 1);
        float other = kTogether == 1 ? __shfl_xor_sync(~0u, sum, 2) : sums.of[kTogether - 1][0][c];
        if constexpr (kTogether == 2)
          other += __shfl_xor_sync(~0u, other, 1);
        (c == 0 ? all.x : all.y) = sum + other;
      }
      if (t % (4 / kTogether) == 0)
        *reinterpret_cast<float2 *>(to + t / (4 / kTogether) * kShape.kSumsStride) = all;
    } else {
      constexpr int kOwnRows = Sums<kTogether>::kOwnRows;
#pragma unroll
      for (int m = 0; m < kOwnRows; ++m) {
        float2 all;
        all.x = (sums.of[0][m][0] + sums.of[1][m][0]) + (sums.of[2][m][0] + sums.of[3][m][0]);
        all.y = (sums.of[0][m][1] + sums.of[1][m][1]) + (sums.of[2][m][1] + sums.of[3][m][1]);
        *reinterpret_cast<float2 *>(to + (t * kOwnRows + m) * kShape.kSumsStride) = all;
      }
    }
  }

  Stream stream_;
  float *sums_; // [kWarps][kTogether][kSumsStride]
  u8 *held_;
  const u8 *rows_ = nullptr; // that are held
  Which which_{};
  int multiplied_ = 0;
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_STREAMEDQ8PRODUCT_CUH
