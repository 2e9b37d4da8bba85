// Kernels whose anchor chooses experts: rows are shared out among the workers.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateRoute() {
  auto route = cast<RouteOp>(anchor);
  const int64_t experts = colsOf(route.getLogits().getType());
  const auto chosen = static_cast<int64_t>(route.getTopK());
  const auto groups = static_cast<int64_t>(route.getGroups());
  auto numbers = code.scratch<float>(2 * experts + groups);
  auto marks = code.scratch<int32_t>(experts + groups);
  auto ids = code.scratch<int32_t>(chosen);
  auto weights = code.scratch<float>(chosen);
  auto [from, to] = code.share(count(rowsOf(route.getLogits().getType())), worker, workers);
  code.loop(from, to, [&](Value row) {
    RowValues rows(*this, row);
    Value first = code.mul(row, chosen);
    // Both are there, unless one is read by nobody.
    auto target = [&]<class T>(mlir::Value value, Pointer<T> otherwise) {
      for (auto [i, yielded] : llvm::enumerate(yield.getValues()))
        if (yielded == value)
          return code.at(result<T>(i), first);
      return otherwise;
    };
    code.call("qk_route",
              {code.pack<QkRoute>(
                  {.logits = rows.place(route.getLogits(), code.c(0), experts),
                   .bias = route.getBias() ? pointer(route.getBias()) : code.null<const float>(),
                   .experts = code.c(experts),
                   .top_k = code.c(chosen),
                   .score = code.c(static_cast<int64_t>(route.getScore())),
                   .groups = code.c(groups),
                   .top_groups = code.c(static_cast<int64_t>(route.getTopGroups())),
                   .group_top = code.c(static_cast<int64_t>(route.getGroupTop())),
                   .normalize = code.c(static_cast<int64_t>(route.getNormalize())),
                   .eps = code.cf(route.getEps().convertToFloat()),
                   .scale = code.cf(route.getScale().convertToFloat()),
                   .numbers = numbers,
                   .marks = marks,
                   .ids = target(route.getIds(), ids),
                   .weights = target(route.getWeights(), weights)})});
  });
  return success();
}
