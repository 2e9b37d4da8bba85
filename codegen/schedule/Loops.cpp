// See Loops.h.
#include "codegen/schedule/Loops.h"

#include "codegen/schedule/Repeats.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace quern;
using namespace quern::codegen;

namespace {

/// Fewer calls than a small layer has are not worth a loop.
constexpr size_t kLeastSaved = 8;

/// Numbers that are the same where calls are alike.
llvm::SmallVector<unsigned> kindsOf(llvm::ArrayRef<Call> calls) {
  llvm::SmallVector<unsigned> kinds;
  llvm::SmallVector<const Call *> examples; // of each kind
  for (const Call &call : calls) {
    auto known = llvm::find_if(examples, [&](const Call *other) { return other->alike(call); });
    kinds.push_back(static_cast<unsigned>(known - examples.begin()));
    if (known == examples.end())
      examples.push_back(&call);
  }
  return kinds;
}

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

std::vector<Loop> quern::codegen::loopsOf(mlir::func::FuncOp, llvm::ArrayRef<Call> calls) {
  std::vector<Loop> loops;
  for (const Repeat &repeat : findRepeats(kindsOf(calls), kLeastSaved)) {
    Loop &loop = loops.emplace_back();
    loop.first = repeat.first;
    loop.period = repeat.period;
    loop.turns = repeat.count;
    tabulate(loop, calls);
  }
  return loops;
}
