// Matrix products in plain form: a panel of 16 output channels times some rows, by a block.
//
// A product leaves a tile in shared memory, which the kernel's epilogue reads. It says
//   kRows, kPanels   the most rows, and the panels of 16 columns, of a tile
//   kScratch         bytes of shared memory that it needs besides
//   kRowBytes        from one row of activations to the next
//   kPanelBytes      from one panel to the next
//   multiply<kStride>(panel, x, height, tile, scratch)
//                    writes tile[m * kStride + column] for `height` rows; called by all threads of
//                    a block, which have met before where someone else still used the tile; when it
//                    returns the tile can be read
// A tile's numbers depend on its row and on the weights alone, whatever the other rows are and how
// many: inputs are dealt to the block's 16 slices by number, a slice adds up its own in order, and
// slices are added up in a fixed tree.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_PLAINPRODUCTS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_PLAINPRODUCTS_CUH

#include "codegen/cuda/device/Packings.cuh"
#include "codegen/cuda/device/Quantize.cuh"

namespace quern {

namespace plain {

/// A block's threads are slices of the inputs by lanes of the panel.
inline constexpr int kSlices = kThreads / kLanes;

/// Adds the slices' sums up, for each row and lane, into the tile. `parts`: [kWarps][kRows][16].
template <int kStride, int kRows>
QN_DEVICE void add_slices(float (&sums)[kRows], int height, float *parts, float *tile) {
  const int channel = thread() % kLanes;
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    if (m >= height)
      break;
    const float two = sums[m] + __shfl_xor_sync(~0u, sums[m], kLanes);
    if (lane() < kLanes)
      parts[(warp() * kRows + m) * kLanes + channel] = two;
  }
  __syncthreads();
  for (int i = thread(); i < height * kLanes; i += kThreads) {
    float sum = parts[i];
    for (int w = 1; w < kWarps; ++w)
      sum += parts[w * kRows * kLanes + i];
    tile[i / kLanes * kStride + i % kLanes] = sum;
  }
  __syncthreads();
}

/// Unsigned codes times signed ones, four of each.
QN_DEVICE int dot4(u32 weights, u32 activations, int sum) {
  int result;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(weights), "r"(activations), "r"(sum));
  return result;
}

} // namespace plain

/// Float weights by float activations, in float32.
template <Packing P, int kInputs, int kMostRows> struct PlainFloatProduct {
  static constexpr int kRows = kMostRows, kPanels = 1;
  static constexpr int kScratch = kWarps * kRows * kLanes * 4;
  static constexpr i64 kRowBytes = kInputs * 4;
  static constexpr i64 kPanelBytes = P.panel_bytes(kInputs);

  template <int kStride>
  QN_DEVICE static void multiply(const u8 *panel, const u8 *x, int height, float *tile,
                                 u8 *scratch) {
    const float *rows = reinterpret_cast<const float *>(x);
    float sums[kRows] = {};
    const int channel = thread() % kLanes;
    for (int k = thread() / kLanes; k < kInputs; k += plain::kSlices) {
      const float w = packed::element<P>(panel, k, channel);
#pragma unroll
      for (int m = 0; m < kRows; ++m) {
        if (m >= height)
          break;
        sums[m] = fma(w, rows[m * kInputs + k], sums[m]);
      }
    }
    plain::add_slices<kStride>(sums, height, reinterpret_cast<float *>(scratch), tile);
  }
};

/// Quantized weights by activations of int8, exact in integers over a pair of groups, then as
/// codegen/cpu/microkernels/Microkernels.h has it: dots = dot_0 + ratio * dot_1, sums of
/// scale_w * (scale * dots) and of min_w * sum.
template <Packing P, int kInputs, int kMostRows> struct PlainQ8Product {
  static constexpr int kRows = kMostRows, kPanels = 1;
  static constexpr int kScratch = kWarps * kRows * kLanes * 4;
  static constexpr i64 kRowBytes = q8_row_bytes(kInputs);
  static constexpr i64 kPanelBytes = P.panel_bytes(kInputs);

  template <int kStride>
  QN_DEVICE static void multiply(const u8 *panel, const u8 *x, int height, float *tile,
                                 u8 *scratch) {
    float sums[kRows] = {};
    const int channel = thread() % kLanes;
    for (int pair = thread() / kLanes; pair < kPairs; pair += plain::kSlices)
      add_pair(panel, pair, channel, x, height, sums);
    plain::add_slices<kStride>(sums, height, reinterpret_cast<float *>(scratch), tile);
  }

private:
  static constexpr int kPadded = (kInputs + 31) / 32 * 32, kPairs = kPadded / 32;
  /// Whether both groups of a pair are in one record.
  static constexpr bool kOneRecord = P.group == 32;
  /// A zero point is taken off as a min is, -zero_point * scale_w for each activation, where codes
  /// are no larger than it; else in the integers.
  static constexpr bool kZeroAsMin = P.zero_point != 0 && P.zero_point != 128 && kOneRecord;
  static constexpr bool kZeroInDots = P.zero_point != 0 && !kZeroAsMin;
  static_assert(kOneRecord || !P.has_min, "a pair's sum is of one record");

  QN_DEVICE static void add_pair(const u8 *panel, int pair, int channel, const u8 *x, int height,
                                 float (&sums)[kRows]) {
    u32 codes[2][4];
    float scales[2];
#pragma unroll
    for (int group = 0; group < 2; ++group) {
      const int index = kOneRecord ? pair : 2 * pair + group;
      const u8 *record = panel + P.record_at(index);
#pragma unroll
      for (int row = 0; row < 4; ++row)
        codes[group][row] = packed::codes<P>(record, kOneRecord ? 4 * group + row : row, channel);
      if (group == 0 || !kOneRecord)
        scales[group] = packed::scale<P>(panel, index, channel);
    }
    float min = 0.0f;
    if constexpr (kZeroAsMin)
      min = scales[0] * static_cast<float>(-P.zero_point);
    else if constexpr (P.has_min)
      min = packed::min<P>(panel, pair, channel);
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      if (m >= height)
        break;
      const u8 *row = x + m * kRowBytes;
      const uint4 words[2] = {*reinterpret_cast<const uint4 *>(row + 32 * pair),
                              *reinterpret_cast<const uint4 *>(row + 32 * pair + 16)};
      const float4 numbers = *reinterpret_cast<const float4 *>(row + kPadded + 16 * pair);
      const float scale = numbers.x, ratio = numbers.y, sum = numbers.z;
      float dots[2];
#pragma unroll
      for (int group = 0; group < 2; ++group) {
        int dot = 0;
        if constexpr (kZeroInDots) {
          const int code_sums = __float_as_int(numbers.w);
          dot = -P.zero_point * (group == 0 ? code_sums << 16 >> 16 : code_sums >> 16);
        }
        dot = plain::dot4(codes[group][0], words[group].x, dot);
        dot = plain::dot4(codes[group][1], words[group].y, dot);
        dot = plain::dot4(codes[group][2], words[group].z, dot);
        dot = plain::dot4(codes[group][3], words[group].w, dot);
        dots[group] = static_cast<float>(dot);
      }
      if constexpr (kOneRecord) {
        sums[m] = fma(scales[0], scale * fma(ratio, dots[1], dots[0]), sums[m]);
        if constexpr (kZeroAsMin || P.has_min)
          sums[m] = fma(min, sum, sums[m]);
      } else {
        sums[m] = fma(scales[0], scale * dots[0], sums[m]);
        sums[m] = fma(scales[1], scale * (ratio * dots[1]), sums[m]);
      }
    }
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_PLAINPRODUCTS_CUH
