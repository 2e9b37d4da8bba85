// How a packed weight lies in memory: the arithmetic alone, freestanding, for kernels and the
// compiler alike.
//
// A weight of N output channels by K inputs is cut into panels of 16 channels (N padded with zero
// channels).
//
// Float packings (f32, f16, bf16): a panel holds, for k = 0..K-1, the 16 elements w[16*p + lane][k]
// in a row.
//
// Quantized packings: K is padded to a multiple of 32. A panel is a run of records, one for each 32
// inputs, which are one group of 32 or two of 16: [codes][16 scales of each group][16 mins of
// each], and a weight's value is
//     scale * (code - zero_point) [+ min]          in float32, each operation rounded on its own.
//
// Codes lie in rows of 64 bytes, 16 channels by 4 inputs: byte 4*lane + i of row r is the code of
// input 4*r + i. A record has eight such rows of bytes. Codes of fewer bits are split into planes:
// the lowest 4, 2 or 1 bits of all eight rows, then what is left of them, 2 bits or 1.
//     bits     8    6      5      4    3      2    1
//     planes   8    4+2    4+1    4    2+1    2    1
// A plane of w bits is w rows of 64 bytes: stored row s has row s in its lowest w bits, row s + w
// in the next ones, row s + 2*w above them. So a shift, the same for all bytes, and a mask give a
// row. What is stored may be the index of a code in a codebook of 16 instead. Or codes are trits,
// five of them a byte, and lie in front of a run of 256 inputs, or points of a lattice
// (CodeLayout). Padding inputs have the code zero_point, where there is one; with a min they still
// weigh `min`, so activations must be zero there.
//
// Scales may be of two levels: a record's are then small integers, and each run of `super` inputs,
// or the whole panel, begins with its 16 super-scales [and 16 super-mins]:
//     scale = super_scale * byte        min = -(super_min * byte)
// rounded to float32, which they need not be where the super-scales are f16. Of some packings the
// super-scale (and -super_min) is all there is, and of some the integers of a run lie behind its
// super-scales (ScaleType). Records are contiguous but for these, panels are contiguous.
#ifndef QUERN_IR_FORMATS_PACKINGLAYOUT_H
#define QUERN_IR_FORMATS_PACKINGLAYOUT_H

#include "ir/formats/Codebook.h"
#include "ir/formats/Half.h"

#include <stdint.h>

namespace quern::formats {

/// Output channels in a panel.
inline constexpr int kPanelLanes = 16;
/// K is padded to a multiple of this in quantized packings.
inline constexpr int kPackedInputs = 32;

/// Inputs of a record: those that a pair of activation groups has.
inline constexpr int kRecordInputs = 32;

/// The type of a record's scales and mins.
enum class ScaleType : uint8_t {
  F16,
  F32,
  U8,   ///< of two levels: 0..255
  I8,   ///< of two levels: -128..127; no mins
  E8M0, ///< 2^(byte - 128); no mins
  U4,   ///< of two levels: a byte of each channel has its scale, and above it its min, 0..15
  I6,   ///< of two levels: -32..31, those of a run of 256 inputs (kSixBitBytes); no mins
  None, ///< the super-scale is the scale, and -super_min the min
  E4M3, ///< half of what a float of 8 bits without a sign is, of bias 7; no mins
  Odd,  ///< of two levels: a lattice's unit times odd numbers (Codebook.h); no mins
};

/// Bytes that scales, and as many again that mins, of one group take of a channel in a record.
constexpr int scale_bytes(ScaleType type) {
  switch (type) {
  case ScaleType::F16:
    return 2;
  case ScaleType::F32:
    return 4;
  case ScaleType::U8:
  case ScaleType::I8:
  case ScaleType::E8M0:
  case ScaleType::U4:
  case ScaleType::E4M3:
    return 1;
  case ScaleType::I6:
  case ScaleType::None:
  case ScaleType::Odd:
    return 0;
  }
  return 0;
}

/// What the I6 scales of a run take, behind its super-scales: 8 rows of 16 bytes, a byte a channel,
/// whose low nibbles are the low four bits of groups 0 to 7 and whose high ones those of groups 8
/// to 15; then 4 rows, row i with the two high bits of groups i, 4 + i, 8 + i and 12 + i. 32 is to
/// be taken off.
inline constexpr int kSixBitBytes = 12 * kPanelLanes;

/// How codes are stored.
enum class CodeLayout : uint8_t {
  Planes, ///< as planes of a record's rows
  /// Digits to base 3: a byte is a fraction of 256, which tripled moves its next digit over the
  /// point. Those of a run of 256 inputs are 13 rows of 64 bytes behind its super-scales: row r of
  /// the run's 64 is digit r / 13 of row r % 13.
  Trits,
  Lattice, ///< as points of a codebook that is a lattice, records as Codebook.h has them
};
inline constexpr int kTritRows = 13, kTritsOfByte = 5;
/// The digit that tripling a fraction moves over the point, and what is left.
constexpr uint32_t first_digit(uint32_t fraction) { return fraction * 3 >> 8; }
constexpr uint32_t next_fraction(uint32_t fraction) { return fraction * 3 & 255u; }

/// `super` of a packing whose super-scales are of whole rows.
inline constexpr int kWholeRow = -1;

/// A packing. The fields after `kind` say something for Kind::Q only and keep their defaults
/// otherwise.
struct Packing {
  enum Kind : uint8_t { F32, F16, BF16, Q };

  Kind kind = F32;
  int bits = 0;       ///< of a stored code: 1 to 6, or 8; 2 of trits, of a lattice's codes 8
  int group = 0;      ///< inputs that share a scale: 16 or 32
  int zero_point = 0; ///< the code that means 0 (before `min`)
  bool has_min = false;
  ScaleType scale = ScaleType::F16;
  int super = 0; ///< inputs that share super-scales, a multiple of 32, or kWholeRow; 0: no such
  Codebook codebook = Codebook::None;
  CodeLayout layout = CodeLayout::Planes;

  constexpr bool operator==(const Packing &) const = default;

  constexpr bool is_float() const { return kind != Q; }
  constexpr bool is_lattice() const { return layout == CodeLayout::Lattice; }
  constexpr Lattice lattice() const { return lattice_of(codebook); }
  /// Bytes of an element of a float packing.
  constexpr int element_bytes() const { return kind == F32 ? 4 : 2; }

  /// The bits of the planes.
  constexpr int low_bits() const { return bits == 8 ? 8 : bits >= 4 ? 4 : bits >= 2 ? 2 : 1; }
  constexpr int high_bits() const { return bits - low_bits(); }
  constexpr int stored_codes() const { return layout == CodeLayout::Trits ? 3 : 1 << bits; }
  /// The code that stored bits stand for, and the largest there is.
  constexpr int code_of(int stored) const {
    return codebook == Codebook::None || is_lattice() ? stored
                                                      : codebook_table(codebook).codes[stored];
  }
  constexpr int max_code() const {
    if (is_lattice())
      return lattice().is_ternary() ? 2 * zero_point : zero_point + lattice().largest_magnitude();
    int most = 0;
    for (int stored = 0; stored < stored_codes(); ++stored)
      most = code_of(stored) > most ? code_of(stored) : most;
    return most;
  }
  /// What is stored where there is nothing: the zero point, or as near to it as there is a code.
  constexpr int stored_zero() const {
    return codebook == Codebook::None || is_lattice() ? zero_point
           : codebook == Codebook::IQ4                ? 8
                                                      : 0;
  }

  /// Groups of a record, offsets inside it, and its size.
  constexpr int groups() const { return kRecordInputs / group; }
  constexpr int code_bytes() const {
    switch (layout) {
    case CodeLayout::Planes:
      return kPanelLanes * kRecordInputs * bits / 8;
    case CodeLayout::Trits:
      return 0;
    case CodeLayout::Lattice:
      return lattice().record_bytes();
    }
    return 0;
  }
  /// Bytes of the codes that lie in front of a run, behind its super-scales, and their place there.
  constexpr int run_code_bytes() const { return layout == CodeLayout::Trits ? 64 * kTritRows : 0; }
  constexpr int run_code_offset() const { return super_min_offset(); }
  constexpr int scale_offset() const { return code_bytes(); }
  /// From the scales, or mins, of a group to those of the next.
  constexpr int group_bytes() const { return kPanelLanes * scale_bytes(scale); }
  constexpr bool mins_beside_scales() const { return scale == ScaleType::U4; }
  constexpr int min_offset() const {
    return code_bytes() + (mins_beside_scales() ? 0 : groups() * group_bytes());
  }
  constexpr int record_bytes() const {
    return code_bytes() + (has_min && !mins_beside_scales() ? 2 : 1) * groups() * group_bytes();
  }

  /// The type of super-scales: those of GGUF's runs of 256 are f16; a row's are few, and others
  /// come from checkpoints, whose scales may be of any float type.
  constexpr ScaleType super_type() const { return super == 256 ? ScaleType::F16 : ScaleType::F32; }
  constexpr int super_min_offset() const { return kPanelLanes * scale_bytes(super_type()); }
  /// Where in front of a run its scales lie, and their bytes, if they lie there: I6 and Odd ones.
  constexpr int run_scale_offset() const { return super_min_offset(); }
  constexpr int run_scale_bytes() const {
    return scale == ScaleType::I6    ? kSixBitBytes
           : scale == ScaleType::Odd ? lattice().run_bytes(super / group)
                                     : 0;
  }
  /// Bytes in front of a run of records: super-scales, super-mins, scales, codes.
  constexpr int super_bytes() const {
    return super == 0 ? 0
                      : (has_min ? 2 : 1) * kPanelLanes * scale_bytes(super_type()) +
                            run_scale_bytes() + run_code_bytes();
  }
  /// Runs of inputs that share super-scales.
  constexpr int64_t supers(int64_t inputs) const {
    return super == 0 ? 0 : super == kWholeRow ? 1 : (padded_inputs(inputs) + super - 1) / super;
  }
  /// Where in a panel the super-scales of record `index` lie.
  constexpr int64_t super_at(int64_t index) const {
    return super > 0 ? index * kRecordInputs / super *
                           (super_bytes() + super / kRecordInputs * record_bytes())
                     : 0;
  }
  /// Where in a panel record `index` lies.
  constexpr int64_t record_at(int64_t index) const {
    const int64_t runs = super > 0 ? index * kRecordInputs / super + 1 : 1;
    return index * record_bytes() + runs * super_bytes();
  }

  /// K as stored: padded for quantized packings.
  constexpr int64_t padded_inputs(int64_t inputs) const {
    return is_float() ? inputs : (inputs + kPackedInputs - 1) / kPackedInputs * kPackedInputs;
  }
  constexpr int64_t records(int64_t inputs) const {
    return is_float() ? 0 : padded_inputs(inputs) / kRecordInputs;
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
                                int super = 0, Codebook codebook = Codebook::None,
                                CodeLayout layout = CodeLayout::Planes) {
  return {.kind = Packing::Q,
          .bits = bits,
          .group = group,
          .zero_point = zero_point,
          .has_min = has_min,
          .scale = scale,
          .super = super,
          .codebook = codebook,
          .layout = layout};
}

/// Row `row` of a plane of `bits` bits at bit `to` of each byte, of a word of its stored row
/// row % bits.
constexpr uint32_t plane_bits(uint32_t word, int bits, int row, int to) {
  const int from = row / bits * bits;
  const uint32_t mask = 0x01010101u * ((1u << bits) - 1u);
  return from >= to ? word >> (from - to) & mask << to : word << (to - from) & mask << to;
}
/// The bits that are stored of inputs 4*row .. 4*row+3 of channel `lane` of a record, a byte each.
/// `word(at)` is the four bytes of the record from `at` on.
template <class Word>
constexpr uint32_t stored_four(const Packing &packing, int row, int lane, Word word) {
  const int low = packing.low_bits(), high = packing.high_bits();
  const uint32_t stored = plane_bits(word(64 * (row % low) + 4 * lane), low, row, 0);
  if (high == 0)
    return stored;
  return stored | plane_bits(word(64 * (low + row % high) + 4 * lane), high, row, low);
}
/// The codes that four stored ones stand for, of planes.
constexpr uint32_t codes_of_four(const Packing &packing, uint32_t stored) {
  if (packing.codebook == Codebook::None)
    return stored;
  uint32_t codes = 0;
  for (int at = 0; at < 32; at += 8)
    codes |= static_cast<uint32_t>(packing.code_of(static_cast<int>(stored >> at & 15u))) << at;
  return codes;
}

/// 2^(byte - 128), subnormal for the two smallest.
constexpr uint32_t e8m0_bits(uint32_t byte) {
  return byte < 2 ? 0x00200000u << byte : (byte - 1) << 23;
}

/// Half of what a byte means whose lowest 7 bits are a float of bias 7 (0x7f, a NaN, means 480): as
/// an f16 of the same bits, whose bias is 15, times this. Exact.
inline constexpr float kE4M3Unit = 128;
constexpr uint16_t e4m3_as_f16(uint32_t byte) { return static_cast<uint16_t>((byte & 127u) << 7); }

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_PACKINGLAYOUT_H
