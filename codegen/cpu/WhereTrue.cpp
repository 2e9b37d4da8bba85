// See WhereTrue.h.
#include "codegen/cpu/WhereTrue.h"

#include "codegen/cpu/Faults.h"
#include "passes/analysis/Sizes.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

/// How many positions there may be: of a counted size what it is bounded by.
Value limitOf(Kernel &kernel, Elements &elements, WhereTrueOp op) {
  Code &code = kernel.code;
  const StringRef counted = countedSize(op);
  if (counted.empty())
    return elements.indices.size(cast<RankedTensorType>(op.getType()), 0);
  const int64_t most = sizesOf(op).at(counted.str());
  Value bound = kernel.count(cast<StringAttr>(countedSizesOf(op).get(counted)).getValue());
  return code.min(bound, code.c(most));
}

void setSize(Kernel &kernel, StringRef name, Value count) {
  Code &code = kernel.code;
  const symbols::Maxima sizes = sizesOf(kernel.op);
  const auto place = std::distance(sizes.begin(), sizes.find(name.str()));
  Value dims = code.field(kernel.args, offsetof(QuernStepArgs, dims), code.ptr());
  code.store(count, code.at(dims, code.i64(), code.c(place)));
}

} // namespace

void quern::cpu::writeWhereTrue(Kernel &kernel, Elements &elements, WhereTrueOp op, Value memory) {
  Code &code = kernel.code;
  const StringRef counted = countedSize(op);
  Value limit = limitOf(kernel, elements, op);
  IndexList sizes = elements.indices.sizes(cast<RankedTensorType>(op.getMask().getType()));
  Value all = elements.indices.product(sizes);
  Value number = code.scratch(code.i64(), 1);
  auto place = [&](Value at) { return code.at(memory, code.i64(), at); };
  code.when(code.equal(kernel.worker, code.c(0)), [&] {
    code.store(code.c(0), number);
    code.loop(code.c(0), all, [&](Value i) {
      Value found = elements.element(op.getMask(), elements.indices.split(i, sizes));
      code.when(found, [&] {
        Value at = code.load(code.i64(), number);
        code.when(code.less(at, limit), [&] { code.store(i, place(at)); });
        code.store(code.add(at, 1), number);
      });
    });
    Value found = code.load(code.i64(), number), kept = code.min(found, limit);
    if (counted.empty()) // whoever reads on reads a position
      code.loop(kept, limit, [&](Value at) { code.store(code.c(0), place(at)); });
    else
      setSize(kernel, counted, kept);
    Value wrong = counted.empty()
                      ? Value(arith::CmpIOp::create(code.b, arith::CmpIPredicate::ne, found, limit))
                      : code.less(limit, found);
    code.when(wrong, [&] { kernel.faults().report(op, found, limit); });
  });
}
