#include "passes/raise/Piece.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "ir/symbols/Dim.h"
#include "passes/analysis/GeneralOps.h"

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
  Operation *latest = nullptr;
  for (Value leaf : leaves_) {
    Operation *def = leaf.getDefiningOp();
    if (!def || def->getBlock() != root()->getBlock() || !may(def) ||
        !llvm::all_of(def->getUsers(), [&](Operation *user) {
          return contains(root()->getBlock()->findAncestorOpInBlock(*user));
        }))
      continue;
    if (!latest || latest->isBeforeInBlock(def))
      latest = def;
  }
  if (latest)
    add(latest);
  return latest != nullptr;
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
  Operation *root = piece.root();
  MLIRContext *context = root->getContext();
  Function function;
  function.module_ = ModuleOp::create(root->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(function.module_->getBody());

  // Small sizes, each another one, so that no two are taken for each other.
  std::map<std::string, int64_t> sizes;
  auto symbols = root->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(attrs::kSizes);
  SmallVector<NamedAttribute> bounds;
  SmallVector<Type> types =
      llvm::map_to_vector(piece.leaves(), [](Value v) { return v.getType(); });
  if (symbols)
    for (NamedAttribute symbol : symbols) {
      constexpr int64_t kSizes[] = {2, 3, 5, 7, 4, 6};
      sizes[symbol.getName().str()] = kSizes[sizes.size() % std::size(kSizes)];
      bounds.emplace_back(symbol.getName(), builder.getI64IntegerAttr(16));
      // What gives the size its value, whether or not a leaf has a dimension that is it.
      types.push_back(RankedTensorType::get({ShapedType::kDynamic}, builder.getI1Type(),
                                            DimsAttr::get(context, {symbol.getName()})));
    }
  if (symbols)
    (*function.module_)->setAttr(attrs::kSizes, DictionaryAttr::get(context, bounds));
  auto shape_of = [&](Type type) -> absl::StatusOr<std::vector<int64_t>> {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return absl::InvalidArgumentError("a leaf is no tensor");
    auto dims = dyn_cast_or_null<DimsAttr>(tensor.getEncoding());
    std::vector<int64_t> shape(tensor.getShape().begin(), tensor.getShape().end());
    size_t next = 0;
    for (int64_t &size : shape) {
      if (!ShapedType::isDynamic(size))
        continue;
      if (!dims || next >= dims.getNames().size())
        return absl::InvalidArgumentError("a leaf has a dimension without a name");
      const auto dim = symbols::parse_dim(dims.getNames()[next++].str());
      if (!dim.ok())
        return dim.status();
      const auto value = symbols::evaluate(*dim, sizes);
      if (!value.ok())
        return value.status();
      size = *value;
    }
    return shape;
  };
  for (Type type : types) {
    auto shape = shape_of(type);
    if (!shape.ok())
      return shape.status();
    function.shapes_.push_back(*std::move(shape));
  }

  auto main = func::FuncOp::create(builder, root->getLoc(), "main",
                                   builder.getFunctionType(types, root->getResultTypes()));
  Block *body = main.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping mapping;
  for (auto [leaf, argument] : llvm::zip(piece.leaves(), body->getArguments()))
    mapping.map(leaf, argument);
  auto ops = llvm::to_vector(piece.ops());
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ops)
    builder.clone(*op, mapping);
  func::ReturnOp::create(
      builder, root->getLoc(),
      llvm::map_to_vector(root->getResults(), [&](Value v) { return mapping.lookup(v); }));
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
