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

/// What the records of a panel are multiplied with: the super-scales of a run, in memory, from
/// where a multiplication takes them without a register of its own. Nothing where there are none.
template <formats::Packing P> struct Supers {
  alignas(64) float scale[16], min[16];

  /// Reads those of a run and returns its first record.
  QK_INLINE const uint8_t *read(Supers &supers, const uint8_t *run) {
    store(supers.scale, stored_scales<P.super_type(), 16>(run, 0));
    if constexpr (P.has_min) // min = -(super_min * byte)
      store(supers.min, -stored_scales<P.super_type(), 16>(run + P.super_min_offset(), 0));
    return run + P.super_bytes();
  }
};
template <formats::Packing P>
  requires(P.super == 0)
struct Supers<P> {
  QK_INLINE const uint8_t *read(Supers &, const uint8_t *run) { return run; }
};

/// Pairs of activation groups (32 inputs each) from one run of super-scales to the next; 0 if a
/// panel has at most one.
template <formats::Packing P> inline constexpr int kRunPairs = P.super > 0 ? P.super / 32 : 0;

/// The scales of `Lanes` channels of a record, from channel `first` on.
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_scales(const uint8_t *record, int first,
                                             const Supers<P> &supers) {
  const auto scales = stored_scales<P.scale, Lanes>(record + P.scale_offset(), first);
  if constexpr (P.super == 0)
    return scales;
  else
    return load<Vector<float, Lanes>>(supers.scale + first) * scales;
}

/// Its mins.
template <formats::Packing P, int Lanes>
QK_INLINE Vector<float, Lanes> record_mins(const uint8_t *record, int first,
                                           const Supers<P> &supers) {
  const auto mins = stored_scales<P.scale, Lanes>(record + P.min_offset(), first);
  if constexpr (P.super == 0)
    return mins;
  else
    return load<Vector<float, Lanes>>(supers.min + first) * mins;
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_SCALES_H
