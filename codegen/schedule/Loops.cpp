// See Loops.h.
#include "codegen/schedule/Loops.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::codegen;

namespace {

/// Fills in what changes from turn to turn.
void tabulate(Loop &loop, llvm::ArrayRef<Call> calls) {
  std::vector<std::vector<int64_t>> columns;
  for (size_t i = loop.first; i < loop.first + loop.period; ++i) {
    auto &places = loop.columns.emplace_back(calls[i].operands.size());
    for (size_t o = 0; o < calls[i].operands.size(); ++o) {
      std::vector<int64_t> numbers;
      for (size_t turn = 0; turn < loop.turns; ++turn)
        numbers.push_back(calls[i + turn * loop.period].operands[o].number);
      if (llvm::all_equal(numbers))
        continue;
      auto known = llvm::find(columns, numbers);
      if (known == columns.end())
        known = columns.insert(columns.end(), std::move(numbers));
      places[o] = static_cast<size_t>(known - columns.begin());
    }
  }
  loop.width = columns.size();
  for (size_t turn = 0; turn < loop.turns; ++turn)
    for (const std::vector<int64_t> &column : columns)
      loop.table.push_back(column[turn]);
}

} // namespace

mlir::FailureOr<std::vector<Loop>> quern::codegen::loopsOf(mlir::func::FuncOp bucket,
                                                           llvm::ArrayRef<Call> calls) {
  std::vector<Loop> loops;
  size_t next = 0;
  for (mlir::Operation &op : bucket.getBody().front()) {
    next += mlir::isa<DispatchOp>(op);
    auto repeat = mlir::dyn_cast<RepeatOp>(op);
    if (!repeat)
      continue;
    Loop &loop = loops.emplace_back();
    loop.first = next;
    loop.period = repeat.getPeriod();
    loop.turns = repeat.getTurns();
    // As --quern-verify-order has it. Were it not so, turns would run on another's operands.
    bool holds = loop.turns <= (calls.size() - next) / loop.period &&
                 (loops.size() < 2 || loops[loops.size() - 2].end() <= next);
    for (size_t i = next + loop.period; holds && i < loop.end(); ++i)
      holds = calls[i].alike(calls[i - loop.period]);
    if (!holds)
      return repeat.emitOpError("does not hold of the dispatches that follow");
    tabulate(loop, calls);
  }
  return loops;
}
