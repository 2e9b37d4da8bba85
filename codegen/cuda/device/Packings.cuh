// Packed weights as kernels read them: ir/formats/PackingLayout.h says how they lie.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH

#include "codegen/cuda/device/Base.cuh"
#include "ir/formats/PackingLayout.h"

namespace quern {

using formats::Packing;
using Scale = formats::ScaleType;
using formats::kWholeRow;

inline constexpr Packing kF32{.kind = Packing::F32};
inline constexpr Packing kF16{.kind = Packing::F16};
inline constexpr Packing kBf16{.kind = Packing::BF16};
/// A quantized one, as generated code names it.
constexpr Packing packing(int bits, int group, int zero_point, bool has_min, Scale scale,
                          int super) {
  return formats::quant_packing(bits, group, zero_point, has_min, scale, super);
}

/// Output channels of a panel.
inline constexpr int kLanes = formats::kPanelLanes;

namespace packed {

/// Number `index` of an array of scales.
template <Scale kScale> QN_DEVICE float number(const u8 *at, int index) {
  if constexpr (kScale == Scale::F16)
    return float_of_f16(__ldg(reinterpret_cast<const u16 *>(at) + index));
  else if constexpr (kScale == Scale::F32)
    return __ldg(reinterpret_cast<const float *>(at) + index);
  else if constexpr (kScale == Scale::U8)
    return static_cast<float>(__ldg(at + index));
  else
    return static_cast<float>(__ldg(reinterpret_cast<const i8 *>(at) + index));
}

/// Four codes of channel `lane`, of inputs [4 * row, 4 * row + 4) of a record.
template <Packing P> QN_DEVICE u32 codes(const u8 *record, int row, int lane) {
  constexpr int kStoredRows = P.code_bytes() / 64;
  const u32 word = __ldg(reinterpret_cast<const u32 *>(record + 64 * (row % kStoredRows)) + lane);
  if constexpr (P.bits == 8)
    return word;
  else
    return (row < kStoredRows ? word : word >> 4) & 0x0f0f0f0fu;
}

/// As formats::packed_scale and packed_min.
template <Packing P> QN_DEVICE float scale(const u8 *panel, int index, int lane) {
  const float of_record = number<P.scale>(panel + P.record_at(index) + P.scale_offset(), lane);
  if constexpr (P.super == 0)
    return of_record;
  else
    return number<P.super_type()>(panel + P.super_at(index), lane) * of_record;
}
template <Packing P> QN_DEVICE float min(const u8 *panel, int index, int lane) {
  const float of_record = number<P.scale>(panel + P.record_at(index) + P.min_offset(), lane);
  if constexpr (P.super == 0)
    return of_record;
  else
    return -(number<P.super_type()>(panel + P.super_at(index) + P.super_min_offset(), lane) *
             of_record);
}

/// An element of a float packing's panel.
template <Packing P> QN_DEVICE float element(const u8 *panel, int input, int lane) {
  const int at = input * kLanes + lane;
  if constexpr (P.kind == Packing::F32)
    return __ldg(reinterpret_cast<const float *>(panel) + at);
  const u16 bits = __ldg(reinterpret_cast<const u16 *>(panel) + at);
  return P.kind == Packing::F16 ? float_of_f16(bits) : float_of_bf16(bits);
}

} // namespace packed

/// A weight, by channel and input, as formats::decode_packed_row gives it.
template <Packing P, int kInputs>
QN_DEVICE float decoded(const u8 *weights, int channel, int input) {
  const u8 *panel = weights + static_cast<i64>(channel / kLanes) * P.panel_bytes(kInputs);
  const int lane = channel % kLanes;
  if constexpr (P.is_float()) {
    return packed::element<P>(panel, input, lane);
  } else {
    const int index = input / P.group, within = input % P.group;
    const u32 four = packed::codes<P>(panel + P.record_at(index), within / 4, lane);
    const int code = static_cast<int>(four >> 8 * (within % 4) & 255u) - P.zero_point;
    const float value = packed::scale<P>(panel, index, lane) * static_cast<float>(code);
    if constexpr (P.has_min)
      return value + packed::min<P>(panel, index, lane);
    return value;
  }
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH
