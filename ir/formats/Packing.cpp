#include "ir/formats/Packing.h"

#include "ir/formats/QuantFormat.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>
#include <vector>

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

/// For formats that are expanded: their rows, decoded, are what is packed.
void pack_expanded_panel(const Format &format, std::span<const std::byte *const, kPanelLanes> rows,
                         int64_t inputs, std::byte *dst) {
  std::vector<float> values(static_cast<size_t>(kPanelLanes * inputs));
  const std::byte *decoded[kPanelLanes] = {};
  for (int lane = 0; lane < kPanelLanes; ++lane) {
    if (rows[lane] == nullptr)
      continue;
    float *row = values.data() + lane * inputs;
    format.decode_row(rows[lane], inputs, row);
    decoded[lane] = reinterpret_cast<const std::byte *>(row);
  }
  pack_float_panel(format.packing().element_bytes(), decoded, inputs, dst);
}

/// `value` came from the same type, so nothing is rounded.
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
  }
}

/// Writes one lane of a record. Four codes that follow one another are four bytes that do.
void store_codes(const Packing &packing, const uint8_t *codes, int lane, std::byte *record) {
  const auto four = [&](int row) {
    uint32_t bytes;
    std::memcpy(&bytes, codes + 4 * row, sizeof bytes);
    return bytes;
  };
  const int rows = packing.group / (packing.bits == 8 ? 4 : 8);
  for (int row = 0; row < rows; ++row) {
    const uint32_t bytes = packing.bits == 8 ? four(row) : four(row) | four(row + rows) << 4;
    std::memcpy(record + 64 * row + 4 * lane, &bytes, sizeof bytes);
  }
}

/// Writes one lane of the records from `first` on that a block of its row becomes. `row` and
/// `block` are null for a padding channel.
void pack_block(const Format &format, const std::byte *row, const std::byte *block, int64_t inputs,
                int64_t first, int lane, std::byte *dst) {
  const Packing &packing = format.packing();
  uint8_t codes[kMaxBlock];
  float scales[kMaxBlock / 16] = {};
  float mins[kMaxBlock / 16] = {};
  // Past the end of the row, and in padding channels, codes mean zero.
  const int64_t used =
      block == nullptr ? 0 : std::clamp<int64_t>(inputs - first * packing.group, 0, format.block());
  if (used > 0) {
    format.unpack_block(block, codes, scales, mins);
    // A block has one pair of super-scales, and is one run of them or a part of the row's.
    if (packing.super != 0) {
      const SuperScales super = format.super_scales(row, block);
      std::byte *at = dst + packing.super_at(first);
      store_scale(packing.super_type(), at, lane, super.scale);
      if (packing.has_min)
        store_scale(packing.super_type(), at + packing.super_min_offset(), lane, super.min);
    }
  }
  std::fill(codes + used, codes + format.block(), static_cast<uint8_t>(packing.zero_point));
  const int64_t records =
      std::min<int64_t>(format.block() / packing.group, packing.records(inputs) - first);
  for (int i = 0; i < records; ++i) {
    std::byte *record = dst + packing.record_at(first + i);
    store_codes(packing, codes + i * packing.group, lane, record);
    if (i * packing.group >= used)
      continue; // wholly padding: scale and min stay zero
    store_scale(packing.scale, record + packing.scale_offset(), lane, scales[i]);
    if (packing.has_min)
      store_scale(packing.scale, record + packing.min_offset(), lane, mins[i]);
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
  constexpr const char *kScales[] = {".f16", ".f32", ".u8", ".i8"};
  std::string name =
      absl::StrCat("q", packing.bits, ".g", packing.group, ".z", packing.zero_point,
                   packing.has_min ? ".min" : "", kScales[static_cast<int>(packing.scale)]);
  if (packing.super == kWholeRow)
    name += ".row";
  else if (packing.super != 0)
    absl::StrAppend(&name, ".s", packing.super);
  return name;
}

absl::StatusOr<Packing> parse_packing(std::string_view name) {
  for (const Format *format : all_formats())
    if (packing_name(format->packing()) == name)
      return format->packing();
  return absl::NotFoundError(
      absl::StrCat("no packing is named '", std::string(name),
                   "'; it may come from a newer Quern: recompile the model"));
}

void pack_panel(const Format &format, std::span<const std::byte *const, kPanelLanes> rows,
                int64_t inputs, std::byte *dst) {
  const Packing &packing = format.packing();
  if (packing.is_float() && !format.is_stored_float()) {
    pack_expanded_panel(format, rows, inputs, dst);
    return;
  }
  if (packing.is_float()) {
    pack_float_panel(packing.element_bytes(), rows, inputs, dst);
    return;
  }
  std::memset(dst, 0, static_cast<size_t>(packing.panel_bytes(inputs)));
  const int64_t records = packing.records(inputs);
  const int records_a_block = format.block() / packing.group;
  // Lane by lane inside a block, not block by block inside a lane: what is written stays in the
  // first cache.
  const std::byte *blocks[kPanelLanes] = {};
  for (int lane = 0; lane < kPanelLanes; ++lane)
    if (rows[lane] != nullptr)
      blocks[lane] = rows[lane] + format.header_bytes();
  for (int64_t first = 0; first < records; first += records_a_block)
    for (int lane = 0; lane < kPanelLanes; ++lane) {
      pack_block(format, rows[lane], blocks[lane], inputs, first, lane, dst);
      if (blocks[lane] != nullptr)
        blocks[lane] += format.block_bytes();
    }
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
