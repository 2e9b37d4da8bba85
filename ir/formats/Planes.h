// The codes of a channel in a record, to and from the planes they are stored in (PackingLayout.h).
// Four codes that follow one another are four bytes that do.
#ifndef QUERN_IR_FORMATS_PLANES_H
#define QUERN_IR_FORMATS_PLANES_H

#include "ir/formats/PackingLayout.h"

#include <cstring>

namespace quern::formats {

/// A plane of Bits bits, which are the bits from From on of codes: 4 * Bits of its words, Apart
/// bytes apart from `at` on.
template <int Bits, int From, int Apart> void store_plane(const uint32_t (&rows)[8], void *at) {
  constexpr uint32_t kMask = 0x01010101u * ((1u << Bits) - 1u);
  for (int stored = 0; stored < Bits; ++stored) {
    uint32_t word = 0;
    for (int row = stored; row < 8; row += Bits)
      word |= (rows[row] >> From & kMask) << (row - stored);
    std::memcpy(static_cast<char *>(at) + Apart * stored, &word, sizeof word);
  }
}
template <int Bits, int To, int Apart> void load_plane(const void *at, uint32_t (&rows)[8]) {
  for (int row = 0; row < 8; ++row) {
    uint32_t word;
    std::memcpy(&word, static_cast<const char *>(at) + Apart * (row % Bits), sizeof word);
    rows[row] |= plane_bits(word, Bits, row, To);
  }
}

/// Writes 32 stored codes of channel `lane` to the record at `record`. Rows are 64 bytes apart
/// there; of a channel alone they are 4.
template <int Low, int High, int Apart = 64>
void store_planes(const uint8_t *codes, int lane, void *record) {
  uint32_t rows[8];
  std::memcpy(rows, codes, sizeof rows);
  char *at = static_cast<char *>(record) + 4 * lane;
  store_plane<Low, 0, Apart>(rows, at);
  if constexpr (High != 0)
    store_plane<High, Low, Apart>(rows, at + Apart * Low);
}
template <int Low, int High, int Apart = 64>
void load_planes(const void *record, int lane, uint8_t *codes) {
  uint32_t rows[8] = {};
  const char *at = static_cast<const char *>(record) + 4 * lane;
  load_plane<Low, 0, Apart>(at, rows);
  if constexpr (High != 0)
    load_plane<High, Low, Apart>(at + Apart * Low, rows);
  std::memcpy(codes, rows, sizeof rows);
}

/// Calls `call` with the bits of the packing's planes, the low ones and the others, as constants.
template <class Call> void with_planes(const Packing &packing, Call call) {
  switch (packing.bits) {
  case 1:
    return call.template operator()<1, 0>();
  case 2:
    return call.template operator()<2, 0>();
  case 3:
    return call.template operator()<2, 1>();
  case 4:
    return call.template operator()<4, 0>();
  case 5:
    return call.template operator()<4, 1>();
  case 6:
    return call.template operator()<4, 2>();
  default:
    return call.template operator()<8, 0>();
  }
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_PLANES_H
