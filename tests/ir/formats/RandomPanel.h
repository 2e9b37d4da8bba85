// Panels of random codes and scales, of any quantized packing, for tests of what reads them.
#ifndef QUERN_TESTS_IR_FORMATS_RANDOMPANEL_H
#define QUERN_TESTS_IR_FORMATS_RANDOMPANEL_H

#include "ir/formats/PackingTable.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace quern::formats {

/// Writes the bits that are stored of input k of channel `lane` of a record, zeros so far.
inline void put_stored(const Packing &packing, uint8_t *record, int lane, int k, int stored) {
  const int row = k / 4, column = 4 * lane + k % 4;
  const int low = packing.low_bits(), high = packing.high_bits();
  const auto put = [&](int bits, int first_row, int value) {
    record[64 * (first_row + row % bits) + column] |=
        static_cast<uint8_t>((value & ((1 << bits) - 1)) << row / bits * bits);
  };
  put(low, 0, stored);
  if (high != 0)
    put(high, low, stored >> low);
}

/// The floats that scales and mins of one level are at most, and those of super-scales.
struct PanelScales {
  float scale = 0.1f, min = 1, super = 0.001f;
};

/// Random numbers from `bits()`, a uint32_t each; extreme: of codes only the least and the largest.
template <class Bits>
std::vector<uint8_t> random_panel(const Packing &packing, int64_t inputs, Bits bits, bool extreme,
                                  PanelScales most = {}) {
  std::vector<uint8_t> panel(static_cast<size_t>(packing.panel_bytes(inputs)));
  const auto number = [&](ScaleType type, uint8_t *at, float largest) {
    const float value = static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f * largest;
    const uint16_t half = f32_to_f16(value);
    if (type == ScaleType::F32)
      std::memcpy(at, &value, 4);
    else if (type == ScaleType::F16)
      std::memcpy(at, &half, 2);
    else if (type == ScaleType::E4M3)
      *at = static_cast<uint8_t>(8 + bits() % 56);
    else if (type == ScaleType::E8M0)
      *at = static_cast<uint8_t>(118 + bits() % 8);
    else
      *at = static_cast<uint8_t>(bits());
  };
  const int super_size = scale_bytes(packing.super_type()), size = scale_bytes(packing.scale);
  for (int64_t r = 0; r < packing.records(inputs); ++r) {
    if (packing.super != 0 && (r == 0 || packing.super_at(r) != packing.super_at(r - 1))) {
      uint8_t *run = panel.data() + packing.super_at(r);
      const int floats = (packing.has_min ? 2 : 1) * kPanelLanes * super_size;
      for (int at = 0; at < floats; at += super_size)
        number(packing.super_type(), run + at, most.super);
      for (int at = floats; at < packing.super_bytes(); ++at)
        run[at] = static_cast<uint8_t>(bits());
    }
    uint8_t *record = panel.data() + packing.record_at(r);
    const int highest = packing.stored_codes() - 1;
    // Any bits are points of a lattice; extreme: near the first and the last ones of 256.
    for (int at = 0; packing.is_lattice() && at < packing.code_bytes(); ++at)
      record[at] = static_cast<uint8_t>(extreme ? (bits() % 2 == 0 ? bits() % 4 : 252 + bits() % 4)
                                                : bits());
    for (int lane = 0; packing.layout == CodeLayout::Planes && lane < kPanelLanes; ++lane)
      for (int k = 0; k < kRecordInputs; ++k)
        put_stored(packing, record, lane, k,
                   extreme ? (bits() % 4 == 0 ? 0 : highest)
                           : static_cast<int>(bits() % static_cast<uint32_t>(highest + 1)));
    for (int at = packing.scale_offset(); size != 0 && at < packing.record_bytes(); at += size)
      number(packing.scale, record + at, at < packing.min_offset() ? most.scale : most.min);
  }
  return panel;
}

} // namespace quern::formats

#endif // QUERN_TESTS_IR_FORMATS_RANDOMPANEL_H
