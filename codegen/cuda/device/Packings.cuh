// Packed weights as kernels read them: ir/formats/PackingLayout.h says how they lie, PackingTable.h
// which there are.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH

#include "codegen/cuda/device/Base.cuh"
#include "ir/formats/PackingTable.h"

namespace quern {

using formats::Packing;
using Scale = formats::ScaleType;
using formats::kWholeRow;

inline constexpr Packing kF32{.kind = Packing::F32};
inline constexpr Packing kF16{.kind = Packing::F16};
inline constexpr Packing kBf16{.kind = Packing::BF16};
/// The quantized ones, as generated code names them.
namespace packings = formats::packings;

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
  else if constexpr (kScale == Scale::I8)
    return static_cast<float>(__ldg(reinterpret_cast<const i8 *>(at) + index));
  else if constexpr (kScale == Scale::E8M0)
    return __uint_as_float(formats::e8m0_bits(__ldg(at + index)));
  else if constexpr (kScale == Scale::E4M3)
    return float_of_f16(formats::e4m3_as_f16(__ldg(at + index))) * formats::kE4M3Unit;
  else if constexpr (kScale == Scale::U4)
    return static_cast<float>(__ldg(at + index) & 15);
  else
    return 1.0f;
}
/// As formats::detail::load_six_bits.
QN_DEVICE float six_bits(const u8 *at, int group, int lane) {
  const int low = __ldg(at + kLanes * (group % 8) + lane) >> 4 * (group / 8) & 15;
  const int high = __ldg(at + kLanes * (8 + group % 4) + lane) >> 2 * (group / 4) & 3;
  return static_cast<float>((low | high << 4) - 32);
}

constexpr u32 codebook_word(formats::Codebook book, int at) {
  const formats::CodebookTable table = formats::codebook_table(book);
  return u32{table.codes[at]} | u32{table.codes[at + 1]} << 8 | u32{table.codes[at + 2]} << 16 |
         u32{table.codes[at + 3]} << 24;
}
/// Four of a codebook's codes for four places of it, a byte each.
template <formats::Codebook kBook> QN_DEVICE u32 look_up(u32 places) {
  if constexpr (kBook == formats::Codebook::None)
    return places;
  constexpr u32 kFirst = codebook_word(kBook, 0), kSecond = codebook_word(kBook, 4);
  constexpr u32 kThird = codebook_word(kBook, 8), kFourth = codebook_word(kBook, 12);
  // The places side by side choose among eight bytes by three bits each, and by the fourth which of
  // two such choices.
  const u32 pairs = places | places >> 4;
  const u32 four = __byte_perm(pairs, 0, 0x4420);
  const u32 low = __byte_perm(kFirst, kSecond, four & 0x7777u);
  const u32 high = __byte_perm(kThird, kFourth, four & 0x7777u);
  return __byte_perm(low, high, (four & 0x8888u) >> 1 | 0x3210u);
}

/// As formats::lattice_magnitudes: coordinates choose among bytes.
template <formats::Codebook kBook> QN_DEVICE u32 lattice_magnitudes(u32 place, int first) {
  constexpr formats::Lattice kLattice = formats::lattice_of(kBook);
  constexpr auto kWord = [](int at) {
    return u32{kLattice.magnitudes[at]} | u32{kLattice.magnitudes[at + 1]} << 8 |
           u32{kLattice.magnitudes[at + 2]} << 16 | u32{kLattice.magnitudes[at + 3]} << 24;
  };
  constexpr u32 kFirst = kWord(0), kSecond = kWord(4);
  u32 coordinates = formats::lattice_point<kBook>(place);
  if constexpr (kLattice.inputs == 8) { // of two bits each
    coordinates = coordinates >> 2 * first & 255u;
    coordinates = (coordinates | coordinates << 4) & 0x0f0fu;
    coordinates = (coordinates | coordinates << 2) & 0x3333u;
  }
  return __byte_perm(kFirst, kSecond, coordinates);
}
/// As formats::lattice_codes (PackedRow.h).
template <Packing P, class Word> QN_DEVICE u32 lattice_codes(int row, int lane, Word word) {
  constexpr formats::Lattice kLattice = P.lattice();
  const u32 four = lattice_magnitudes<P.codebook>(formats::lattice_place(kLattice, row, lane, word),
                                                  kLattice.inputs == 8 ? row % 2 * 4 : 0);
  if constexpr (kLattice.signs == formats::Signs::None) {
    const u32 down =
        formats::lattice_others(kLattice, lane, word) >> formats::down_bit(P.codebook, row) & 1u;
    return four + (down - 1u & formats::kEighthUp);
  }
  const u32 signs = formats::lattice_signs(kLattice, lane, word);
  return formats::signed_codes(
      P.zero_point, four,
      kLattice.signs == formats::Signs::Even ? formats::even_signs(signs) : signs, row);
}

/// Digit `digit` of each of four bytes of trits (formats::CodeLayout).
QN_DEVICE u32 trits(u32 fractions, int digit) {
  const auto power = static_cast<u32>(0x511b090301u >> 8 * digit & 255u); // of 3
  const u32 even = (fractions & 0x00ff00ffu) * power & 0x00ff00ffu;
  const u32 odd = (fractions >> 8 & 0x00ff00ffu) * power & 0x00ff00ffu;
  return (even * 3 >> 8 & 0x00030003u) | (odd * 3 & 0x03000300u);
}

/// Four codes of channel `lane`, of inputs [input, input + 4) of a panel, a multiple of 4.
template <Packing P> QN_DEVICE u32 codes(const u8 *panel, int input, int lane) {
  const int index = input / formats::kRecordInputs;
  const auto word = [](const u8 *at) { return __ldg(reinterpret_cast<const u32 *>(at)); };
  if constexpr (P.layout == formats::CodeLayout::Trits) {
    const int row = input % P.super / 4;
    return trits(word(panel + P.super_at(index) + P.run_code_offset() +
                      64 * (row % formats::kTritRows) + 4 * lane),
                 row / formats::kTritRows);
  } else {
    const u8 *record = panel + P.record_at(index);
    if constexpr (P.is_lattice())
      return lattice_codes<P>(input % formats::kRecordInputs / 4, lane,
                              [&](int at) { return word(record + at); });
    return look_up<P.codebook>(formats::stored_four(P, input % formats::kRecordInputs / 4, lane,
                                                    [&](int at) { return word(record + at); }));
  }
}

/// As formats::packed_scale and packed_min.
template <Packing P> QN_DEVICE float scale(const u8 *panel, int group, int lane) {
  const int index = group / P.groups();
  const u8 *super = panel + P.super_at(index);
  float of_group;
  if constexpr (P.scale == Scale::I6)
    of_group = six_bits(super + P.run_scale_offset(), group % (P.super / P.group), lane);
  else if constexpr (P.scale == Scale::Odd) {
    constexpr formats::Lattice kLattice = P.lattice();
    constexpr int kGroups = P.super / P.group;
    const auto word = [](const u8 *at) { return __ldg(reinterpret_cast<const u32 *>(at)); };
    const u8 *const record = panel + P.record_at(index);
    of_group = kLattice.unit * static_cast<float>(formats::odd_scale(
                                   kLattice, kGroups, group % kGroups, lane,
                                   [&](int at) { return word(super + P.run_scale_offset() + at); },
                                   [&](int at) { return word(record + at); }));
  } else
    of_group = number<P.scale>(
        panel + P.record_at(index) + P.scale_offset() + group % P.groups() * P.group_bytes(), lane);
  if constexpr (P.super == 0)
    return of_group;
  else
    return number<P.super_type()>(super, lane) * of_group;
}
template <Packing P> QN_DEVICE float min(const u8 *panel, int group, int lane) {
  const int index = group / P.groups();
  const u8 *at = panel + P.record_at(index) + P.min_offset() + group % P.groups() * P.group_bytes();
  const float of_group = P.mins_beside_scales() ? static_cast<float>(__ldg(at + lane) >> 4)
                                                : number<P.scale>(at, lane);
  if constexpr (P.super == 0)
    return of_group;
  else
    return -(number<P.super_type()>(panel + P.super_at(index) + P.super_min_offset(), lane) *
             of_group);
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
    const u32 four = packed::codes<P>(panel, input / 4 * 4, lane);
    const int code = static_cast<int>(four >> 8 * (input % 4) & 255u) - P.zero_point;
    const float value = packed::scale<P>(panel, input / P.group, lane) * static_cast<float>(code);
    if constexpr (P.has_min)
      return value + packed::min<P>(panel, input / P.group, lane);
    return value;
  }
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_PACKINGS_CUH
