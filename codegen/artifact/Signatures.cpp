#include "codegen/artifact/Signatures.h"

#include "ir/quern/AttributeNames.h"
#include "passes/analysis/FaultSites.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/SizeExpression.h"

#include <absl/strings/str_cat.h>

#include <optional>

namespace quern::artifact {
namespace {

std::optional<ElementType> stored_type(mlir::Type type) {
  if (type.isF32())
    return ElementType::f32;
  if (type.isF64())
    return ElementType::f64;
  if (type.isF16())
    return ElementType::f16;
  if (type.isBF16())
    return ElementType::bf16;
  if (mlir::isa<mlir::Float8E4M3FNType>(type))
    return ElementType::f8e4m3fn;
  if (mlir::isa<mlir::Float8E4M3FNUZType>(type))
    return ElementType::f8e4m3fnuz;
  if (mlir::isa<mlir::Float8E5M2Type>(type))
    return ElementType::f8e5m2;
  if (mlir::isa<mlir::Float8E5M2FNUZType>(type))
    return ElementType::f8e5m2fnuz;
  if (mlir::isa<mlir::Float8E8M0FNUType>(type))
    return ElementType::f8e8m0;
  if (mlir::isa<mlir::Float4E2M1FNType>(type))
    return ElementType::f4e2m1;
  auto integer = mlir::dyn_cast<mlir::IntegerType>(type);
  if (!integer)
    return std::nullopt;
  const bool is_unsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return ElementType::boolean;
  case 2:
    return is_unsigned ? ElementType::u2 : ElementType::i2;
  case 4:
    return is_unsigned ? ElementType::u4 : ElementType::i4;
  case 8:
    return is_unsigned ? ElementType::u8 : ElementType::i8;
  case 16:
    return is_unsigned ? ElementType::u16 : ElementType::i16;
  case 32:
    return is_unsigned ? ElementType::u32 : ElementType::i32;
  case 64:
    return is_unsigned ? ElementType::u64 : ElementType::i64;
  default:
    return std::nullopt;
  }
}

using Steps = std::vector<SizeStep>;

/// The steps of one expression, one after another.
class StepWriter {
public:
  explicit StepWriter(const symbols::Maxima &sizes) : sizes_(sizes) {}

  void write(const symbols::Dim &dim) {
    bool first = true;
    for (const symbols::Term &term : dim.terms()) {
      write(term);
      if (!first)
        add(SizeOp::add);
      first = false;
    }
    if (first)
      add(SizeOp::number, 0);
  }

  Steps take() { return std::move(steps_); }

private:
  void add(SizeOp op, int64_t value = 0) { steps_.emplace_back(value, op); }

  void write(const symbols::Term &term) {
    bool first = true;
    if (term.coefficient != 1 || term.factors.empty()) {
      add(SizeOp::number, term.coefficient);
      first = false;
    }
    for (const symbols::AtomRef &factor : term.factors) {
      write(*factor);
      if (!first)
        add(SizeOp::multiply);
      first = false;
    }
  }

  void write(const symbols::Atom &atom) {
    using symbols::AtomKind;
    if (atom.kind == AtomKind::Symbol)
      return add(SizeOp::size, std::distance(sizes_.begin(), sizes_.find(atom.name)));
    write(atom.a);
    switch (atom.kind) {
    case AtomKind::FloorDiv:
    case AtomKind::TruncDiv:
      write(atom.b);
      return add(atom.kind == AtomKind::FloorDiv ? SizeOp::floordiv : SizeOp::truncdiv);
    case AtomKind::Min0:
      return add(SizeOp::min0);
    case AtomKind::IsZero:
      return add(SizeOp::is_zero);
    case AtomKind::IsNegative:
      return add(SizeOp::is_negative);
    case AtomKind::Symbol:
      break;
    }
  }

  const symbols::Maxima &sizes_;
  Steps steps_;
};

} // namespace

absl::StatusOr<ElementType> element_type_of(mlir::Type stored, llvm::StringRef said) {
  const std::optional<ElementType> own = stored_type(stored);
  if (!own)
    return absl::InternalError("its elements are of a type that no entry can have");
  if (said.empty())
    return *own;
  if (said == "bool")
    said = "boolean";
  for (const ElementType type : EnumValuesElementType())
    if (said == EnumNameElementType(type) && element_bytes(type) == element_bytes(*own))
      return type;
  return absl::InternalError(absl::StrCat("its elements are said to be ", said.str(), ", which no ",
                                          EnumNameElementType(*own), " stands for"));
}

std::vector<SizeStep> size_steps(const symbols::Dim &dim, const symbols::Maxima &sizes) {
  StepWriter writer(sizes);
  writer.write(dim);
  return writer.take();
}

absl::StatusOr<flatbuffers::Offset<SizeExpression>>
size_expression(flatbuffers::FlatBufferBuilder &builder, llvm::StringRef text,
                const symbols::Maxima &sizes) {
  const std::optional<symbols::Dim> dim = dimOf(text, sizes);
  if (!dim)
    return absl::InternalError(absl::StrCat("'", text.str(), "' is no expression over its sizes"));
  const int64_t most = mostOf(*dim, sizes);
  if (static_cast<uint64_t>(most) > kMostSize)
    return absl::InvalidArgumentError(
        absl::StrCat("'", text.str(), "' can be more than ", kMostSize,
                     "\nhint: bound the sizes in it: --dim NAME=MAX"));
  const std::vector<SizeStep> steps = size_steps(*dim, sizes);
  return CreateSizeExpression(builder, builder.CreateString(text.str()),
                              builder.CreateVectorOfStructs(steps), static_cast<uint64_t>(most));
}

absl::StatusOr<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Size>>>>
entry_sizes(flatbuffers::FlatBufferBuilder &builder, const symbols::Maxima &sizes,
            mlir::DictionaryAttr counted) {
  std::vector<flatbuffers::Offset<Size>> table;
  for (const auto &[name, most] : sizes) {
    flatbuffers::Offset<SizeExpression> bound;
    if (auto text = counted ? counted.getAs<mlir::StringAttr>(name) : mlir::StringAttr()) {
      auto expression = size_expression(builder, text.getValue(), sizes);
      if (!expression.ok())
        return expression.status();
      bound = *expression;
    }
    table.push_back(
        CreateSize(builder, builder.CreateString(name), static_cast<uint64_t>(most), bound));
  }
  return builder.CreateVector(table);
}

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<FaultSite>>>
fault_sites(flatbuffers::FlatBufferBuilder &builder, DispatchOp dispatch, KernelOp kernel) {
  std::vector<flatbuffers::Offset<FaultSite>> table;
  auto names = dispatch->getAttrOfType<mlir::ArrayAttr>(attrs::kFaultNames);
  const symbols::Maxima sizes = sizesOf(kernel);
  for (auto [i, op] : llvm::enumerate(faultSites(kernel))) {
    FaultKind kind = FaultKind::divisor;
    std::string size;
    if (auto index = mlir::dyn_cast<CheckIndexOp>(op)) {
      kind = index.getFromEnd() ? FaultKind::index_from_end : FaultKind::index;
    } else if (auto where = mlir::dyn_cast<WhereTrueOp>(op)) {
      size = countedSize(where).str();
      kind = size.empty() ? FaultKind::not_as_many : FaultKind::too_many;
    }
    const std::string node =
        names && i < names.size() ? mlir::cast<mlir::StringAttr>(names[i]).str() : std::string();
    table.push_back(
        CreateFaultSite(builder, builder.CreateString(node), kind, builder.CreateString(size)));
  }
  return builder.CreateVector(table);
}

absl::StatusOr<flatbuffers::Offset<TensorDesc>>
tensor_desc(flatbuffers::FlatBufferBuilder &builder, const std::string &name, mlir::Type type,
            mlir::StringAttr element, const symbols::Maxima *sizes) {
  const auto error = [&](const absl::Status &status) {
    return absl::Status(status.code(),
                        absl::StrCat("'", name, "' of an entry: ", status.message()));
  };
  auto ranked = mlir::dyn_cast<mlir::RankedTensorType>(type);
  if (!ranked)
    return absl::InternalError(absl::StrCat("'", name, "' of an entry is no tensor"));
  std::vector<int64_t> shape;
  std::vector<std::string> symbols;
  std::vector<flatbuffers::Offset<SizeExpression>> dims;
  llvm::ArrayRef<mlir::StringAttr> names = dimNames(type);
  for (const int64_t dim : ranked.getShape()) {
    const bool dynamic = mlir::ShapedType::isDynamic(dim) && !names.empty();
    shape.push_back(dynamic ? -1 : dim);
    symbols.push_back(dynamic ? names.front().str() : std::string());
    if (dynamic && sizes) {
      auto expression = size_expression(builder, names.front().getValue(), *sizes);
      if (!expression.ok())
        return error(expression.status());
      dims.push_back(*expression);
    } else if (sizes) {
      dims.push_back(CreateSizeExpression(builder));
    }
    names = names.drop_front(dynamic ? 1 : 0);
  }
  auto elements = element_type_of(ranked.getElementType(), element ? element.getValue() : "");
  if (!elements.ok())
    return error(elements.status());
  return CreateTensorDesc(builder, builder.CreateString(name), *elements,
                          builder.CreateVector(shape), builder.CreateVectorOfStrings(symbols),
                          sizes ? builder.CreateVector(dims) : 0);
}

absl::StatusOr<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<EqualSizes>>>>
equal_sizes(flatbuffers::FlatBufferBuilder &builder, mlir::func::FuncOp func,
            const symbols::Maxima &sizes) {
  std::vector<flatbuffers::Offset<EqualSizes>> table;
  auto all = func->getAttrOfType<mlir::ArrayAttr>(attrs::kEqualSizes);
  for (mlir::Attribute entry : all ? all.getValue() : llvm::ArrayRef<mlir::Attribute>()) {
    auto of = mlir::dyn_cast<mlir::ArrayAttr>(entry);
    if (!of || of.size() != 3 || !llvm::all_of(of, llvm::IsaPred<mlir::StringAttr>))
      return absl::InternalError("quern.equal_sizes is no list of three texts each");
    const auto text = [&](unsigned i) { return mlir::cast<mlir::StringAttr>(of[i]).getValue(); };
    const auto left = size_expression(builder, text(0), sizes);
    const auto right = size_expression(builder, text(1), sizes);
    for (const auto *side : {&left, &right})
      if (!side->ok())
        return side->status();
    table.push_back(CreateEqualSizes(builder, *left, *right, builder.CreateString(text(2).str())));
  }
  return builder.CreateVector(table);
}

} // namespace quern::artifact
