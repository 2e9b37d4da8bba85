#include "passes/raise/Piece.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "ir/reference/Sizes.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/raise/Product.h"
#include "passes/raise/ShortShapes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

#include <map>
#include <string>

using namespace mlir;

namespace quern::raise {
namespace {

/// What has no data of its own, and belongs to whatever reads it.
bool isFree(Operation *op) {
  return op && isGeneral(op) &&
         (isa<tensor::EmptyOp, linalg::FillOp, SizeOp, arith::ConstantOp>(op) ||
          !isa<RankedTensorType>(op->getResult(0).getType()));
}

using Shapes = std::vector<std::vector<int64_t>>;

/// Elements that a tensor has in a trial, at most.
constexpr int64_t kMostElements = int64_t{1} << 22;

/// The type's shape under these sizes, of whose dimensions none that depends on one is less than 2:
/// a piece of no elements, or one, computes anything.
absl::StatusOr<std::vector<int64_t>> shape_of(Type type, reference::Sizes &sizes) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return absl::InvalidArgumentError("a leaf is no tensor");
  auto shape = sizes.shape(tensor);
  if (!shape.ok())
    return shape.status();
  for (auto [i, size] : llvm::enumerate(*shape)) {
    if (size < 2 && !countOf(dimOf(tensor, static_cast<unsigned>(i))).is_constant())
      return absl::OutOfRangeError("a leaf has a dimension of less than two");
    if (size == 0)
      return absl::OutOfRangeError("a leaf is empty");
  }
  return shape;
}

absl::StatusOr<Shapes> shapes_of(ArrayRef<Type> types, reference::Sizes &sizes) {
  Shapes shapes;
  for (Type type : types) {
    auto shape = shape_of(type, sizes);
    if (!shape.ok())
      return shape.status();
    shapes.push_back(*std::move(shape));
  }
  return shapes;
}

absl::Status check_size(ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    if (__builtin_mul_overflow(elements, size, &elements) || elements > kMostElements)
      return absl::OutOfRangeError("a piece is too large to be tried");
  return absl::OkStatus();
}

/// The smallest of some sizes for which all types have elements. Each size is another one, so that
/// no two are taken for each other.
absl::StatusOr<std::map<std::string, int64_t>> small_sizes(ArrayRef<Type> types,
                                                           DictionaryAttr symbols) {
  absl::Status status;
  for (int64_t factor : {1, 4, 16, 64}) {
    std::map<std::string, int64_t> values;
    for (NamedAttribute symbol : symbols ? symbols.getValue() : ArrayRef<NamedAttribute>()) {
      constexpr int64_t kSizes[] = {2, 3, 5, 7, 4, 6};
      values[symbol.getName().str()] = factor * kSizes[values.size() % std::size(kSizes)];
    }
    reference::Sizes sizes(values);
    status = shapes_of(types, sizes).status();
    if (status.ok())
      return values;
  }
  return status;
}

DictionaryAttr symbolsOf(const Piece &piece) {
  return piece.root()->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(attrs::kSizes);
}

/// The types of what a piece's function takes: its leaves, and of each symbol a tensor that gives
/// it its value, whether or not a leaf has a dimension that is it.
SmallVector<Type> argumentsOf(const Piece &piece) {
  SmallVector<Type> types =
      llvm::map_to_vector(piece.leaves(), [](Value v) { return v.getType(); });
  if (DictionaryAttr symbols = symbolsOf(piece))
    for (NamedAttribute symbol : symbols)
      types.push_back(RankedTensorType::get(
          {ShapedType::kDynamic}, IntegerType::get(piece.root()->getContext(), 1),
          DimsAttr::get(piece.root()->getContext(), {symbol.getName()})));
  return types;
}

} // namespace

Piece::Piece(Operation *root) { add(root); }

void Piece::add(Operation *op) {
  if (!ops_.insert(op))
    return;
  for (Value result : op->getResults())
    leaves_.remove(result);
  forEachRead(op, [&](Value value) {
    Operation *def = value.getDefiningOp();
    if (isFree(def))
      add(def);
    else if (!contains(def))
      leaves_.insert(value);
  });
}

bool Piece::grow(llvm::function_ref<bool(Operation *)> may) {
  return growBy([&](Operation *def) {
    return may(def) && llvm::all_of(def->getUsers(), [&](Operation *user) {
             return contains(root()->getBlock()->findAncestorOpInBlock(*user));
           });
  });
}

bool Piece::growBehind(llvm::function_ref<bool(Operation *)> may) { return growBy(may); }

bool Piece::growBy(llvm::function_ref<bool(Operation *)> may) {
  Operation *latest = nullptr;
  for (Value leaf : leaves_) {
    Operation *def = leaf.getDefiningOp();
    if (!def || def->getBlock() != root()->getBlock() || !may(def))
      continue;
    if (!latest || latest->isBeforeInBlock(def))
      latest = def;
  }
  if (latest)
    add(latest);
  return latest != nullptr;
}

SmallVector<Operation *> Piece::inOrder() const {
  auto ops = llvm::to_vector(ops_);
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ops;
}

std::vector<double> Piece::constants() const {
  std::vector<double> found;
  for (Operation *op : ops_)
    op->walk([&](arith::ConstantOp constant) {
      Attribute value = constant.getValue();
      if (auto dense = dyn_cast<DenseFPElementsAttr>(value); dense && dense.isSplat())
        value = dense.getSplatValue<FloatAttr>();
      if (auto number = dyn_cast<FloatAttr>(value))
        found.push_back(number.getValueAsDouble());
    });
  return found;
}

absl::StatusOr<Function> Function::of(const Piece &piece) {
  auto values = small_sizes(argumentsOf(piece), symbolsOf(piece));
  if (!values.ok())
    return values.status();
  reference::Sizes sizes(*values);
  return make(piece, sizes, shortShapes(piece, sizes));
}

absl::StatusOr<Function> Function::of(const Piece &piece,
                                      const std::map<std::string, int64_t> &values) {
  reference::Sizes sizes(values);
  return make(piece, sizes, std::nullopt);
}

absl::StatusOr<Function> Function::make(const Piece &piece, reference::Sizes &sizes,
                                        const std::optional<ShapesOfValues> &shortened) {
  Operation *root = piece.root();
  Function function;
  function.module_ = ModuleOp::create(root->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(function.module_->getBody());
  if (DictionaryAttr symbols = symbolsOf(piece)) {
    SmallVector<NamedAttribute> bounds;
    for (NamedAttribute symbol : symbols)
      bounds.emplace_back(symbol.getName(), builder.getI64IntegerAttr(INT32_MAX));
    (*function.module_)->setAttr(attrs::kSizes, builder.getDictionaryAttr(bounds));
  }

  SmallVector<Type> types = argumentsOf(piece);
  auto shapes = shapes_of(types, sizes);
  if (!shapes.ok())
    return shapes.status();
  function.shapes_ = *std::move(shapes);
  if (shortened) {
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      function.shapes_[i] = shortened->at(leaf);
      types[i] = RankedTensorType::get(function.shapes_[i],
                                       cast<RankedTensorType>(types[i]).getElementType());
    }
    // What is computed may be larger than its leaves are.
    for (const auto &[value, shape] : *shortened)
      if (absl::Status status = check_size(shape); !status.ok())
        return status;
  }
  for (const std::vector<int64_t> &shape : function.shapes_)
    if (absl::Status status = check_size(shape); !status.ok())
      return status;

  auto main = func::FuncOp::create(builder, root->getLoc(), "main",
                                   builder.getFunctionType(types, root->getResultTypes()));
  Block *body = main.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping mapping;
  for (auto [leaf, argument] : llvm::zip(piece.leaves(), body->getArguments()))
    mapping.map(leaf, argument);
  for (Operation *op : piece.inOrder())
    if (shortened)
      cloneWithShapes(builder, op, mapping, *shortened);
    else
      builder.clone(*op, mapping);
  const auto results =
      llvm::map_to_vector(root->getResults(), [&](Value v) { return mapping.lookup(v); });
  main.setType(builder.getFunctionType(types, ValueRange(results).getTypes()));
  func::ReturnOp::create(builder, root->getLoc(), results);
  return function;
}

absl::StatusOr<reference::Tensor> Function::run(std::vector<reference::Tensor> leaves) {
  for (size_t i = leaves.size(); i < shapes_.size(); ++i) {
    auto zeros = reference::Tensor::zeros(IntegerType::get(module_->getContext(), 1), shapes_[i]);
    if (!zeros.ok())
      return zeros.status();
    leaves.push_back(*std::move(zeros));
  }
  auto interpreter = reference::Interpreter::create(*module_, {.float64 = true, .threads = 1});
  if (!interpreter.ok())
    return interpreter.status();
  auto results = (*interpreter)->call("main", leaves);
  if (!results.ok())
    return results.status();
  return std::move(results->front());
}

} // namespace quern::raise
