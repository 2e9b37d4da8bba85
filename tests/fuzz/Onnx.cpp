// An ONNX model: the file, its graph, the shapes of all values, what quern check says of it, and,
// where that is nothing, the IR that is made of it and whether it verifies.
#include "frontends/onnx/CheckModel.h"
#include "frontends/onnx/lowering/Lowering.h"
#include "ir/quern/QuernDialect.h"
#include "tests/fuzz/Fuzz.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

#include <optional>

// LLVM's allocators are compiled here with the sanitizer and in its libraries without: what one of
// them marks as not in use the other would hand out.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }

namespace {
/// A context for the next input: one that many have had is another's, since it keeps their types.
mlir::MLIRContext &next_context() {
  static std::optional<mlir::MLIRContext> context;
  static int left = 0;
  if (left-- == 0) {
    left = 200;
    context.emplace(mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<quern::QuernDialect, mlir::func::FuncDialect>();
  }
  return *context;
}
} // namespace

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  Problems problems;
  const auto checked = onnx::check_model(file.path(), {{"s", 7}}, onnx::can_lower, problems);
  for (const Problem &problem : problems.list())
    require(!problem.what.empty() && !problem.hint.empty(), "a problem without what to do");
  if (!checked || !problems.empty())
    return;
  std::vector<std::string> notes;
  const auto module = onnx::lower(checked->model, checked->inference, checked->bounds,
                                  next_context(), problems, notes);
  require(module || !problems.empty(), "no IR, and no problem");
  require(!module || mlir::succeeded(mlir::verify(*module)), "the IR does not verify");
}
