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
// or each group's for itself, where each has a scale;
// with scale_w and min_w rounded products, where there are super-scales.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STREAMEDQ8PRODUCT_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_STREAMEDQ8PRODUCT_CUH

#include "codegen/cuda/device/LatticePair.cuh"
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

/// Scales of channels 2g and 2g + 1 of group `group` of a run whose I6 scales lie at `at`.
QN_DEVICE float2 two_six_bits(const u8 *at, int group, int g) {
  const auto pair = [&](int row) { return u32{reinterpret_cast<const u16 *>(at + 16 * row)[g]}; };
  const u32 low = pair(group % 8) >> 4 * (group / 8) & 0x0f0fu;
  const u32 two = low | (pair(8 + group % 4) >> 2 * (group / 4) & 0x0303u) << 4;
  return {float_of_byte<0, false>(two) - 32.0f, float_of_byte<1, false>(two) - 32.0f};
}

/// Numbers 2g and 2g + 1 of an array of 16 scales.
template <Scale kScale> QN_DEVICE float2 two_scales(const u8 *at, int g) {
  if constexpr (kScale == Scale::F16) {
    const u32 two = reinterpret_cast<const u32 *>(at)[g];
    return {float_of_f16(static_cast<u16>(two)), float_of_f16(static_cast<u16>(two >> 16))};
  } else if constexpr (kScale == Scale::E8M0) {
    const u32 two = reinterpret_cast<const u16 *>(at)[g];
    return {__uint_as_float(formats::e8m0_bits(two & 255u)),
            __uint_as_float(formats::e8m0_bits(two >> 8))};
  } else if constexpr (kScale == Scale::E4M3) {
    const u32 two = reinterpret_cast<const u16 *>(at)[g];
    return {float_of_f16(formats::e4m3_as_f16(two)) * formats::kE4M3Unit,
            float_of_f16(formats::e4m3_as_f16(two >> 8)) * formats::kE4M3Unit};
  } else if constexpr (kScale == Scale::U4) {
    const u32 two = reinterpret_cast<const u16 *>(at)[g] & 0x0f0fu;
    return {float_of_byte<0, false>(two), float_of_byte<1, false>(two)};
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
  /// Whether both groups of a pair have one scale.
  static constexpr bool kOneScale = P.group == 32;
  static_assert(kShape.unit_head_bytes() == 0 || kStride == kShape.pair_bytes());
  /// Whether codes are nibbles, no more: masked, a code of the second group counts 16 times.
  static constexpr bool kNibbles = P.bits == 4 && P.codebook == formats::Codebook::None;
  static constexpr int kSecond = kNibbles ? 16 : 1;

  /// A lane's sums: of kRounds times 4 / kRounds pairs, two channels, and one or two rows. Computed
  /// together are 1, 2 or 8 rows.
  template <int kTogether> struct Sums {
    static constexpr int kOwnRows = kTogether == 8 ? 2 : 1;
    static constexpr int kRounds = kTogether == 8 ? 4 : kTogether;
    float of[kRounds][kOwnRows][2] = {};
  };
  /// The super-scales of the lane's channels, times a lattice's unit; where the scales in front of
  /// a unit lie.
  struct Supers {
    float2 scale, min;
    const u8 *run_scales;
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
      if constexpr (P.is_lattice())
        supers.scale = times({P.lattice().unit, P.lattice().unit}, supers.scale);
      supers.run_scales = at + P.run_scale_offset();
    }
  }

  template <int kCount, int kTogether, class Row>
  QN_DEVICE static void add_unit(const u8 *records, int unit, Row row, const Supers &supers,
                                 Sums<kTogether> &sums) {
    // Of a lattice, places of eight pairs on their way would be more than there are registers.
#pragma unroll(P.is_lattice() ? 1 : 2)
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
        read_codes(records + pair * kStride, first + pair, weights);
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
          add_pair(records + pair * kStride, first + pair, numbers[m], of_row, supers,
                   sums.of[pair][m]);
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
          read_codes(records + (from + pair) * kStride, first + from + pair, weights);
          const u32 own = kAtOnce == 1 || pair == own_pair ? word : 0;
          mma_u8_s8(dots, weights, {group == 0 ? own : 0, group == 0 ? 0 : own});
        }
        if (has_sum)
          add_pair(records + (from + sum_pair) * kStride, first + from + sum_pair, numbers, dots,
                   supers, sums.of[round][0]);
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

  /// The lane's codes of a pair, the panel's `index`th, as mma has them: of its two channels in the
  /// first group, then in the second. Its inputs are rows t and t + 4 of the record.
  QN_DEVICE static void read_codes(const u8 *pair, int index, u32 (&a)[4]) {
    const int t = lane() % 4;
    const auto stored = [&](int row) {
      return *reinterpret_cast<const uint2 *>(pair + 64 * row + 8 * (lane() / 4));
    };
    if constexpr (P.layout == formats::CodeLayout::Trits) {
      // They are in front of the unit's records, which are empty.
#pragma unroll
      for (int group = 0; group < 2; ++group) {
        const int row = index % kUnitPairs * 8 + 4 * group + t;
        const uint2 both = *reinterpret_cast<const uint2 *>(
            pair - P.run_code_bytes() + 64 * (row % formats::kTritRows) + 8 * (lane() / 4));
        a[2 * group] = packed::trits(both.x, row / formats::kTritRows);
        a[2 * group + 1] = packed::trits(both.y, row / formats::kTritRows);
      }
    } else if constexpr (P.is_lattice()) {
      const LatticePair<P> of{pair, lane() / 4};
      of.codes(t, a[0], a[1]);
      of.codes(t + 4, a[2], a[3]);
    } else if constexpr (kNibbles) {
      const uint2 both = stored(t);
      a[0] = both.x & 0x0f0f0f0fu;
      a[1] = both.y & 0x0f0f0f0fu;
      a[2] = both.x & 0xf0f0f0f0u;
      a[3] = both.y & 0xf0f0f0f0u;
    } else if constexpr (P.bits == 8) {
      const uint2 first = stored(t), second = stored(t + 4);
      a[0] = first.x;
      a[1] = first.y;
      a[2] = second.x;
      a[3] = second.y;
    } else {
      // A plane of 4 bits has both rows in one byte, one of 2 or 1 four bits apart too.
      constexpr int kLow = P.low_bits(), kHigh = P.high_bits();
      constexpr u32 kLowMask = 0x01010101u * ((1u << kLow) - 1u);
      const uint2 low = stored(t % kLow);
      const int shift = t / kLow * kLow;
      a[0] = low.x >> shift & kLowMask;
      a[1] = low.y >> shift & kLowMask;
      a[2] = low.x >> (shift + 4) & kLowMask;
      a[3] = low.y >> (shift + 4) & kLowMask;
      if constexpr (kHigh != 0) {
        constexpr u32 kHighMask = 0x01010101u * ((1u << kHigh) - 1u);
        const uint2 high = stored(kLow + t % kHigh);
        const int by = t / kHigh * kHigh;
        a[0] |= (high.x >> by & kHighMask) << kLow;
        a[1] |= (high.y >> by & kHighMask) << kLow;
        a[2] |= (high.x >> (by + 4) & kHighMask) << kLow;
        a[3] |= (high.y >> (by + 4) & kHighMask) << kLow;
      }
#pragma unroll
      for (u32 &four : a)
        four = packed::look_up<P.codebook>(four);
    }
  }

  /// The scales of the lane's channels in group `group` of a pair, which is the panel's `index`th.
  QN_DEVICE static float2 scales_of(const u8 *pair, int index, int group, const Supers &supers) {
    const int g = lane() / 4;
    if constexpr (P.scale == Scale::None)
      return supers.scale;
    else if constexpr (P.scale == Scale::Odd)
      return times(supers.scale, LatticePair<P>{pair, g}.scales(
                                     supers.run_scales, index % kUnitPairs * P.groups() + group));
    else if constexpr (P.scale == Scale::I6)
      return times(
          supers.scale,
          streamed::two_six_bits(supers.run_scales, index % kUnitPairs * P.groups() + group, g));
    else
      return times(supers.scale, streamed::two_scales<P.scale>(
                                     pair + P.scale_offset() + group * P.group_bytes(), g));
  }
  /// Their mins; of two levels, what is to be taken off.
  QN_DEVICE static float2 mins_of(const u8 *pair, int group, const Supers &supers) {
    const int g = lane() / 4;
    const u8 *at = pair + P.min_offset() + group * P.group_bytes();
    if constexpr (P.scale == Scale::None) {
      return supers.min;
    } else if constexpr (P.mins_beside_scales()) {
      const u32 two = reinterpret_cast<const u16 *>(at)[g] >> 4 & 0x0f0fu;
      return times(supers.min, {streamed::float_of_byte<0, false>(two),
                                streamed::float_of_byte<1, false>(two)});
    } else {
      return times(supers.min, streamed::two_scales<P.scale>(at, g));
    }
  }

  /// Adds a pair, the `index`th of the panel, of which `dots` are the first channel's two sums and
  /// the second's.
  QN_DEVICE static void add_pair(const u8 *pair, int index, const float4 &numbers,
                                 const int (&dots)[4], const Supers &supers, float (&sums)[2]) {
    const float scale = numbers.x, ratio = numbers.y * (1.0f / kSecond);
    // What mins are multiplied with: the pair's sum, or each group's.
    float of_groups[2] = {numbers.z, 0};
    if constexpr (P.has_min && !kOneScale) {
      const int code_sums = __float_as_int(numbers.w);
      of_groups[0] = scale * static_cast<float>(code_sums << 16 >> 16);
      of_groups[1] = scale * (numbers.y * static_cast<float>(code_sums >> 16));
    }
    const float2 scales = scales_of(pair, index, 0, supers);
    float2 second{}, mins[2] = {};
    if constexpr (!kOneScale)
      second = scales_of(pair, index, 1, supers);
    if constexpr (P.has_min)
#pragma unroll
      for (int group = 0; group < P.groups(); ++group)
        mins[group] = mins_of(pair, group, supers);
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float dot = streamed::float_of(dots[2 * c]), next = streamed::float_of(dots[2 * c + 1]);
      const float scale_w = c == 0 ? scales.x : scales.y;
      if constexpr (kOneScale) {
        sums[c] = fma(scale_w, scale * fma(ratio, next, dot), sums[c]);
      } else {
        sums[c] = fma(scale_w, scale * dot, sums[c]);
        sums[c] = fma(c == 0 ? second.x : second.y, scale * (ratio * next), sums[c]);
      }
      if constexpr (P.has_min)
#pragma unroll
        for (int group = 0; group < P.groups(); ++group) {
          const float min = c == 0 ? mins[group].x : mins[group].y;
          sums[c] = fma(P.super == 0 ? min : -min, of_groups[group], sums[c]);
        }
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
