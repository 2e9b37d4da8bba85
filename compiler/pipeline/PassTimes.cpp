#include "compiler/pipeline/PassTimes.h"

#include "mlir/Pass/Pass.h"
#include "llvm/ADT/DenseMap.h"

#include <chrono>

using namespace mlir;

namespace quern {
namespace {

// MLIR calls an instrumentation under a lock. What has no name on the command line only runs other
// passes on nested operations.
class PassTimes : public PassInstrumentation {
public:
  explicit PassTimes(std::function<void(StringRef, double)> took) : took(std::move(took)) {}

  void runBeforePass(Pass *pass, Operation *) override {
    if (!pass->getArgument().empty())
      begun[pass] = Clock::now();
  }

  void runAfterPass(Pass *pass, Operation *) override {
    if (pass->getArgument().empty())
      return;
    std::chrono::duration<double> taken = Clock::now() - begun[pass];
    took(pass->getArgument(), taken.count());
  }

private:
  using Clock = std::chrono::steady_clock;
  std::function<void(StringRef, double)> took;
  llvm::DenseMap<Pass *, Clock::time_point> begun;
};

} // namespace

std::unique_ptr<PassInstrumentation>
timePasses(std::function<void(StringRef pass, double seconds)> took) {
  return std::make_unique<PassTimes>(std::move(took));
}

} // namespace quern
