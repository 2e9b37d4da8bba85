// --quern-raise-embeddings: rows of a weight that are looked up are embeddings.
#include "ir/symbols/Dim.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

#include <optional>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEEMBEDDINGS
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-embeddings"};

/// Narrower rows are no features: numbers a head of relative positions, which are added to scores.
constexpr int64_t kLeastColumns = 16;
/// Ops between a table's rows and who computes with them.
constexpr size_t kMostReaders = 64;

/// Where rows of a table are read: of each of the result's indices but the last, one.
struct LookUp {
  Operation *op;
  Value table; ///< a weight_tensor [rows, columns]
  /// In a generic, the number of the row. Null: the op is a slice of neighbouring rows.
  Value row{};

  RankedTensorType type() const { return cast<RankedTensorType>(op->getResult(0).getType()); }
};

/// Ops of the body that compute `row`, in their order; none if the column has a part in it.
std::optional<SmallVector<Operation *>> opsOf(linalg::GenericOp op, Value row) {
  const unsigned column = op.getNumLoops() - 1;
  llvm::SetVector<Operation *> found;
  SmallVector<Value> open = {row};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(value);
        argument && argument.getOwner() == op.getBody()) {
      OpOperand &operand = op->getOpOperand(argument.getArgNumber());
      if (op.isDpsInit(&operand) || op.getMatchingIndexingMap(&operand).isFunctionOfDim(column))
        return std::nullopt;
      continue;
    }
    Operation *def = value.getDefiningOp();
    if (!def || def->getBlock() != op.getBody() || !found.insert(def))
      continue;
    bool ofColumn = false;
    def->walk([&](linalg::IndexOp index) { ofColumn |= index.getDim() == column; });
    if (ofColumn)
      return std::nullopt;
    forEachRead(def, [&](Value read) { open.push_back(read); });
  }
  SmallVector<Operation *> ops = llvm::to_vector(found.getArrayRef());
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ops;
}

bool isTable(Value value) {
  const auto type = cast<RankedTensorType>(value.getType());
  return value.getDefiningOp<WeightTensorOp>() && type.getRank() == 2 &&
         type.getDimSize(0) <= INT32_MAX && type.getDimSize(1) >= kLeastColumns;
}

std::optional<LookUp> lookUpOf(Operation *op) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    // Of a fixed number of rows, as all of a table is read: of a constant.
    if (!isTable(slice.getSource()) || slice.getType().getRank() != 2 ||
        !slice.getType().isDynamicDim(0) ||
        slice.getType().getDimSize(1) != slice.getSourceType().getDimSize(1) ||
        slice.getStaticStride(1) != 1)
      return std::nullopt;
    return LookUp{op, slice.getSource()};
  }
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumReductionLoops() != 0 || generic->getNumResults() != 1 ||
      generic.getNumLoops() < 2 || !generic.getIndexingMapsArray().back().isIdentity())
    return std::nullopt;
  auto read = cast<linalg::YieldOp>(generic.getBody()->getTerminator())
                  .getValues()[0]
                  .getDefiningOp<tensor::ExtractOp>();
  if (!read || read->getBlock() != generic.getBody() || !isTable(read.getTensor()))
    return std::nullopt;
  const auto type = cast<RankedTensorType>(generic.getResult(0).getType());
  auto column = read.getIndices()[1].getDefiningOp<linalg::IndexOp>();
  if (!column || column.getDim() != generic.getNumLoops() - 1 ||
      type.getShape().back() != cast<RankedTensorType>(read.getTensor().getType()).getDimSize(1) ||
      !opsOf(generic, read.getIndices()[0]))
    return std::nullopt;
  return LookUp{op, read.getTensor(), read.getIndices()[0]};
}

/// Whether a reader has more loops in front than what it reads has dimensions: rows that are the
/// same for every sequence. `inside`: between others, as heads are.
struct Spread {
  bool leading = false, inside = false;
};
Spread spreadOf(AffineMap map) {
  Spread spread;
  bool met = false;
  for (unsigned loop = 0; loop < map.getNumDims(); ++loop) {
    const bool reads = map.isFunctionOfDim(loop);
    met |= reads;
    if (!reads)
      (met ? spread.inside : spread.leading) = true;
  }
  return spread;
}

/// For what the rows are read, where that is not features, under whatever shape and arithmetic:
/// cosines and masks are not to be rounded as those are. Null otherwise.
const char *otherUse(Value rows) {
  llvm::SetVector<Value> seen;
  seen.insert(rows);
  for (size_t i = 0; i < seen.size() && i < kMostReaders; ++i)
    for (OpOperand &use : seen[i].getUses()) {
      Operation *reader = use.getOwner();
      if (auto rope = dyn_cast<RopeOp>(reader); rope && use.get() == rope.getTable())
        return "they are cosines and sines of a rope";
      if (auto attention = dyn_cast<AttentionRowsOp>(reader);
          isa<linalg::SoftmaxOp>(reader) || (attention && use.get() == attention.getMask()))
        return "they are added to scores";
      if (!isParallel(reader))
        continue;
      if (auto generic = dyn_cast<linalg::GenericOp>(reader);
          generic && spreadOf(generic.getMatchingIndexingMap(&use)).inside)
        return "several heads read each of them";
      seen.insert(reader->getResult(0));
    }
  return nullptr;
}

class EmbeddingRaiser {
public:
  explicit EmbeddingRaiser(LookUp found) : found(found) {}

  /// Gives each reader what it reads; none where `why` says why not.
  bool raise() {
    Value rows = found.op->getResult(0);
    if (const char *use = otherUse(rows)) {
      why = use;
      return false;
    }
    SmallVector<DimSize> dims;
    SmallVector<AffineExpr> own;
    for (unsigned i = 0; i + 1 < found.type().getRank(); ++i) {
      dims.push_back(dimOf(found.type(), i));
      own.push_back(getAffineDimExpr(i, found.op->getContext()));
    }
    const bool spread = spreadOut(rows);
    if (rows.use_empty())
      return spread;
    OpBuilder builder(found.op);
    Value plain = written(builder, dims, own);
    if (!plain)
      return spread;
    rows.replaceAllUsesWith(plain);
    return true;
  }

  std::string why;

private:
  /// Who adds the same rows to those of every sequence gets one for each of them: then what becomes
  /// of rows is all of one number of them. Whether there was one.
  bool spreadOut(Value rows) {
    bool any = false;
    for (OpOperand &use : llvm::make_early_inc_range(rows.getUses())) {
      if (auto reshape = dyn_cast<ReshapeOp>(use.getOwner())) {
        if (sameButOnes(reshape.getType(), reshape.getInput().getType())) {
          any |= spreadOut(reshape.getResult());
          if (reshape->use_empty())
            reshape.erase();
        }
        continue;
      }
      auto reader = dyn_cast<linalg::GenericOp>(use.getOwner());
      if (!reader || !isSum(reader) || reader.isDpsInit(&use))
        continue;
      const AffineMap map = reader.getMatchingIndexingMap(&use);
      const Spread spread = spreadOf(map);
      const auto type = cast<RankedTensorType>(reader.getResult(0).getType());
      if (!spread.leading || spread.inside || type.getRank() < 2 ||
          map.getResults().back() != getAffineDimExpr(map.getNumDims() - 1, map.getContext()))
        continue;
      SmallVector<DimSize> dims;
      for (unsigned i = 0; i + 1 < type.getRank(); ++i)
        dims.push_back(dimOf(type, i));
      // Dimensions of the rows are the last of the reader's operand, whose others are of one.
      SmallVector<AffineExpr> places;
      const unsigned rank = static_cast<unsigned>(found.type().getRank());
      for (unsigned i = 0; i + 1 < rank; ++i)
        places.push_back(i + map.getNumResults() < rank
                             ? getAffineConstantExpr(0, map.getContext())
                             : map.getResult(i + map.getNumResults() - rank));
      OpBuilder builder(reader);
      Value wide = written(builder, dims, places);
      if (!wide)
        continue;
      SmallVector<AffineMap> maps = reader.getIndexingMapsArray();
      maps[use.getOperandNumber()] = builder.getMultiDimIdentityMap(map.getNumDims());
      reader.setIndexingMapsAttr(builder.getAffineMapArrayAttr(maps));
      use.set(wide);
      any = true;
    }
    return any;
  }

  /// Whether shapes differ only in how many dimensions of one element stand in front.
  static bool sameButOnes(RankedTensorType a, RankedTensorType b) {
    auto without = [](RankedTensorType type) {
      unsigned first = 0;
      while (first < type.getRank() && type.getDimSize(first) == 1)
        ++first;
      return tensorOf(llvm::map_to_vector(llvm::seq(first, static_cast<unsigned>(type.getRank())),
                                          [&](unsigned i) { return dimOf(type, i); }),
                      type.getElementType());
    };
    return without(a) == without(b);
  }

  static bool isSum(linalg::GenericOp op) {
    return op.getNumReductionLoops() == 0 && op->getNumResults() == 1 &&
           op.getIndexingMapsArray().back().isIdentity() &&
           op.getBody()->getOperations().size() == 2 && isa<arith::AddFOp>(op.getBody()->front());
  }

  /// The embedding as a tensor of these dimensions and the table's columns; the rows' dimension i
  /// is at places[i]. Null where it is none.
  Value written(OpBuilder &builder, ArrayRef<DimSize> dims, ArrayRef<AffineExpr> places) {
    const Location loc = found.op->getLoc();
    MLIRContext *context = builder.getContext();
    Value weight = found.table.getDefiningOp<WeightTensorOp>().getWeight();
    const int64_t columns = found.type().getShape().back();
    symbols::Dim count(1);
    for (const DimSize &dim : dims)
      count *= countOf(dim);
    if (!count.valid()) {
      why = "their number is no product of sizes";
      return {};
    }
    Value ids = idsOf(builder, dims, places);
    const auto type = indicesType(context, count.text());
    if (ids.getType() != type)
      ids = ReshapeOp::create(builder, loc, type, ids);
    auto embedding =
        EmbeddingOp::create(builder, loc, rowsType(context, count.text(), columns), ids, weight);
    if (!isAccepted(embedding, why))
      return {};
    SmallVector<DimSize> all(dims);
    all.push_back({columns, {}});
    return asTensor(builder, loc, embedding, tensorOf(all, found.type().getElementType()));
  }

  /// Numbers of rows: what found them, in a loop of its own.
  Value idsOf(OpBuilder &builder, ArrayRef<DimSize> dims, ArrayRef<AffineExpr> places) {
    const Location loc = found.op->getLoc();
    const auto loops = static_cast<unsigned>(dims.size());
    const RankedTensorType type = tensorOf(dims, builder.getI32Type());
    Value empty = tensor::EmptyOp::create(builder, loc, type, sizesOf(builder, loc, type));
    auto generic = dyn_cast<linalg::GenericOp>(found.op);
    SmallVector<Operation *> ops;
    SmallVector<unsigned> read; // inputs
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    if (generic) {
      ops = *opsOf(generic, found.row);
      SmallVector<AffineExpr> at(places);
      at.push_back(builder.getAffineConstantExpr(0)); // the column, of which nothing is a function
      for (OpOperand *input : generic.getDpsInputOperands()) {
        const AffineMap map = generic.getMatchingIndexingMap(input);
        if (map.isFunctionOfDim(static_cast<unsigned>(places.size())))
          continue;
        read.push_back(input->getOperandNumber());
        inputs.push_back(input->get());
        maps.push_back(map.replaceDimsAndSymbols(at, {}, loops, 0));
      }
    }
    maps.push_back(builder.getMultiDimIdentityMap(loops));
    const SmallVector<utils::IteratorType> parallel(loops, utils::IteratorType::parallel);
    auto made = linalg::GenericOp::create(
        builder, loc, type, inputs, empty, maps, parallel,
        [&](OpBuilder &b, Location at, ValueRange args) {
          auto place = [&](AffineExpr expr) -> Value {
            if (auto loop = dyn_cast<AffineDimExpr>(expr))
              return linalg::IndexOp::create(b, at, loop.getPosition());
            return arith::ConstantIndexOp::create(b, at, 0);
          };
          Value row;
          if (generic) {
            IRMapping mapping;
            for (auto [number, argument] : llvm::zip(read, args))
              mapping.map(generic.getBody()->getArgument(number), argument);
            for (Operation *op : ops)
              if (auto index = dyn_cast<linalg::IndexOp>(op))
                mapping.map(index.getResult(), place(places[index.getDim()]));
              else
                b.clone(*op, mapping);
            row = mapping.lookupOrDefault(found.row);
          } else {
            row = rowOfSlice(b, at, place(places[0]));
          }
          linalg::YieldOp::create(b, at,
                                  Value(arith::IndexCastOp::create(b, at, b.getI32Type(), row)));
        });
    return made.getResult(0);
  }

  Value rowOfSlice(OpBuilder &b, Location loc, Value place) {
    auto slice = cast<tensor::ExtractSliceOp>(found.op);
    auto number = [&](OpFoldResult of) -> Value {
      if (auto value = dyn_cast<Value>(of))
        return value;
      return arith::ConstantIndexOp::create(b, loc,
                                            cast<IntegerAttr>(cast<Attribute>(of)).getInt());
    };
    if (slice.getStaticStride(0) != 1)
      place = arith::MulIOp::create(b, loc, place, number(slice.getMixedStrides()[0]));
    if (slice.getStaticOffset(0) != 0)
      place = arith::AddIOp::create(b, loc, place, number(slice.getMixedOffsets()[0]));
    return place;
  }

  LookUp found;
};

struct RaiseEmbeddingsPass : impl::RaiseEmbeddingsBase<RaiseEmbeddingsPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      Block &block = entry.getBody().front();
      SmallVector<LookUp> all;
      for (Operation &op : block)
        if (auto found = lookUpOf(&op); found && !op.use_empty())
          all.push_back(*found);
      for (const LookUp &found : all) {
        const auto table = cast<RankedTensorType>(found.table.getType());
        EmbeddingRaiser raiser(found);
        if (raiser.raise()) {
          ++numRaised;
          kRemarks.hit(found.op) << say("rows of {0} x {1}, looked up", table.getDimSize(0),
                                        table.getDimSize(1));
        } else {
          ++numMissed;
          kRemarks.miss(found.op) << say("rows of a weight, but {0}", raiser.why);
        }
      }
      eraseDead(block);
    }
  }
};
} // namespace
} // namespace quern
