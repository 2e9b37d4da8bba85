#include "passes/analysis/WeightRoles.h"

#include "ir/formats/Format.h"
#include "passes/analysis/SourceNames.h"

using namespace mlir;

namespace quern {

WeightRole weightRole(OpOperand &use) {
  if (!isa<WeightType>(use.get().getType()))
    return WeightRole::none;
  auto anchor = dyn_cast<AnchorOpInterface>(use.getOwner());
  return anchor && anchor.facts().matrix.operand == &use ? WeightRole::matrix : WeightRole::plain;
}

static WeightRole roleOfArgument(BlockArgument argument) {
  if (!isa<WeightType>(argument.getType()))
    return WeightRole::none;
  bool matrix = llvm::any_of(argument.getUses(),
                             [](OpOperand &use) { return weightRole(use) == WeightRole::matrix; });
  return matrix ? WeightRole::matrix : WeightRole::plain;
}

WeightRole roleOfInput(FusedOp fused, unsigned index) {
  return roleOfArgument(fused.getBody().getArgument(index));
}
WeightRole roleOfInput(KernelOp kernel, unsigned index) {
  return roleOfArgument(kernel.getBody().getArgument(index));
}

bool isQuantized(WeightType type) {
  const formats::Format *format = formats::find_format(type.getFormat().getValue());
  return format && !format->is_float();
}

static void collectNames(Value weight, SmallVectorImpl<std::string> &names) {
  Operation *def = weight.getDefiningOp();
  if (!def)
    return;
  if (auto ref = dyn_cast<WeightRefOp>(def)) {
    names.push_back(ref.getName().str());
    return;
  }
  for (Value operand : def->getOperands())
    collectNames(operand, names);
}

std::string weightName(Value weight) {
  SmallVector<std::string> names;
  collectNames(weight, names);
  return mergeNames(names);
}

} // namespace quern
