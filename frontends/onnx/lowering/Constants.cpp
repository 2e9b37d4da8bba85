// What is known before the model runs, as tensors: initializers, elements that are sizes.
#include "frontends/onnx/lowering/GraphLowering.h"
#include "frontends/onnx/shapes/Elements.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <absl/strings/str_cat.h>

#include <cstring>

namespace quern::onnx {
namespace {

/// As many floats, and more, are a weight, by reference: the vectors of norms, and biases, are.
constexpr int64_t kFewestOfWeight = 8;
/// And other constants are not more than this.
constexpr int64_t kMostBytes = 1 << 20;

/// A code of `bits` bits, packed, first in the lowest.
uint8_t code_at(const std::string &bytes, size_t index, int bits) {
  unsigned code = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const size_t at = index * static_cast<size_t>(bits) + static_cast<size_t>(bit);
    code |= (static_cast<uint8_t>(bytes[at / 8]) >> (at % 8) & 1u) << bit;
  }
  return static_cast<uint8_t>(code);
}

absl::StatusOr<mlir::DenseElementsAttr> elements_of(const Tensor &tensor, const Files &files,
                                                    mlir::RankedTensorType type) {
  const auto bytes = read_raw(tensor, files, kMostBytes);
  if (!bytes.ok())
    return bytes.status();
  const auto count = static_cast<size_t>(tensor.elements());
  if (tensor.type == ElementType::Bool) {
    llvm::SmallVector<bool> values;
    for (size_t i = 0; i < count; ++i)
      values.push_back((*bytes)[i] != 0);
    return mlir::DenseElementsAttr::get(type, llvm::ArrayRef<bool>(values));
  }
  if (const int bits = element_bits(tensor.type); bits < 8) {
    std::string unpacked(count, '\0');
    for (size_t i = 0; i < count; ++i) {
      const int code = code_at(*bytes, i, bits);
      const bool negative = is_signed(tensor.type) && code >> (bits - 1) != 0;
      unpacked[i] = static_cast<char>(negative ? code - (1 << bits) : code);
    }
    return mlir::DenseElementsAttr::getFromRawBuffer(type, llvm::ArrayRef(unpacked.data(), count));
  }
  return mlir::DenseElementsAttr::getFromRawBuffer(
      type, llvm::ArrayRef(bytes->data(), static_cast<size_t>(tensor.raw_bytes())));
}

/// Null where the element depends on sizes.
mlir::Attribute constant_attribute(mlir::Type type, const Element &element) {
  const auto *dim = std::get_if<Dim>(&element);
  const auto whole = dim != nullptr ? dim->constant() : std::nullopt;
  if (dim != nullptr && !whole)
    return {};
  const double number = whole ? static_cast<double>(*whole) : std::get<double>(element);
  if (llvm::isa<mlir::FloatType>(type))
    return mlir::FloatAttr::get(type, number);
  const auto bits = static_cast<uint64_t>(whole ? *whole : static_cast<int64_t>(number));
  return mlir::IntegerAttr::get(type, llvm::APInt(type.getIntOrFloatBitWidth(), bits,
                                                  /*isSigned=*/false, /*implicitTrunc=*/true));
}

bool is_weight_type(ElementType type) {
  return type == ElementType::Float32 || type == ElementType::Float16 ||
         type == ElementType::BFloat16;
}

} // namespace

bool GraphLowering::is_weight(ValueId id) const {
  const auto &tensor = model_.value(id).constant;
  return tensor && tensor->storage == Storage::File && is_weight_type(tensor->type) &&
         !tensor->shape.empty() && tensor->elements() > 0;
}

mlir::Value GraphLowering::weight(ValueId id) {
  if (!is_weight(id))
    return {};
  const Tensor &tensor = *model_.value(id).constant;
  const std::string format = tensor.type == ElementType::Float32   ? "f32"
                             : tensor.type == ElementType::Float16 ? "f16"
                                                                   : "bf16";
  const auto type =
      WeightType::get(builder_.getContext(), tensor.shape, builder_.getStringAttr(format));
  auto [declared, fresh] = weights_.try_emplace(id);
  if (fresh) {
    std::string name = model_.value(id).name;
    const auto taken = [&] {
      return name == "main" || name.empty() ||
             std::ranges::any_of(weights_, [&](const auto &other) {
               return other.first != id && other.second == name;
             });
    };
    while (taken())
      name += "'";
    declared->second = name;
    WeightOp::create(declarations_, mlir::NameLoc::get(builder_.getStringAttr(name)), name, type,
                     tensor.file, static_cast<int64_t>(tensor.offset), mlir::IntegerAttr(),
                     mlir::FloatAttr(), mlir::FloatAttr(), CodedAttr(), mlir::DenseI64ArrayAttr());
  }
  return WeightRefOp::create(builder_, arrays_.writer().loc, type,
                             mlir::FlatSymbolRefAttr::get(builder_.getContext(), declared->second));
}

Array GraphLowering::constant(ValueId id, const Tensor &tensor) {
  Sizes shape(tensor.shape.begin(), tensor.shape.end());
  if (is_weight(id) && tensor.elements() >= kFewestOfWeight) {
    const mlir::Value decoded = WeightTensorOp::create(
        builder_, arrays_.writer().loc, arrays_.type_of(ElementType::Float32, shape), weight(id));
    return arrays_.cast({decoded, ElementType::Float32, shape}, tensor.type);
  }
  const auto type = arrays_.type_of(tensor.type, shape);
  const std::string &name = model_.value(id).name;
  if (tensor.storage == Storage::Sparse ||
      tensor.elements() * std::max(1, element_bits(tensor.type) / 8) > kMostBytes) {
    problems_.add(name,
                  absl::StrCat(describe(tensor), tensor.storage == Storage::Sparse
                                                     ? ": sparse constants are not lowered"
                                                     : ": constants of more than 1 MiB are lowered "
                                                       "where they are float32, float16 or "
                                                       "bfloat16 in raw_data or external data"),
                  tensor.storage == Storage::Sparse
                      ? "make it dense before exporting"
                      : "save the model again with onnx.save, or compute the table in the graph");
    return arrays_.empty(tensor.type, shape);
  }
  const auto elements = elements_of(tensor, model_.files, type);
  if (!elements.ok()) {
    problems_.add(name, elements.status());
    return arrays_.empty(tensor.type, shape);
  }
  return {mlir::arith::ConstantOp::create(builder_, arrays_.writer().loc, *elements), tensor.type,
          shape};
}

Array GraphLowering::known(const Fact &fact) {
  const Shape &shape = *fact.shape;
  const Elements &elements = *fact.elements;
  const auto type = arrays_.type_of(fact.type, shape);
  llvm::SmallVector<mlir::Attribute> constants;
  for (const Element &element : elements)
    if (const auto value = constant_attribute(type.getElementType(), element))
      constants.push_back(value);
  if (constants.size() == elements.size())
    return {mlir::arith::ConstantOp::create(builder_, arrays_.writer().loc,
                                            mlir::DenseElementsAttr::get(type, constants)),
            fact.type, shape};
  const auto constant = [&](Writer &w, const Element &element) {
    if (const auto *dim = std::get_if<Dim>(&element))
      return dim->is_constant() ? integer(w, fact.type, *dim->constant())
                                : from_index(arrays_.size_index(*dim), fact.type);
    return number(w, fact.type, std::get<double>(element));
  };
  // Neighbours that are equal are chosen together.
  const std::vector<Dim> strides = strides_of(shape);
  // Sizes are numbers outside of the loops.
  for (const Element &element : elements)
    if (const auto *dim = std::get_if<Dim>(&element); dim != nullptr && !dim->is_constant())
      arrays_.size(*dim);
  return arrays_.generate(fact.type, shape, [&](Writer &w, const Scalars &at) {
    Scalar flat = index(w, 0);
    for (size_t i = 0; i < at.size(); ++i)
      flat = flat + at[i] * static_cast<double>(*strides[i].constant());
    Scalar value = constant(w, elements.front());
    for (size_t i = 1; i < elements.size(); ++i)
      if (elements[i] != elements[i - 1])
        value =
            select(greater_equal(flat, static_cast<double>(i)), constant(w, elements[i]), value);
    return value;
  });
}

Array GraphLowering::array(ValueId id) {
  std::optional<Array> &array = arrays_of_[static_cast<size_t>(id)];
  if (array)
    return *array;
  const Value &value = model_.value(id);
  array = value.constant ? constant(id, *value.constant) : known(fact(id));
  return *array;
}

} // namespace quern::onnx
