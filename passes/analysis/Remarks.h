// Remarks: what a pass did and what it left undone, each with its reason, under the source's name.
// They go through MLIR's remark engine, so nothing is computed unless someone listens (`quern
// compile --remarks`, `quern-opt --remarks-filter=fuse`). The category is the phase's name, the
// remark's name the pass's.
#ifndef QUERN_PASSES_ANALYSIS_REMARKS_H
#define QUERN_PASSES_ANALYSIS_REMARKS_H

#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"

namespace quern {

/// Who speaks: a pass and its phase. Both must outlive the remark: literals.
struct RemarkSource {
  llvm::StringLiteral phase;
  llvm::StringLiteral pass;

  /// `pass` did what it is for at `op`: `hit(op) << say("merged {0} linears", n)`.
  mlir::remark::detail::InFlightRemark hit(mlir::Operation *op) const {
    return mlir::remark::passed(op->getLoc(), mlir::remark::RemarkOpts::name(pass).category(phase));
  }
  /// It would have, but for the reason given.
  mlir::remark::detail::InFlightRemark miss(mlir::Operation *op) const {
    return mlir::remark::missed(op->getLoc(), mlir::remark::RemarkOpts::name(pass).category(phase));
  }
  /// A measurement.
  mlir::remark::detail::InFlightRemark note(mlir::Operation *op) const {
    return mlir::remark::analysis(op->getLoc(),
                                  mlir::remark::RemarkOpts::name(pass).category(phase));
  }
};

/// A remark's text, formatted (llvm::formatv) only if somebody listens.
template <class... Ts> auto say(const char *format, Ts &&...values) {
  return mlir::remark::add(format, std::forward<Ts>(values)...);
}

/// The same, of a text that takes a walk to make.
template <class Make>
  requires std::is_invocable_r_v<std::string, Make>
mlir::remark::detail::LazyTextBuild say(Make make) {
  return {"Remark", std::move(make)};
}

/// What a region computes beside its anchor: "quern.binary, quern.gated_act".
std::string companions(FusedOp fused);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_REMARKS_H
