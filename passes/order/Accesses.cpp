// See Accesses.h.
#include "passes/order/Accesses.h"

#include "passes/target/Target.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace quern::order {
namespace {

using Space = Access::Space;

/// What a kernel does to a state.
struct Effects {
  bool reads = false, writes = false;
};

/// What the kernel's ops do to its argument `index`.
Effects effectsOn(KernelOp kernel, unsigned index) {
  Effects effects;
  for (Operation *user : kernel.getBody().getArgument(index).getUsers()) {
    auto interface = dyn_cast<MemoryEffectOpInterface>(user);
    // What does not say what it does might do anything.
    effects.reads |= !interface || interface.hasEffect<MemoryEffects::Read>();
    effects.writes |= !interface || interface.hasEffect<MemoryEffects::Write>();
  }
  return effects;
}

class Finder {
public:
  Finder(const Call &call, const BucketShape &shape)
      : dispatch(call.dispatch), kernel(call.kernel), shape(shape) {}

  FailureOr<std::vector<Access>> find() {
    for (const auto &[index, input] : llvm::enumerate(dispatch.getInputs())) {
      if (auto producer = input.getDefiningOp<DispatchOp>())
        addBuffer(producer, cast<OpResult>(input), /*write=*/false);
      else if (auto ref = input.getDefiningOp<StateRefOp>())
        addState(ref, effectsOn(kernel, static_cast<unsigned>(index)));
      else if (isa<StateType>(input.getType()))
        return dispatch.emitOpError("is handed a state that no quern.state_ref names");
      // Nobody writes weights and inputs.
    }
    for (OpResult result : dispatch->getOpResults())
      addBuffer(dispatch, result, /*write=*/true);
    if (const int64_t bytes = scratchBytes(dispatch, shape)) {
      if (!dispatch.getScratch())
        return dispatch.emitOpError("has no place for its scratch memory");
      const auto from = static_cast<int64_t>(*dispatch.getScratch());
      add(Space::Arena, 0, from, from + bytes, true);
    }
    const CountedUses sizes = countedUses(kernel);
    for (const auto &[which, write] : {std::pair{&sizes.read, false}, {&sizes.written, true}})
      for (const unsigned size : *which)
        add(Space::Size, size, 0, 1, write);
    if (target::of(kernel).traits(kernel.getAnchor()).fetchesWork)
      add(Space::Chunks, 0, 0, 1, true);
    return std::move(all);
  }

private:
  void add(Space space, unsigned index, int64_t from, int64_t to, bool write) {
    all.push_back({space, index, from, to, write});
  }

  void addBuffer(DispatchOp producer, OpResult value, bool write) {
    const int64_t from = (*producer.getOffsets())[value.getResultNumber()];
    const int64_t bytes = bufferBytes(value.getType(), shape);
    if (from < 0) {
      for (OpOperand &use : value.getUses())
        if (isa<func::ReturnOp>(use.getOwner()))
          add(Space::Output, use.getOperandNumber(), 0, bytes, write);
    } else {
      add(producer.getReplicated() ? Space::Own : Space::Arena, 0, from, from + bytes, write);
    }
  }

  void addState(StateRefOp ref, Effects effects) {
    auto state = SymbolTable::lookupNearestSymbolFrom<DeclareStateOp>(ref, ref.getNameAttr());
    const bool kv = ref.getType().getKind() == StateKind::kv;
    const auto from = static_cast<int64_t>(*state.getOffset());
    for (auto [touched, write] : {std::pair{effects.reads, false}, {effects.writes, true}})
      if (touched)
        add(kv ? Space::Page : Space::Slot,
            kv ? static_cast<unsigned>(state.getGroup().value_or(0)) : 0, from,
            from + stateBytes(ref.getType()), write);
  }

  DispatchOp dispatch;
  KernelOp kernel;
  const BucketShape &shape;
  std::vector<Access> all;
};

} // namespace

std::string Access::where() const {
  if (space == Space::Chunks)
    return "the count of work that was fetched";
  if (space == Space::Size)
    return llvm::formatv("size {0}", index);
  std::string name;
  switch (space) {
  case Space::Arena:
    name = "the arena";
    break;
  case Space::Own:
    name = "the worker's own arena";
    break;
  case Space::Output:
    name = llvm::formatv("output {0}", index);
    break;
  case Space::Page:
    name = llvm::formatv("a page of kv group {0}", index);
    break;
  case Space::Slot:
    name = "a slot";
    break;
  case Space::Size:
  case Space::Chunks:
    break;
  }
  return llvm::formatv("bytes {0} to {1} of {2}", from, to, name);
}

bool conflict(const Access &a, const Access &b) {
  return a.space == b.space && a.index == b.index && a.space != Space::Own && a.from < b.to &&
         b.from < a.to && (a.write || b.write);
}

FailureOr<std::vector<Access>> accessesOf(const Call &call, const BucketShape &shape) {
  return Finder(call, shape).find();
}

} // namespace quern::order
