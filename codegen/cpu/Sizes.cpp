// Sizes that are known when an entry is called, computed by the code from what its caller chose.
#include "codegen/cpu/Kernel.h"
#include "ir/quern/AttributeNames.h"
#include "ir/symbols/Dim.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;
using symbols::AtomKind;
using symbols::Dim;

namespace {

class Writer {
public:
  Writer(Kernel &kernel, Code &code) : kernel(kernel), code(code) {}

  Value write(const Dim &dim) {
    Value sum;
    for (const symbols::Term &term : dim.terms()) {
      Value product = code.c(term.coefficient);
      for (const symbols::AtomRef &factor : term.factors)
        product = code.mul(product, write(*factor));
      sum = sum ? code.add(sum, product) : product;
    }
    return sum ? sum : code.c(0);
  }

private:
  Value write(const symbols::Atom &atom) {
    Value zero = code.c(0);
    switch (atom.kind) {
    case AtomKind::Symbol:
      return symbol(atom.name);
    case AtomKind::FloorDiv: {
      Value a = write(atom.a), b = divisor(atom.b);
      Value quotient = arith::DivSIOp::create(code.b, a, b);
      Value over = code.less(a, code.mul(quotient, b));
      return code.select(over, code.sub(quotient, code.c(1)), quotient);
    }
    case AtomKind::TruncDiv: {
      Value a = write(atom.a), b = divisor(atom.b);
      return arith::DivSIOp::create(code.b, a, b);
    }
    case AtomKind::Min0:
      return code.min(write(atom.a), zero);
    case AtomKind::IsZero:
      return code.select(code.equal(write(atom.a), zero), code.c(1), zero);
    case AtomKind::IsNegative:
      return code.select(code.less(write(atom.a), zero), code.c(1), zero);
    }
    llvm_unreachable("all kinds of atoms are named");
  }

  /// A graph that divides by a size of 0 has no meaning; the process that runs it stays alive.
  Value divisor(const Dim &dim) { return code.max(write(dim), code.c(1)); }

  Value symbol(const std::string &name) {
    auto sizes =
        kernel.op->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(attrs::kSizes);
    if (sizes)
      for (auto [i, size] : llvm::enumerate(sizes))
        if (size.getName() == name) {
          Value dims = code.field(kernel.args, offsetof(QuernStepArgs, dims), code.ptr());
          return code.load(code.i64(), code.at(dims, code.i64(), code.c(static_cast<int64_t>(i))));
        }
    unknown = true;
    return code.c(0);
  }

  Kernel &kernel;
  Code &code;

public:
  bool unknown = false;
};

} // namespace

Value Kernel::count(llvm::StringRef symbol) {
  if (symbol == "T" || symbol == "B" || symbol == "R") {
    if (single && symbol != "R")
      return code.c(1);
    size_t field = symbol == "T"   ? offsetof(QuernStepArgs, num_tokens)
                   : symbol == "B" ? offsetof(QuernStepArgs, num_seqs)
                                   : offsetof(QuernStepArgs, num_rows);
    return code.field(args, field, code.i64());
  }
  auto dim = symbols::parse_dim({symbol.data(), symbol.size()});
  Writer writer(*this, code);
  Value size = dim.ok() ? writer.write(*dim) : code.c(0);
  if ((!dim.ok() || writer.unknown) && !failedCount) {
    failedCount = true;
    op.emitError("its tensors have a dimension of the size '")
        << symbol << "', which is no expression over the module's `" << attrs::kSizes << "`";
  }
  return size;
}
