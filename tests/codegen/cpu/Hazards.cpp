// See Hazards.h.
#include "tests/codegen/cpu/Hazards.h"

#include "passes/analysis/Buffers.h"
#include "passes/analysis/FaultSites.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <absl/strings/str_cat.h>

namespace quern::test {
namespace {

using codegen::Call;
using codegen::Operand;
using Base = Operand::Base;

/// A piece of memory that a call touches.
struct Access {
  std::string space; ///< "arena", "own", "output 0", "state kv 0", "chunks"
  int64_t from, to;
  bool write;
  mlir::Value value; ///< what lies there; null for scratch memory, state and chunks
};

bool overlap(const Access &a, const Access &b) {
  return a.space == b.space && a.from < b.to && b.from < a.to;
}

std::string text(const Access &access) {
  return absl::StrCat(access.space, "[", access.from, ", ", access.to, ")");
}

/// Whether the kernel reads and writes the state that is its argument `index`.
std::pair<bool, bool> effects(KernelOp kernel, unsigned index) {
  const mlir::Value argument = kernel.getBody().getArgument(index);
  bool reads = false, writes = false;
  for (mlir::Operation *user : argument.getUsers()) {
    auto interface = mlir::dyn_cast<mlir::MemoryEffectOpInterface>(user);
    // What does not say what it does might do anything.
    reads |= !interface || interface.hasEffect<mlir::MemoryEffects::Read>();
    writes |= !interface || interface.hasEffect<mlir::MemoryEffects::Write>();
  }
  return {reads, writes};
}

class Checker {
public:
  Checker(mlir::func::FuncOp bucket, const mlir::SymbolTable &symbols, const Fetches &fetches)
      : bucket(bucket), symbols(symbols), fetches(fetches), shape(*bucketShape(bucket)) {}

  std::vector<std::string> check(llvm::ArrayRef<Call> calls) {
    llvm::SmallVector<DispatchOp> dispatches = llvm::to_vector(bucket.getOps<DispatchOp>());
    if (dispatches.size() != calls.size()) {
      complain("there are ", dispatches.size(), " dispatches and ", calls.size(), " calls");
      return complaints;
    }
    std::vector<std::vector<Access>> since; // the calls since the last barrier
    for (size_t i = 0; i < calls.size(); ++i) {
      KernelOp kernel = calls[i].kernel;
      now = absl::StrCat("call ", i, " (", kernel.getSymName().str(), ")");
      if (kernel.getSymName() != dispatches[i].getKernel())
        complain("its dispatch is of ", dispatches[i].getKernel().str());
      const std::vector<Access> accesses = accessesOf(calls[i], dispatches[i]);
      checkItself(calls[i], accesses);
      if (calls[i].barrier)
        since.clear();
      for (const auto &[other, earlier] : llvm::enumerate(since))
        checkPair(earlier, accesses, i - since.size() + other);
      since.push_back(accesses);
      checkContents(accesses);
    }
    return complaints;
  }

private:
  std::vector<Access> accessesOf(const Call &call, DispatchOp dispatch) {
    std::vector<Access> all;
    llvm::ArrayRef<Operand> left = call.operands;
    auto next = [&] {
      if (left.empty()) {
        complain("too few operands");
        return Operand{Base::None};
      }
      const Operand operand = left.front();
      left = left.drop_front();
      return operand;
    };
    for (const auto &[index, input] : llvm::enumerate(dispatch.getInputs())) {
      if (mlir::isa<BatchType>(input.getType()))
        continue;
      if (auto type = mlir::dyn_cast<StateType>(input.getType())) {
        const int64_t group = next().number, offset = next().number;
        const bool kv = type.getKind() == StateKind::kv;
        const std::string space = kv ? absl::StrCat("state kv ", group) : "state of a slot";
        auto declared = symbols.lookup<DeclareStateOp>(input.getDefiningOp<StateRefOp>().getName());
        if (static_cast<int64_t>(*declared.getOffset()) != offset ||
            (kv && static_cast<int64_t>(declared.getGroup().value_or(0)) != group))
          complain("another state than @", declared.getSymName().str());
        const auto [reads, writes] = effects(call.kernel, static_cast<unsigned>(index));
        const int64_t end = offset + stateBytes(type);
        if (reads)
          all.push_back({space, offset, end, false, {}});
        if (writes)
          all.push_back({space, offset, end, true, {}});
        continue;
      }
      read(all, next(), input);
    }
    for (mlir::Value result : dispatch.getResults())
      write(all, next(), result);
    if (const int64_t bytes = scratchBytes(dispatch, shape)) {
      const Operand scratch = next();
      if (scratch.number != static_cast<int64_t>(*dispatch.getScratch()))
        complain("other scratch memory than was planned");
      all.push_back({scratch.base == Base::Arena ? "arena" : "own",
                     scratch.number,
                     scratch.number + bytes,
                     true,
                     {}});
    }
    const CountedUses sizes = countedUses(call.kernel);
    for (const auto &[which, writes] : {std::pair{&sizes.read, false}, {&sizes.written, true}})
      for (const unsigned size : *which)
        all.push_back({absl::StrCat("size ", size), 0, 1, writes, {}});
    if (!faultSites(call.kernel).empty()) {
      const Operand number = next();
      if (number.base != Base::None || number.number != dispatchNumber(dispatch))
        complain("another number than its dispatch's");
    }
    if (!left.empty())
      complain("too many operands");
    if (fetches(call))
      all.push_back({"chunks", 0, 1, true, {}});
    return all;
  }

  int64_t dispatchNumber(DispatchOp wanted) {
    int64_t number = 0;
    for (auto dispatch : bucket.getOps<DispatchOp>()) {
      if (dispatch == wanted)
        break;
      ++number;
    }
    return number;
  }

  void read(std::vector<Access> &all, const Operand &operand, mlir::Value value) {
    if (value.getDefiningOp<DispatchOp>())
      return all.push_back(place(operand, value, false));
    // What nobody writes while the bucket runs.
    if (auto ref = value.getDefiningOp<WeightRefOp>()) {
      auto packed = symbols.lookup<PackedOp>(ref.getName());
      if (operand.base != Base::Weights ||
          operand.number != static_cast<int64_t>(*packed.getOffset()))
        complain("another weight than @", packed.getSymName().str());
      return;
    }
    unsigned inputs = 0;
    for (mlir::BlockArgument argument : bucket.getArguments()) {
      const bool rows = isIndices(argument.getType()) && rowsOf(argument.getType()) == "R";
      if (argument == value && (rows ? operand.base != Base::Rows
                                     : operand.base != Base::Input || operand.index != inputs))
        complain("another input of the entry");
      inputs += !rows && !mlir::isa<BatchType>(argument.getType());
    }
  }

  void write(std::vector<Access> &all, const Operand &operand, mlir::Value value) {
    all.push_back(place(operand, value, true));
    auto returned = bucket.getBody().front().getTerminator()->getOperands();
    const auto at = llvm::find(returned, value) - returned.begin();
    const bool is_output = at != static_cast<ptrdiff_t>(returned.size());
    if (is_output ? operand.base != Base::Output || operand.index != at
                  : operand.base != Base::Arena && operand.base != Base::Replicated)
      complain("it writes a result to ", text(all.back()));
  }

  Access place(const Operand &operand, mlir::Value value, bool write) {
    std::string space = "nowhere";
    if (operand.base == Base::Arena)
      space = "arena";
    else if (operand.base == Base::Replicated)
      space = "own";
    else if (operand.base == Base::Output)
      space = absl::StrCat("output ", operand.index);
    else
      complain("a buffer is neither in the arena nor an output");
    return {space, operand.number, operand.number + bufferBytes(value.getType(), shape), write,
            value};
  }

  void checkItself(const Call &call, llvm::ArrayRef<Access> accesses) {
    const int64_t arena = bucket->getAttrOfType<mlir::IntegerAttr>(attrs::kArena).getInt();
    for (const auto &[i, access] : llvm::enumerate(accesses)) {
      const bool own = access.space == "own";
      if (call.replicated && access.write && !own)
        complain("every worker runs it and writes ", text(access));
      if (!call.replicated && access.write && own)
        complain("it writes ", text(access), ", where each worker leaves its part only");
      if ((own || access.space == "arena") && (access.from < 0 || access.to > arena))
        complain(text(access), " is outside");
      if (access.space.starts_with("state")) // a kernel's own affair
        continue;
      for (const Access &other : accesses.take_front(i))
        if (overlap(access, other) && (access.write || other.write))
          complain("it touches ", text(access), " and ", text(other));
    }
  }

  /// Of two calls with no barrier between them. What workers have of their own is apart.
  void checkPair(llvm::ArrayRef<Access> earlier, llvm::ArrayRef<Access> later, size_t number) {
    for (const Access &a : earlier)
      for (const Access &b : later)
        if (a.space != "own" && overlap(a, b) && (a.write || b.write))
          complain("no barrier after call ", number, ", which ", a.write ? "writes " : "reads ",
                   text(a), "; it ", b.write ? "writes " : "reads ", text(b));
  }

  /// What is read is what was written there last.
  void checkContents(llvm::ArrayRef<Access> accesses) {
    for (const Access &access : accesses)
      if (access.value && !access.write && llvm::none_of(contents, [&](const Access &known) {
            return known.value == access.value && known.space == access.space &&
                   known.from == access.from;
          }))
        complain("what it is to read is not at ", text(access));
    for (const Access &access : accesses)
      if (access.write) {
        llvm::erase_if(contents, [&](const Access &known) { return overlap(known, access); });
        if (access.value)
          contents.push_back(access);
      }
  }

  template <class... Parts> void complain(Parts... parts) {
    complaints.push_back(absl::StrCat(now, ": ", parts...));
  }

  mlir::func::FuncOp bucket;
  const mlir::SymbolTable &symbols;
  const Fetches &fetches;
  const BucketShape shape;
  std::vector<Access> contents;
  std::string now; // the call being looked at
  std::vector<std::string> complaints;
};

} // namespace

std::vector<std::string> hazards(mlir::func::FuncOp bucket, const mlir::SymbolTable &symbols,
                                 llvm::ArrayRef<codegen::Call> calls, const Fetches &fetches) {
  return Checker(bucket, symbols, fetches).check(calls);
}

} // namespace quern::test
