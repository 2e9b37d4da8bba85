// --quern-quantize-weights: what each weight is stored as.
#include "ir/formats/Format.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/quantize/Passes.h"
#include "passes/quantize/RoomForInt8.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/quantize/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"quantize", "quantize-weights"};
constexpr StringLiteral kPlain = "f32";

/// Whether it is one of those to quantize to that have less than int8's bits, whose rounding a
/// model's tables show.
bool isNarrow(StringRef name) {
  const formats::Format *format = formats::find_format(name.str());
  return format && format->can_encode() &&
         format->bits_per_weight() < formats::find_format(kInt8.str())->bits_per_weight();
}

/// Whether the region computes a result of the entry (logits), with nothing but rows regions after
/// it.
bool computesResult(FusedOp fused) {
  return llvm::any_of(fused->getUsers(), [](Operation *user) {
    auto next = dyn_cast<FusedOp>(user);
    return isa<func::ReturnOp>(user) || (next && !next.anchorOp() && computesResult(next));
  });
}

/// The op in the weight's expression that would have to cut its format's blocks; null if none does.
Operation *cutsBlocks(Value weight) {
  Operation *op = weight.getDefiningOp();
  if (!op)
    return nullptr;
  if (auto type = cast<WeightType>(weight.getType());
      isa<WeightTransposeOp>(op) || (isa<WeightRowsOp>(op) && type.getShape().size() == 1))
    if (const formats::Format *format = formats::find_format(type.getFormat().getValue());
        format && format->block() > 1)
      return op;
  for (Value operand : op->getOperands())
    if (Operation *found = cutsBlocks(operand))
      return found;
  return nullptr;
}

bool isChoices(Type type) {
  auto rows = dyn_cast<RankedTensorType>(type);
  return rows && rows.getElementType().isInteger(32);
}

/// Whether experts are chosen by what the region computes: a choice that rounding changes is
/// another computation, and the matrix is small.
bool computesChoice(FusedOp fused) {
  return llvm::any_of(fused->getUsers(), [](Operation *user) {
    auto next = dyn_cast<FusedOp>(user);
    return next && (llvm::any_of(next->getResultTypes(), isChoices) ||
                    (!next.anchorOp() && computesChoice(next)));
  });
}

struct QuantizeWeightsPass : impl::QuantizeWeightsBase<QuantizeWeightsPass> {
  using QuantizeWeightsBase::QuantizeWeightsBase;

  void runOnOperation() override {
    absl::StatusOr<formats::QuantChoice> choice = formats::parse_quant_flag(quant);
    if (!choice.ok()) {
      getOperation().emitError("--quant: ") << std::string(choice.status().message());
      return signalPassFailure();
    }
    target = choice->keep() ? "" : choice->format->name();
    Reads reads;
    bool ok = true;
    for (func::FuncOp entry : entriesOf(getOperation()))
      ok &= succeeded(collect(entry, reads));
    if (!ok)
      return signalPassFailure();
    if (isNarrow(target)) {
      SmallVector<StoredWeight *> weights;
      for (auto &[read, weight] : reads)
        weights.push_back(&weight);
      useRoom(weights, *choice->format, hasBudget());
    }
    for (const auto &[read, weight] : reads)
      convert(read.first, read.second, weight.format);
  }

  using Reads = llvm::MapVector<std::pair<Value, WeightRole>, StoredWeight>;

  /// Whether the model is of a kind whose tables were measured in int4 and are worth their bits:
  /// one with experts, or with state that does not grow. A dense transformer's are int8.
  bool hasBudget() {
    return llvm::any_of(
               getOperation().getOps<DeclareStateOp>(),
               [](DeclareStateOp state) { return state.getType().getKind() != StateKind::kv; }) ||
           llvm::any_of(entriesOf(getOperation()), [](func::FuncOp entry) {
             return llvm::any_of(entry.getOps<FusedOp>(), [](FusedOp fused) {
               return llvm::any_of(fused->getResultTypes(), isChoices);
             });
           });
  }

  /// What is read, once for each way to read it, and its format but for what there is room for.
  LogicalResult collect(func::FuncOp entry, Reads &reads) {
    DenseSet<Value> checked;
    bool ok = true;
    for (auto fused : entry.getOps<FusedOp>())
      for (auto [index, input] : llvm::enumerate(fused.getInputs())) {
        auto type = dyn_cast<WeightType>(input.getType());
        if (!type)
          continue;
        if (checked.insert(input).second)
          ok &= succeeded(checkKnown(input, type, fused)); // all that is wrong in one go
        WeightRole role = roleOfInput(fused, index);
        const bool matrix = role == WeightRole::matrix;
        const bool lookedUp = matrix && !fused.anchorFacts().matrix.summed;
        const bool result = matrix && computesResult(fused);
        std::string format = formatFor(fused, role, type);
        auto [found, fresh] = reads.insert({{input, role}, {type, format, matrix, false, false}});
        // A matrix that several regions read has one format: the most careful that any of them
        // asks for.
        found->second.lookedUp |= lookedUp;
        found->second.result |= result;
        if (!fresh && isNarrow(found->second.format))
          found->second.format = format;
      }
    return success(ok);
  }

  LogicalResult checkKnown(Value weight, WeightType type, FusedOp fused) {
    if (Operation *op = cutsBlocks(weight))
      return fused.emitError("weight '")
             << weightName(weight) << "' is stored as "
             << cast<WeightType>(op->getResult(0).getType()).getFormat()
             << ", whose blocks cannot be "
             << (isa<WeightTransposeOp>(op) ? "transposed" : "taken apart")
             << "; convert the model to f32, f16 or bf16";
    if (formats::find_format(type.getFormat().getValue()))
      return success();
    SmallVector<StringRef> known =
        llvm::map_to_vector(formats::all_formats(), [](const formats::Format *format) {
          return StringRef(format->name());
        });
    return fused.emitError("weight '")
           << weightName(weight) << "' is stored as " << type.getFormat()
           << ", a format that Quern has no kernels for; convert the model to one of "
           << llvm::join(known, ", ");
  }

  std::string formatFor(FusedOp fused, WeightRole role, WeightType type) {
    if (role != WeightRole::matrix)
      return kPlain.str();
    std::string format = formatOfMatrix(fused, type);
    // Rows are quantized as a whole, in pairs of groups that blocks need not begin at: a
    // block-diagonal matrix multiplies floats. In 32 bits its products have the same bits alone and
    // among others.
    if (isa_and_nonnull<BlockLinearOp>(fused.anchorOp().getOperation()))
      if (const formats::Format *found = formats::find_format(format); found && !found->is_float())
        return kPlain.str();
    return format;
  }

  std::string formatOfMatrix(FusedOp fused, WeightType type) {
    const bool summed = fused.anchorFacts().matrix.summed;
    const formats::Format *stored = formats::find_format(type.getFormat().getValue());
    // A router of integers would multiply integers: one that is kept keeps its values, as floats.
    if (summed && (!target.empty() || (stored && !stored->is_float())) && computesChoice(fused))
      return kPlain.str();
    return target.empty() ? type.getFormat().str() : target;
  }

  /// Every region that reads `weight` in that role reads it in `format` from here on.
  void convert(Value weight, WeightRole role, StringRef format) {
    auto type = cast<WeightType>(weight.getType());
    if (type.getFormat() == format) {
      ++numKept;
      if (role == WeightRole::matrix)
        remarkIfExpanded(weight, format);
      return;
    }
    ++numConverted;
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(weight);
    auto converted = WeightType::get(&getContext(), type.getShape(), builder.getStringAttr(format));
    auto op = WeightConvertOp::create(builder, weight.getLoc(), converted, weight);
    weight.replaceUsesWithIf(op, [&](OpOperand &use) {
      auto fused = dyn_cast<FusedOp>(use.getOwner());
      return fused && roleOfInput(fused, use.getOperandNumber()) == role;
    });
    for (OpOperand &use : op->getUses())
      cast<FusedOp>(use.getOwner())
          .getBody()
          .getArgument(use.getOperandNumber())
          .setType(converted);
    kRemarks.hit(op) << say("'{0}': {1} becomes {2}", weightName(weight),
                            type.getFormat().getValue(), format);
  }

  /// The declared weight that is made of codes and, in that format, of floats; null if none is.
  static WeightOp expandedCodes(Value weight, StringRef format) {
    Operation *op = weight.getDefiningOp();
    if (auto ref = dyn_cast_or_null<WeightRefOp>(op)) {
      auto declared = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, ref.getNameAttr());
      return declared && declared.getCoded() && format == kPlain ? declared : WeightOp();
    }
    for (Value operand : op ? op->getOperands() : OperandRange(nullptr, 0))
      if (WeightOp found = expandedCodes(operand, format))
        return found;
    return {};
  }

  /// Codes that no packing holds exactly cost memory: say so.
  static void remarkIfExpanded(Value weight, StringRef format) {
    if (WeightOp coded = expandedCodes(weight, format))
      kRemarks.miss(weight.getDefiningOp())
          << say("'{0}': no packing holds its codes (layout {1}) exactly, so it is packed as f32",
                 weightName(weight), coded.getCoded()->getLayout());
  }

  std::string target; ///< the format of matrices; "": their own
};
} // namespace
} // namespace quern
