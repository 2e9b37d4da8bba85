#include "frontends/onnx/Tensor.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace quern::onnx {
namespace {

/// Tensors of more elements than this are none that a machine holds.
constexpr int64_t kMostElements = int64_t{1} << 48;

absl::Status refuse(const Tensor &tensor, const std::string &what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor '", tensor.name, "', ", describe(tensor), ": ", what));
}

/// The elements as raw bytes, with those of `Varints` brought into that form.
absl::StatusOr<std::string> raw(const Tensor &tensor, const Files &files) {
  if (tensor.storage == Storage::Raw)
    return tensor.bytes;
  if (tensor.storage != Storage::File && tensor.storage != Storage::Varints)
    return refuse(tensor, "its elements are not numbers in a row");
  const auto bytes = files[static_cast<size_t>(tensor.file)]->range(tensor.offset, tensor.size);
  if (!bytes.ok())
    return bytes.status();
  std::string found(reinterpret_cast<const char *>(bytes->data()), bytes->size());
  if (tensor.storage == Storage::File)
    return found;
  const size_t width = static_cast<size_t>(std::max(8, element_bits(tensor.type))) / 8;
  std::string out;
  uint64_t value = 0;
  unsigned shift = 0;
  for (const char c : found) {
    const auto byte = static_cast<uint8_t>(c);
    if (shift < 64)
      value |= uint64_t{byte & 0x7fu} << shift;
    shift += 7;
    if (byte >= 0x80)
      continue;
    out.append(reinterpret_cast<const char *>(&value), width); // little-endian
    value = 0;
    shift = 0;
  }
  return out;
}

double half(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction != 0 ? std::nan("") : HUGE_VAL)
                                            : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

template <typename T> T load(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// One element of an integer type or bool, `index` from the beginning of raw bytes.
int64_t integer_at(ElementType type, const std::string &bytes, size_t index) {
  const int bits = element_bits(type);
  if (bits < 8) {
    const size_t per_byte = 8 / static_cast<size_t>(bits);
    const int byte = static_cast<uint8_t>(bytes[index / per_byte]);
    const int value = byte >> (index % per_byte * static_cast<size_t>(bits)) & ((1 << bits) - 1);
    return is_signed(type) && value >> (bits - 1) ? value - (1 << bits) : value;
  }
  const char *at = bytes.data() + index * static_cast<size_t>(bits) / 8;
  switch (type) {
  case ElementType::Int8:
    return load<int8_t>(at);
  case ElementType::Uint16:
    return load<uint16_t>(at);
  case ElementType::Int16:
    return load<int16_t>(at);
  case ElementType::Int32:
    return load<int32_t>(at);
  case ElementType::Uint32:
    return load<uint32_t>(at);
  case ElementType::Int64:
  case ElementType::Uint64: // one beyond int64's range wraps, and is refused where sizes are wanted
    return load<int64_t>(at);
  default: // uint8, bool
    return load<uint8_t>(at);
  }
}

} // namespace

absl::StatusOr<std::string> read_raw(const Tensor &tensor, const Files &files, int64_t most) {
  if (tensor.elements() > most)
    return refuse(tensor, absl::StrCat("it has more than ", most, " elements"));
  auto bytes = raw(tensor, files);
  if (bytes.ok() && bytes->size() < tensor.raw_bytes())
    return refuse(tensor, "it has fewer elements than its shape says");
  return bytes;
}

std::optional<int64_t> count_elements(std::span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0 || size > kMostElements)
      return std::nullopt;
    empty |= size == 0;
    if (size > 0 && __builtin_mul_overflow(count, size, &count))
      return std::nullopt;
  }
  if (count > kMostElements)
    return std::nullopt;
  return empty ? 0 : count;
}

int64_t Tensor::elements() const { return count_elements(shape).value_or(0); }

uint64_t Tensor::raw_bytes() const {
  const auto bits = static_cast<uint64_t>(element_bits(type));
  return (static_cast<uint64_t>(elements()) * bits + 7) / 8;
}

absl::StatusOr<std::vector<int64_t>> read_integers(const Tensor &tensor, const Files &files,
                                                   int64_t most) {
  if (!is_integer(tensor.type) && tensor.type != ElementType::Bool)
    return refuse(tensor, "integers are wanted");
  const auto bytes = read_raw(tensor, files, most);
  if (!bytes.ok())
    return bytes.status();
  std::vector<int64_t> values(static_cast<size_t>(tensor.elements()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = integer_at(tensor.type, *bytes, i);
  return values;
}

absl::StatusOr<std::vector<double>> read_numbers(const Tensor &tensor, const Files &files,
                                                 int64_t most) {
  if (is_integer(tensor.type) || tensor.type == ElementType::Bool) {
    const auto integers = read_integers(tensor, files, most);
    if (!integers.ok())
      return integers.status();
    return std::vector<double>(integers->begin(), integers->end());
  }
  if (tensor.type != ElementType::Float32 && tensor.type != ElementType::Float64 &&
      tensor.type != ElementType::Float16 && tensor.type != ElementType::BFloat16)
    return refuse(tensor, "numbers are wanted");
  const auto bytes = read_raw(tensor, files, most);
  if (!bytes.ok())
    return bytes.status();
  std::vector<double> values(static_cast<size_t>(tensor.elements()));
  const size_t width = static_cast<size_t>(element_bits(tensor.type)) / 8;
  for (size_t i = 0; i < values.size(); ++i) {
    const char *at = bytes->data() + i * width;
    values[i] = tensor.type == ElementType::Float32   ? load<float>(at)
                : tensor.type == ElementType::Float64 ? load<double>(at)
                : tensor.type == ElementType::Float16
                    ? half(load<uint16_t>(at))
                    : std::bit_cast<float>(uint32_t{load<uint16_t>(at)} << 16);
  }
  return values;
}

std::string describe(const Tensor &tensor) {
  return absl::StrCat(std::string(element_type_name(tensor.type)), " [",
                      absl::StrJoin(tensor.shape, ", "), "]");
}

} // namespace quern::onnx
