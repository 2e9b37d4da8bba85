// How a packed weight lies in memory: the arithmetic alone, freestanding, for kernels and the
// compiler alike.
//
// A weight of N output channels by K inputs is cut into panels of 16 channels (N padded with zero
// channels).
//
// Float packings (f32, f16, bf16): a panel holds, for k = 0..K-1, the 16 elements w[16*p + lane][k]
// in a row.
//
// Quantized packings: K is padded to a multiple of 32. A panel is a run of records, one for each
// group of `group` inputs: [codes][16 scales][16 mins, if has_min], and a weight's value is
//     scale * (code - zero_point) [+ min]          in float32, each operation rounded on its own.
//   8 bits: group/4 rows of 64 bytes; byte 4*lane + i of row r is the code of input 4*r + i.
//   4 bits: group/8 rows of 64 bytes; the low nibbles of row r are the 8-bit row r, the high
//           nibbles the 8-bit row r + group/8.
// Padding inputs have code zero_point; with a min they still weigh `min`, so activations must be
// zero there.
//
// Scales may be of two levels: a record's are then bytes (signed if there is no min), and each run
// of `super` inputs, or the whole panel, begins with its 16 super-scales [and 16 super-mins]:
//     scale = super_scale * byte        min = -(super_min * byte)
// rounded to float32, which they need not be where the super-scales are f16.
// Records are contiguous but for these, panels are contiguous.
#ifndef QUERN_IR_FORMATS_PACKINGLAYOUT_H
#define QUERN_IR_FORMATS_PACKINGLAYOUT_H

#include "ir/formats/Half.h"

#include <stdint.h>

namespace quern::formats {

/// Output channels in a panel.
inline constexpr int kPanelLanes = 16;
/// K is padded to a multiple of this in quantized packings.
inline constexpr int kPackedInputs = 32;

/// The type of a record's scales and mins. The bytes are factors of super-scales.
enum class ScaleType : uint8_t { F16, F32, U8, I8 };

constexpr int scale_bytes(ScaleType type) {
  return type == ScaleType::F16 ? 2 : type == ScaleType::F32 ? 4 : 1;
}

/// `super` of a packing whose super-scales are of whole rows.
inline constexpr int kWholeRow = -1;

/// A packing. The fields after `kind` say something for Kind::Q only and keep their defaults
/// otherwise.
struct Packing {
  enum Kind : uint8_t { F32, F16, BF16, Q };

  Kind kind = F32;
  int bits = 0;       ///< 4 or 8
  int group = 0;      ///< inputs a record: 16 or 32
  int zero_point = 0; ///< the code that means 0 (before `min`)
  bool has_min = false;
  ScaleType scale = ScaleType::F16;
  int super = 0; ///< inputs that share super-scales, a multiple of 32, or kWholeRow; 0: no such

  constexpr bool operator==(const Packing &) const = default;

  constexpr bool is_float() const { return kind != Q; }
  /// Bytes of an element of a float packing.
  constexpr int element_bytes() const { return kind == F32 ? 4 : 2; }

  /// Offsets inside a record, and its size.
  constexpr int code_bytes() const { return kPanelLanes * group * bits / 8; }
  constexpr int scale_offset() const { return code_bytes(); }
  constexpr int min_offset() const { return code_bytes() + kPanelLanes * scale_bytes(scale); }
  constexpr int record_bytes() const {
    return code_bytes() + (has_min ? 2 : 1) * kPanelLanes * scale_bytes(scale);
  }

  /// The type of super-scales: a row's are few, so they may be float32.
  constexpr ScaleType super_type() const {
    return super == kWholeRow ? ScaleType::F32 : ScaleType::F16;
  }
  constexpr int super_min_offset() const { return kPanelLanes * scale_bytes(super_type()); }
  /// Bytes of the super-scales (and super-mins) in front of a run of records.
  constexpr int super_bytes() const {
    return super == 0 ? 0 : (has_min ? 2 : 1) * kPanelLanes * scale_bytes(super_type());
  }
  /// Runs of inputs that share super-scales.
  constexpr int64_t supers(int64_t inputs) const {
    return super == 0 ? 0 : super == kWholeRow ? 1 : (padded_inputs(inputs) + super - 1) / super;
  }
  /// Where in a panel the super-scales of record `index` lie.
  constexpr int64_t super_at(int64_t index) const {
    return super > 0 ? index * group / super * (super_bytes() + super / group * record_bytes()) : 0;
  }
  /// Where in a panel record `index` lies.
  constexpr int64_t record_at(int64_t index) const {
    const int64_t runs = super > 0 ? index * group / super + 1 : 1;
    return index * record_bytes() + runs * super_bytes();
  }

  /// K as stored: padded for quantized packings.
  constexpr int64_t padded_inputs(int64_t inputs) const {
    return is_float() ? inputs : (inputs + kPackedInputs - 1) / kPackedInputs * kPackedInputs;
  }
  constexpr int64_t records(int64_t inputs) const {
    return is_float() ? 0 : padded_inputs(inputs) / group;
  }
  static constexpr int64_t panels(int64_t channels) {
    return (channels + kPanelLanes - 1) / kPanelLanes;
  }
  constexpr int64_t panel_bytes(int64_t inputs) const {
    return is_float() ? inputs * kPanelLanes * element_bytes()
                      : records(inputs) * record_bytes() + supers(inputs) * super_bytes();
  }
  /// Bytes of a packed weight of `channels` outputs by `inputs` inputs.
  constexpr int64_t bytes(int64_t channels, int64_t inputs) const {
    return panels(channels) * panel_bytes(inputs);
  }
};

/// A packing of kind Q.
constexpr Packing quant_packing(int bits, int group, int zero_point, bool has_min, ScaleType scale,
                                int super = 0) {
  return {.kind = Packing::Q,
          .bits = bits,
          .group = group,
          .zero_point = zero_point,
          .has_min = has_min,
          .scale = scale,
          .super = super};
}

namespace detail {
inline uint16_t load_u16(const uint8_t *at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
inline float load_f32(const uint8_t *at) {
  return __builtin_bit_cast(float, uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 |
                                       uint32_t{at[3]} << 24);
}
inline float load_scale(ScaleType type, const uint8_t *at, int lane) {
  switch (type) {
  case ScaleType::F16:
    return f16_to_f32(load_u16(at + 2 * lane));
  case ScaleType::F32:
    return load_f32(at + 4 * lane);
  case ScaleType::U8:
    return static_cast<float>(at[lane]);
  case ScaleType::I8:
    return static_cast<float>(static_cast<int8_t>(at[lane]));
  }
  return 0;
}
} // namespace detail

/// The code of input `k` (0..group-1) of channel `lane` in a record.
inline int packed_code(const Packing &packing, const uint8_t *record, int lane, int k) {
  const int row = k / 4;
  const int column = 4 * lane + k % 4;
  if (packing.bits == 8)
    return record[64 * row + column];
  const int rows = packing.group / 8;
  return row < rows ? record[64 * row + column] & 15 : record[64 * (row - rows) + column] >> 4;
}

/// The scale of record `index` of a panel, for channel `lane`.
inline float packed_scale(const Packing &packing, const uint8_t *panel, int64_t index, int lane) {
  const float scale = detail::load_scale(
      packing.scale, panel + packing.record_at(index) + packing.scale_offset(), lane);
  if (packing.super == 0)
    return scale;
  return detail::load_scale(packing.super_type(), panel + packing.super_at(index), lane) * scale;
}

/// Its min, 0 if the packing has none.
inline float packed_min(const Packing &packing, const uint8_t *panel, int64_t index, int lane) {
  if (!packing.has_min)
    return 0;
  const float min = detail::load_scale(
      packing.scale, panel + packing.record_at(index) + packing.min_offset(), lane);
  if (packing.super == 0)
    return min;
  const uint8_t *super = panel + packing.super_at(index) + packing.super_min_offset();
  return -(detail::load_scale(packing.super_type(), super, lane) * min);
}

/// Writes the `inputs` weights of channel `lane` of the panel at `panel` to `out`, as float32. It
/// is how an embedding tied with the output projection looks up a row, and what the tests unpack
/// with.
inline void decode_packed_row(const Packing &packing, const void *panel, int lane, int64_t inputs,
                              float *out) {
  const auto *bytes = static_cast<const uint8_t *>(panel);
  if (packing.is_float()) {
    for (int64_t k = 0; k < inputs; ++k) {
      const uint8_t *at = bytes + (k * kPanelLanes + lane) * packing.element_bytes();
      out[k] = packing.kind == Packing::F32   ? detail::load_f32(at)
               : packing.kind == Packing::F16 ? f16_to_f32(detail::load_u16(at))
                                              : bf16_to_f32(detail::load_u16(at));
    }
    return;
  }
  for (int64_t index = 0, first = 0; first < inputs; ++index, first += packing.group) {
    const uint8_t *record = bytes + packing.record_at(index);
    const float scale = packed_scale(packing, bytes, index, lane);
    const float min = packed_min(packing, bytes, index, lane);
    for (int k = 0; k < packing.group && first + k < inputs; ++k) {
      const int code = packed_code(packing, record, lane, k);
      const float value = scale * static_cast<float>(code - packing.zero_point);
      out[first + k] = packing.has_min ? value + min : value;
    }
  }
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_PACKINGLAYOUT_H
