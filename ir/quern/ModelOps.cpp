// Verifiers of the ops that say what a model does. Each names the constraint of its description.
#include "ir/quern/QuernDialect.h"

using namespace mlir;
using namespace quern;

namespace {
ArrayRef<int64_t> shapeOf(Value weight) { return cast<WeightType>(weight.getType()).getShape(); }
bool isVector(Value weight, int64_t size) {
  return shapeOf(weight).size() == 1 && shapeOf(weight)[0] == size;
}
} // namespace

LogicalResult LinearOp::verify() {
  ArrayRef<int64_t> w = shapeOf(getWeight());
  if (auto q8 = dyn_cast<Q8RowsType>(getInput().getType()); q8 && q8.getBlocks() != 1)
    return emitOpError("C1: quantized rows are of one block");
  if (w.size() != 2 || w[1] != colsOf(getInput().getType()))
    return emitOpError("C1: the weight is [N, ") << colsOf(getInput().getType()) << "]";
  if (getBias() && !isVector(getBias(), w[0]))
    return emitOpError("C2: the bias is [") << w[0] << "]";
  if (colsOf(getType()) != w[0] || rowsOf(getType()) != rowsOf(getInput().getType()))
    return emitOpError("C3: the result has the input's rows and ") << w[0] << " columns";
  return success();
}

LogicalResult BlockLinearOp::verify() {
  ArrayRef<int64_t> w = shapeOf(getWeight());
  int64_t cols = colsOf(getInput().getType());
  if (w.size() != 3 || w[0] * w[2] != cols)
    return emitOpError("C1: the weight is [G, N, K], where G K is ") << cols;
  if (getBias() && !isVector(getBias(), w[0] * w[1]))
    return emitOpError("C2: the bias is [") << w[0] * w[1] << "]";
  if (colsOf(getType()) != w[0] * w[1] || rowsOf(getType()) != rowsOf(getInput().getType()))
    return emitOpError("C3: the result has the input's rows and ") << w[0] * w[1] << " columns";
  return success();
}

LogicalResult QuantizeRowsOp::verify() {
  if (colsOf(getType()) != colsOf(getInput().getType()) ||
      rowsOf(getType()) != rowsOf(getInput().getType()))
    return emitOpError("C1: rows and columns agree");
  return success();
}

LogicalResult EmbeddingOp::verify() {
  ArrayRef<int64_t> w = shapeOf(getWeight());
  if (w.size() != 2 || w[1] != colsOf(getType()))
    return emitOpError("C1: the weight is [V, ") << colsOf(getType()) << "]";
  if (rowsOf(getIds().getType()) != rowsOf(getType()))
    return emitOpError("C2: ids and result have the same symbolic size");
  return success();
}

int64_t RopeOp::headColumns() { return static_cast<int64_t>(getHeadDim()); }
int64_t RmsNormOp::headColumns() { return groupSize(); }
int64_t LayerNormOp::headColumns() { return groupSize(); }
int64_t RmsNormOp::groupSize() { return getGroup() ? getGroup() : colsOf(getType()); }
int64_t LayerNormOp::groupSize() { return getGroup() ? getGroup() : colsOf(getType()); }

static LogicalResult verifyNorm(NormOpInterface op) {
  int64_t cols = colsOf(op.getInput().getType()), group = op.groupSize();
  if (group < 0 || cols % group)
    return op.emitOpError("C1: group divides ") << cols << " columns";
  for (auto [vector, name] : {std::pair(op.getWeight(), "weight"), std::pair(op.getBias(), "bias")})
    if (vector && !isVector(vector, group) && !isVector(vector, cols))
      return op.emitOpError("C2: the ") << name << " is [" << group << "] or [" << cols << "]";
  if (op.getEps().isNegative())
    return op.emitOpError("C3: eps is not negative");
  if (op->getResult(0).getType() != op.getInput().getType())
    return op.emitOpError("C4: the result has the input's type");
  return success();
}

LogicalResult RmsNormOp::verify() { return verifyNorm(*this); }
LogicalResult LayerNormOp::verify() { return verifyNorm(*this); }

LogicalResult PositionsOp::verify() {
  if (static_cast<int64_t>(getOffset()) < 0)
    return emitOpError("C1: offset is not negative");
  if (rowsOf(getType()) != "T")
    return emitOpError("C2: the result counts tokens, T, not ") << rowsOf(getType());
  return success();
}

LogicalResult RopeTableOp::verify() {
  if (colsOf(getType()) != 2 * static_cast<int64_t>(getInvFreq().size()))
    return emitOpError("C1: the result has two columns a frequency");
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t headDim = getHeadDim();
  if (headDim <= 0 || colsOf(getInput().getType()) % headDim)
    return emitOpError("C1: head_dim divides the columns");
  if (colsOf(getTable().getType()) > headDim)
    return emitOpError("C2: the table has at most ") << headDim << " columns";
  if (rowsOf(getTable().getType()) != rowsOf(getInput().getType()))
    return emitOpError("C2: the table has the input's rows");
  if (getType() != getInput().getType())
    return emitOpError("C3: the result has the input's type");
  return success();
}

LogicalResult KvAppendOp::verify() {
  auto state = getState().getType();
  if (state.getKind() != StateKind::kv)
    return emitOpError("C1: the state is kv");
  ArrayRef<int64_t> s = state.getShape();
  if (state.getShared() == bool(getValues()))
    return emitOpError("C3: ") << (state.getShared() ? "a shared state is given keys alone"
                                                     : "there are values");
  if (colsOf(getKeys().getType()) != s[0] * s[1] ||
      (getValues() && colsOf(getValues().getType()) != s[0] * s[2]))
    return emitOpError("C2: keys have ") << s[0] * s[1] << " columns, values " << s[0] * s[2];
  if (getValues() && rowsOf(getKeys().getType()) != rowsOf(getValues().getType()))
    return emitOpError("C2: keys and values have the same rows");
  return success();
}

LogicalResult AttentionOp::verify() {
  auto state = getState().getType();
  if (state.getKind() != StateKind::kv)
    return emitOpError("C1: the state is kv");
  ArrayRef<int64_t> s = state.getShape();
  int64_t heads = getHeads();
  if (heads <= 0 || heads % s[0])
    return emitOpError("C2: ") << s[0] << " kv heads divide the heads";
  if (colsOf(getQuery().getType()) != heads * s[1] || colsOf(getType()) != heads * s[2])
    return emitOpError("C3: the query has ")
           << heads * s[1] << " columns, the result " << heads * s[2];
  if (rowsOf(getQuery().getType()) != rowsOf(getType()))
    return emitOpError("C3: query and result have the same rows");
  if (getAlibi() ? static_cast<int64_t>(getAlibi()->size()) != heads : getAlibiBf16())
    return emitOpError("C4: alibi has ") << heads << " slopes";
  if (getSinks() && !isVector(getSinks(), heads))
    return emitOpError("C5: sinks is [") << heads << "]";
  return success();
}

int64_t AttentionRowsOp::keyDim() {
  return colsOf(getQuery().getType()) / std::max<int64_t>(1, static_cast<int64_t>(getHeads()));
}
int64_t AttentionRowsOp::valueDim() {
  return colsOf(getType()) / std::max<int64_t>(1, static_cast<int64_t>(getHeads()));
}

LogicalResult AttentionRowsOp::verify() {
  const auto heads = static_cast<int64_t>(getHeads()), kvHeads = static_cast<int64_t>(getKvHeads());
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads)
    return emitOpError("C1: ") << kvHeads << " kv heads divide the heads";
  if (colsOf(getQuery().getType()) != heads * keyDim() ||
      colsOf(getKey().getType()) != kvHeads * keyDim() || colsOf(getType()) != heads * valueDim() ||
      colsOf(getValue().getType()) != kvHeads * valueDim())
    return emitOpError("C2: queries and keys have heads of one width, values and the result too");
  if (rowsOf(getQuery().getType()) != rowsOf(getType()) ||
      rowsOf(getKey().getType()) != rowsOf(getValue().getType()) ||
      (getBatch() && rowsOf(getKey().getType()) != rowsOf(getType())))
    return emitOpError("C2: query and result have the same rows, key and value too");
  if (bool(getBias()) != bool(getBuckets()))
    return emitOpError("C3: a bias and its buckets are both there, or neither");
  if (getBias()) {
    ArrayRef<int64_t> w = shapeOf(getBias());
    if (w.size() != 2 || w[1] != heads)
      return emitOpError("C3: the bias is [N, ") << heads << "]";
    if (getBuckets()->size() % 2 == 0 ||
        llvm::any_of(*getBuckets(), [&](int32_t i) { return i < 0 || i >= w[0]; }))
      return emitOpError("C3: buckets are an odd number of rows of the bias");
  }
  const auto left = static_cast<int64_t>(getLeft()), right = static_cast<int64_t>(getRight());
  if (left < 0 || right < 0 || (getCausal() && right != 0))
    return emitOpError("C4: left and right are not negative, and what is causal has no right");
  if (bool(getBatch()) == bool(getSequences()))
    return emitOpError("C5: there is either a batch or a number of sequences");
  if (getMask()) {
    auto mask = cast<RankedTensorType>(getMask().getType());
    if (!getSequences() || mask.getRank() != 4 || !mask.getElementType().isF32())
      return emitOpError("C6: a mask is float32 of four dimensions, beside a number of sequences");
  }
  return success();
}

int64_t LinearRecurrenceOp::products() { return colsOf(getV().getType()) / (heads() * valueDim()); }
int64_t LinearRecurrenceOp::reads() { return colsOf(getType()) / (heads() * valueDim()); }

int64_t LinearRecurrenceOp::decayColumns() {
  switch (getDecayKind()) {
  case DecayKind::head:
    return 1;
  case DecayKind::key:
    return keyDim();
  case DecayKind::value:
    return valueDim();
  case DecayKind::elementwise:
    return keyDim() * valueDim();
  }
  llvm_unreachable("a decay kind of the dialect");
}

int64_t LinearRecurrenceOp::headsThatShare(Value rows, int64_t columns) {
  return heads() * columns / colsOf(rows.getType());
}

LogicalResult LinearRecurrenceOp::verify() {
  auto state = getState().getType();
  if (state.getKind() != StateKind::recurrent)
    return emitOpError("C1: the state is recurrent");
  int64_t h = state.getShape()[0], k = state.getShape()[1], v = state.getShape()[2];
  int64_t groups = getGroups();
  if (groups <= 0 || h % groups)
    return emitOpError("C2: groups divide ") << h << " heads";
  int64_t products = this->products(), reads = this->reads();
  if (products < 1 || reads < 1 || colsOf(getR().getType()) != reads * groups * k ||
      colsOf(getK().getType()) != products * groups * k ||
      colsOf(getV().getType()) != products * h * v || colsOf(getType()) != reads * h * v)
    return emitOpError("C3: r and k have ")
           << groups * k << " columns, v and the result " << h * v
           << ", or k with v, or r with the result, that many times as much";
  for (Value rows : {getR(), getK(), getV(), getDecay(), getBeta(), getA(), getB()})
    if (rows && rowsOf(rows.getType()) != rowsOf(getType()))
      return emitOpError("C3: inputs and result have the same rows");
  auto ofHeads = [&](Value rows, int64_t columns) {
    int64_t cols = colsOf(rows.getType());
    return cols == h * columns || cols == groups * columns;
  };
  if (!ofHeads(getDecay(), decayColumns())) {
    InFlightDiagnostic error = emitOpError("C4: the decay has ")
                               << h * decayColumns() << " columns";
    return groups == h ? error : error << ", or " << groups * decayColumns();
  }
  if (bool(getA()) != bool(getB()) || (getA() && (!ofHeads(getA(), k) || !ofHeads(getB(), k))))
    return emitOpError("C5: a and b are both there, with ")
           << groups * k << " columns, or " << h * k << ", or neither";
  if (getRate() &&
      (getDecayKind() != DecayKind::value || shapeOf(getRate()) != ArrayRef<int64_t>({h, k, v})))
    return emitOpError("C6: the rate is [")
           << h << ", " << k << ", " << v << "], of a decay per value";
  if (getBeta() && (getA() || colsOf(getBeta().getType()) != products * h))
    return emitOpError("C7: beta has ") << products * h << " columns, and there is no correction";
  if (getBonus() && (products != 1 || reads != 1 || getA() || getBeta() ||
                     shapeOf(getBonus()) != ArrayRef<int64_t>({h, k})))
    return emitOpError("C8: the bonus is [")
           << h << ", " << k << "], with one product, one read, no delta and no correction";
  return success();
}

LogicalResult TokenShiftOp::verify() {
  int64_t cols = colsOf(getInput().getType());
  auto state = getState().getType();
  if (state.getKind() != StateKind::window || state.getShape() != ArrayRef<int64_t>({cols, 1}))
    return emitOpError("C1: the state is window ") << cols << "x1";
  if (getType() != getInput().getType())
    return emitOpError("C2: the result has the input's type");
  return success();
}

YieldOp ScanOp::yield() { return cast<YieldOp>(getBody().front().getTerminator()); }

LogicalResult ScanOp::verify() {
  auto state = getState().getType();
  if (state.getKind() != StateKind::recurrent || state.getShape()[1] != 1)
    return emitOpError("C1: the state is recurrent [S, 1, C]");
  const int64_t cols = columns();
  for (Value input : getInputs())
    if (auto weight = dyn_cast<WeightType>(input.getType());
        weight ? weight.getShape().size() != 1 || cols % weight.getShape()[0]
               : cols % colsOf(input.getType()))
      return emitOpError("C2: inputs have ") << cols << " columns, or that many divided";
  if (getBody().getNumArguments() != states() + getInputs().size())
    return emitOpError("C3: the body has an argument for each state and input");
  for (Value argument : stateArguments())
    if (!isRows(argument.getType()) || colsOf(argument.getType()) != cols)
      return emitOpError("C3: states are rows of ") << cols << " columns";
  for (auto [argument, input] : llvm::zip(inputArguments(), getInputs()))
    if (argument.getType() != input.getType())
      return emitOpError("C3: the body's arguments have the inputs' types");
  auto yielded = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yielded || yielded->getNumOperands() != states() + getNumResults())
    return emitOpError("C4: the body yields a value for each state and result");
  for (Type type : llvm::concat<const Type>(yielded->getOperandTypes(), getResultTypes()))
    if (!isRows(type) || colsOf(type) != cols)
      return emitOpError("C4: states and results are rows of ") << cols << " columns";
  for (Operation &op : getBody().front().without_terminator())
    if (!op.hasTrait<Elementwise>())
      return emitOpError("C5: ") << op.getName() << " is not elementwise";
  return success();
}

LogicalResult CausalConv1dOp::verify() {
  int64_t cols = colsOf(getInput().getType());
  ArrayRef<int64_t> w = shapeOf(getWeight());
  if (w.size() != 2 || w[0] != cols)
    return emitOpError("C1: the weight is [") << cols << ", L]";
  auto state = getState().getType();
  if (state.getKind() != StateKind::window || state.getShape()[0] != cols ||
      state.getShape()[1] != w[1] - 1)
    return emitOpError("C2: the state is window ") << cols << "x" << w[1] - 1;
  if (getBias() && !isVector(getBias(), cols))
    return emitOpError("C3: the bias is [") << cols << "]";
  if (getType() != getInput().getType())
    return emitOpError("C4: the result has the input's type");
  return success();
}

int64_t LongConvOp::channelsThatShare() {
  return colsOf(getInput().getType()) / shapeOf(getPoles())[2];
}

LogicalResult LongConvOp::verify() {
  const int64_t cols = colsOf(getInput().getType());
  auto state = getState().getType();
  ArrayRef<int64_t> s = state.getShape();
  if (state.getKind() != StateKind::recurrent || s[1] != 2 || s[2] != cols)
    return emitOpError("C1: the state is recurrent Nx2x") << cols;
  for (Value weight : {Value(getPoles()), Value(getResidues())}) {
    ArrayRef<int64_t> w = shapeOf(weight);
    if (w.size() != 3 || w[0] != s[0] || w[1] != 2 || cols % w[2] || w != shapeOf(getPoles()))
      return emitOpError("C2: poles and residues are [")
             << s[0] << ", 2, G], and G divides " << cols;
  }
  if (getSkip() && !isVector(getSkip(), cols))
    return emitOpError("C3: d is [") << cols << "]";
  if (getType() != getInput().getType())
    return emitOpError("C4: the result has the input's type");
  return success();
}

LogicalResult BinaryOp::verify() {
  int64_t cols = colsOf(getType()), repeat = getRepeat();
  if (repeat <= 0 || cols % repeat)
    return emitOpError("C1: repeat divides ") << cols << " columns";
  int64_t rhs = cols / repeat;
  bool fits =
      isa<WeightType>(getRhs().getType())
          ? isVector(getRhs(), rhs)
          : colsOf(getRhs().getType()) == rhs && rowsOf(getRhs().getType()) == rowsOf(getType());
  if (!fits)
    return emitOpError("C1: the right side has ") << rhs << " columns";
  return success();
}

LogicalResult ClampOp::verify() {
  if (getMin() > getMax())
    return emitOpError("C1: min is not above max");
  return success();
}

LogicalResult GatedActOp::verify() {
  for (std::optional<llvm::APFloat> number : {getAlpha(), getLimit()})
    if (number && !(*number > llvm::APFloat(0.0f)))
      return emitOpError("C1: alpha and limit are positive");
  return success();
}

LogicalResult SliceOp::verify() {
  const int64_t offset = getOffset(), groups = getGroups();
  const int64_t cols = colsOf(getType()), all = colsOf(getInput().getType());
  if (groups < 1 || cols % groups || all % groups)
    return emitOpError("C1: groups divide the columns, ") << cols << " of " << all;
  if (offset < 0 || offset > all || offset + cols / groups > all / groups ||
      rowsOf(getType()) != rowsOf(getInput().getType()))
    return emitOpError("C1: the columns lie inside the input's ") << all / groups;
  return success();
}

int64_t ConcatOp::headColumns() { return colsOf(getType()) / static_cast<int64_t>(getGroups()); }

LogicalResult ConcatOp::verify() {
  const auto groups = static_cast<int64_t>(getGroups());
  int64_t cols = 0;
  if (getInputs().empty())
    return emitOpError("C1: at least one input");
  for (Value input : getInputs()) {
    if (rowsOf(input.getType()) != rowsOf(getType()))
      return emitOpError("C2: inputs and result have the same rows");
    if (groups < 1 || colsOf(input.getType()) % groups)
      return emitOpError("C3: groups divides every input's columns");
    cols += colsOf(input.getType());
  }
  if (cols != colsOf(getType()))
    return emitOpError("C4: the result has all of the inputs' columns, ") << cols;
  return success();
}

LogicalResult GroupSumOp::verify() {
  if (rowsOf(getType()) != rowsOf(getInput().getType()))
    return emitOpError("C1: the result has the input's rows");
  if (colsOf(getInput().getType()) % colsOf(getType()))
    return emitOpError("C2: the result's columns divide the input's ")
           << colsOf(getInput().getType());
  return success();
}

LogicalResult TransposeOp::verify() {
  const auto groups = static_cast<int64_t>(getGroups());
  if (groups < 1 || colsOf(getType()) % groups)
    return emitOpError("C1: groups divides ") << colsOf(getType()) << " columns";
  return success();
}

LogicalResult StartsOp::verify() {
  if (rowsOf(getType()) != "T" || colsOf(getType()) != 1)
    return emitOpError("C1: the result has one column and a row for each token, T");
  return success();
}

LogicalResult GatherRowsOp::verify() {
  if (colsOf(getType()) != colsOf(getInput().getType()) ||
      rowsOf(getType()) != rowsOf(getRows().getType()))
    return emitOpError("C1: the result has the input's columns and a row for each of `rows`");
  return success();
}

LogicalResult PoolOp::verify() {
  if (colsOf(getType()) != colsOf(getInput().getType()) || rowsOf(getInput().getType()) != "T" ||
      rowsOf(getType()) != "B")
    return emitOpError("C1: the input counts tokens, the result sequences, and both have the same "
                       "columns");
  return success();
}
