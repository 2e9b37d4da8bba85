// Registration, types and attributes of the quern dialect.
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "ir/quern/NormInterface.cpp.inc"
#include "ir/quern/QuernDialect.cpp.inc"
#include "ir/quern/QuernEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/quern/QuernAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/quern/QuernTypes.cpp.inc"

namespace quern {

namespace {
/// The parts in fusion (FusionTraits.td, AnchorInterface.td) that an op may play.
template <class Op>
constexpr int kParts = Op::template hasTrait<AnchorOpInterface::Trait>() +
                       Op::template hasTrait<Elementwise>() + Op::template hasTrait<RowWise>() +
                       Op::template hasTrait<View>() + Op::template hasTrait<Reference>() +
                       Op::template hasTrait<General>() + Op::template hasTrait<Structure>();
template <class Op> struct HasOnePart {
  static_assert(kParts<Op> == 1, "an op of the dialect is an anchor or has one of the traits of "
                                 "FusionTraits.td");
  static constexpr bool value = true;
};
template <class... Ops> constexpr bool kHaveOnePart = (HasOnePart<Ops>::value && ...);
static_assert(kHaveOnePart<
#define GET_OP_LIST
#include "ir/quern/QuernOps.cpp.inc"
              >);
} // namespace

void QuernDialect::initialize() {
  // What general tensor programs are written in beside it.
  getContext()
      ->loadDialect<arith::ArithDialect, linalg::LinalgDialect, math::MathDialect, scf::SCFDialect,
                    tensor::TensorDialect>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/quern/QuernAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/quern/QuernTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/quern/QuernOps.cpp.inc"
      >();
}

static DimsAttr dims(MLIRContext *context, StringRef name) {
  return DimsAttr::get(context, {StringAttr::get(context, name)});
}

static bool hasOneSymbol(RankedTensorType type) {
  auto encoding = dyn_cast_or_null<DimsAttr>(type.getEncoding());
  return type.isDynamicDim(0) && encoding && encoding.getNames().size() == 1;
}

bool isRows(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.getElementType().isF32() &&
         !tensor.isDynamicDim(1) && hasOneSymbol(tensor);
}

bool isIndices(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32) &&
         hasOneSymbol(tensor);
}

bool isChoices(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.getElementType().isInteger(32) &&
         !tensor.isDynamicDim(1) && hasOneSymbol(tensor);
}

RankedTensorType rowsType(MLIRContext *context, StringRef rows, int64_t cols) {
  return RankedTensorType::get({ShapedType::kDynamic, cols}, Float32Type::get(context),
                               dims(context, rows));
}

RankedTensorType indicesType(MLIRContext *context, StringRef rows) {
  return RankedTensorType::get({ShapedType::kDynamic}, IntegerType::get(context, 32),
                               dims(context, rows));
}

RankedTensorType choicesType(MLIRContext *context, StringRef rows, int64_t count) {
  return RankedTensorType::get({ShapedType::kDynamic, count}, IntegerType::get(context, 32),
                               dims(context, rows));
}

int64_t colsOf(Type type) {
  if (auto q8 = dyn_cast<Q8RowsType>(type))
    return q8.getCols();
  return cast<RankedTensorType>(type).getDimSize(1);
}

StringRef rowsOf(Type type) {
  if (auto q8 = dyn_cast<Q8RowsType>(type))
    return q8.getRows();
  return cast<DimsAttr>(cast<RankedTensorType>(type).getEncoding()).getNames()[0].getValue();
}

LogicalResult Q8RowsType::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr,
                                 int64_t cols, int64_t blocks) {
  if (cols <= 0 || blocks <= 0 || cols % blocks)
    return emitError() << "quantized rows are of " << cols << " columns in " << blocks
                       << " equal blocks";
  return success();
}

// --- !quern.weight<576x192, "q4_1"> ---

Type WeightType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  std::string format;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false) ||
      parser.parseComma() || parser.parseString(&format) || parser.parseGreater())
    return {};
  return parser.getChecked<WeightType>(parser.getContext(), shape,
                                       StringAttr::get(parser.getContext(), format));
}

void WeightType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList(getShape());
  printer << ", \"" << getFormat().getValue() << "\">";
}

LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, StringAttr format) {
  if (shape.empty())
    return emitError() << "a weight has at least one dimension";
  if (llvm::any_of(shape, [](int64_t dim) { return dim <= 0; }))
    return emitError() << "a weight's dimensions are positive";
  return success();
}

// --- !quern.state<kv, 3x64x64> ---

Type StateType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  FailureOr<StateKind> kind;
  if (parser.parseLess() || failed(kind = FieldParser<StateKind>::parse(parser)) ||
      parser.parseComma() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return {};
  StateFormat format = StateFormat::f32;
  bool shared = false;
  while (!shared && succeeded(parser.parseOptionalComma())) {
    shared = succeeded(parser.parseOptionalKeyword("shared"));
    if (shared)
      break;
    FailureOr<StateFormat> named = FieldParser<StateFormat>::parse(parser);
    if (failed(named))
      return {};
    format = *named;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<StateType>(parser.getContext(), *kind, shape, format, shared);
}

void StateType::print(AsmPrinter &printer) const {
  printer << '<' << stringifyStateKind(getKind()) << ", ";
  printer.printDimensionList(getShape());
  if (getFormat() != StateFormat::f32)
    printer << ", " << stringifyStateFormat(getFormat());
  if (getShared())
    printer << ", shared";
  printer << '>';
}

LogicalResult StateType::verify(function_ref<InFlightDiagnostic()> emitError, StateKind kind,
                                ArrayRef<int64_t> shape, StateFormat format, bool shared) {
  size_t rank = kind == StateKind::window ? 2 : 3;
  if (shape.size() != rank)
    return emitError() << stringifyStateKind(kind) << " state has " << rank << " dimensions, not "
                       << shape.size();
  if (llvm::any_of(shape, [](int64_t dim) { return dim <= 0; }))
    return emitError() << "a state's dimensions are positive";
  if (kind != StateKind::kv && format != StateFormat::f32)
    return emitError() << stringifyStateKind(kind) << " state is summed up in float32";
  if (shared && kind != StateKind::kv)
    return emitError() << stringifyStateKind(kind) << " state has no values to share";
  if (shared && shape[2] > shape[1])
    return emitError() << "values of " << shape[2] << " columns are not the first of " << shape[1];
  return success();
}

} // namespace quern

#define GET_OP_CLASSES
#include "ir/quern/QuernOps.cpp.inc"
