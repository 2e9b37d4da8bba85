// What lies in a panel, a number at a time: the meaning of PackingLayout.h, for the compiler, for
// tests and for made-up weights. Kernels read the same in their own ways.
#ifndef QUERN_IR_FORMATS_PACKEDROW_H
#define QUERN_IR_FORMATS_PACKEDROW_H

#include "ir/formats/PackingLayout.h"

#include <stdint.h>

namespace quern::formats {

/// As lattice_magnitudes of Codebook.h.
constexpr uint32_t lattice_magnitudes(Codebook book, uint32_t place, int first) {
  switch (book) {
  case Codebook::IQ1S:
  case Codebook::IQ1M:
    return lattice_magnitudes<Codebook::IQ1S>(place, first);
  case Codebook::IQ2XS:
    return lattice_magnitudes<Codebook::IQ2XS>(place, first);
  case Codebook::IQ2S:
    return lattice_magnitudes<Codebook::IQ2S>(place, first);
  case Codebook::IQ3XXS:
    return lattice_magnitudes<Codebook::IQ3XXS>(place, first);
  case Codebook::IQ3S:
    return lattice_magnitudes<Codebook::IQ3S>(place, first);
  default:
    return lattice_magnitudes<Codebook::IQ2XXS>(place, first);
  }
}
/// The codes of row `row`, a byte each.
template <class Word>
constexpr uint32_t lattice_codes(Codebook book, int zero_point, int row, int lane, Word word) {
  const Lattice lattice = lattice_of(book);
  const uint32_t four = lattice_magnitudes(book, lattice_place(lattice, row, lane, word),
                                           lattice.inputs == 8 ? row % 2 * 4 : 0);
  if (lattice.signs == Signs::None)
    return four +
           ((lattice_others(lattice, lane, word) >> down_bit(book, row) & 1u) != 0 ? 0 : kEighthUp);
  const uint32_t signs = lattice_signs(lattice, lane, word);
  return signed_codes(zero_point, four, lattice.signs == Signs::Even ? even_signs(signs) : signs,
                      row);
}
namespace detail {
inline uint16_t load_u16(const uint8_t *at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
inline float load_f32(const uint8_t *at) {
  return __builtin_bit_cast(float, uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 |
                                       uint32_t{at[3]} << 24);
}
inline uint32_t load_u32(const uint8_t *at) {
  return uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
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
  case ScaleType::E8M0:
    return __builtin_bit_cast(float, e8m0_bits(at[lane]));
  case ScaleType::U4:
    return static_cast<float>(at[lane] & 15);
  case ScaleType::E4M3:
    return kE4M3Unit * f16_to_f32(e4m3_as_f16(at[lane]));
  case ScaleType::I6: // not there
  case ScaleType::Odd:
  case ScaleType::None:
    return 1;
  }
  return 0;
}
/// The I6 scale of a group of a run, whose scales lie at `at`.
inline float load_six_bits(const uint8_t *at, int group, int lane) {
  const int low = at[kPanelLanes * (group % 8) + lane] >> 4 * (group / 8) & 15;
  const int high = at[kPanelLanes * (8 + group % 4) + lane] >> 2 * (group / 4) & 3;
  return static_cast<float>((low | high << 4) - 32);
}
} // namespace detail

namespace detail {
/// The scale of group `group` of a record that is the `index`th of its run.
inline float load_group_scale(const Packing &packing, const uint8_t *run, const uint8_t *record,
                              int index, int group, int lane) {
  const int of_run = index * packing.groups() + group;
  const uint8_t *of_runs = run + packing.run_scale_offset();
  if (packing.scale == ScaleType::I6)
    return load_six_bits(of_runs, of_run, lane);
  if (packing.scale == ScaleType::Odd) {
    const auto in_run = [&](int at) { return load_u32(of_runs + at); };
    const auto in_record = [&](int at) { return load_u32(record + at); };
    const Lattice lattice = packing.lattice();
    return lattice.unit * static_cast<float>(odd_scale(lattice, packing.super / packing.group,
                                                       of_run, lane, in_run, in_record));
  }
  return load_scale(packing.scale, record + packing.scale_offset() + group * packing.group_bytes(),
                    lane);
}
} // namespace detail

/// The code of an input of channel `lane` of a panel.
inline int packed_code(const Packing &packing, const uint8_t *panel, int64_t input, int lane) {
  const int64_t index = input / kRecordInputs;
  const auto k = static_cast<int>(input % kRecordInputs);
  if (packing.layout == CodeLayout::Trits) {
    const auto row = static_cast<int>(input % packing.super / 4);
    uint32_t fraction = panel[packing.super_at(index) + packing.run_code_offset() +
                              64 * (row % kTritRows) + 4 * lane + k % 4];
    for (int digit = 0; digit < row / kTritRows; ++digit)
      fraction = next_fraction(fraction);
    return static_cast<int>(first_digit(fraction));
  }
  const uint8_t *record = panel + packing.record_at(index);
  const auto word = [&](int at) { return detail::load_u32(record + at); };
  if (packing.is_lattice())
    return static_cast<int>(
        lattice_codes(packing.codebook, packing.zero_point, k / 4, lane, word) >> 8 * (k % 4) &
        255u);
  const uint32_t stored = stored_four(packing, k / 4, lane, word);
  return packing.code_of(static_cast<int>(stored >> 8 * (k % 4) & 255u));
}

/// The scale of group `group` of a panel, for channel `lane`.
inline float packed_scale(const Packing &packing, const uint8_t *panel, int64_t group, int lane) {
  const int64_t index = group / packing.groups();
  const uint8_t *super = panel + packing.super_at(index);
  const float scale = detail::load_group_scale(
      packing, super, panel + packing.record_at(index),
      packing.super > 0 ? static_cast<int>(index % (packing.super / kRecordInputs)) : 0,
      static_cast<int>(group % packing.groups()), lane);
  if (packing.super == 0)
    return scale;
  return detail::load_scale(packing.super_type(), super, lane) * scale;
}

/// Its min, 0 if the packing has none.
inline float packed_min(const Packing &packing, const uint8_t *panel, int64_t group, int lane) {
  if (!packing.has_min)
    return 0;
  const int64_t index = group / packing.groups();
  const uint8_t *mins = panel + packing.record_at(index) + packing.min_offset() +
                        group % packing.groups() * packing.group_bytes();
  const float min = packing.mins_beside_scales() ? static_cast<float>(mins[lane] >> 4)
                                                 : detail::load_scale(packing.scale, mins, lane);
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
  for (int64_t first = 0; first < inputs; first += packing.group) {
    const float scale = packed_scale(packing, bytes, first / packing.group, lane);
    const float min = packed_min(packing, bytes, first / packing.group, lane);
    for (int64_t k = first; k < first + packing.group && k < inputs; ++k) {
      const int code = packed_code(packing, bytes, k, lane);
      const float value = scale * static_cast<float>(code - packing.zero_point);
      out[k] = packing.has_min ? value + min : value;
    }
  }
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_PACKEDROW_H
