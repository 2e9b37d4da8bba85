// Kernels whose anchor chooses experts: a warp a row.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"

using namespace mlir;

namespace quern::cuda {

static const char *nameOf(RouteScore score) {
  switch (score) {
  case RouteScore::softmax:
    return "Softmax";
  case RouteScore::sigmoid:
    return "Sigmoid";
  case RouteScore::chosen:
    return "Chosen";
  }
  llvm_unreachable("all scores are named");
}

LogicalResult Kernel::generateRoute() {
  constexpr int64_t kWarps = 8;
  auto route = cast<RouteOp>(anchor);
  const int64_t experts = colsOf(route.getLogits().getType());
  const auto chosen = static_cast<int64_t>(route.getTopK());
  const auto groups = static_cast<int64_t>(route.getGroups());
  include("Experts.cuh");
  const std::string symbol = rowsOf(route.getLogits().getType()).str();
  setWork(
      [symbol](const BucketShape &shape) { return llvm::divideCeil(shape.most(symbol), kWarps); });
  const std::string numbers = shared("float", 2 * experts + groups, "numbers", Team::Warp);
  const std::string marks = shared("int", experts + groups, "marks", Team::Warp);
  const std::string ids = shared("int", chosen, "ids", Team::Warp);
  const std::string weights = shared("float", chosen, "weights", Team::Warp);
  text.open("for (int row = worker * ", kWarps, " + warp(); row < ", count(symbol),
            "; row += workers * ", kWarps, ")");
  RowValues rows(*this, "row", Team::Warp);
  const std::string logits = rows.place(route.getLogits(), "0", experts);
  // Both are there, unless one is read by nobody.
  auto target = [&](mlir::Value value, const std::string &otherwise) {
    for (auto [i, yielded] : llvm::enumerate(yield.getValues()))
      if (yielded == value)
        return absl::StrCat(result(i), " + i64(row) * ", chosen);
    return otherwise;
  };
  text.line("route<Route{", experts, ", ", chosen, ", Score::", nameOf(route.getScore()), ", ",
            groups, ", ", static_cast<int64_t>(route.getTopGroups()), ", ",
            static_cast<int64_t>(route.getGroupTop()), ", ",
            static_cast<int64_t>(route.getNormalize()), "}>(", logits, ", ",
            route.getBias() ? pointer(route.getBias()) : "nullptr", ", ",
            literal(route.getEps().convertToFloat()), ", ",
            literal(route.getScale().convertToFloat()), ", ", numbers, ", ", marks, ", ",
            target(route.getIds(), ids), ", ", target(route.getWeights(), weights), ");");
  text.close();
  sync();
  return success();
}

} // namespace quern::cuda
