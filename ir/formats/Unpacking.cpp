// Packed weights back to floats, panel by panel: what proofs and the interpreter read.
//
// decode_packed_row (PackedRow.h) says what the values are; here all that lies together is read
// together, which halves the time that a proof takes.
#include "ir/formats/PackedRow.h"
#include "ir/formats/Packing.h"
#include "ir/formats/Planes.h"

#include <algorithm>
#include <cstring>

namespace quern::formats {
namespace {

/// Lanes [from, to) of a float panel; `out` is lane `from`'s row.
template <class Element, float (*widen)(Element)>
void spread(const std::byte *panel, int from, int to, int64_t inputs, float *out) {
  // What the lanes read stays in the first cache, however long the rows are.
  constexpr int64_t kBlock = 128;
  for (int64_t first = 0; first < inputs; first += kBlock) {
    const int64_t end = std::min(inputs, first + kBlock);
    for (int lane = from; lane < to; ++lane)
      for (int64_t k = first; k < end; ++k) {
        Element element;
        std::memcpy(&element, panel + (k * kPanelLanes + lane) * int64_t{sizeof element},
                    sizeof element);
        out[(lane - from) * inputs + k] = widen(element);
      }
  }
}

float same(float value) { return value; }

/// Four trits of each of the bytes of a word, digit `digit` (CodeLayout).
uint32_t trits(uint32_t fractions, int digit) {
  constexpr uint32_t kPowers[kTritsOfByte] = {1, 3, 9, 27, 81}; // of 3
  const uint32_t even = (fractions & 0x00ff00ffu) * kPowers[digit] & 0x00ff00ffu;
  const uint32_t odd = (fractions >> 8 & 0x00ff00ffu) * kPowers[digit] & 0x00ff00ffu;
  return (even * 3 >> 8 & 0x00030003u) | (odd * 3 & 0x03000300u);
}
/// The codes of one lane of record `index` of a run, whose trits lie at `at`.
void load_trits(const uint8_t *at, int index, int lane, uint8_t *codes) {
  for (int i = 0; i < kRecordInputs / 4; ++i) {
    const int row = index * kRecordInputs / 4 + i;
    uint32_t fractions;
    std::memcpy(&fractions, at + 64 * (row % kTritRows) + 4 * lane, sizeof fractions);
    const uint32_t four = trits(fractions, row / kTritRows);
    std::memcpy(codes + 4 * i, &four, sizeof four);
  }
}

/// The codes of one lane of a lattice's record.
void load_lattice(const Packing &packing, const uint8_t *record, int lane, uint8_t *codes) {
  const auto word = [&](int at) {
    uint32_t four;
    std::memcpy(&four, record + at, sizeof four);
    return four;
  };
  for (int row = 0; row < kRecordInputs / 4; ++row) {
    const uint32_t four = lattice_codes(packing.codebook, packing.zero_point, row, lane, word);
    std::memcpy(codes + 4 * row, &four, sizeof four);
  }
}

/// As packed_scale and packed_min, of a group of record `index`, which lies at `record`, in the run
/// that begins at `run`.
float scale_of(const Packing &packing, const uint8_t *record, const uint8_t *run, int64_t index,
               int group, int lane) {
  const float scale = detail::load_group_scale(
      packing, run, record,
      packing.super > 0 ? static_cast<int>(index % (packing.super / kRecordInputs)) : 0, group,
      lane);
  return packing.super == 0 ? scale : detail::load_scale(packing.super_type(), run, lane) * scale;
}
float min_of(const Packing &packing, const uint8_t *record, const uint8_t *run, int group,
             int lane) {
  const uint8_t *mins = record + packing.min_offset() + group * packing.group_bytes();
  const float min = packing.mins_beside_scales() ? static_cast<float>(mins[lane] >> 4)
                                                 : detail::load_scale(packing.scale, mins, lane);
  return packing.super == 0
             ? min
             : -(detail::load_scale(packing.super_type(), run + packing.super_min_offset(), lane) *
                 min);
}

template <int Low, int High>
void spread_codes(const Packing &of, const uint8_t *panel, int from, int to, int64_t inputs,
                  float *out) {
  const Packing packing = of; // for the compiler, what is written might be its fields
  const int groups = packing.groups();
  const float zero_point = static_cast<float>(packing.zero_point);
  float table[16];
  const bool looked_up = packing.codebook != Codebook::None && !packing.is_lattice();
  for (int stored = 0; looked_up && stored < 16; ++stored)
    table[stored] = static_cast<float>(packing.code_of(stored)) - zero_point;
  uint8_t codes[kRecordInputs];
  float values[kRecordInputs];
  for (int64_t index = 0, first = 0; first < inputs; ++index, first += kRecordInputs) {
    const uint8_t *record = panel + packing.record_at(index);
    const uint8_t *run = panel + packing.super_at(index);
    const auto count = static_cast<size_t>(std::min<int64_t>(kRecordInputs, inputs - first));
    for (int lane = from; lane < to; ++lane) {
      if (packing.layout == CodeLayout::Trits)
        load_trits(run + packing.run_code_offset(),
                   static_cast<int>(index % (packing.super / kRecordInputs)), lane, codes);
      else if (packing.is_lattice())
        load_lattice(packing, record, lane, codes);
      else
        load_planes<Low, High>(record, lane, codes);
      if (!looked_up)
        for (int k = 0; k < kRecordInputs; ++k)
          values[k] = static_cast<float>(codes[k]) - zero_point;
      else
        for (int k = 0; k < kRecordInputs; ++k)
          values[k] = table[codes[k]];
      for (int group = 0; group < groups; ++group) {
        float *of_group = values + group * packing.group;
        const float scale = scale_of(packing, record, run, index, group, lane);
        for (int k = 0; k < packing.group; ++k)
          of_group[k] *= scale;
        if (packing.has_min) {
          const float min = min_of(packing, record, run, group, lane);
          for (int k = 0; k < packing.group; ++k)
            of_group[k] += min;
        }
      }
      std::memcpy(out + (lane - from) * inputs + first, values, count * sizeof(float));
    }
  }
}

void spread_panel(const Packing &packing, const std::byte *panel, int from, int to, int64_t inputs,
                  float *out) {
  switch (packing.kind) {
  case Packing::F32:
    return spread<float, same>(panel, from, to, inputs, out);
  case Packing::F16:
    return spread<uint16_t, f16_to_f32>(panel, from, to, inputs, out);
  case Packing::BF16:
    return spread<uint16_t, bf16_to_f32>(panel, from, to, inputs, out);
  case Packing::Q:
    return with_planes(packing, [&]<int Low, int High>() {
      spread_codes<Low, High>(packing, reinterpret_cast<const uint8_t *>(panel), from, to, inputs,
                              out);
    });
  }
}

} // namespace

void rows_from_packed(const Packing &packing, const std::byte *packed, int64_t first, int64_t count,
                      int64_t inputs, float *out) {
  const int64_t end = first + count;
  while (first < end) {
    const int64_t panel = first / kPanelLanes;
    const auto from = static_cast<int>(first % kPanelLanes);
    const auto to = static_cast<int>(std::min<int64_t>(kPanelLanes, from + end - first));
    spread_panel(packing, packed + panel * packing.panel_bytes(inputs), from, to, inputs, out);
    first += to - from;
    out += (to - from) * inputs;
  }
}

} // namespace quern::formats
