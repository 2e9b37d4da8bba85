#include "codegen/artifact/Agreement.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "passes/target/Target.h"

#include "mlir/IR/OperationSupport.h"

#include <absl/strings/str_cat.h>

namespace quern::artifact {
namespace {

template <class Op> std::vector<Op> ops_of(mlir::ModuleOp module) {
  const auto ops = module.getOps<Op>();
  return {ops.begin(), ops.end()};
}

// Name, types, attributes (offsets among them) and body are the same; locations may differ.
bool is_same(mlir::Operation *one, mlir::Operation *other) {
  return mlir::OperationEquivalence::isEquivalentTo(one, other,
                                                    mlir::OperationEquivalence::IgnoreLocations);
}

std::string text_of(mlir::Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream);
  return text;
}

// A pair of targets, to say which of them differ in what.
struct Pair {
  std::string one, other;

  absl::Status differ(const std::string &what) const {
    return absl::InternalError(absl::StrCat("the plans for ", one, " and ", other,
                                            ", which share weights and state, differ: ", what));
  }
};

template <class Op>
absl::Status check_ops(const std::vector<Op> &ours, const std::vector<Op> &theirs,
                       const Pair &targets, const std::string &kind) {
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    Op our = ours[i], their = theirs[i];
    if (!is_same(our, their))
      return targets.differ(absl::StrCat(kind, " '", our.getSymName().str(), "': ", text_of(our),
                                         " and ", text_of(their)));
  }
  if (ours.size() != theirs.size())
    return targets.differ(absl::StrCat(ours.size(), " and ", theirs.size(), " ", kind, "s"));
  return absl::OkStatus();
}

} // namespace

absl::Status check_agreement(std::span<const mlir::ModuleOp> planned) {
  mlir::ModuleOp first = planned.front();
  for (mlir::ModuleOp other : planned.subspan(1)) {
    const Pair targets{target::of(first).name.str(), target::of(other).name.str()};
    if (absl::Status status =
            check_ops(ops_of<PackedOp>(first), ops_of<PackedOp>(other), targets, "packed weight");
        !status.ok())
      return status;
    if (absl::Status status = check_ops(ops_of<DeclareStateOp>(first),
                                        ops_of<DeclareStateOp>(other), targets, "state");
        !status.ok())
      return status;
    for (llvm::StringRef name :
         {attrs::kWeightsBytes, attrs::kSlotBytes, attrs::kPageBytes, attrs::kKvWindows})
      if (first->getAttr(name) != other->getAttr(name))
        return targets.differ(name.str());
  }
  return absl::OkStatus();
}

} // namespace quern::artifact
