// See Kernel.h.
#include "codegen/cpu/Kernel.h"

#include "codegen/cpu/Faults.h"
#include "passes/analysis/Buffers.h"
#include "passes/analysis/FaultSites.h"
#include "runtime/abi/StepArgs.h"

#include "llvm/ADT/STLExtras.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

llvm::SmallVector<Type> quern::cpu::loweredTypes(Type type) {
  if (isa<BatchType>(type))
    return {};
  if (isa<StateType>(type)) {
    Type i64 = IntegerType::get(type.getContext(), 64);
    return {i64, i64};
  }
  return {LLVM::LLVMPointerType::get(type.getContext())};
}

Generator quern::cpu::generatorOf(Anchor anchor) {
  switch (anchor) {
  case Anchor::rows:
    return &Kernel::generateRows;
  case Anchor::linear:
    return &Kernel::generateLinear;
  case Anchor::block_linear:
    return &Kernel::generateBlockLinear;
  case Anchor::attention:
    return &Kernel::generateAttention;
  case Anchor::attention_rows:
    return &Kernel::generateAttentionRows;
  case Anchor::kv_append:
    return &Kernel::generateKvAppend;
  case Anchor::linear_recurrence:
    return &Kernel::generateRecurrence;
  case Anchor::causal_conv1d:
    return &Kernel::generateConv;
  case Anchor::token_shift:
    return &Kernel::generateTokenShift;
  case Anchor::scan:
    return &Kernel::generateScan;
  case Anchor::long_conv:
    return &Kernel::generateLongConv;
  case Anchor::embedding:
    return &Kernel::generateEmbedding;
  case Anchor::route:
    return &Kernel::generateRoute;
  case Anchor::expert_linear:
    return &Kernel::generateExpertLinear;
  case Anchor::generic:
    return &Kernel::generateGeneric;
  }
  llvm_unreachable("an anchor without a generator");
}

Kernel::Kernel(Code &code, KernelOp op, llvm::StringRef name, Form form)
    : code(code), op(op), single(form != Form::Many), last(form == Form::Last) {
  SmallVector<Type> types = {code.ptr(), code.i64(), code.i64()};
  for (Type type : op.getArgumentTypes())
    llvm::append_range(types, loweredTypes(type));
  for (Type type : op.getResultTypes())
    llvm::append_range(types, loweredTypes(type));
  bool hasShared = scratchBytes(op, single) != 0;
  if (hasShared)
    types.push_back(code.ptr());
  const size_t pointersEnd = types.size();
  const bool hasFaults = !faultSites(op).empty();
  if (hasFaults)
    types.push_back(code.i64());

  code.b.setInsertionPointToEnd(code.module.getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(code.b.getContext()), types);
  code.function = LLVM::LLVMFuncOp::create(code.b, name, type, LLVM::Linkage::Internal);
  // Shared by the layers, so never inlined into the bucket: code must not grow with depth.
  code.function.setNoInline(true);
  Block *entry = code.function.addEntryBlock(code.b);
  for (auto [i, type] : llvm::enumerate(types))
    // What workers share while the kernel runs is written by others.
    if (isa<LLVM::LLVMPointerType>(type) && i > 0 && !(hasShared && i + 1 == pointersEnd))
      code.function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), code.b.getUnitAttr());
  code.b.setInsertionPointToStart(entry);

  args = Pointer<const QuernStepArgs>(entry->getArgument(0));
  worker = entry->getArgument(1);
  workers = entry->getArgument(2);
  unsigned next = 3;
  for (BlockArgument arg : op.getBody().getArguments()) {
    if (isa<StateType>(arg.getType())) {
      states[arg] = {entry->getArgument(next), entry->getArgument(next + 1)};
      next += 2;
    } else if (!isa<BatchType>(arg.getType())) {
      pointers[arg] = entry->getArgument(next++);
    }
  }
  for (size_t i = 0; i < op.getResultTypes().size(); ++i)
    results.push_back(entry->getArgument(next++));
  if (hasShared)
    shared = Pointer<float>(entry->getArgument(next++));
  if (hasFaults)
    own = std::make_unique<Faults>(*this, entry->getArgument(next));

  yield = cast<YieldOp>(op.getBody().front().getTerminator());
  anchor = op.anchorOp();
}

Kernel::~Kernel() = default;

void Kernel::scheduleGuided(Value count, Value chunk, std::function<void(Value, Value)> body) {
  // Fewer chunks would leave more work uneven at the end than they even out.
  constexpr int64_t kFewestChunks = 16;
  // More are not needed by a worker, and each costs it a hundred nanoseconds.
  constexpr int64_t kMostChunks = 64;
  Value even = code.ceilDiv(count, workers), half = code.ceilDiv(code.ceilDiv(count, 2), workers);
  Value few = code.less(count, code.mul(chunk, kFewestChunks));
  Value own = code.select(few, even, half), assigned = code.mul(own, workers);
  Value chunks =
      code.max(chunk, code.div(code.sub(count, assigned), code.mul(workers, kMostChunks)));
  Pointer<int64_t> at = code.scratch<int64_t>(1), end = code.scratch<int64_t>(1);
  auto take = [&](Value from, Value size) {
    code.store(from, at);
    code.store(code.min(code.add(from, size), count), end);
  };
  take(code.mul(worker, own), own);
  auto from = [&] { return code.load(code.i64(), at); };
  auto to = [&] { return code.load(code.i64(), end); };
  code.whilst([&] { return code.less(from(), to()); },
              [&] {
                body(from(), to());
                take(code.add(assigned, code.mul(nextChunk(), chunks)), chunks);
              });
}

LogicalResult Kernel::generate() {
  if (failed((this->*generatorOf(op.getAnchor()))()))
    return failure();
  if (own)
    own->reportKept();
  LLVM::ReturnOp::create(code.b, ValueRange{});
  return failure(failedCount);
}

Value Kernel::index(size_t field, Value index) {
  Value base = code.field(args, field, code.ptr());
  return code.toI64(code.load(code.i32(), code.at(base, code.i32(), index)));
}

Value Kernel::kvPage(mlir::Value state, Value seq, Value page) {
  auto [group, offset] = states.lookup(state);
  Value groups = code.field(args, offsetof(QuernStepArgs, kv), code.ptr());
  Value kv = code.atBytes(groups, code.mul(group, sizeof(QuernKvGroup)));
  Value pages = code.field(kv, offsetof(QuernKvGroup, pages), code.ptr());
  Value bytes = code.field(kv, offsetof(QuernKvGroup, page_bytes), code.i64());
  Value tables = code.field(kv, offsetof(QuernKvGroup, block_tables), code.ptr());
  Value table = code.load(code.ptr(), code.at(tables, code.ptr(), seq));
  Value number = code.toI64(code.load(code.i32(), code.at(table, code.i32(), page)));
  return code.atBytes(pages, code.add(code.mul(number, bytes), offset));
}

Value Kernel::fixedState(mlir::Value state, Value seq) {
  Value slots = code.field(args, offsetof(QuernStepArgs, fixed_state), code.ptr());
  Value slot = code.load(code.ptr(), code.at(slots, code.ptr(), seq));
  return code.atBytes(slot, states.lookup(state).second);
}
