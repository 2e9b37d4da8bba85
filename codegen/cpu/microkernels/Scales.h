// Scales and mins of a panel's records, of one level or of two.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H

#include "codegen/cpu/microkernels/Vector.h"
#include "ir/formats/PackingLayout.h"

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
  else
    return load_as_float<int8_t, Lanes>(at);
}

/// Pairs of activation groups (32 inputs each) from one run of super-scales to the next; 0 if a
/// panel has at most one.
template <formats::Packing P> inline constexpr int kRunPairs = P.super > 0 ? P.super / 32 : 0;

/// What the records of a panel are multiplied with: the super-scales of a run, in memory, from
/// where a multiplication takes them without a register of its own. Not used where there are none.
template <formats::Packing P> struct Supers {
  alignas(64) float scale[16], min[16];

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
    store(supers.scale, stored_scales<P.super_type(), 16>(run, 0));
    if constexpr (P.has_min) // min = -(super_min * byte)
      store(supers.min, -stored_scales<P.super_type(), 16>(run + P.super_min_offset(), 0));
    return run + P.super_bytes();
  }
};

/// Whether a zero point is taken off as a min would be: -zero_point * scale for each activation.
/// Cheap, and as good where codes are as small as the zero point; 8-bit ones would lose bits to it.
template <formats::Packing P>
inline constexpr bool kZeroPointAsMin = P.zero_point != 0 && P.zero_point != 128 && P.group == 32;
/// Whether records have a min, for the kernels.
template <formats::Packing P> inline constexpr bool kHasMin = P.has_min || kZeroPointAsMin<P>;

/// A record's numbers at `at`, for `Lanes` channels from `first` on, times their super-scales.
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> products(const uint8_t *at, int first, const float *supers) {
  const auto stored = stored_scales<P.scale, Lanes>(at, first);
  if constexpr (P.super == 0)
    return stored;
  else
    return load<Vector<float, Lanes>>(supers + first) * stored;
}

template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_scales(const uint8_t *record, int first,
                                             const Supers<P> &supers) {
  return products<P, Lanes>(record + P.scale_offset(), first, supers.scale);
}
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_mins(const uint8_t *record, int first,
                                           const Supers<P> &supers) {
  if constexpr (kZeroPointAsMin<P>)
    return record_scales<P, Lanes>(record, first, supers) * static_cast<float>(-P.zero_point);
  else
    return products<P, Lanes>(record + P.min_offset(), first, supers.min);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H
