// How long each pass of a pipeline takes.
#ifndef QUERN_COMPILER_PIPELINE_PASSTIMES_H
#define QUERN_COMPILER_PIPELINE_PASSTIMES_H

#include "mlir/Pass/PassInstrumentation.h"

#include <functional>
#include <memory>

namespace quern {

/// Calls `took` after each pass, with its name on the command line and its seconds. One call at a
/// time, though passes on several functions may run together: their seconds then overlap.
std::unique_ptr<mlir::PassInstrumentation>
timePasses(std::function<void(llvm::StringRef pass, double seconds)> took);

} // namespace quern

#endif // QUERN_COMPILER_PIPELINE_PASSTIMES_H
