// Codes that are looked up: in a table of 16, by each code's own bits; or in a lattice, by the
// number of a place that 4 or 8 inputs have together (GGUF's iq1, iq2 and iq3). Freestanding.
//
// A place is a point, whose coordinates stand for magnitudes, and signs make codes of these:
// zero_point + or - magnitude. iq1's points have signs, and are moved by an eighth of their unit,
// up or down: codes count eighths.
//
// A record of 32 inputs has, of 16 channels (lanes):
//   places  the lowest 8 bits of places' numbers: byte 16*j + lane is the j-th's
//   signs   where there are any: bit `row` of byte 4*lane + i is set where input 4*row + i is
//           negative. Of even signs, which come in pairs in each 8 inputs, the last is not stored:
//           these four bits of a lane are spare
//   others  what is left of the numbers: a number of each lane, of 8 bits (2 of each place of 8, 1
//           of each of 4) or 16 (3 of each place of 8, then four bits more). iq2_xs's ninth bits
//           are the spare bits
// The four bits more are set where a place is moved down (iq1_m), or the scale's three, and one for
// all places (iq1_s). Other scales are the spare bits, or of a run (PackingLayout.h).
#ifndef QUERN_IR_FORMATS_CODEBOOK_H
#define QUERN_IR_FORMATS_CODEBOOK_H

#include "ir/formats/LatticePoints.h"

#include <stdint.h>

namespace quern::formats {

/// What stored bits stand for: the code itself, or the place of a code in a table of 16, or that of
/// a point in a lattice.
enum class Codebook : uint8_t {
  None,
  IQ4,  ///< GGUF's iq4: 16 integers, denser around zero, as weights are
  E2M1, ///< a float of one mantissa bit, doubled (OCP Microscaling Formats 1.0)
  IQ1S, ///< the lattices, by GGUF's names
  IQ1M,
  IQ2XXS,
  IQ2XS,
  IQ2S,
  IQ3XXS,
  IQ3S,
};
constexpr bool is_lattice(Codebook book) { return book >= Codebook::IQ1S; }

struct CodebookTable {
  uint8_t codes[16];
};
/// The codes of a codebook of 16, the zero point included: 128 of IQ4, 12 of E2M1.
constexpr CodebookTable codebook_table(Codebook book) {
  if (book == Codebook::IQ4)
    return {{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241}};
  return {{12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0}};
}

enum class Signs : uint8_t {
  None,
  Even, ///< an even number of each 8 are negative
  All,
};

/// Where a lattice's scales are: numbers n, of which 2 * n + 1 is meant.
enum class OddScales : uint8_t {
  Spare,   ///< the bits that even signs leave free
  Others,  ///< bits 12 to 14 of the others
  Nibbles, ///< of a run: row i of 16 bytes has groups i, in low nibbles, and G / 2 + i of G
  Triples, ///< of a run: four rows of two bits, row i with groups i, 4 + i, 8 + i and 12 + i, then
           ///< two of one bit, row i with groups i, 2 + i, ...
};

struct Lattice {
  int inputs = 8;     ///< of a place
  int place_bits = 8; ///< of its number
  Signs signs = Signs::None;
  OddScales scales = OddScales::Spare;
  float unit = 0.125f;                 ///< what scales are multiplied with
  uint8_t magnitudes[8] = {8, 25, 43}; ///< what coordinates stand for; of iq1 codes, moved down

  constexpr bool is_ternary() const { return place_bits == 11; }
  constexpr int largest_magnitude() const { return magnitudes[inputs == 8 ? 2 : 7]; }
  /// Bits of a coordinate in LatticePoints.h.
  constexpr int coordinate_bits() const { return 16 / inputs; }

  constexpr int place_bytes() const { return 16 * 32 / inputs; }
  constexpr int signs_at() const { return place_bytes(); }
  constexpr int others_at() const { return signs_at() + (signs == Signs::None ? 0 : 64); }
  /// Bytes of a lane's others.
  constexpr int others_width() const {
    return signs == Signs::Even ? 0 : (place_bits - 8) * 32 / inputs > 8 ? 2 : 1;
  }
  constexpr int record_bytes() const { return others_at() + 16 * others_width(); }
  /// Bytes of scales in front of a run of so many groups.
  constexpr int run_bytes(int groups) const {
    return scales == OddScales::Nibbles   ? 8 * groups
           : scales == OddScales::Triples ? 6 * groups
                                          : 0;
  }
};

constexpr Lattice lattice_of(Codebook book) {
  switch (book) {
  case Codebook::IQ1S:
    return {.place_bits = 11, .scales = OddScales::Others, .magnitudes = {0, 8, 16}};
  case Codebook::IQ1M:
    return {.place_bits = 11, .scales = OddScales::Triples, .magnitudes = {0, 8, 16}};
  case Codebook::IQ2XS:
    return {.place_bits = 9, .signs = Signs::Even, .scales = OddScales::Nibbles};
  case Codebook::IQ2S:
    return {.place_bits = 10, .signs = Signs::All, .scales = OddScales::Nibbles};
  case Codebook::IQ3XXS:
    return {.inputs = 4,
            .signs = Signs::Even,
            .unit = 0.25f,
            .magnitudes = {4, 12, 20, 28, 36, 44, 52, 62}};
  case Codebook::IQ3S:
    return {.inputs = 4,
            .place_bits = 9,
            .signs = Signs::All,
            .scales = OddScales::Nibbles,
            .unit = 1,
            .magnitudes = {1, 3, 5, 7, 9, 11, 13, 15}};
  default:
    return {.signs = Signs::Even}; // iq2_xxs
  }
}

/// A point's coordinates, as LatticePoints.h has them.
template <Codebook Book> constexpr uint32_t lattice_point(uint32_t place) {
  if constexpr (lattice_of(Book).is_ternary())
    return kIq1Points<static_cast<int>(Book)>[place];
  else if constexpr (Book == Codebook::IQ2XXS)
    return kIq2xxsPoints<static_cast<int>(Book)>[place];
  else if constexpr (Book == Codebook::IQ2XS)
    return kIq2xsPoints<static_cast<int>(Book)>[place];
  else if constexpr (Book == Codebook::IQ2S)
    return kIq2sPoints<static_cast<int>(Book)>[place];
  else if constexpr (Book == Codebook::IQ3XXS)
    return kIq3xxsPoints<static_cast<int>(Book)>[place];
  else
    return kIq3sPoints<static_cast<int>(Book)>[place];
}
/// What coordinates [first, first + 4) of a place stand for, a byte each.
template <Codebook Book> constexpr uint32_t lattice_magnitudes(uint32_t place, int first) {
  constexpr Lattice kLattice = lattice_of(Book);
  constexpr int kBits = kLattice.coordinate_bits();
  const uint32_t coordinates = lattice_point<Book>(place) >> kBits * first;
  uint32_t four = 0;
  for (int i = 0; i < 4; ++i)
    four |= uint32_t{kLattice.magnitudes[coordinates >> kBits * i & ((1u << kBits) - 1u)]} << 8 * i;
  return four;
}

/// A lane's signs with those that even ones leave out.
constexpr uint32_t even_signs(uint32_t stored) {
  const uint32_t signs = stored & 0x55ffffffu;
  uint32_t odd = signs ^ signs >> 16; // whether the bits of a row are an odd number
  odd ^= odd >> 8;
  odd ^= odd << 1; // ... of it and of the one before
  return signs | (odd & 0xaau) << 24;
}
/// The four bits that these leave free.
constexpr uint32_t spare_bits(uint32_t stored) {
  uint32_t bits = stored >> 25 & 0x55u;
  bits = (bits | bits >> 1) & 0x33u;
  return (bits | bits >> 2) & 0x0fu;
}
/// The same bits of zeros.
constexpr uint32_t with_spare_bits(uint32_t bits) {
  bits = (bits | bits << 2) & 0x33u;
  return ((bits | bits << 1) & 0x55u) << 25;
}
/// The lowest four bits as signs of a row 0.
constexpr uint32_t spread_signs(uint32_t bits) {
  return (bits & 1u) | (bits & 2u) << 7 | (bits & 4u) << 14 | (bits & 8u) << 21;
}
/// Codes of a row's four magnitudes under its signs: whatever the bytes are, nothing is carried.
constexpr uint32_t signed_codes(int zero_point, uint32_t magnitudes, uint32_t signs, int row) {
  const uint32_t negative = (signs >> row & 0x01010101u) * 255u;
  return static_cast<uint32_t>(zero_point) * 0x01010101u + magnitudes -
         2u * (magnitudes & negative);
}

/// The numbers that a record has of channel `lane`. `word(at)` is the four bytes of it from `at`
/// on, a multiple of 4.
template <class Word>
constexpr uint32_t lattice_signs(const Lattice &lattice, int lane, Word word) {
  return word(lattice.signs_at() + 4 * lane);
}
template <class Word>
constexpr uint32_t lattice_others(const Lattice &lattice, int lane, Word word) {
  const int width = lattice.others_width(), at = lattice.others_at() + width * lane;
  return width == 0 ? 0u : word(at / 4 * 4) >> 8 * (at % 4) & (width == 1 ? 0xffu : 0xffffu);
}
/// The place of row `row`.
template <class Word>
constexpr uint32_t lattice_place(const Lattice &lattice, int row, int lane, Word word) {
  const int index = lattice.inputs == 8 ? row / 2 : row;
  const int at = 16 * index + lane;
  const uint32_t low = word(at / 4 * 4) >> 8 * (at % 4) & 255u;
  const int bits = lattice.place_bits - 8;
  if (bits == 0)
    return low;
  const uint32_t others = lattice.signs == Signs::Even
                              ? spare_bits(lattice_signs(lattice, lane, word))
                              : lattice_others(lattice, lane, word);
  return low | (others >> bits * index & ((1u << bits) - 1u)) << 8;
}
/// From iq1's codes that are moved down to those that are moved up.
inline constexpr uint32_t kEighthUp = 0x02020202;
/// The bit of the others that says that row `row` is moved down.
constexpr int down_bit(Codebook book, int row) {
  return book == Codebook::IQ1S ? 15 : 12 + row / 2;
}
/// The scale of group `group` of a run of `groups`, whose own scales lie at `run` and the group's
/// record at `record`.
template <class RunWord, class Word>
constexpr int odd_scale(const Lattice &lattice, int groups, int group, int lane, RunWord run,
                        Word record) {
  const auto bits = [&](int row, int from, uint32_t mask) {
    const int at = 16 * row + lane;
    return run(at / 4 * 4) >> (8 * (at % 4) + from) & mask;
  };
  uint32_t number = 0;
  switch (lattice.scales) {
  case OddScales::Spare:
    number = spare_bits(lattice_signs(lattice, lane, record));
    break;
  case OddScales::Others:
    number = lattice_others(lattice, lane, record) >> 12 & 7u;
    break;
  case OddScales::Nibbles:
    number = bits(group % (groups / 2), group / (groups / 2) * 4, 15);
    break;
  case OddScales::Triples:
    number = bits(group % 4, group / 4 * 2, 3) | bits(4 + group % 2, group / 2, 1) << 2;
    break;
  }
  return static_cast<int>(2 * number + 1);
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_CODEBOOK_H
