// Weights that a checkpoint holds as several tensors: codes, and what makes values of them.
//
// Quantizers store a weight [outputs, inputs] as integer codes, scales for groups of inputs, zero
// points, and sometimes which group an input is in, each a tensor of its own, transposed or packed
// into words as its kernels liked it. A Coded says where these tensors are and how they lie; rows
// of the weight are made from them when they are wanted, in one of ir/formats' formats, exactly.
//
// What a weight is, in the arithmetic of float32, q and z unsigned:
//   integer codes    scale * (q - z)                       rounded once, of the scale as stored
//   nibbles          table[q] * scale                      likewise
//   e4m3             q * scale                             likewise
//   mxfp4            2^(scale - 127) * e2m1(q)             exact
// and a scale that is itself a code is scale_table[code] * scale_scale + scale_offset, each
// operation rounded on its own.
#ifndef QUERN_IR_WEIGHTS_CODEDWEIGHT_H
#define QUERN_IR_WEIGHTS_CODEDWEIGHT_H

#include "ir/formats/Format.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace quern::weights {

/// The type of a tensor's elements, as a file stores them.
enum class Element : uint8_t { U8, I8, I32, F16, BF16, F32, E4M3, E8M0 };

int element_bytes(Element element);
/// "i32", and back.
std::string_view element_name(Element element);
std::optional<Element> find_element(std::string_view name);

/// A tensor that is a part of a weight.
struct Part {
  int file = 0; ///< as WeightStore::add returned it
  uint64_t offset = 0;
  Element element = Element::U8;
};

/// How codes lie, and with them scales and zero points. `words` are little-endian 32-bit words that
/// hold codes of `bits` bits one after the other, lowest bits first, across words where they must.
enum class Layout : uint8_t {
  /// GPTQ: words run down the inputs: codes [inputs * bits / 32, outputs], scales
  /// [groups, outputs], zeros [groups, outputs * bits / 32].
  Gptq,
  /// AWQ: 4 bits; words run along the outputs, eight of which are stored in the order 0 2 4 6 1 3 5
  /// 7: codes [inputs, outputs / 8], scales [groups, outputs], zeros [groups, outputs / 8].
  Awq,
  /// compressed-tensors: codes [outputs, words of inputs * bits], scales [row groups, groups],
  /// zeros [words of row groups * bits, groups], or I8, which are signed, as Bytes has them.
  Words,
  /// A byte a code: codes [outputs, inputs], scales and zeros [row groups, groups]. I8 codes and
  /// zeros are signed: q is code + 128.
  Bytes,
  /// bitsandbytes: two codes a byte, the first in the high bits, all rows as one; scales are of
  /// `group` elements in that order, whatever rows they are in.
  Nibbles,
  /// Microscaling fp4 (OCP MX), as GPT-OSS has it: two codes a byte, the first in the low bits,
  /// codes [outputs, inputs / 32, 16], scales E8M0 [outputs, inputs / 32]; outputs may be of two
  /// dimensions.
  Mxfp4,
};

std::string_view layout_name(Layout layout);
std::optional<Layout> find_layout(std::string_view name);

struct Coded {
  Layout layout = Layout::Gptq;
  int bits = 4;
  int64_t group = 0;           ///< inputs that share a scale
  int64_t group_rows = 1;      ///< outputs that do (Words, Bytes)
  bool zeros_less_one = false; ///< zeros are stored less one, modulo 2^bits
  float scale_offset = 0;
  int64_t scale_group = 0; ///< scales that share a scale of their own (U8 scales)

  Part codes{};
  Part scales{};
  std::optional<Part> zeros{};        ///< absent: 2^(bits-1)
  std::optional<Part> groups{};       ///< I32 [inputs]: the group of each; absent: input / group
  std::optional<Part> table{};        ///< F32 [16] of Nibbles
  std::optional<Part> scale_table{};  ///< F32 [256] of U8 scales
  std::optional<Part> scale_scales{}; ///< F32 of U8 scales

  /// Whether values are integers times a scale.
  bool is_integer() const {
    return layout != Layout::Nibbles && layout != Layout::Mxfp4 && codes.element != Element::E4M3;
  }
};

/// A part with the bytes it must have.
struct SizedPart {
  std::string_view name; ///< as in Coded: "scales"
  Part part;
  int64_t bytes = 0;
};

/// The weight as one matrix, [outputs, inputs]; as it is where it cannot be one.
std::vector<int64_t> matrix_of(const Coded &coded, std::span<const int64_t> shape);

/// The parts of a weight of that shape. Fails on what contradicts itself: a shape that is no
/// matrix, groups that do not divide where they must, elements that a part cannot have.
absl::StatusOr<std::vector<SizedPart>> parts_of(const Coded &coded, std::span<const int64_t> shape);

/// The parts' bytes, in the order of parts_of, for as long as the files stay mapped.
using PartBytes = std::vector<std::span<const std::byte>>;

/// The formats of integers that choose_format knows, fewest bits first.
std::span<const std::string_view> integer_formats();

/// Chooses the format that holds the weight exactly in the fewest bits, among those that kernels
/// read without expanding them, if there is one:
///   integer_formats()    integers: sym where all q - z are what its bits hold and, if scales are
///   not
///                        in float32 there, they are f16; asym where codes are of no more bits and
///                        scales of f16 or bf16: scale*q, scale*z and their difference are then
///                        exact in float32
///   bf16                 e4m3, all scales powers of two
///   mxfp4                mxfp4
/// and else f32. Integers need groups of whole blocks, in order, of row formats one group; `groups`
/// that say no more than their absence would are dropped. Reads zeros and groups, and the scales of
/// e4m3. Fails on a group that there is none of.
absl::StatusOr<std::string_view> choose_format(Coded &coded, std::span<const int64_t> shape,
                                               const PartBytes &parts);

/// The format that choose_format chooses where all zero points are in least_zero..most_zero, of
/// which it reads nothing: for weights of which only the settings are known. `coded.groups` means
/// columns out of order.
std::string_view format_of_integers(const Coded &coded, std::span<const int64_t> shape,
                                    int least_zero, int most_zero);

/// Whether rows can be made in that format at all (parts permitting).
bool can_hold(const Coded &coded, std::span<const int64_t> shape, std::string_view format);

/// Writes the rows first .. first+count-1 of the weight in `format`, row_bytes apart, to `dst`.
/// Fails where the parts say what the format cannot hold: they were other when it was chosen.
absl::Status coded_rows(const Coded &coded, std::span<const int64_t> shape, const PartBytes &parts,
                        const formats::Format &format, int64_t first, int64_t count,
                        std::byte *dst);

} // namespace quern::weights

#endif // QUERN_IR_WEIGHTS_CODEDWEIGHT_H
