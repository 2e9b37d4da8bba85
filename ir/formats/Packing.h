// Packing weights: from a format's rows to the panels kernels read, exactly: codes and scales are
// moved, never requantized. The layout itself is in PackingLayout.h.
//
//   format                         packing
//   f32, f16, bf16                 f32, f16, bf16
//   q2_k                           f32                    expanded: no packing of codes is exact
//   q4_0, int4:*:sym               q4.g32.z8.f16
//   tq1_0, tq2_0                   q4.g32.z8.f16          codes 7..10
//   q4_1, int4:*:asym              q4.g32.z0.min.f16
//   q5_0                           q8.g32.z16.f16
//   q5_1                           q8.g32.z0.min.f16
//   q8_0, int8, iq4_nl             q8.g32.z128.f16        iq4_nl: the table's integers, + 128
//   iq4_xs                         q8.g32.z128.i8.s256    likewise; scales of two levels, as stored
//   q4_k                           q4.g32.z0.min.u8.s256
//   q5_k                           q8.g32.z0.min.u8.s256
//   q3_k, q6_k                     q8.g16.z32.i8.s256     q3_k: codes + 28
//   int4                           q4.g32.z0.min.u8.row
//   int4:g32:asym:f32              q4.g32.z0.min.f32
//   int4:g32:sym:f32               q4.g32.z8.f32
//   int8:sym:f32                   q8.g32.z128.f32
//   int8:asym:f32                  q8.g32.z128.min.f32
//   mxfp4                          q8.g16.z32.f32         its table + 32
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
#include "ir/formats/PackingLayout.h"

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

/// The packing of that name; only those some format has are known.
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
