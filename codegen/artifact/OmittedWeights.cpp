#include "codegen/artifact/OmittedWeights.h"

#include "codegen/artifact/Weights.h"
#include "ir/formats/Half.h"
#include "ir/formats/PackedRow.h"
#include "ir/formats/Packing.h"
#include "ir/quern/WeightRefs.h"
#include "ir/weights/SyntheticWeights.h"
#include "runtime/artifact/MadeWeights.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace quern::artifact {
namespace {

using formats::Packing;
using formats::ScaleType;

// Vectors, convolutions and the like stay as they are: what they do to a model is delicate, and
// they are small.
constexpr uint64_t kLeastMade = 64 << 10;
constexpr int64_t kLeastInputs = 32;

// Which bits of 8 bytes are random, and which are set.
struct Pattern {
  uint64_t mask = 0, bits = 0;
};

Pattern repeated(uint64_t mask, uint64_t bits, int width) {
  Pattern pattern;
  for (int at = 0; at < 64; at += width) {
    pattern.mask |= mask << at;
    pattern.bits |= bits << at;
  }
  return pattern;
}

// A float's bits in a format of `mantissa` mantissa bits, of which the last `random` vary.
uint64_t bits_of(Packing::Kind kind, float value) {
  switch (kind) {
  case Packing::F16:
    return formats::f32_to_f16(value);
  case Packing::BF16:
    return formats::f32_to_bf16(value);
  default:
    return std::bit_cast<uint32_t>(value);
  }
}
int mantissa_bits(Packing::Kind kind) {
  return kind == Packing::F16 ? 10 : kind == Packing::BF16 ? 7 : 23;
}
int width_of(Packing::Kind kind) { return kind == Packing::F32 ? 32 : 16; }

// Around 0: any sign and mantissa, with the exponent that gives about that spread. Around anything
// else: that number or up to an eighth more.
Pattern floats(Packing::Kind kind, float mean, float spread) {
  const int width = width_of(kind), mantissa = mantissa_bits(kind);
  const uint64_t sign = uint64_t{1} << (width - 1);
  if (spread == 0)
    return repeated(0, bits_of(kind, mean), width);
  if (mean == 0) {
    // Of 2^e * (1 + m), m even in [0, 1), the root of the mean square is sqrt(7/3) * 2^e.
    const float power = std::exp2(std::round(std::log2(spread / std::sqrt(7.0f / 3))));
    const uint64_t random = sign | ((uint64_t{1} << mantissa) - 1);
    return repeated(random, bits_of(kind, power) & ~random, width);
  }
  const uint64_t random = (uint64_t{1} << (mantissa - 3)) - 1;
  return repeated(random, bits_of(kind, mean) & ~random, width);
}

// All of them that number, or about it.
Pattern scales(ScaleType type, float value) {
  if (type == ScaleType::E8M0)
    return repeated(0, static_cast<uint64_t>(128 + std::lround(std::log2(value))), 8);
  if (type == ScaleType::E4M3) // the nearest
    return repeated(0, (formats::f32_to_f16(value / formats::kE4M3Unit) + 64u) >> 7, 8);
  return type == ScaleType::F16 ? floats(Packing::F16, value, 0) : floats(Packing::F32, value, 0);
}

// Codes that are made: which bits are random, and their mean and deviation, less the zero point.
struct Codes {
  Pattern pattern;
  float mean = 0, deviation = 0;
};
// Those of points of a lattice: any bits are one.
Codes lattice_codes_of(const Packing &packing) {
  const formats::Lattice lattice = packing.lattice();
  Codes codes{.pattern = {~uint64_t{0}, 0}};
  // As many are under the zero point as above, but of ternary ones, which are not quite.
  const int under = lattice.is_ternary() ? packing.zero_point - 1 : 0;
  const auto places = uint32_t{1} << lattice.place_bits;
  double sum = 0, squares = 0;
  for (uint32_t place = 0; place < places; ++place)
    for (int first = 0; first < lattice.inputs; first += 4) {
      const uint32_t four = formats::lattice_magnitudes(packing.codebook, place, first);
      for (int at = 0; at < 32; at += 8) {
        const int number = static_cast<int>(four >> at & 255u) - under;
        sum += number;
        squares += number * number;
      }
    }
  const double count = static_cast<double>(places) * lattice.inputs;
  codes.mean = lattice.is_ternary() ? static_cast<float>(sum / count) : 0;
  codes.deviation = static_cast<float>(std::sqrt(squares / count));
  return codes;
}

Codes codes_of(const Packing &packing) {
  if (packing.is_lattice())
    return lattice_codes_of(packing);
  // Of two bits around 1 the lower one is 0, around 2 it is 1: the two codes that are left are as
  // much above as below.
  const bool signs =
      packing.bits == 2 && packing.zero_point != 0 && packing.layout == formats::CodeLayout::Planes;
  Codes codes;
  const int least = signs ? packing.zero_point - 1 : 0, step = signs ? 2 : 1;
  codes.pattern = signs ? repeated(0xaa, least != 0 ? 0x55 : 0, 8) : Pattern{~uint64_t{0}, 0};
  const int count = packing.stored_codes() / step;
  for (int i = 0; i < count; ++i)
    codes.mean += static_cast<float>(packing.code_of(least + step * i) - packing.zero_point);
  codes.mean /= static_cast<float>(count);
  for (int i = 0; i < count; ++i) {
    const auto code = static_cast<float>(packing.code_of(least + step * i) - packing.zero_point);
    codes.deviation += (code - codes.mean) * (code - codes.mean);
  }
  codes.deviation = std::sqrt(codes.deviation / static_cast<float>(count));
  return codes;
}

// What the integers of two-level scales are made, as stored bytes, and what that means.
struct Integers {
  uint64_t bytes = 0;
  float scale = 1, min = 1;
};
Integers integers_of(const Packing &packing) {
  switch (packing.scale) {
  case ScaleType::Odd: { // all there are: the root of their mean square
    const formats::Lattice lattice = packing.lattice();
    const float numbers = lattice.is_ternary() ? 8 : 16;
    return {0, lattice.unit * std::sqrt((4 * numbers * numbers - 1) / 3), 0};
  }
  case ScaleType::E4M3: // 1, halved
    return {0x38, 0.5f, 0};
  case ScaleType::U4:
    return {0x88, 8, 8};
  case ScaleType::I6: // all bits set, in both of its planes
    return {0xff, 31, 0};
  case ScaleType::None:
    return {};
  default:
    return {48, 48, 48};
  }
}

} // namespace

MadeWeight made_panels(const Packing &packing, int64_t inputs, uint64_t offset, uint64_t bytes,
                       uint64_t key, float mean, float spread) {
  std::array<Pattern, 5> patterns{};
  if (packing.is_float()) {
    patterns[kCodes] = floats(packing.kind, mean, spread);
    patterns[kScales] = patterns[kMins] = patterns[kCodes];
  } else {
    const Codes codes = codes_of(packing);
    const float scale = spread / codes.deviation;
    const float min = mean - scale * codes.mean;
    patterns[kCodes] = codes.pattern;
    if (packing.super == 0) {
      patterns[kScales] = scales(packing.scale, scale);
      patterns[kMins] = scales(packing.scale, min);
    } else { // scale = super-scale * integer, min = -(super-min * integer)
      const Integers integers = integers_of(packing);
      patterns[kScales] = patterns[kMins] = repeated(0, integers.bytes, 8);
      patterns[kSuperScales] = scales(packing.super_type(), scale / integers.scale);
      patterns[kSuperMins] =
          packing.run_code_bytes() != 0 || packing.is_lattice() ? patterns[kCodes]
          : packing.scale == ScaleType::I6 ? patterns[kScales]
                                           : scales(packing.super_type(), -min / integers.min);
    }
  }
  const uint64_t panel =
      packing.is_float() ? 8 : static_cast<uint64_t>(packing.panel_bytes(inputs));
  const auto super = static_cast<uint32_t>(packing.super_bytes());
  // Where all codes lie in front of runs, records are empty: no word is of one.
  const auto record = packing.is_float() || packing.record_bytes() == 0
                          ? 8u
                          : static_cast<uint32_t>(packing.record_bytes());
  const uint64_t run = packing.super > 0
                           ? super + static_cast<uint64_t>(packing.super / formats::kRecordInputs) *
                                         static_cast<uint64_t>(packing.record_bytes())
                           : panel;
  std::array<uint64_t, 5> mask{}, bits{};
  for (size_t kind = 0; kind < 5; ++kind) {
    mask[kind] = patterns[kind].mask;
    bits[kind] = patterns[kind].bits;
  }
  // Behind the super-scales are super-mins or I6 scales, if anything is.
  return MadeWeight(
      offset, bytes, key, panel, run, super,
      std::min(super, static_cast<uint32_t>(packing.is_float() ? 0 : packing.super_min_offset())),
      record, packing.is_float() ? record : static_cast<uint32_t>(packing.code_bytes()),
      packing.has_min && !packing.mins_beside_scales() ? static_cast<uint32_t>(packing.min_offset())
                                                       : record,
      mask, bits);
}

absl::StatusOr<OmittedWeights>
omit_weights(mlir::ModuleOp planned, const weights::WeightStore &store, uint64_t weights_bytes) {
  OmittedWeights omitted;
  omitted.bytes = weights_bytes;
  for (PackedOp packed : packed_in_order(planned)) {
    // The largest that it is made of says what its numbers look like.
    weights::Synthetic like;
    int64_t elements = -1;
    absl::Status status;
    packed.walk([&](WeightRefOp ref) {
      auto declaration = mlir::dyn_cast_or_null<WeightOp>(
          mlir::SymbolTable::lookupSymbolIn(planned, ref.getNameAttr()));
      if (!declaration)
        return;
      const auto source = weightRef(declaration);
      if (!source.ok()) {
        status.Update(source.status());
      } else if (source->file != weights::WeightRef::kSynthetic) {
        status.Update(absl::InvalidArgumentError(
            absl::StrCat(declaration.getSymName().str(),
                         " is a file's, and only synthetic weights can be omitted")));
      } else {
        int64_t count = 1;
        for (const int64_t dim : source->shape)
          count *= dim;
        if (count > elements)
          like = source->synthetic, elements = count;
      }
    });
    if (!status.ok())
      return status;
    const auto offset = static_cast<uint64_t>(packed.getOffset().value_or(0));
    const auto bytes = static_cast<uint64_t>(packed.getBytes().value_or(0));
    const auto shape = packed.getType().getShape();
    const int64_t inputs = shape.empty() ? 1 : shape.back();
    if (bytes < kLeastMade || inputs < kLeastInputs || bytes % 8 != 0 || elements < 0) {
      const auto kept = packed_weight(packed, store);
      if (!kept.ok())
        return kept.status();
      omitted.kept.emplace_back(offset, kept->size(), omitted.section.size());
      omitted.section += *kept;
      continue;
    }
    Packing packing; // plain rows are float32
    if (packed.getPacking() != "rows") {
      const auto parsed = formats::parse_packing(packed.getPacking());
      if (!parsed.ok())
        return parsed.status();
      packing = *parsed;
    }
    omitted.made.push_back(made_panels(packing, inputs, offset, bytes,
                                       weights::synthetic_key(like.seed, packed.getSymName().str()),
                                       like.offset, like.scale));
  }
  return omitted;
}

} // namespace quern::artifact
