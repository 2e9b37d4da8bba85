// What the bytes of a weight's parts mean.
#include "ir/formats/Half.h"
#include "ir/formats/Planes.h"
#include "ir/weights/CodedWeight.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace quern::weights {
namespace {

uint32_t load_word(const std::byte *at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

float load_float(const std::byte *at) { return std::bit_cast<float>(load_word(at)); }

uint8_t load_byte(const std::byte *at) { return std::to_integer<uint8_t>(*at); }

/// Sign, four bits of exponent with bias 7, three of mantissa; no infinities, all ones is NaN.
float decode_e4m3(unsigned code) {
  const unsigned exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & 127) == 127)
    return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), int(exponent) - 10);
  return code & 128 ? -magnitude : magnitude;
}

/// Element `i` of a part of scales, widened to float32, which is exact.
float scale_at(const std::byte *scales, Element element, int64_t i) {
  const std::byte *at = scales + i * element_bytes(element);
  uint16_t half = 0;
  switch (element) {
  case Element::F16:
    std::memcpy(&half, at, sizeof(half));
    return formats::f16_to_f32(half);
  case Element::BF16:
    std::memcpy(&half, at, sizeof(half));
    return formats::bf16_to_f32(half);
  case Element::E8M0:
    return load_byte(at) == 255 ? std::numeric_limits<float>::quiet_NaN()
                                : std::ldexp(1.0f, int{load_byte(at)} - 127);
  default:
    return load_float(at);
  }
}

/// AWQ's order: what is stored at nibble p of a word is output kAwqOutput[p] of eight; this is the
/// nibble of output i.
constexpr int kAwqNibble[] = {0, 4, 1, 5, 2, 6, 3, 7};

/// The first `n` of 32 codes of `Bits` bits, from that many words.
template <int Bits> void unpack_words(const uint32_t *words, int64_t n, uint8_t *codes) {
  for (int i = 0; i < n; ++i) {
    const int bit = i * Bits, shift = bit % 32;
    uint32_t code = words[bit / 32] >> shift;
    if (shift + Bits > 32)
      code |= words[bit / 32 + 1] << (32 - shift);
    codes[i] = static_cast<uint8_t>(code & ((1u << Bits) - 1));
  }
}

using Unpack = void (*)(const uint32_t *, int64_t, uint8_t *);
constexpr Unpack kUnpack[] = {nullptr,         unpack_words<1>, unpack_words<2>,
                              unpack_words<3>, unpack_words<4>, unpack_words<5>,
                              unpack_words<6>, unpack_words<7>, unpack_words<8>};

/// The parts by name, and what is asked of them. Nothing here reads outside a part: their sizes are
/// those of parts_of, and groups are checked when they are read.
class Reader {
public:
  Reader(const Coded &coded, std::span<const int64_t> shape, const PartBytes &parts)
      : coded_(coded), outputs_(shape[0]), inputs_(shape[1]),
        groups_((shape[1] - 1) / coded.group + 1) {
    size_t next = 0;
    const auto take = [&](bool there) { return there ? parts[next++].data() : nullptr; };
    codes_ = take(true);
    scales_ = take(true);
    zeros_ = take(coded.zeros.has_value());
    group_of_ = take(coded.groups.has_value());
    table_ = take(coded.table.has_value());
    scale_table_ = take(coded.scale_table.has_value());
    scale_scales_ = take(coded.scale_scales.has_value());
  }

  int64_t inputs() const { return inputs_; }
  int64_t groups() const { return groups_; }
  int64_t row_groups() const { return (outputs_ - 1) / coded_.group_rows + 1; }

  /// The integer codes of rows first .. first+count-1, unsigned.
  void codes(int64_t first, int64_t count, uint8_t *out) const {
    switch (coded_.layout) {
    case Layout::Gptq:
    case Layout::Words:
      return word_codes(first, count, out);
    case Layout::Awq:
      for (int64_t k = 0; k < inputs_; ++k)
        for (int64_t n = 0; n < count; ++n)
          out[n * inputs_ + k] = awq_code(codes_, k, first + n);
      return;
    default:
      for (int64_t i = 0; i < count * inputs_; ++i)
        out[i] = load_byte(codes_ + first * inputs_ + i) ^ 128;
    }
  }

  /// Row `n`'s scales, one a group.
  void scales(int64_t n, float *out) const {
    for (int64_t g = 0; g < groups_; ++g)
      out[g] = scale_at(scales_, coded_.scales.element, scale_index(n, g));
  }
  const std::byte *scale_bytes(int64_t n, int64_t g) const {
    return scales_ + scale_index(n, g) * element_bytes(coded_.scales.element);
  }

  /// What is subtracted from the codes of row `n` in group `g`.
  int zero(int64_t n, int64_t g) const {
    const int half = 1 << (coded_.bits - 1);
    if (!coded_.zeros)
      return half;
    const int64_t r = n / coded_.group_rows;
    if (coded_.zeros->element == Element::I8)
      return static_cast<int8_t>(load_byte(zeros_ + r * groups_ + g)) + half;
    if (coded_.layout == Layout::Awq)
      return awq_code(zeros_, g, n);
    // Words run along the outputs: side by side, or one below the other.
    const bool gptq = coded_.layout == Layout::Gptq;
    const int64_t bit = r * coded_.bits, word = bit / 32, shift = bit % 32;
    const int64_t words = (outputs_ * coded_.bits - 1) / 32 + 1;
    const auto at = [&](int64_t w) {
      return load_word(zeros_ + 4 * (gptq ? g * words + w : w * groups_ + g));
    };
    uint32_t code = at(word) >> shift;
    if (shift + coded_.bits > 32)
      code |= at(word + 1) << (32 - shift);
    return static_cast<int>((code + (coded_.zeros_less_one ? 1 : 0)) & ((1u << coded_.bits) - 1));
  }

  /// The group of every input.
  absl::Status groups_of_inputs(std::vector<int64_t> &out) const {
    out.resize(static_cast<size_t>(inputs_));
    for (int64_t k = 0; k < inputs_; ++k) {
      const int64_t g =
          group_of_ ? static_cast<int32_t>(load_word(group_of_ + 4 * k)) : k / coded_.group;
      if (g < 0 || g >= groups_)
        return absl::InvalidArgumentError(absl::StrCat("input ", k, " is said to be in group ", g,
                                                       ", and the groups are 0..", groups_ - 1));
      out[static_cast<size_t>(k)] = g;
    }
    return absl::OkStatus();
  }

  /// Row `n` where values are no integers times a scale.
  void values(int64_t n, float *out) const {
    if (coded_.layout == Layout::Nibbles)
      return nibble_values(n, out);
    static const auto kTable = [] {
      std::array<float, 256> table;
      for (unsigned code = 0; code < 256; ++code)
        table[code] = decode_e4m3(code);
      return table;
    }();
    const std::byte *row = codes_ + n * inputs_;
    for (int64_t g = 0; g < groups_; ++g) {
      const float scale = scale_at(scales_, coded_.scales.element, scale_index(n, g));
      const int64_t end = std::min(inputs_, (g + 1) * coded_.group);
      for (int64_t k = g * coded_.group; k < end; ++k)
        out[k] = kTable[load_byte(row + k)] * scale;
    }
  }

private:
  int64_t scale_index(int64_t n, int64_t g) const {
    return coded_.layout == Layout::Gptq || coded_.layout == Layout::Awq
               ? g * outputs_ + n
               : n / coded_.group_rows * groups_ + g;
  }

  uint8_t awq_code(const std::byte *words, int64_t row, int64_t n) const {
    return load_word(words + 4 * (row * (outputs_ / 8) + n / 8)) >> 4 * kAwqNibble[n % 8] & 15;
  }

  void word_codes(int64_t first, int64_t count, uint8_t *out) const {
    const Unpack unpack = kUnpack[coded_.bits];
    const int64_t words = (inputs_ * coded_.bits - 1) / 32 + 1; // of a row
    const bool down = coded_.layout == Layout::Gptq;
    // A block of 32 codes fills as many words as a code has bits. Rows of one block are read
    // together: down the inputs they are neighbours.
    for (int64_t k = 0; k < inputs_; k += 32) {
      const int64_t word = k / 32 * coded_.bits,
                    here = std::min<int64_t>(coded_.bits, words - word);
      for (int64_t n = 0; n < count; ++n) {
        uint32_t block[9] = {};
        for (int64_t w = 0; w < here; ++w)
          block[w] = load_word(codes_ + 4 * (down ? (word + w) * outputs_ + first + n
                                                  : (first + n) * words + word + w));
        unpack(block, std::min<int64_t>(32, inputs_ - k), out + n * inputs_ + k);
      }
    }
  }

  void nibble_values(int64_t n, float *out) const {
    int64_t group = -1;
    float scale = 0;
    for (int64_t k = 0; k < inputs_; ++k) {
      const int64_t e = n * inputs_ + k;
      if (e / coded_.group != group) {
        group = e / coded_.group;
        scale = nibble_scale(group);
      }
      const unsigned pair = load_byte(codes_ + e / 2);
      out[k] = load_float(table_ + 4 * (e % 2 ? pair & 15 : pair >> 4)) * scale;
    }
  }
  float nibble_scale(int64_t group) const {
    if (!scale_table_)
      return scale_at(scales_, coded_.scales.element, group);
    const float product = load_float(scale_table_ + 4 * load_byte(scales_ + group)) *
                          load_float(scale_scales_ + 4 * (group / coded_.scale_group));
    return product + coded_.scale_offset;
  }

  const Coded &coded_;
  const int64_t outputs_, inputs_, groups_;
  const std::byte *codes_, *scales_, *zeros_, *group_of_, *table_, *scale_table_, *scale_scales_;
};

absl::Status changed(int64_t row) {
  return absl::DataLossError(
      absl::StrCat("row ", row,
                   " has a code that its format does not hold: the model's files have changed "
                   "while they were read; compile again"));
}

/// Blocks of codes that share a scale, and what lies in front of rows.
class BlockWriter {
public:
  BlockWriter(const Coded &coded, const formats::Format &format)
      : element_(coded.scales.element), format_(format), packing_(format.packing()) {}

  /// Writes the scale of a whole row, of formats that have it in front.
  void write_head(const std::byte *scale, std::byte *dst) const {
    if (format_.header_bytes() != 0)
      write_scale(scale, 0, dst);
  }

  /// Writes a block, of `n` codes; false where one is out of range.
  bool write(const uint8_t *codes, int64_t n, const std::byte *scale, int zero,
             std::byte *dst) const {
    int shift = packing_.zero_point - zero; // of codes
    if (format_.header_bytes() == 0)
      dst = write_scale(scale, shift, dst);
    if (packing_.has_min)
      shift = 0;
    const int most = (1 << packing_.bits) - 1;
    uint8_t block[formats::kMaxBlock];
    std::fill(block, block + format_.block(), static_cast<uint8_t>(packing_.zero_point));
    for (int64_t i = 0; i < n; ++i) {
      const int code = codes[i] + shift;
      if (code < 0 || code > most)
        return false;
      block[i] = static_cast<uint8_t>(code);
    }
    if (packing_.bits == 8) {
      for (int i = 0; i < format_.block(); ++i)
        dst[i] = static_cast<std::byte>(block[i] ^ 128);
      return true;
    }
    formats::with_planes(packing_, [&]<int Low, int High>() {
      for (int i = 0; i < format_.block(); i += 32, dst += 4 * (Low + High))
        formats::store_planes<Low, High, 4>(block + i, 0, dst);
    });
    return true;
  }

private:
  /// The scale and, of formats that have one, the min that stands for a zero point of -`shift`.
  std::byte *write_scale(const std::byte *scale, int shift, std::byte *dst) const {
    const float value = scale_at(scale, element_, 0);
    dst = packing_.scale == formats::ScaleType::F16 ? put(scale, 2, dst) : put(&value, 4, dst);
    if (!packing_.has_min)
      return dst;
    const float min = value * static_cast<float>(shift);
    return put(&min, 4, dst);
  }
  static std::byte *put(const void *bytes, size_t count, std::byte *dst) {
    std::memcpy(dst, bytes, count);
    return dst + count;
  }

  Element element_;
  const formats::Format &format_;
  const formats::Packing &packing_;
};

absl::Status write_blocks(const Coded &coded, const Reader &reader, const formats::Format &format,
                          int64_t first, int64_t count, std::byte *dst) {
  const int64_t inputs = reader.inputs(), block = format.block();
  std::vector<uint8_t> codes(static_cast<size_t>(count * inputs));
  reader.codes(first, count, codes.data());
  const BlockWriter writer(coded, format);
  for (int64_t n = 0; n < count; ++n) {
    writer.write_head(reader.scale_bytes(first + n, 0), dst);
    dst += format.header_bytes();
    for (int64_t k = 0; k < inputs; k += block, dst += format.block_bytes()) {
      const int64_t g = k / coded.group;
      if (!writer.write(codes.data() + n * inputs + k, std::min(block, inputs - k),
                        reader.scale_bytes(first + n, g), reader.zero(first + n, g), dst))
        return changed(first + n);
    }
  }
  return absl::OkStatus();
}

absl::Status write_products(const Reader &reader, int64_t first, int64_t count, std::byte *dst) {
  const int64_t inputs = reader.inputs();
  std::vector<int64_t> group_of;
  if (absl::Status status = reader.groups_of_inputs(group_of); !status.ok())
    return status;
  std::vector<uint8_t> codes(static_cast<size_t>(count * inputs));
  reader.codes(first, count, codes.data());
  std::vector<float> scales(static_cast<size_t>(reader.groups()));
  std::vector<int> zeros(scales.size());
  std::vector<float> row(static_cast<size_t>(inputs));
  for (int64_t n = 0; n < count; ++n) {
    reader.scales(first + n, scales.data());
    for (size_t g = 0; g < zeros.size(); ++g)
      zeros[g] = reader.zero(first + n, static_cast<int64_t>(g));
    for (size_t k = 0; k < row.size(); ++k) {
      const auto g = static_cast<size_t>(group_of[k]);
      row[k] =
          scales[g] * static_cast<float>(codes[static_cast<size_t>(n * inputs) + k] - zeros[g]);
    }
    std::memcpy(dst, row.data(), row.size() * sizeof(float));
    dst += row.size() * sizeof(float);
  }
  return absl::OkStatus();
}

absl::Status write_values(const Reader &reader, bool bf16, int64_t first, int64_t count,
                          std::byte *dst) {
  std::vector<float> row(static_cast<size_t>(reader.inputs()));
  for (int64_t n = first; n < first + count; ++n) {
    reader.values(n, row.data());
    if (!bf16) {
      std::memcpy(dst, row.data(), row.size() * sizeof(float));
      dst += row.size() * sizeof(float);
      continue;
    }
    for (const float value : row) {
      const uint16_t narrow = formats::f32_to_bf16(value);
      if (formats::bf16_to_f32(narrow) != value && value == value)
        return changed(n);
      std::memcpy(dst, &narrow, sizeof(narrow));
      dst += sizeof(narrow);
    }
  }
  return absl::OkStatus();
}

/// Blocks of mxfp4, or what they stand for: inputs 2i and 2i + 1 share a byte here, and inputs i
/// and 16 + i in a block.
void write_mxfp4(int64_t inputs, const PartBytes &parts, const formats::Format &format,
                 int64_t first, int64_t count, std::byte *dst) {
  const formats::Format &blocks = *formats::find_format("mxfp4");
  const int64_t of_row = inputs / 32;
  std::vector<std::byte> row(static_cast<size_t>(blocks.row_bytes(inputs)));
  for (int64_t n = first; n < first + count; ++n) {
    std::byte *to = row.data();
    for (int64_t b = n * of_row; b < (n + 1) * of_row; ++b, to += 17) {
      const std::byte *codes = parts[0].data() + 16 * b;
      const auto code = [&](int k) { return codes[k / 2] >> (k % 2 ? 4 : 0) & std::byte{15}; };
      to[0] = parts[1][static_cast<size_t>(b)];
      for (int i = 0; i < 16; ++i)
        to[1 + i] = code(i) | code(16 + i) << 4;
    }
    if (&format == &blocks) {
      std::memcpy(dst, row.data(), row.size());
    } else { // floats
      std::vector<float> values(static_cast<size_t>(inputs));
      blocks.decode_row(row.data(), inputs, values.data());
      std::memcpy(dst, values.data(), values.size() * sizeof(float));
    }
    dst += format.row_bytes(inputs);
  }
}

/// Whether products of e4m3 with every scale are bf16: powers of two that lead to no subnormals.
bool scales_are_powers(const Coded &coded, const Reader &reader) {
  std::vector<float> scales(static_cast<size_t>(reader.groups()));
  for (int64_t r = 0; r < reader.row_groups(); ++r) {
    reader.scales(r * coded.group_rows, scales.data());
    for (const float scale : scales) {
      int exponent = 0;
      if (std::frexp(std::abs(scale), &exponent) != 0.5f || std::abs(exponent) > 100)
        return false;
    }
  }
  return true;
}

} // namespace

absl::StatusOr<std::string_view> choose_format(Coded &coded, std::span<const int64_t> shape,
                                               const PartBytes &parts) {
  if (coded.layout == Layout::Mxfp4)
    return "mxfp4";
  const Reader reader(coded, shape, parts);
  if (!coded.is_integer())
    return coded.codes.element == Element::E4M3 && scales_are_powers(coded, reader) ? "bf16"
                                                                                    : "f32";
  if (coded.groups) {
    std::vector<int64_t> group_of;
    if (absl::Status status = reader.groups_of_inputs(group_of); !status.ok())
      return status;
    bool in_order = true;
    for (size_t k = 0; k < group_of.size(); ++k)
      in_order &= group_of[k] == static_cast<int64_t>(k) / coded.group;
    if (in_order)
      coded.groups.reset();
  }
  int least = 1 << 16, most = -(1 << 16); // of zeros
  for (int64_t n = 0; n < shape[0]; n += coded.group_rows)
    for (int64_t g = 0; g < reader.groups(); ++g) {
      least = std::min(least, reader.zero(n, g));
      most = std::max(most, reader.zero(n, g));
    }
  return format_of_integers(coded, shape, least, most);
}

std::string_view format_of_integers(const Coded &coded, std::span<const int64_t> shape,
                                    int least_zero, int most_zero) {
  const int highest = (1 << coded.bits) - 1 - least_zero, lowest = -most_zero; // q - z
  for (const std::string_view format : integer_formats()) {
    const formats::Packing &packing = formats::find_format(format)->packing();
    const bool fits = packing.has_min || (lowest >= -packing.zero_point &&
                                          highest <= packing.max_code() - packing.zero_point);
    if (fits && can_hold(coded, shape, format))
      return format;
  }
  return "f32";
}

absl::Status coded_rows(const Coded &coded, std::span<const int64_t> shape, const PartBytes &parts,
                        const formats::Format &format, int64_t first, int64_t count,
                        std::byte *dst) {
  if (coded.layout == Layout::Mxfp4) {
    write_mxfp4(matrix_of(coded, shape)[1], parts, format, first, count, dst);
    return absl::OkStatus();
  }
  const Reader reader(coded, shape, parts);
  if (!coded.is_integer())
    return write_values(reader, format.name() == "bf16", first, count, dst);
  if (format.name() == "f32")
    return write_products(reader, first, count, dst);
  return write_blocks(coded, reader, format, first, count, dst);
}

} // namespace quern::weights
