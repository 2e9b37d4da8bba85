// --quern-quantize-states: the format of kv state.
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/quantize/Passes.h"

#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_QUANTIZESTATES
#include "passes/quantize/Passes.h.inc"

namespace {
struct QuantizeStatesPass : impl::QuantizeStatesBase<QuantizeStatesPass> {
  using QuantizeStatesBase::QuantizeStatesBase;

  /// Whether a linear multiplies integers.
  bool hasIntegerWeights() {
    WalkResult found = getOperation().walk([](LinearOp linear) {
      return isQuantized(linear.getWeight().getType()) ? WalkResult::interrupt()
                                                       : WalkResult::advance();
    });
    return found.wasInterrupted();
  }

  void runOnOperation() override {
    std::optional<StateFormat> format = symbolizeStateFormat(kv);
    if (kv == "auto")
      format = hasIntegerWeights() ? StateFormat::f16 : StateFormat::f32;
    if (!format) {
      getOperation().emitError("kv state is stored as f32, f16, bf16, int8 or auto, not as '")
          << kv << "'";
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
      return StateType::get(type.getContext(), type.getKind(), type.getShape(), *format);
    });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false, /*replaceTypes=*/true);
  }
};
} // namespace
} // namespace quern
