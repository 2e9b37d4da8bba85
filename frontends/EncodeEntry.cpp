#include "frontends/EncodeEntry.h"

#include "frontends/hf/GraphEncoder.h"
#include "frontends/onnx/lowering/Arrays.h"
#include "frontends/recipe/Builder.h"
#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace quern {
namespace {

using onnx::Array;
using onnx::Arrays;
using onnx::ElementType;
using recipe::Pool;

onnx::Sizes shape_of(mlir::RankedTensorType type) {
  onnx::Sizes shape;
  auto dims = mlir::dyn_cast_or_null<DimsAttr>(type.getEncoding());
  size_t next = 0;
  for (const int64_t size : type.getShape())
    shape.push_back(mlir::ShapedType::isDynamic(size)
                        ? symbols::parse_dim(dims.getNames()[next++].getValue().str()).value()
                        : symbols::Dim(size));
  return shape;
}

/// Rows [b, s, columns] to [b, columns].
Array pooled(Arrays &a, Pool pool, const Array &x) {
  const symbols::Dim &length = x.shape[1];
  const auto only = [&](const symbols::Dim &at) {
    return a.reshape(a.part(x, 1, at, 1), {x.shape[0], x.shape[2]});
  };
  switch (pool) {
  case Pool::Mean:
    return a.mean(x, {1}, false);
  case Pool::First:
    return only(0);
  case Pool::Last:
    return only(length - 1);
  case Pool::Max:
    return a.largest(x, {1}, false);
  case Pool::RootMean:
    return a.map({a.sum(x, {1}, false)}, x.type, [&](const onnx::Scalars &e) {
      return e[0] / sqrt(from_index(a.size_index(length), x.type));
    });
  case Pool::WeightedMean: {
    const Array weights = a.generate(x.type, {1, length, 1}, [&](auto &w, const auto &) {
      return from_index(Arrays::place(w, 1), x.type) + 1;
    });
    return a.div(a.sum(a.mul(x, weights), {1}, false), a.sum(weights, {1}, false));
  }
  }
  llvm_unreachable("a way to pool");
}

/// The whole of an output as float32 [b, columns].
Array vectors(Arrays &a, const recipe::Encoding &encoding, Array x) {
  if (x.type != ElementType::Float32)
    x = a.cast(x, ElementType::Float32);
  if (encoding.pools.empty())
    return x;
  std::vector<Array> parts;
  for (const Pool pool : encoding.pools)
    parts.push_back(pooled(a, pool, x));
  if (parts.size() == 1)
    return parts.front();
  return a.concat(parts, 1,
                  {x.shape[0], x.shape[2] * symbols::Dim(static_cast<int64_t>(parts.size()))});
}

void erase_unread(mlir::Block &block) {
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (mlir::isOpTriviallyDead(&op))
      op.erase();
}

} // namespace

void add_encode_entry(mlir::ModuleOp module, const LoadedModel &loaded) {
  auto main = module.lookupSymbol<mlir::func::FuncOp>("main");
  mlir::OpBuilder builder(module.getContext());
  builder.setInsertionPointAfter(main);
  mlir::func::FuncOp encode = main.clone();
  encode.setName("encode");
  builder.insert(encode);
  mlir::Block &body = encode.getBody().front();
  auto ret = mlir::cast<mlir::func::ReturnOp>(body.getTerminator());

  builder.setInsertionPointToStart(&body);
  Arrays a(builder, mlir::NameLoc::get(builder.getStringAttr("pooling")));
  for (unsigned i = encode.getNumArguments(); i-- > 0;) {
    const auto name = encode.getArgAttrOfType<mlir::StringAttr>(i, attrs::kName).getValue();
    const auto type = mlir::cast<mlir::RankedTensorType>(encode.getArgument(i).getType());
    const ElementType element =
        loaded.graph->inference.fact(loaded.graph->model.graph.inputs[i]).type;
    mlir::BlockArgument argument = encode.getArgument(i);
    if (name == hf::kMaskInput) {
      argument.replaceAllUsesWith(a.filled(element, shape_of(type), 1).value);
      (void)encode.eraseArgument(i);
    } else if (element != ElementType::Int64) {
      argument.setType(a.type_of(ElementType::Int64, shape_of(type)));
      const Array narrow = a.cast({argument, ElementType::Int64, shape_of(type)}, element);
      argument.replaceAllUsesExcept(narrow.value, narrow.value.getDefiningOp());
    }
  }
  encode.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), encode.getResultTypes()));

  builder.setInsertionPoint(ret);
  const mlir::Value output = ret.getOperand(static_cast<unsigned>(loaded.encoded));
  const ElementType element =
      loaded.graph->inference.fact(loaded.graph->model.graph.outputs[loaded.encoded]).type;
  const recipe::Encoding &encoding = *loaded.decoder.encoding;
  const Array vector =
      vectors(a, encoding,
              {output, element, shape_of(mlir::cast<mlir::RankedTensorType>(output.getType()))});
  mlir::Value result = vector.value;
  if (!encoding.stages.empty()) {
    const auto loc = a.writer().loc;
    const auto rows =
        rowsType(module.getContext(), vector.shape[0].text(), vector.shape[1].constant().value());
    result = ReshapeOp::create(builder, loc, rows, result);
    result = recipe::write_stages(loaded.decoder, loaded.source, module, builder, result);
    builder.setInsertionPoint(ret);
    const onnx::Sizes shape = {vector.shape[0], symbols::Dim(colsOf(result.getType()))};
    result = ReshapeOp::create(builder, loc, a.type_of(ElementType::Float32, shape), result);
  }
  (void)encode.eraseResults(llvm::BitVector(encode.getNumResults(), true));
  ret->setOperands(result);
  (void)encode.insertResult(
      0, result.getType(),
      builder.getDictionaryAttr(builder.getNamedAttr(
          attrs::kName, builder.getStringAttr(encoding.labels ? "scores" : "embeddings"))));
  erase_unread(body);

  llvm::SmallVector<mlir::NamedAttribute> model(
      module->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel).getValue());
  model.push_back(
      builder.getNamedAttr(attrs::kModelVocab, builder.getI64IntegerAttr(loaded.decoder.vocab)));
  model.push_back(builder.getNamedAttr(attrs::kModelContext,
                                       builder.getI64IntegerAttr(loaded.decoder.context)));
  module->setAttr(attrs::kModel, builder.getDictionaryAttr(model));
}

} // namespace quern
