#include "ir/formats/Packing.h"

#include "ir/formats/Planes.h"
#include "ir/formats/QuantFormat.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

namespace quern::formats {
namespace {

/// `Element` stands for an encoded number of its size.
template <class Element>
void interleave(std::span<const std::byte *const, kPanelLanes> rows, int64_t inputs,
                std::byte *dst) {
  // What all lanes write to stays in the first cache, however long the rows are.
  constexpr int64_t kBlock = 128;
  for (int64_t first = 0; first < inputs; first += kBlock) {
    const int64_t end = std::min(inputs, first + kBlock);
    for (int lane = 0; lane < kPanelLanes; ++lane)
      for (int64_t k = first; k < end; ++k) {
        Element element{};
        if (rows[lane] != nullptr)
          std::memcpy(&element, rows[lane] + k * int64_t{sizeof element}, sizeof element);
        std::memcpy(dst + (k * kPanelLanes + lane) * int64_t{sizeof element}, &element,
                    sizeof element);
      }
  }
}

void pack_float_panel(int element_bytes, std::span<const std::byte *const, kPanelLanes> rows,
                      int64_t inputs, std::byte *dst) {
  if (element_bytes == 2)
    interleave<uint16_t>(rows, inputs, dst);
  else
    interleave<uint32_t>(rows, inputs, dst);
}

/// Writes the number of lane `lane` of an array. `value` came from the same type, so nothing is
/// rounded.
void store_scale(ScaleType type, std::byte *at, int lane, float value) {
  switch (type) {
  case ScaleType::F16:
    store_u16(at + 2 * lane, f32_to_f16(value));
    return;
  case ScaleType::F32:
    std::memcpy(at + 4 * lane, &value, sizeof value);
    return;
  case ScaleType::U8:
  case ScaleType::I8:
    at[lane] = static_cast<std::byte>(static_cast<int>(value));
    return;
  case ScaleType::E8M0: {
    const auto bits = __builtin_bit_cast(uint32_t, value);
    at[lane] = static_cast<std::byte>(bits >= 0x00800000u ? (bits >> 23) + 1 : bits >> 22);
    return;
  }
  case ScaleType::U4: // the min comes above it
    at[lane] |= static_cast<std::byte>(static_cast<int>(value));
    return;
  case ScaleType::E4M3:
    at[lane] = static_cast<std::byte>(f32_to_f16(value / kE4M3Unit) >> 7);
    return;
  case ScaleType::I6: // store_six_bits
  case ScaleType::Odd:
  case ScaleType::None:
    return;
  }
}

/// Writes the I6 scale of a group of a run, whose scales, zeros so far, lie at `at`.
void store_six_bits(std::byte *at, int group, int lane, float value) {
  const unsigned code = static_cast<unsigned>(static_cast<int>(value) + 32);
  at[kPanelLanes * (group % 8) + lane] |= static_cast<std::byte>((code & 15) << 4 * (group / 8));
  at[kPanelLanes * (8 + group % 4) + lane] |= static_cast<std::byte>(code >> 4 << 2 * (group / 4));
}

/// Writes the trits of one lane of a run, of which `codes` has so many rows of four inputs; of
/// others they are 1.
void store_trits(const uint8_t *codes, int rows, int lane, std::byte *at) {
  for (int stored = 0; stored < kTritRows; ++stored)
    for (int i = 0; i < 4; ++i) {
      uint32_t digits = 0;
      for (int digit = 0; digit < kTritsOfByte; ++digit) {
        const int row = digit * kTritRows + stored;
        digits = 3 * digits + (row < rows ? codes[4 * row + i] : 1u);
      }
      at[64 * stored + 4 * lane + i] = static_cast<std::byte>((digits * 256 + 242) / 243);
    }
}

/// As pack_block, of a lattice. Past the end of the row, where activations are zero, it is what the
/// block has there: not every lattice has a code for zero.
void pack_lattice_block(const Format &format, const std::byte *row, const std::byte *block,
                        int64_t inputs, int64_t first, int lane, std::byte *dst) {
  if (block == nullptr)
    return; // scales of zero
  const Packing &packing = format.packing();
  LatticeBlock places;
  format.unpack_places(block, places);
  std::byte *run = dst + packing.super_at(first);
  store_scale(packing.super_type(), run, lane, format.super_scales(row, block).scale);
  const auto records = std::min<int64_t>(LatticeBlock::kRecords, packing.records(inputs) - first);
  store_lattice_block(packing, places, lane, static_cast<int>(records),
                      dst + packing.record_at(first), packing.record_bytes(),
                      run + packing.run_scale_offset());
}

/// Writes one lane of the records from `first` on that a block of its row becomes. `row` and
/// `block` are null for a padding channel.
template <int Low, int High>
void pack_block(const Format &format, const std::byte *row, const std::byte *block, int64_t inputs,
                int64_t first, int lane, std::byte *dst) {
  const Packing packing = format.packing(); // for the compiler, what is written might be its fields
  uint8_t codes[kMaxBlock];
  float scales[kMaxBlock / 16] = {};
  float mins[kMaxBlock / 16] = {};
  const int64_t input = first * kRecordInputs;
  // Past the end of the row, and in padding channels, codes mean zero.
  const int64_t used =
      block == nullptr ? 0 : std::clamp<int64_t>(inputs - input, 0, format.block());
  std::byte *run = dst + packing.super_at(first);
  if (used > 0) {
    format.unpack_block(block, codes, scales, mins);
    // A block has one pair of super-scales, and is one run of them or a part of the row's.
    if (packing.super != 0) {
      const SuperScales super = format.super_scales(row, block);
      store_scale(packing.super_type(), run, lane, super.scale);
      if (packing.has_min)
        store_scale(packing.super_type(), run + packing.super_min_offset(), lane, super.min);
    }
  }
  std::fill(codes + used, codes + format.block(), static_cast<uint8_t>(packing.stored_zero()));
  const int64_t records =
      std::min<int64_t>(format.block() / kRecordInputs, packing.records(inputs) - first);
  const int groups = packing.groups();
  if (packing.layout == CodeLayout::Trits)
    store_trits(codes, format.block() / 4, lane, run + packing.run_code_offset());
  for (int i = 0; i < records; ++i) {
    std::byte *record = dst + packing.record_at(first + i);
    if (packing.layout == CodeLayout::Planes)
      store_planes<Low, High>(codes + i * kRecordInputs, lane, record);
    for (int g = 0; g < groups; ++g) {
      const int group = i * groups + g; // of the block
      if (group * packing.group >= used)
        break; // wholly padding: scale and min stay zero
      std::byte *scale = record + packing.scale_offset() + g * packing.group_bytes();
      if (packing.scale == ScaleType::I6)
        store_six_bits(
            run + packing.run_scale_offset(),
            static_cast<int>((input / packing.group + group) % (packing.super / packing.group)),
            lane, scales[group]);
      else
        store_scale(packing.scale, scale, lane, scales[group]);
      if (packing.mins_beside_scales())
        scale[lane] |= static_cast<std::byte>(static_cast<int>(mins[group]) << 4);
      else if (packing.has_min)
        store_scale(packing.scale, record + packing.min_offset() + g * packing.group_bytes(), lane,
                    mins[group]);
    }
  }
}

} // namespace

std::string packing_name(const Packing &packing) {
  switch (packing.kind) {
  case Packing::F32:
    return "f32";
  case Packing::F16:
    return "f16";
  case Packing::BF16:
    return "bf16";
  case Packing::Q:
    break;
  }
  constexpr const char *kScales[] = {".f16", ".f32", ".u8", ".i8",   ".e8m0",
                                     ".u4",  ".i6",  "",    ".e4m3", ".odd"};
  constexpr const char *kCodebooks[] = {"",       "iq4",   "e2m1", "iq1s",   "iq1m",
                                        "iq2xxs", "iq2xs", "iq2s", "iq3xxs", "iq3s"};
  std::string name = packing.layout == CodeLayout::Trits ? "t5"
                     : packing.codebook == Codebook::None
                         ? absl::StrCat("q", packing.bits)
                         : kCodebooks[static_cast<int>(packing.codebook)];
  absl::StrAppend(&name, ".g", packing.group, ".z", packing.zero_point,
                  packing.has_min ? ".min" : "", kScales[static_cast<int>(packing.scale)]);
  if (packing.super == kWholeRow)
    name += ".row";
  else if (packing.super != 0)
    absl::StrAppend(&name, ".s", packing.super);
  return name;
}

std::string packing_symbol(const Packing &packing) {
  std::string symbol = packing_name(packing);
  std::replace(symbol.begin(), symbol.end(), '.', '_');
  return symbol;
}

std::span<const Packing> quant_packings() {
  static constexpr Packing kPackings[] = {
#define QUERN_PACKING(NAME, FIELDS) packings::NAME,
      QUERN_FOR_EACH_PACKING(QUERN_PACKING)
#undef QUERN_PACKING
  };
  return kPackings;
}

absl::StatusOr<Packing> parse_packing(std::string_view name) {
  for (const Packing::Kind kind : {Packing::F32, Packing::F16, Packing::BF16})
    if (packing_name({.kind = kind}) == name)
      return Packing{.kind = kind};
  for (const Packing &packing : quant_packings())
    if (packing_name(packing) == name)
      return packing;
  return absl::NotFoundError(
      absl::StrCat("no packing is named '", std::string(name),
                   "'; it may come from a newer Quern: recompile the model"));
}

void pack_panel(const Format &format, std::span<const std::byte *const, kPanelLanes> rows,
                int64_t inputs, std::byte *dst) {
  const Packing &packing = format.packing();
  if (packing.is_float()) {
    pack_float_panel(packing.element_bytes(), rows, inputs, dst);
    return;
  }
  std::memset(dst, 0, static_cast<size_t>(packing.panel_bytes(inputs)));
  const int64_t records = packing.records(inputs);
  const int records_a_block = format.block() / kRecordInputs;
  // Lane by lane inside a block, not block by block inside a lane: what is written stays in the
  // first cache.
  const std::byte *blocks[kPanelLanes] = {};
  for (int lane = 0; lane < kPanelLanes; ++lane)
    if (rows[lane] != nullptr)
      blocks[lane] = rows[lane] + format.header_bytes();
  with_planes(packing, [&]<int Low, int High>() {
    for (int64_t first = 0; first < records; first += records_a_block)
      for (int lane = 0; lane < kPanelLanes; ++lane) {
        if (packing.is_lattice())
          pack_lattice_block(format, rows[lane], blocks[lane], inputs, first, lane, dst);
        else
          pack_block<Low, High>(format, rows[lane], blocks[lane], inputs, first, lane, dst);
        if (blocks[lane] != nullptr)
          blocks[lane] += format.block_bytes();
      }
  });
}

void pack_weight(const Format &format, const std::byte *src, int64_t channels, int64_t inputs,
                 std::byte *dst) {
  const int64_t row_bytes = format.row_bytes(inputs);
  for (int64_t first = 0; first < channels; first += kPanelLanes) {
    const std::byte *rows[kPanelLanes] = {};
    for (int lane = 0; lane < kPanelLanes && first + lane < channels; ++lane)
      rows[lane] = src + (first + lane) * row_bytes;
    pack_panel(format, rows, inputs, dst);
    dst += format.packing().panel_bytes(inputs);
  }
}

} // namespace quern::formats
