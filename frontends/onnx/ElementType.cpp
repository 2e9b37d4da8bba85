#include "frontends/onnx/ElementType.h"

#include <array>
#include <cstddef>

namespace quern::onnx {
namespace {

enum class Class : uint8_t { Other, Float, Signed, Unsigned };

struct Row {
  std::string_view name;
  int bits;
  Class of;
};

constexpr std::array<Row, 29> kRows = {{
    {"undefined", 0, Class::Other},      {"float32", 32, Class::Float},
    {"uint8", 8, Class::Unsigned},       {"int8", 8, Class::Signed},
    {"uint16", 16, Class::Unsigned},     {"int16", 16, Class::Signed},
    {"int32", 32, Class::Signed},        {"int64", 64, Class::Signed},
    {"string", 0, Class::Other},         {"bool", 8, Class::Other},
    {"float16", 16, Class::Float},       {"float64", 64, Class::Float},
    {"uint32", 32, Class::Unsigned},     {"uint64", 64, Class::Unsigned},
    {"complex64", 64, Class::Other},     {"complex128", 128, Class::Other},
    {"bfloat16", 16, Class::Float},      {"float8e4m3fn", 8, Class::Float},
    {"float8e4m3fnuz", 8, Class::Float}, {"float8e5m2", 8, Class::Float},
    {"float8e5m2fnuz", 8, Class::Float}, {"uint4", 4, Class::Unsigned},
    {"int4", 4, Class::Signed},          {"float4e2m1", 4, Class::Float},
    {"float8e8m0", 8, Class::Float},     {"uint2", 2, Class::Unsigned},
    {"int2", 2, Class::Signed},          {"float6e2m3", 6, Class::Float},
    {"float6e3m2", 6, Class::Float},
}};

const Row &row(ElementType type) { return kRows[static_cast<size_t>(type)]; }

} // namespace

std::optional<ElementType> find_element_type(int64_t number) {
  if (number < 0 || number >= static_cast<int64_t>(kRows.size()))
    return std::nullopt;
  return static_cast<ElementType>(number);
}

std::string_view element_type_name(ElementType type) { return row(type).name; }
int element_bits(ElementType type) { return row(type).bits; }
bool is_float(ElementType type) { return row(type).of == Class::Float; }
bool is_integer(ElementType type) { return is_signed(type) || row(type).of == Class::Unsigned; }
bool is_signed(ElementType type) { return row(type).of == Class::Signed; }

} // namespace quern::onnx
