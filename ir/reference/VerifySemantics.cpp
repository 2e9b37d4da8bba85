#include "ir/reference/VerifySemantics.h"

#include "ir/reference/Probe.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>

namespace quern::reference {
namespace {

mlir::ModuleOp module_of(mlir::Operation *op) {
  while (mlir::Operation *parent = op->getParentOp())
    op = parent;
  return mlir::cast<mlir::ModuleOp>(op);
}

/// An adaptor runs the passes of a nested pipeline, which are watched themselves.
bool is_adaptor(mlir::Pass *pass) { return pass->getName().contains("OpToOpPassAdaptor"); }

std::string name_of(mlir::Pass *pass) {
  return (pass->getArgument().empty() ? pass->getName() : pass->getArgument()).str();
}

class Watch final : public mlir::PassInstrumentation {
public:
  Watch(VerifySemanticsOptions options, std::shared_ptr<bool> failed)
      : options_(std::move(options)), failed_(std::move(failed)) {}

  void runBeforePass(mlir::Pass *pass, mlir::Operation *op) override {
    if (*failed_ || is_adaptor(pass))
      return;
    mlir::ModuleOp module = module_of(op);
    if (!before_)
      before_ = run(module, pass, "before", false);
    if (is_lossy(pass) && !*failed_)
      exact_before_ = run(module, pass, "before", true);
  }

  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override {
    if (*failed_ || is_adaptor(pass))
      return;
    mlir::ModuleOp module = module_of(op);
    const bool lossy = is_lossy(pass);
    if (lossy) {
      // Whatever rounding there is hides in half a standard deviation a wire that went wrong, too.
      const std::optional<Probe> exact = run(module, pass, "after", true);
      if (!exact)
        return;
      const Difference difference = compare(*exact_before_, *exact);
      if (!(difference.largest <= options_.tolerance))
        return fail(module, pass, difference.where, difference.largest,
                    " with formats that round nothing", options_.tolerance);
    }
    std::optional<Probe> now = run(module, pass, "after", false);
    if (!now)
      return;
    const Difference difference = compare(*before_, *now);
    const double moved = lossy ? difference.rms : difference.largest;
    const double allowed = lossy ? options_.lossy_tolerance : options_.tolerance;
    if (!(moved <= allowed))
      return fail(module, pass, difference.where, moved, lossy ? " (rms)" : "", allowed);
    // The next pass is measured by what this one left.
    before_ = std::move(now);
  }

private:
  /// Nothing, and an error, if the module cannot be run.
  std::optional<Probe> run(mlir::ModuleOp module, mlir::Pass *pass, const char *when, bool exact) {
    const auto cannot = [&](const absl::Status &status) {
      fail(module) << "the module cannot be run " << when << " pass " << name_of(pass) << ": "
                   << std::string(status.message());
      return std::nullopt;
    };
    // The same calls after every pass: sizes are chosen by what the module has at first.
    if (!trials_) {
      absl::StatusOr<Trials> made = trials(module, options_.seed);
      if (!made.ok())
        return cannot(made.status());
      trials_ = *std::move(made);
    }
    absl::StatusOr<Probe> now = probe(module, options_.seed, *trials_, exact);
    if (!before_ && absl::IsOutOfRange(now.status())) { // perhaps what they index is small
      calm(*trials_);
      now = probe(module, options_.seed, *trials_, exact);
    }
    if (!now.ok())
      return cannot(now.status());
    return *std::move(now);
  }

  void fail(mlir::ModuleOp module, mlir::Pass *pass, const std::string &where, double moved,
            const char *how, double allowed) {
    fail(module) << "pass " << name_of(pass) << " changed the meaning: " << where
                 << "; outputs moved by " << absl::StrCat(moved) << " of their standard deviation"
                 << how << ", more than " << absl::StrCat(allowed);
  }
  mlir::InFlightDiagnostic fail(mlir::ModuleOp module) {
    *failed_ = true;
    // Not on the op: that would print the whole module.
    return mlir::emitError(module.getLoc());
  }

  bool is_lossy(mlir::Pass *pass) const {
    const std::string name = name_of(pass);
    return llvm::any_of(options_.lossy, [&](llvm::StringRef pattern) {
      return pattern.consume_back("*") ? llvm::StringRef(name).starts_with(pattern)
                                       : name == pattern;
    });
  }

  const VerifySemanticsOptions options_;
  std::shared_ptr<bool> failed_;
  std::optional<Trials> trials_;
  std::optional<Probe> before_;
  std::optional<Probe> exact_before_; ///< of a lossy pass, with formats that round nothing
};

/// Fails the pipeline if the watch has: instrumentation itself cannot.
class Verdict final : public mlir::PassWrapper<Verdict, mlir::OperationPass<mlir::ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Verdict)

  explicit Verdict(std::shared_ptr<bool> failed) : failed_(std::move(failed)) {}

  llvm::StringRef getName() const override { return "VerifySemantics"; }
  void runOnOperation() override {
    if (*failed_)
      signalPassFailure();
  }

private:
  std::shared_ptr<bool> failed_;
};

} // namespace

void verify_semantics(mlir::PassManager &pm, VerifySemanticsOptions options) {
  // Passes on parts of the module would run side by side, and none could be told from the others.
  pm.getContext()->disableMultithreading();
  auto failed = std::make_shared<bool>(false);
  pm.addPass(std::make_unique<Verdict>(failed));
  pm.addInstrumentation(std::make_unique<Watch>(std::move(options), std::move(failed)));
}

} // namespace quern::reference
