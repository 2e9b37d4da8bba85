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
        points.of[place][word] = formats::lattice_magnitudes<Book>(place, 4 * word);
    return points;
  }
};

/// A lattice's records.
template <formats::Packing P> struct LatticeRecord {
  static constexpr formats::Lattice kLattice = P.lattice();
  static constexpr int kLanes = 8;
  using Words = Vector<uint32_t, kLanes>;
  using Bytes = Vector<uint8_t, 4 * kLanes>;
  alignas(64) static constexpr LatticePoints<P.codebook> kPoints = LatticePoints<P.codebook>::all();

  /// Writes the record's eight rows to `rows`, 64 bytes each, XORed with Flip.
  template <int Flip> QK_INLINE void make_rows(const uint8_t *record, uint8_t *rows) {
    QK_LOOP for (int first = 0; first < 16; first += kLanes) {
      const Numbers numbers = Numbers::read(record, first);
      QK_UNROLL for (int r = 0; r < 8; r += 2) {
        Words two[2];
        magnitudes(record, first, r, numbers, two);
        QK_UNROLL for (int half = 0; half < 2; ++half)
            store(rows + 64 * (r + half) + 4 * first, finished<Flip>(two[half], r + half, numbers));
      }
    }
  }

#if defined(__AVX2__) && !defined(__AVX512BW__)
  /// As integer_dot of one row of activations, `code_sum` the sum of those of the group: signs
  /// change activations instead of codes, and nothing passes through memory.
  template <int Group>
  QK_INLINE Vector<int32_t, 8> dot(const uint8_t *record, int first, const uint8_t *x, int code_sum,
                                   Vector<int32_t, 8> sum) {
    using Pairs = Vector<int16_t, 16>;
    constexpr bool kSigned = kLattice.signs != formats::Signs::None;
    constexpr int kMost = kSigned ? kLattice.largest_magnitude() : P.max_code();
    constexpr bool kFourFit = 4 * 2 * kMost * 127 <= 32767;
    static_assert(2 * 2 * kMost * 127 <= 32767);
    const Numbers numbers = Numbers::read(record, first);
    Pairs pairs = 0;
    const auto widen = [&]() __attribute__((always_inline)) {
      sum += __builtin_bit_cast(
          Vector<int32_t, 8>,
          _mm256_madd_epi16(__builtin_bit_cast(__m256i, pairs), _mm256_set1_epi16(1)));
    };
    QK_UNROLL for (int r = 4 * Group; r < 4 * Group + 4; r += 2) {
      Words two[2];
      magnitudes(record, first, r, numbers, two);
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        auto activations =
            __builtin_bit_cast(__m256i, Vector<int32_t, 8>(load<int32_t>(x + 4 * (r + half))));
        auto codes = __builtin_bit_cast(__m256i, two[half]);
        if constexpr (kSigned)
          activations = _mm256_sign_epi8(activations, with_signs(r + half, numbers));
        else
          codes = __builtin_bit_cast(__m256i, finished<0>(two[half], r + half, numbers));
        const auto products = __builtin_bit_cast(Pairs, _mm256_maddubs_epi16(codes, activations));
        pairs = half == 0 && (r == 4 * Group || !kFourFit) ? products : pairs + products;
      }
      if (!kFourFit || r != 4 * Group)
        widen();
    }
    // The zero point is in the codes of those that have none of 128.
    return kSigned && P.zero_point != 128 ? sum + P.zero_point * code_sum : sum;
  }
#endif

  /// Scales that are the record's.
  template <int Lanes> QK_INLINE Vector<float, Lanes> scales(const uint8_t *record, int first) {
    using Numbers = Vector<uint32_t, Lanes>;
    Numbers numbers;
    if constexpr (kLattice.scales == formats::OddScales::Spare)
      numbers = spare(load<Numbers>(record + kLattice.signs_at() + 4 * first));
    else
      numbers = convert<Numbers>(
                    load<Vector<uint16_t, Lanes>>(record + kLattice.others_at() + 2 * first)) >>
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
  /// Of eight channels: their signs, all eight of them, and others.
  struct Numbers {
    Words signs, others;

    QK_INLINE Numbers read(const uint8_t *record, int first) {
      Numbers numbers = {};
      if constexpr (kLattice.signs != formats::Signs::None)
        numbers.signs = load<Words>(record + kLattice.signs_at() + 4 * first);
      const uint8_t *others = record + kLattice.others_at() + kLattice.others_width() * first;
      if constexpr (kLattice.others_width() == 1)
        numbers.others = convert<Words>(load<Vector<uint8_t, kLanes>>(others));
      else if constexpr (kLattice.others_width() == 2)
        numbers.others = convert<Words>(load<Vector<uint16_t, kLanes>>(others));
      if constexpr (kLattice.signs == formats::Signs::Even) {
        if constexpr (kLattice.place_bits > 8)
          numbers.others = spare(numbers.signs);
        numbers.signs = with_eighth(numbers.signs);
      }
      return numbers;
    }
  };

  /// What rows r and r + 1, r even, stand for; iq1's as if moved down.
  QK_INLINE void magnitudes(const uint8_t *record, int first, int r, const Numbers &numbers,
                            Words (&rows)[2]) {
    uint32_t places[kLanes];
    if constexpr (kLattice.inputs == 8) {
      find_places(record, first, r / 2, numbers.others, places);
      of_eight(places, rows);
    } else {
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        find_places(record, first, r + half, numbers.others, places);
        rows[half] = of_four(places);
      }
    }
  }

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

  /// The numbers of eight channels' places, which are the `index`th ones. They come out of two
  /// words: loads are what is scarce, and each place is one already.
  QK_INLINE void find_places(const uint8_t *record, int first, int index, Words others,
                             uint32_t (&places)[kLanes]) {
    constexpr int kBits = kLattice.place_bits - 8;
    const uint8_t *low = record + 16 * index + first;
    if constexpr (kBits == 0) {
      const auto bytes = load<uint64_t>(low);
      QK_UNROLL for (int lane = 0; lane < kLanes; ++lane) places[lane] = bytes >> 8 * lane & 255u;
    } else {
      using Halves = Vector<uint16_t, kLanes>;
      const auto high = convert<Halves>(others >> kBits * index & ((1u << kBits) - 1u));
      const auto words = __builtin_bit_cast(
          Vector<uint64_t, 2>,
          Halves(convert<Halves>(load<Vector<uint8_t, kLanes>>(low)) | high << 8));
      QK_UNROLL for (int lane = 0; lane < kLanes; ++lane) places[lane] =
          words[lane / 4] >> 16 * (lane % 4) & 0xffffu;
    }
  }
  // Words go from the table into their lanes one after the other: an instruction each, where clang
  // loads them apart and then unpacks them, half as many again.
  using Quarter = Vector<uint32_t, 4>;
  QK_INLINE Quarter two_of_eight(uint32_t first, uint32_t second) {
    Quarter words = {kPoints.of[first][0], kPoints.of[first][kLattice.inputs / 4 - 1], 0, 0};
    __asm__("vmovhps %1, %0, %0" : "+x"(words) : "m"(kPoints.of[second]));
    return words;
  }
  QK_INLINE Quarter four_of_four(const uint32_t *places) {
    Quarter words = {kPoints.of[places[0]][0], 0, 0, 0};
    __asm__("vinsertps $0x10, %1, %0, %0" : "+x"(words) : "m"(kPoints.of[places[1]]));
    __asm__("vinsertps $0x20, %1, %0, %0" : "+x"(words) : "m"(kPoints.of[places[2]]));
    __asm__("vinsertps $0x30, %1, %0, %0" : "+x"(words) : "m"(kPoints.of[places[3]]));
    return words;
  }
  QK_INLINE Words both(Quarter low, Quarter high) {
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
  }
#if defined(__AVX2__) && !defined(__AVX512BW__)
  /// Bytes with the signs of a row; never zero.
  QK_INLINE __m256i with_signs(int row, const Numbers &numbers) {
    using Halves = Vector<uint16_t, 2 * kLanes>;
    return __builtin_bit_cast(
        __m256i, Halves((__builtin_bit_cast(Halves, numbers.signs) << (7 - row)) | 0x0101));
  }
#endif
  QK_INLINE void of_eight(const uint32_t (&places)[kLanes], Words (&rows)[2]) {
    const Words a = both(two_of_eight(places[0], places[1]), two_of_eight(places[4], places[5]));
    const Words b = both(two_of_eight(places[2], places[3]), two_of_eight(places[6], places[7]));
    rows[0] = __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
    rows[1] = __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
  }
  QK_INLINE Words of_four(const uint32_t (&places)[kLanes]) {
    return both(four_of_four(places), four_of_four(places + 4));
  }

  /// A row's codes of its magnitudes.
  template <int Flip> QK_INLINE Bytes finished(Words four, int row, const Numbers &numbers) {
    constexpr uint8_t kZero = P.zero_point ^ Flip;
    if constexpr (kLattice.signs == formats::Signs::None) {
      const Words up = (numbers.others >> formats::down_bit(P.codebook, row) & 1u) - 1u;
      return __builtin_bit_cast(Bytes, Words(four + (up & formats::kEighthUp)));
    } else {
      const auto magnitudes = __builtin_bit_cast(Bytes, four);
#if defined(__AVX2__) && !defined(__AVX512BW__)
      const auto codes =
          __builtin_bit_cast(Bytes, _mm256_sign_epi8(__builtin_bit_cast(__m256i, magnitudes),
                                                     with_signs(row, numbers)));
#else
      using Halves = Vector<uint16_t, 2 * kLanes>;
      using Signed = Vector<int8_t, 4 * kLanes>;
      const Halves top = __builtin_bit_cast(Halves, numbers.signs) << (7 - row);
      const auto negative = __builtin_bit_cast(Bytes, __builtin_bit_cast(Signed, top) < 0);
      const Bytes codes = (magnitudes ^ negative) - negative;
#endif
      return codes + kZero;
    }
  }
};

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_LATTICES_H
