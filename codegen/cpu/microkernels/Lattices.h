// Codes that are points of lattices (ir/formats/Codebook.h): made bytes a record at a time, four
// inputs of 16 channels in a row as all codes are, and their scales.
//
// A place's bytes are a load from a table in the first cache. Places of 8 inputs, whose two words
// belong to two rows, are loaded for four channels at a time and shuffled apart: two shuffles for
// the 64 bytes of eight channels.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_LATTICES_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_LATTICES_H

#include "codegen/cpu/microkernels/Vector.h"
#include "ir/formats/PackingTable.h"

#include <immintrin.h>

namespace quern::micro {

/// What the places of a lattice of 8 inputs, or of 4, stand for, a byte an input.
template <formats::Codebook Book> struct LatticePoints {
  static constexpr formats::Lattice kLattice = formats::lattice_of(Book);
  static constexpr int kPlaces = 1 << kLattice.place_bits, kWords = kLattice.inputs / 4;
  uint32_t of[kPlaces][kWords];

  static constexpr LatticePoints all() {
    LatticePoints points = {};
    for (uint32_t place = 0; place < kPlaces; ++place)
      for (int word = 0; word < kWords; ++word)
        points.of[place][word] = formats::lattice_magnitudes(Book, place, 4 * word);
    return points;
  }
};

/// A lattice's records.
template <formats::Packing P> struct LatticeRecord {
  static constexpr formats::Lattice kLattice = P.lattice();
  static constexpr int kLanes = 8;
  using Words = Vector<uint32_t, kLanes>;
  using Bytes = Vector<uint8_t, 4 * kLanes>;
  alignas(64) static constexpr LatticePoints<P.codebook> kPoints =
      LatticePoints<P.codebook>::all();

  /// Writes the record's eight rows to `rows`, 64 bytes each, XORed with Flip.
  template <int Flip> QK_INLINE void make_rows(const uint8_t *record, uint8_t *rows) {
    QK_LOOP for (int first = 0; first < 16; first += kLanes) {
      Words signs = 0, others = 0;
      if constexpr (kLattice.signs != formats::Signs::None)
        signs = load<Words>(record + kLattice.signs_at() + 4 * first);
      if constexpr (kLattice.others_width() == 1)
        others = convert<Words>(
            load<Vector<uint8_t, kLanes>>(record + kLattice.others_at() + first));
      else if constexpr (kLattice.others_width() == 2)
        others = convert<Words>(
            load<Vector<uint16_t, kLanes>>(record + kLattice.others_at() + 2 * first));
      if constexpr (kLattice.signs == formats::Signs::Even) {
        if constexpr (kLattice.place_bits > 8)
          others = spare(signs);
        signs = with_eighth(signs);
      }
      if constexpr (kLattice.inputs == 8)
        QK_UNROLL for (int index = 0; index < 4; ++index) {
          uint32_t places[kLanes];
          find_places(record + 4 * first, index, others, places);
          Words row[2];
          of_eight(places, row);
          QK_UNROLL for (int half = 0; half < 2; ++half)
              store(rows + 64 * (2 * index + half) + 4 * first,
                    finished<Flip>(row[half], 2 * index + half, signs, others));
        }
      else
        QK_UNROLL for (int r = 0; r < 8; ++r) {
          uint32_t places[kLanes];
          find_places(record + 16 * r + first, r, others, places);
          store(rows + 64 * r + 4 * first, finished<Flip>(of_four(places), r, signs, others));
        }
    }
  }

  /// Scales that are the record's.
  template <int Lanes>
  QK_INLINE Vector<float, Lanes> scales(const uint8_t *record, int first) {
    using Numbers = Vector<uint32_t, Lanes>;
    Numbers numbers;
    if constexpr (kLattice.scales == formats::OddScales::Spare)
      numbers = spare(load<Numbers>(record + kLattice.signs_at() + 4 * first));
    else
      numbers = convert<Numbers>(load<Vector<uint16_t, Lanes>>(record + kLattice.others_at() +
                                                               2 * first)) >>
                    12 &
                7u;
    return convert<Vector<float, Lanes>>(
        __builtin_bit_cast(Vector<int32_t, Lanes>, Numbers(numbers * 2 + 1)));
  }

  /// Scales of a run's groups, as numbers, a row of 16 channels of each.
  QK_INLINE void read_scales(const uint8_t *at, int8_t (*groups)[16]) {
    using Row = Vector<uint8_t, 16>;
    constexpr int kGroups = P.super / P.group;
    QK_UNROLL for (int group = 0; group < kGroups; ++group) {
      Row number;
      if constexpr (kLattice.scales == formats::OddScales::Nibbles)
        number = load<Row>(at + 16 * (group % (kGroups / 2))) >> group / (kGroups / 2) * 4 & 15;
      else
        number = (load<Row>(at + 16 * (group % 4)) >> group / 4 * 2 & 3) |
                 (load<Row>(at + 16 * (4 + group % 2)) >> group / 2 & 1) << 2;
      store(groups[group], Row(number * 2 + 1));
    }
  }

private:
  /// As formats::spare_bits and even_signs, whose one definition all builds would share.
  template <class V> QK_INLINE V spare(V stored) {
    V bits = stored >> 25 & 0x55u;
    bits = (bits | bits >> 1) & 0x33u;
    return (bits | bits >> 2) & 0x0fu;
  }
  QK_INLINE Words with_eighth(Words stored) {
    const Words signs = stored & 0x55ffffffu;
    Words odd = signs ^ signs >> 16;
    odd ^= odd >> 8;
    odd ^= odd << 1;
    return signs | (odd & 0xaau) << 24;
  }

  /// The numbers of eight channels' places; the lowest bits lie at `low`.
  QK_INLINE void find_places(const uint8_t *low, int index, Words others,
                             uint32_t (&places)[kLanes]) {
    constexpr int kBits = kLattice.place_bits - 8;
    constexpr bool kEight = kLattice.inputs == 8;
    if constexpr (kBits == 0)
      QK_UNROLL for (int lane = 0; lane < kLanes; ++lane) places[lane] =
          low[kEight ? 4 * lane + index : lane];
    else {
      Words numbers;
      if constexpr (kEight)
        numbers = load<Words>(low) >> 8 * index & 255u;
      else
        numbers = convert<Words>(load<Vector<uint8_t, kLanes>>(low));
      numbers |= (others >> kBits * index & ((1u << kBits) - 1u)) << 8;
      store(places, numbers);
    }
  }
  QK_INLINE uint64_t eight(uint32_t place) { return load<uint64_t>(kPoints.of[place]); }
  QK_INLINE void of_eight(const uint32_t (&places)[kLanes], Words (&rows)[2]) {
    using Pairs = Vector<uint64_t, 4>;
    const Words a = __builtin_bit_cast(
        Words, Pairs{eight(places[0]), eight(places[1]), eight(places[4]), eight(places[5])});
    const Words b = __builtin_bit_cast(
        Words, Pairs{eight(places[2]), eight(places[3]), eight(places[6]), eight(places[7])});
    rows[0] = __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
    rows[1] = __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
  }
  QK_INLINE Words of_four(const uint32_t (&places)[kLanes]) {
    Words row;
    QK_UNROLL for (int lane = 0; lane < kLanes; ++lane) row[lane] = kPoints.of[places[lane]][0];
    return row;
  }

  /// A row's codes of its magnitudes.
  template <int Flip> QK_INLINE Bytes finished(Words four, int row, Words signs, Words others) {
    constexpr uint8_t kZero = P.zero_point ^ Flip;
    if constexpr (kLattice.signs == formats::Signs::None) {
      const Words up = (others >> formats::down_bit(P.codebook, row) & 1u) - 1u;
      return __builtin_bit_cast(Bytes, Words(four + (up & formats::kEighthUp)));
    } else {
      using Halves = Vector<uint16_t, 2 * kLanes>;
      using Signed = Vector<int8_t, 4 * kLanes>;
      // The sign's bit on top of each byte.
      const Halves top = __builtin_bit_cast(Halves, signs) << (7 - row);
      const auto magnitudes = __builtin_bit_cast(Bytes, four);
#if defined(__AVX2__) && !defined(__AVX512BW__)
      const auto codes = __builtin_bit_cast(
          Bytes, _mm256_sign_epi8(__builtin_bit_cast(__m256i, magnitudes),
                                  __builtin_bit_cast(__m256i, Halves(top | 0x0101))));
#else
      const auto negative = __builtin_bit_cast(Bytes, __builtin_bit_cast(Signed, top) < 0);
      const Bytes codes = (magnitudes ^ negative) - negative;
#endif
      return codes + kZero;
    }
  }
};

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_LATTICES_H
