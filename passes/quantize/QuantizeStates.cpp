// --quern-quantize-states: the format of kv state.
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/quantize/Passes.h"
#include "passes/target/Target.h"

#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_QUANTIZESTATES
#include "passes/quantize/Passes.h.inc"

namespace {
struct QuantizeStatesPass : impl::QuantizeStatesBase<QuantizeStatesPass> {
  using QuantizeStatesBase::QuantizeStatesBase;

  /// Whether a linear has weights like that.
  bool hasLinear(llvm::function_ref<bool(WeightType)> like) {
    WalkResult found = getOperation().walk([&](LinearOp linear) {
      return like(linear.getWeight().getType()) ? WalkResult::interrupt() : WalkResult::advance();
    });
    return found.wasInterrupted();
  }

  /// What the target prefers beside floats; of targets that share the states, what the first asks
  /// for that asks for less than float32.
  StateFormat besideFloats() {
    if (!hasLinear([](WeightType type) { return type.getFormat() == "bf16"; }))
      return StateFormat::f32;
    StateFormat format = target::of(getOperation()).kvBesideBf16;
    if (auto targets = getOperation()->getAttrOfType<ArrayAttr>(attrs::kTargets))
      for (auto name : targets.getAsRange<StringAttr>())
        if (format == StateFormat::f32)
          format = target::find(name)->kvBesideBf16;
    return format;
  }

  void runOnOperation() override {
    std::optional<StateFormat> format = symbolizeStateFormat(kv);
    if (kv == "auto")
      format = hasLinear([](WeightType type) { return isQuantized(type); }) ? StateFormat::f16
                                                                            : besideFloats();
    if (!format) {
      getOperation().emitError("kv state is stored as ")
          << kvFormatNames() << "or as auto says, not as '" << kv << "'";
      return signalPassFailure();
    }
    auto change = [&](StateType type) {
      return type.getKind() == StateKind::kv && type.getFormat() != *format;
    };
    for (auto state : getOperation().getOps<DeclareStateOp>())
      numStates += change(cast<StateType>(state.getType()));
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](StateType type) -> std::optional<Type> {
      if (!change(type))
        return std::nullopt;
      return type.in(*format);
    });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false, /*replaceTypes=*/true);
  }
};
} // namespace
} // namespace quern
