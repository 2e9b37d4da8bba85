#include "runtime/cli/NpyTypes.h"

#include <absl/strings/str_cat.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

namespace quern::cli {
namespace {

using artifact::ElementType;

struct TypeName {
  ElementType type;
  std::string_view descr;
};
constexpr TypeName kTypes[] = {
    {ElementType::f32, "<f4"}, {ElementType::i32, "<i4"}, {ElementType::i64, "<i8"},
    {ElementType::f16, "<f2"}, {ElementType::i8, "|i1"},  {ElementType::u8, "|u1"},
    {ElementType::i16, "<i2"}, {ElementType::u16, "<u2"}, {ElementType::boolean, "|b1"},
    {ElementType::u32, "<u4"}, {ElementType::u64, "<u8"}, {ElementType::f64, "<f8"},
};

/// How many bits of its byte an integer type has; 8 where it is none of less than a byte.
int bits_of(ElementType type) {
  if (type == ElementType::i4 || type == ElementType::u4)
    return 4;
  return type == ElementType::i2 || type == ElementType::u2 ? 2 : 8;
}
bool is_signed(ElementType type) { return type == ElementType::i4 || type == ElementType::i2; }

/// The integer that the low bits of the byte are; the others may be anything.
int integer_of(ElementType type, uint8_t byte) {
  const int bits = bits_of(type), value = byte & ((1 << bits) - 1);
  return is_signed(type) && value >> (bits - 1) ? value - (1 << bits) : value;
}

/// Floats of at most 8 bits. Source: OCP "8-bit Floating Point" and "Microscaling Formats"
/// specifications; the fnuz formats have one NaN, where IEEE 754 has -0, and no infinity.
struct SmallFloat {
  ElementType type;
  int exponent_bits, mantissa_bits, bias;
  enum { ieee, one_nan_each_sign, nan_is_minus_zero, finite } specials;
};
constexpr SmallFloat kSmallFloats[] = {
    {ElementType::f8e4m3fn, 4, 3, 7, SmallFloat::one_nan_each_sign},
    {ElementType::f8e4m3fnuz, 4, 3, 8, SmallFloat::nan_is_minus_zero},
    {ElementType::f8e5m2, 5, 2, 15, SmallFloat::ieee},
    {ElementType::f8e5m2fnuz, 5, 2, 16, SmallFloat::nan_is_minus_zero},
    {ElementType::f4e2m1, 2, 1, 1, SmallFloat::finite},
    {ElementType::f6e2m3, 2, 3, 1, SmallFloat::finite},
    {ElementType::f6e3m2, 3, 2, 3, SmallFloat::finite},
};

const SmallFloat *small_float(ElementType type) {
  for (const SmallFloat &format : kSmallFloats)
    if (format.type == type)
      return &format;
  return nullptr;
}

float value_of(const SmallFloat &format, uint8_t byte) {
  const int magnitude_bits = format.exponent_bits + format.mantissa_bits;
  const int magnitude = byte & ((1 << magnitude_bits) - 1);
  const bool negative = (byte >> magnitude_bits) & 1;
  const int exponent = magnitude >> format.mantissa_bits;
  const int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  const bool top = exponent == (1 << format.exponent_bits) - 1;
  const bool all_ones = magnitude == (1 << magnitude_bits) - 1;
  if ((format.specials == SmallFloat::ieee && top && mantissa != 0) ||
      (format.specials == SmallFloat::one_nan_each_sign && all_ones) ||
      (format.specials == SmallFloat::nan_is_minus_zero && negative && magnitude == 0))
    return std::numeric_limits<float>::quiet_NaN();
  float value =
      format.specials == SmallFloat::ieee && top ? std::numeric_limits<float>::infinity()
      : exponent == 0
          ? std::ldexp(static_cast<float>(mantissa), 1 - format.bias - format.mantissa_bits)
          : std::ldexp(static_cast<float>(mantissa + (1 << format.mantissa_bits)),
                       exponent - format.bias - format.mantissa_bits);
  return negative ? -value : value;
}

/// A power of two alone.
float value_of_e8m0(uint8_t byte) {
  return byte == 0xff ? std::numeric_limits<float>::quiet_NaN()
                      : std::ldexp(1.0f, static_cast<int>(byte) - 127);
}

/// All values of a type of a byte.
std::array<float, 256> table_of(ElementType type) {
  std::array<float, 256> table{};
  const SmallFloat *format = small_float(type);
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = format ? value_of(*format, static_cast<uint8_t>(i))
                      : value_of_e8m0(static_cast<uint8_t>(i));
  return table;
}

/// float32 as elements of `type`; nothing if one is none.
std::optional<std::vector<uint8_t>> narrowed(ElementType type, const std::vector<uint8_t> &floats) {
  std::vector<uint8_t> narrow;
  std::unordered_map<uint32_t, uint8_t> codes; // by the bits of their value
  if (type != ElementType::bf16) {
    const std::array<float, 256> table = table_of(type);
    for (size_t i = table.size(); i-- > 0;) // the least code of several NaNs
      codes[std::bit_cast<uint32_t>(table[i])] = static_cast<uint8_t>(i);
  }
  for (size_t i = 0; i + 4 <= floats.size(); i += 4) {
    uint32_t bits;
    std::memcpy(&bits, &floats[i], sizeof bits);
    if (std::isnan(std::bit_cast<float>(bits)))
      bits = std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN());
    if (type == ElementType::bf16) {
      if (bits & 0xffff)
        return std::nullopt;
      narrow.insert(narrow.end(),
                    {static_cast<uint8_t>(bits >> 16), static_cast<uint8_t>(bits >> 24)});
    } else if (const auto code = codes.find(bits); code != codes.end()) {
      narrow.push_back(code->second);
    } else {
      return std::nullopt;
    }
  }
  return narrow;
}

absl::Status no_number_of(ElementType type) {
  return absl::InvalidArgumentError(absl::StrCat("it has a number that no ",
                                                 EnumNameElementType(type),
                                                 " is, so that it would "
                                                 "have to be rounded\nhint: round it before"));
}

} // namespace

ElementType written_as(ElementType type) {
  if (bits_of(type) != 8)
    return is_signed(type) ? ElementType::i8 : ElementType::u8;
  if (type == ElementType::bf16 || type == ElementType::f8e8m0 || small_float(type))
    return ElementType::f32;
  return type;
}

std::string_view npy_descr(ElementType type) {
  for (const TypeName &name : kTypes)
    if (name.type == written_as(type))
      return name.descr;
  return {};
}

std::vector<uint8_t> as_written(ElementType type, std::vector<uint8_t> bytes) {
  if (written_as(type) == type)
    return bytes;
  if (bits_of(type) != 8) {
    for (uint8_t &byte : bytes)
      byte = static_cast<uint8_t>(integer_of(type, byte));
    return bytes;
  }
  const size_t size = artifact::element_bytes(type);
  std::vector<uint8_t> wide(bytes.size() / size * sizeof(float));
  if (type == ElementType::bf16) {
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) // a bfloat16 is a float32's upper half
      std::memcpy(&wide[2 * i + 2], &bytes[i], 2);
    return wide;
  }
  const std::array<float, 256> table = table_of(type);
  for (size_t i = 0; i < bytes.size(); ++i)
    std::memcpy(&wide[i * sizeof(float)], &table[bytes[i]], sizeof(float));
  return wide;
}

std::optional<NpyDescr> parse_descr(std::string_view descr, std::optional<ElementType> wanted) {
  if (descr.size() != 3)
    return std::nullopt;
  const bool swapped = descr[0] == '>';
  for (const TypeName &name : kTypes)
    // One byte has no order, whatever is said of it.
    if (name.descr.substr(1) == descr.substr(1) &&
        (descr[0] == '<' || swapped || name.descr[0] == '|'))
      return NpyDescr{name.type, swapped && name.descr[0] != '|'};
  // NumPy's name for ml_dtypes' float8_e5m2 is f1, for all others V and their size.
  if (wanted && written_as(*wanted) != *wanted && !swapped &&
      (descr[1] == 'V' || (descr[1] == 'f' && *wanted == ElementType::f8e5m2)) &&
      static_cast<uint64_t>(descr[2] - '0') == artifact::element_bytes(*wanted))
    return NpyDescr{*wanted, false};
  return std::nullopt;
}

absl::Status to_wanted(ElementType wanted, ElementType *type, std::vector<uint8_t> *bytes) {
  if (*type != wanted && *type != written_as(wanted))
    return absl::OkStatus();
  if (bits_of(wanted) != 8) {
    for (uint8_t &byte : *bytes) {
      const auto value = static_cast<uint8_t>(integer_of(wanted, byte));
      if (*type != wanted && value != byte)
        return no_number_of(wanted);
      byte = value;
    }
  } else if (*type == ElementType::f32) {
    std::optional<std::vector<uint8_t>> narrow = narrowed(wanted, *bytes);
    if (!narrow)
      return no_number_of(wanted);
    *bytes = *std::move(narrow);
  }
  *type = wanted;
  return absl::OkStatus();
}

} // namespace quern::cli
