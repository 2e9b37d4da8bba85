// Verifiers of the ops of mixtures of experts, and what their anchors answer.
#include "ir/quern/QuernDialect.h"

using namespace mlir;
using namespace quern;

LogicalResult RouteOp::verify() {
  const int64_t experts = colsOf(getLogits().getType()), chosen = getTopK();
  const int64_t groups = getGroups(), topGroups = getTopGroups(), groupTop = getGroupTop();
  if (chosen <= 0 || chosen > experts)
    return emitOpError("C1: top_k is one of 1 to ") << experts;
  if (groups <= 0 || experts % groups || topGroups <= 0 || topGroups > groups || groupTop <= 0 ||
      groupTop > experts / groups || topGroups * (experts / groups) < chosen)
    return emitOpError("C2: ") << groups << " groups, of which " << topGroups
                               << " are taken, do not divide " << experts
                               << " experts or have less than " << chosen << " or " << groupTop;
  if (getBias()) {
    ArrayRef<int64_t> bias = getBias().getType().getShape();
    if (bias.size() != 1 || bias[0] != experts)
      return emitOpError("C3: the bias is [") << experts << "]";
  }
  for (Value result : getResults())
    if (colsOf(result.getType()) != chosen ||
        rowsOf(result.getType()) != rowsOf(getLogits().getType()))
      return emitOpError("C4: ids and weights have the logits' rows and ") << chosen << " columns";
  if (static_cast<int64_t>(getNormalize()) < 0 || getNormalize() > 2 || getEps().isNegative())
    return emitOpError("C5: normalize is 0, 1 or 2, and eps is not negative");
  return success();
}

int64_t ExpertLinearOp::choices() { return colsOf(getIds().getType()); }
int64_t ExpertLinearOp::blockOutputs() { return getWeight().getType().getShape()[1]; }
int64_t ExpertLinearOp::blockInputs() { return getWeight().getType().getShape()[2]; }
bool ExpertLinearOp::readsBlocks() { return colsOf(getInput().getType()) != blockInputs(); }

LogicalResult ExpertLinearOp::verify() {
  ArrayRef<int64_t> w = getWeight().getType().getShape();
  const int64_t cols = colsOf(getInput().getType()), chosen = choices();
  if (w.size() != 3 || (cols != w[2] && cols != chosen * w[2]))
    return emitOpError("C1: the weight is [E, N, K], and the input has K columns or ")
           << chosen << " times K, not " << cols;
  if (auto q8 = dyn_cast<Q8RowsType>(getInput().getType());
      q8 && q8.getBlocks() != (readsBlocks() ? chosen : 1))
    return emitOpError("C1: quantized rows have a block for each input of an expert");
  if (getBias()) {
    ArrayRef<int64_t> bias = getBias().getType().getShape();
    if (bias.size() != 2 || bias[0] != w[0] || bias[1] != w[1])
      return emitOpError("C2: the bias is [") << w[0] << ", " << w[1] << "]";
  }
  if (rowsOf(getIds().getType()) != rowsOf(getInput().getType()) ||
      rowsOf(getType()) != rowsOf(getInput().getType()) || colsOf(getType()) != chosen * w[1])
    return emitOpError("C3: ids and result have the input's rows, and the result ")
           << chosen * w[1] << " columns";
  return success();
}

LogicalResult CombineOp::verify() {
  const int64_t chosen = colsOf(getWeights().getType());
  if (colsOf(getInput().getType()) != chosen * colsOf(getType()) ||
      rowsOf(getInput().getType()) != rowsOf(getType()) ||
      rowsOf(getWeights().getType()) != rowsOf(getType()))
    return emitOpError("C1: rows agree, and the input has ")
           << chosen * colsOf(getType()) << " columns";
  return success();
}

// A row is little work beside what it decides about: an exponential and an addition an expert.
AnchorFacts RouteOp::facts() {
  return {.prologue = Joins::elementwise,
          .epilogue = Joins::nothing,
          .state = {},
          .matrix = {},
          .flops = {.row = 2 * static_cast<uint64_t>(colsOf(getLogits().getType()))},
          .partials = {},
          .rowParts = std::nullopt};
}

// Of the experts' matrices those that a row has chosen are read. Columns of a block are dealt to
// workers in any number of whole panels; what is combined leaves the loops as floats.
AnchorFacts ExpertLinearOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::combining,
          .state = {},
          .matrix = {.operand = &getWeightMutable(), .slices = choices()},
          .flops = {.row = 2 * static_cast<uint64_t>(choices() * blockOutputs() * blockInputs())},
          .partials = {},
          .rowParts = std::nullopt};
}
