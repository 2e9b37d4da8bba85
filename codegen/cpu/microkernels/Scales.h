// Scales and mins of a panel's records, of one level or of two, and whatever else lies in front of
// a run of them.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H

#include "codegen/cpu/microkernels/Lattices.h"
#include "codegen/cpu/microkernels/Vector.h"
#include "ir/formats/PackingTable.h"

namespace quern::micro {

/// `Lanes` scales, mins or super-scales from channel `first` on, as they are stored.
template <formats::ScaleType Type, int Lanes>
QK_INLINE Vector<float, Lanes> stored_scales(const uint8_t *at, int first) {
  using formats::ScaleType;
  at += formats::scale_bytes(Type) * first;
  if constexpr (Type == ScaleType::F16)
    return load_as_float<_Float16, Lanes>(at);
  else if constexpr (Type == ScaleType::F32)
    return load_as_float<float, Lanes>(at);
  else if constexpr (Type == ScaleType::U8)
    return load_as_float<uint8_t, Lanes>(at);
  else if constexpr (Type == ScaleType::U4)
    return convert<Vector<float, Lanes>>(load<Vector<uint8_t, Lanes>>(at) & 15);
  else if constexpr (Type == ScaleType::E4M3) {
    using Halves = Vector<uint16_t, Lanes>;
    const auto bytes = convert<Halves>(load<Vector<uint8_t, Lanes>>(at) & 127);
    const auto halves = __builtin_bit_cast(Vector<_Float16, Lanes>, Halves(bytes << 7));
    return convert<Vector<float, Lanes>>(halves) * formats::kE4M3Unit;
  } else if constexpr (Type == ScaleType::E8M0) {
    using Words = Vector<int32_t, Lanes>;
    const auto bytes = convert<Words>(load<Vector<uint8_t, Lanes>>(at));
    const Words normal = (bytes - 1) << 23,
                least = bytes == 0 ? Words(0x00200000) : Words(0x00400000);
    return __builtin_bit_cast(Vector<float, Lanes>, Words(normal > least ? normal : least));
  } else
    return load_as_float<int8_t, Lanes>(at);
}

/// Pairs of activation groups (32 inputs each) from one run of super-scales to the next; 0 if a
/// panel has at most one.
template <formats::Packing P> inline constexpr int kRunPairs = P.super > 0 ? P.super / 32 : 0;

/// Whether codes are made for a run at a time, or for a record: and so lie in memory as bytes.
template <formats::Packing P>
inline constexpr bool kCodesOfRuns = P.layout == formats::CodeLayout::Trits;
template <formats::Packing P> inline constexpr bool kCodesMade = kCodesOfRuns<P> || P.is_lattice();

/// What the records of a panel are multiplied with: the super-scales of a run, in memory, from
/// where a multiplication takes them without a register of its own; and the run's scales that lie
/// in front of it, as bytes. Not used where there are none.
template <formats::Packing P> struct Supers {
  static constexpr bool kScalesOfRuns = P.run_scale_bytes() != 0;
  alignas(64) float scale[16], min[16];
  alignas(64) int8_t of_groups[kScalesOfRuns ? 16 : 1][16];
  /// Codes that are made, a row of 64 bytes of each 4 inputs: the run's, or a record's.
  alignas(64) uint8_t codes[kCodesOfRuns<P> ? 64 : P.is_lattice() ? 8 : 1][64];

  // At the beginning of a panel, and at that of each run: reads the super-scales that lie there, if
  // any do, and returns what comes after them.
  QK_INLINE const uint8_t *at_panel(Supers &supers, const uint8_t *panel) {
    return P.super == formats::kWholeRow ? read(supers, panel) : panel;
  }
  QK_INLINE const uint8_t *at_run(Supers &supers, const uint8_t *run) {
    return P.super > 0 ? read(supers, run) : run;
  }

private:
  QK_INLINE const uint8_t *read(Supers &supers, const uint8_t *run) {
    auto scale = stored_scales<P.super_type(), 16>(run, 0);
    if constexpr (P.is_lattice())
      scale *= P.lattice().unit;
    store(supers.scale, scale);
    if constexpr (P.has_min) // min = -(super_min * byte)
      store(supers.min, -stored_scales<P.super_type(), 16>(run + P.super_min_offset(), 0));
    if constexpr (P.scale == formats::ScaleType::I6)
      read_six_bits(supers, run + P.run_scale_offset());
    else if constexpr (kScalesOfRuns)
      LatticeRecord<P>::read_scales(run + P.run_scale_offset(), supers.of_groups);
    if constexpr (P.layout == formats::CodeLayout::Trits)
      read_trits(supers, run + P.run_code_offset());
    return run + P.super_bytes();
  }
  QK_INLINE void read_trits(Supers &supers, const uint8_t *at) {
    using Bytes = Vector<uint8_t, 64>;
#pragma clang loop unroll(disable)
    for (int row = 0; row < formats::kTritRows; ++row) {
      __builtin_prefetch(at + kPrefetchAhead + 64 * row);
      auto fraction = load<Bytes>(at + 64 * row);
      QK_UNROLL for (int digit = 0; digit < formats::kTritsOfByte; ++digit) {
        // Three times the fraction, over 256: whether it is a third, and two thirds.
        const auto less = (fraction >= 86) + (fraction >= 171);
        if (digit * formats::kTritRows + row < 64)
          store(supers.codes[digit * formats::kTritRows + row], __builtin_bit_cast(Bytes, -less));
        fraction = fraction + fraction + fraction;
      }
    }
  }
  /// Four groups in a vector (formats::kSixBitBytes).
  QK_INLINE void read_six_bits(Supers &supers, const uint8_t *at) {
    using Bytes = Vector<uint8_t, 64>;
    const auto high = load<Bytes>(at + 128);
    QK_UNROLL for (int four = 0; four < 4; ++four) {
      const auto low = load<Bytes>(at + 64 * (four % 2));
      const Bytes code = (low >> 4 * (four / 2) & 15) | (high >> 2 * four & 3) << 4;
      store(supers.of_groups[4 * four], Bytes(code - 32));
    }
  }
};

/// Whether a zero point is taken off as a min would be: -zero_point * scale for each activation.
/// Cheap, and as good where codes are as small as the zero point; 8-bit ones would lose bits to it.
template <formats::Packing P>
inline constexpr bool kZeroPointAsMin = P.zero_point != 0 && P.zero_point != 128 && P.group == 32;
/// Whether records have a min, for the kernels.
template <formats::Packing P> inline constexpr bool kHasMin = P.has_min || kZeroPointAsMin<P>;

/// Where the rows of codes of a record are, which is the `index`th of its run, until the next ones
/// are made. Those of a lattice are XORed with Flip.
template <formats::Packing P, int Flip>
QK_INLINE const uint8_t *record_codes(const uint8_t *record, int index, Supers<P> &supers) {
  if constexpr (P.is_lattice()) {
    LatticeRecord<P>::template make_rows<Flip>(record, supers.codes[0]);
    return supers.codes[0];
  } else {
    return kCodesOfRuns<P> ? supers.codes[kCodesOfRuns<P> ? 8 * index : 0] : record;
  }
}

/// Numbers of a group as they are stored, for `Lanes` channels from `first` on, times their
/// super-scales.
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> products(Vector<float, Lanes> stored, int first,
                                        const float *supers) {
  if constexpr (P.super == 0)
    return stored;
  else
    return load<Vector<float, Lanes>>(supers + first) * stored;
}

/// The scales of group `group` of a record, which is the `index`th of its run.
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_scales(const uint8_t *record, int index, int group, int first,
                                             const Supers<P> &supers) {
  using formats::ScaleType;
  if constexpr (P.scale == ScaleType::None)
    return load<Vector<float, Lanes>>(supers.scale + first);
  else if constexpr (P.is_lattice() && !Supers<P>::kScalesOfRuns)
    return products<P, Lanes>(LatticeRecord<P>::template scales<Lanes>(record, first), first,
                              supers.scale);
  else if constexpr (Supers<P>::kScalesOfRuns)
    return products<P, Lanes>(load_as_float<int8_t, Lanes>(
                                  bytes_of(supers.of_groups[P.groups() * index + group] + first)),
                              first, supers.scale);
  else
    return products<P, Lanes>(
        stored_scales<P.scale, Lanes>(record + P.scale_offset() + group * P.group_bytes(), first),
        first, supers.scale);
}
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_mins(const uint8_t *record, int index, int group, int first,
                                           const Supers<P> &supers) {
  const uint8_t *at = record + P.min_offset() + group * P.group_bytes();
  if constexpr (kZeroPointAsMin<P>)
    return record_scales<P, Lanes>(record, index, group, first, supers) *
           static_cast<float>(-P.zero_point);
  else if constexpr (P.scale == formats::ScaleType::None)
    return load<Vector<float, Lanes>>(supers.min + first);
  else if constexpr (P.mins_beside_scales())
    return products<P, Lanes>(
        convert<Vector<float, Lanes>>(load<Vector<uint8_t, Lanes>>(at + first) >> 4), first,
        supers.min);
  else
    return products<P, Lanes>(stored_scales<P.scale, Lanes>(at, first), first, supers.min);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H
