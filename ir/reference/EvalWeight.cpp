// Weights and what is done to them. Declarations give their weight to whoever refers to them.
#include "ir/quern/WeightRefs.h"
#include "ir/reference/Frame.h"

namespace quern::reference {
namespace {

template <class S> absl::Status eval_weight(Frame<S> &frame, WeightOp op) {
  WeightContext &context = frame.step.weights;
  absl::StatusOr<weights::WeightRef> ref = weightRef(op);
  if (!ref.ok())
    return ref.status();
  frame.returned = {
      context.make(op, {}, [&] { return stored_weight(context.store, *std::move(ref)); })};
  return absl::OkStatus();
}

template <class S> absl::Status eval_packed(Frame<S> &frame, PackedOp op) {
  WeightContext &context = frame.step.weights;
  if (context.packed) {
    frame.returned = {context.make(op, {}, [&] {
      return external_weight(op.getSymName().str(), op.getType().getShape().vec(),
                             op.getType().getFormat().str(), context.packed);
    })};
    return absl::OkStatus();
  }
  auto yielded = frame.run(op.getBody(), {});
  if (!yielded.ok())
    return yielded.status();
  frame.returned = *std::move(yielded);
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_ref(Frame<S> &frame, WeightRefOp op) {
  auto weight = frame.call(op.getName(), {});
  if (!weight.ok())
    return weight.status();
  frame.set(op.getResult(), weight->front());
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_concat(Frame<S> &frame, WeightConcatOp op) {
  std::vector<WeightPtr> inputs;
  for (mlir::Value input : op.getInputs())
    inputs.push_back(frame.weight(input));
  frame.set(op.getResult(), frame.step.weights.make(op, inputs, [&] {
    return concat_weight(inputs, op.getType().getShape().vec(), static_cast<int>(op.getAxis()));
  }));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_convert(Frame<S> &frame, WeightConvertOp op) {
  const WeightPtr &input = frame.weight(op.getInput());
  if (frame.step.exact_formats) {
    frame.set(op.getResult(), input);
    return absl::OkStatus();
  }
  frame.set(op.getResult(), frame.step.weights.make(op, {input}, [&] {
    return convert_weight(input, op.getType().getFormat().str());
  }));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_map(Frame<S> &frame, WeightMapOp op) {
  const WeightPtr &input = frame.weight(op.getInput());
  frame.set(op.getResult(), frame.step.weights.make(op, {input}, [&] {
    const double factor = op.getFactor() ? op.getFactor()->convertToDouble() : 1;
    return map_weight(input, op.getFn().str(), factor);
  }));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_reshape(Frame<S> &frame, WeightReshapeOp op) {
  const WeightPtr &input = frame.weight(op.getInput());
  frame.set(op.getResult(), frame.step.weights.make(op, {input}, [&] {
    return reshape_weight(input, op.getType().getShape().vec());
  }));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_transpose(Frame<S> &frame, WeightTransposeOp op) {
  const WeightPtr &input = frame.weight(op.getInput());
  frame.set(op.getResult(),
            frame.step.weights.make(op, {input}, [&] { return transpose_weight(input); }));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_rows(Frame<S> &frame, WeightRowsOp op) {
  const WeightPtr &input = frame.weight(op.getInput());
  frame.set(op.getResult(), frame.step.weights.make(op, {input}, [&] {
    return rows_of_weight(input, op.getType().getShape().vec(),
                          {.offset = static_cast<int64_t>(op.getOffset()),
                           .block = op.blockRows(),
                           .stride = op.strideRows()});
  }));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_weight_evals(EvalTable<S> &table) {
  table.template add<WeightOp, eval_weight<S>>();
  table.template add<PackedOp, eval_packed<S>>();
  table.template add<WeightRefOp, eval_weight_ref<S>>();
  table.template add<WeightConcatOp, eval_weight_concat<S>>();
  table.template add<WeightConvertOp, eval_weight_convert<S>>();
  table.template add<WeightMapOp, eval_weight_map<S>>();
  table.template add<WeightReshapeOp, eval_weight_reshape<S>>();
  table.template add<WeightTransposeOp, eval_weight_transpose<S>>();
  table.template add<WeightRowsOp, eval_weight_rows<S>>();
}
QUERN_INSTANTIATE_EVALS(add_weight_evals)

} // namespace quern::reference
