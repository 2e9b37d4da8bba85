#include "frontends/onnx/lowering/Types.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Builders.h"

namespace quern::onnx {

mlir::Type stored_type(mlir::MLIRContext *context, ElementType type) {
  mlir::Builder b(context);
  switch (type) {
  case ElementType::Float32:
    return b.getF32Type();
  case ElementType::Float64:
    return b.getF64Type();
  case ElementType::Float16:
    return b.getF16Type();
  case ElementType::BFloat16:
    return b.getBF16Type();
  case ElementType::Bool:
    return b.getI1Type();
  case ElementType::Undefined:
  case ElementType::String:
  case ElementType::Complex64:
  case ElementType::Complex128:
    return {};
  default:
    return b.getIntegerType(static_cast<unsigned>(std::max(8, element_bits(type))));
  }
}

mlir::RankedTensorType tensor_type(mlir::MLIRContext *context, ElementType type,
                                   const Shape &shape) {
  llvm::SmallVector<int64_t> sizes;
  llvm::SmallVector<mlir::StringAttr> names;
  for (const Dim &dim : shape)
    if (const auto size = dim.valid() ? dim.constant() : 0; size && *size >= 0) {
      sizes.push_back(*size); // what is not valid is refused elsewhere
    } else {
      sizes.push_back(mlir::ShapedType::kDynamic);
      names.push_back(mlir::StringAttr::get(context, dim.text()));
    }
  const mlir::Attribute dims = names.empty() ? mlir::Attribute() : DimsAttr::get(context, names);
  return mlir::RankedTensorType::get(sizes, stored_type(context, type), dims);
}

std::optional<std::string_view> element_name(ElementType type) {
  switch (type) {
  case ElementType::Uint8:
    return "u8";
  case ElementType::Uint16:
    return "u16";
  case ElementType::Uint32:
    return "u32";
  case ElementType::Uint64:
    return "u64";
  case ElementType::Bool:
    return "bool";
  case ElementType::Uint4:
    return "u4";
  case ElementType::Int4:
    return "i4";
  case ElementType::Uint2:
    return "u2";
  case ElementType::Int2:
    return "i2";
  case ElementType::Float8E4M3FN:
    return "f8e4m3fn";
  case ElementType::Float8E4M3FNUZ:
    return "f8e4m3fnuz";
  case ElementType::Float8E5M2:
    return "f8e5m2";
  case ElementType::Float8E5M2FNUZ:
    return "f8e5m2fnuz";
  case ElementType::Float8E8M0:
    return "f8e8m0";
  case ElementType::Float4E2M1:
    return "f4e2m1";
  case ElementType::Float6E2M3:
    return "f6e2m3";
  case ElementType::Float6E3M2:
    return "f6e3m2";
  default:
    return std::nullopt;
  }
}

bool is_small_float(ElementType type) { return is_float(type) && element_bits(type) <= 8; }

} // namespace quern::onnx
