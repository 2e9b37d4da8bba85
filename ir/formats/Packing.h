// Packing weights: from a format's rows to the panels kernels read, exactly: codes and scales are
// moved, never requantized. The layout itself is in PackingLayout.h, what it means in PackedRow.h.
//
// Float formats keep their type. Which packing a quantized one gets is in PackingTable.h.
//
// Groups longer than 32 repeat their scale in each record. So a row decoded by its format and the
// row unpacked from its panel are the same floats, bit for bit.
//
// Embedding layout: a weight that is only looked up is stored as its format's rows, unchanged, row
// after row (Format::row_bytes apart), and decoded a row at a time. An embedding tied with the
// output projection is stored once, as panels, and looked up by decode_packed_row.
#ifndef QUERN_IR_FORMATS_PACKING_H
#define QUERN_IR_FORMATS_PACKING_H

#include "ir/formats/Format.h"
#include "ir/formats/PackingTable.h"

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quern::formats {

/// `f32`, or `q4.g32.z0.min.u8.s256`: bits, group, zero point, min if any, type of scales, and
/// inputs that share super-scales (`row`: all) if there are any.
std::string packing_name(const Packing &packing);

/// The same as its constant in PackingTable.h has it, and as it stands in the names of
/// microkernels: q4_g32_z0_min_u8_s256.
std::string packing_symbol(const Packing &packing);

/// Those of PackingTable.h, in its order.
std::span<const Packing> quant_packings();

/// The packing of that name.
absl::StatusOr<Packing> parse_packing(std::string_view name);

/// Packs 16 channels: `rows[lane]` is the encoded row of `inputs` elements in `format`, or null for
/// a padding channel (all zeros). Writes exactly format.packing().panel_bytes(inputs) bytes at
/// `dst` (any alignment), padding included. Rows may come from different weights: that is how
/// siblings are merged and channels reordered.
void pack_panel(const Format &format, std::span<const std::byte *const, kPanelLanes> rows,
                int64_t inputs, std::byte *dst);

/// Packs a whole weight of `channels` rows that lie row_bytes(inputs) apart at `src`.
void pack_weight(const Format &format, const std::byte *src, int64_t channels, int64_t inputs,
                 std::byte *dst);

/// Writes channels first .. first+count-1 of the packed weight at `packed` to `out`, `inputs`
/// floats each.
void rows_from_packed(const Packing &packing, const std::byte *packed, int64_t first, int64_t count,
                      int64_t inputs, float *out);

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_PACKING_H
