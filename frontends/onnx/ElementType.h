// The types that a tensor's elements have in ONNX.
#ifndef QUERN_FRONTENDS_ONNX_ELEMENTTYPE_H
#define QUERN_FRONTENDS_ONNX_ELEMENTTYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace quern::onnx {

/// Numbered as TensorProto.DataType.
enum class ElementType : uint8_t {
  Undefined = 0,
  Float32,
  Uint8,
  Int8,
  Uint16,
  Int16,
  Int32,
  Int64,
  String,
  Bool,
  Float16,
  Float64,
  Uint32,
  Uint64,
  Complex64,
  Complex128,
  BFloat16,
  Float8E4M3FN,
  Float8E4M3FNUZ,
  Float8E5M2,
  Float8E5M2FNUZ,
  Uint4,
  Int4,
  Float4E2M1,
  Float8E8M0,
  Uint2,
  Int2,
  Float6E2M3,
  Float6E3M2,
};

/// Nothing for a number that names none.
std::optional<ElementType> find_element_type(int64_t number);

/// "float32", as ONNX's documents and numpy spell it.
std::string_view element_type_name(ElementType type);

/// As raw_data has them, those of under 8 bits packed, first in the lowest; 0 for strings.
int element_bits(ElementType type);

bool is_float(ElementType type); ///< of any width, not complex
bool is_integer(ElementType type);
bool is_signed(ElementType type); ///< an integer that may be negative

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_ELEMENTTYPE_H
