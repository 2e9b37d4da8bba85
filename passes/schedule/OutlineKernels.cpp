// --quern-outline-kernels: one kernel of all equal regions.
#include "passes/analysis/BodyHash.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/FaultSites.h"
#include "passes/analysis/Remarks.h"
#include "passes/analysis/SourceNames.h"
#include "passes/schedule/Passes.h"

#include "mlir/IR/Builders.h"

#include <unordered_map>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/schedule/Passes.h.inc"

namespace {

/// Equal for equal kernels: of the anchor, the types, the ops and their attributes in order.
size_t hashOf(FusedOp fused) {
  llvm::hash_code hash = llvm::hash_combine(fused.getAnchor(), fused.getResultTypes());
  for (Type type : fused.getInputs().getTypes())
    hash = llvm::hash_combine(hash, type);
  return llvm::hash_combine(hash, hashOfBody(fused.getBody()));
}

bool isKernelOf(KernelOp kernel, FusedOp fused) {
  return kernel.getAnchor() == fused.getAnchor() &&
         kernel.getArgumentTypes() == fused.getInputs().getTypes() &&
         kernel.getResultTypes() == fused.getResultTypes() &&
         OperationEquivalence::isRegionEquivalentTo(&kernel.getBody(), &fused.getBody(),
                                                    OperationEquivalence::IgnoreLocations);
}

struct OutlineKernelsPass : impl::OutlineKernelsBase<OutlineKernelsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    std::unordered_map<size_t, std::vector<KernelOp>> kernels; // by hashOf; looked up, never walked
    llvm::StringMap<int> count; // of each anchor; never walked either
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (auto fused : llvm::make_early_inc_range(entry.getOps<FusedOp>())) {
        std::vector<KernelOp> &alike = kernels[hashOf(fused)];
        auto found =
            llvm::find_if(alike, [&](KernelOp kernel) { return isKernelOf(kernel, fused); });
        KernelOp kernel = found != alike.end() ? *found : KernelOp();
        std::string label = labelOf(fused);
        // Equal kernels are one; what their ops are called is the dispatch's to say.
        SmallVector<Attribute> faults =
            llvm::map_to_vector(faultSites(fused), [&](Operation *op) -> Attribute {
              const std::string name = sourceName(op->getLoc());
              return StringAttr::get(&getContext(), name.empty() ? label : name);
            });
        OpBuilder builder(fused);
        if (!kernel) {
          StringRef anchor = stringifyAnchor(fused.getAnchor());
          kernel = outline(fused, (anchor + "_" + Twine(count[anchor]++)).str(), symbols);
          alike.push_back(kernel);
          ++numKernels;
        }
        auto dispatch =
            DispatchOp::create(builder, fused.getLoc(), fused.getResultTypes(), kernel.getSymName(),
                               fused.getInputs(), label, DenseI64ArrayAttr(), IntegerAttr());
        if (!faults.empty())
          dispatch->setAttr(attrs::kFaultNames, ArrayAttr::get(&getContext(), faults));
        fused.replaceAllUsesWith(dispatch.getResults());
        fused.erase();
        ++numDispatches;
      }
  }

  static std::string labelOf(FusedOp fused) {
    std::string name = sourceName(fused.getLoc());
    return name.empty() ? stringifyAnchor(fused.getAnchor()).str() : name;
  }

  /// The region becomes the body of a kernel before the first function.
  KernelOp outline(FusedOp fused, std::string name, SymbolTable &symbols) {
    OpBuilder builder(&getContext());
    auto type = builder.getFunctionType(fused.getInputs().getTypes(), fused.getResultTypes());
    auto kernel = KernelOp::create(builder, fused.getLoc(), name, type, fused.getAnchor(),
                                   ArrayAttr(), ArrayAttr());
    kernel.getBody().takeBody(fused.getBody());
    Operation *before = *getOperation().getOps<func::FuncOp>().begin();
    symbols.insert(kernel, before->getIterator());
    return kernel;
  }
};
} // namespace
} // namespace quern
