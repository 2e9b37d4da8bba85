// See BucketTrace.h.
#include "tests/codegen/cpu/BucketTrace.h"

#include "codegen/cpu/CpuCodegen.h"
#include "runtime/abi/StepArgs.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>

namespace quern::test {
namespace {

namespace LLVM = mlir::LLVM;
namespace arith = mlir::arith;
using Base = codegen::Operand::Base;

/// A number, or an address `number` bytes into a space; `element` tells the spaces of one kind
/// apart.
struct Value {
  enum class Space {
    none, // a number
    worker,
    workers,
    args,
    weights,
    arena,
    own,
    input,
    output,
    rows,
    inputs,  // the array of the entry's inputs' addresses
    outputs, // and of its results'
    table    // a constant of the module
  };
  Space space = Space::none;
  int64_t number = 0;
  unsigned element = 0;
  LLVM::GlobalOp table = {};
};
using Space = Value::Space;

class Run {
public:
  Run(mlir::ModuleOp planned, mlir::ModuleOp module) : planned(planned), module(module) {}

  std::vector<GeneratedKernels::Traced> run(LLVM::LLVMFuncOp function) {
    mlir::Block &body = function.getBody().front();
    values[body.getArgument(0)] = {Space::args};
    values[body.getArgument(1)] = {Space::worker};
    values[body.getArgument(2)] = {Space::workers};
    run(body);
    EXPECT_FALSE(waits) << "a barrier behind the last call";
    return std::move(calls);
  }

private:
  void run(mlir::Block &block) {
    for (mlir::Operation &op : block) {
      if (auto loop = mlir::dyn_cast<mlir::scf::ForOp>(op)) {
        const int64_t step = number(loop.getStep());
        ASSERT_GT(step, 0);
        for (int64_t i = number(loop.getLowerBound()); i < number(loop.getUpperBound());
             i += step) {
          values[loop.getInductionVar()] = {Space::none, i};
          run(*loop.getBody());
        }
      } else if (auto call = mlir::dyn_cast<LLVM::CallOp>(op)) {
        run(call);
      } else if (op.getNumResults() == 1) {
        values[op.getResult(0)] = result(op);
      } else {
        EXPECT_TRUE((mlir::isa<LLVM::ReturnOp, mlir::scf::YieldOp>(op)))
            << op.getName().getStringRef().str();
      }
    }
  }

  Value result(mlir::Operation &op) {
    if (auto constant = mlir::dyn_cast<arith::ConstantOp>(op))
      return {Space::none, mlir::cast<mlir::IntegerAttr>(constant.getValue()).getInt()};
    if (mlir::isa<arith::ExtSIOp>(op))
      return values.lookup(op.getOperand(0));
    if (mlir::isa<arith::AddIOp>(op))
      return {Space::none, number(op.getOperand(0)) + number(op.getOperand(1))};
    if (mlir::isa<arith::MulIOp>(op))
      return {Space::none, number(op.getOperand(0)) * number(op.getOperand(1))};
    if (mlir::isa<LLVM::AllocaOp>(op))
      return {Space::own};
    if (auto address = mlir::dyn_cast<LLVM::AddressOfOp>(op))
      return {Space::table, 0, 0, module.lookupSymbol<LLVM::GlobalOp>(address.getGlobalName())};
    if (auto gep = mlir::dyn_cast<LLVM::GEPOp>(op)) {
      Value base = values.lookup(gep.getBase());
      const int64_t index = gep.getDynamicIndices().empty()
                                ? gep.getRawConstantIndices().front()
                                : number(gep.getDynamicIndices().front());
      const mlir::Type type = gep.getElemType();
      base.number += index * (mlir::isa<LLVM::LLVMPointerType>(type)
                                  ? 8
                                  : static_cast<int64_t>(type.getIntOrFloatBitWidth()) / 8);
      return base;
    }
    if (auto load = mlir::dyn_cast<LLVM::LoadOp>(op))
      return loaded(values.lookup(load.getAddr()));
    ADD_FAILURE() << op.getName().getStringRef().str() << " in a bucket";
    return {};
  }

  Value loaded(const Value &address) {
    const std::map<size_t, Space> fields = {{offsetof(QuernStepArgs, weights), Space::weights},
                                            {offsetof(QuernStepArgs, arena), Space::arena},
                                            {offsetof(QuernStepArgs, inputs), Space::inputs},
                                            {offsetof(QuernStepArgs, outputs), Space::outputs},
                                            {offsetof(QuernStepArgs, rows), Space::rows}};
    const auto at = static_cast<size_t>(address.number);
    switch (address.space) {
    case Space::args:
      if (const auto field = fields.find(at); field != fields.end())
        return {field->second};
      break;
    case Space::inputs:
      return {Space::input, 0, static_cast<unsigned>(at / sizeof(void *))};
    case Space::outputs:
      return {Space::output, 0, static_cast<unsigned>(at / sizeof(void *))};
    case Space::table: {
      LLVM::GlobalOp table = address.table;
      auto numbers = mlir::cast<mlir::DenseElementsAttr>(*table.getValue()).getValues<int64_t>();
      if (at % sizeof(int64_t) == 0 && at / sizeof(int64_t) < numbers.size())
        return {Space::none, numbers[at / sizeof(int64_t)]};
      break;
    }
    default:
      break;
    }
    ADD_FAILURE() << "a bucket loads from byte " << at << " of space "
                  << static_cast<int>(address.space);
    return {};
  }

  void run(LLVM::CallOp op) {
    const std::string callee = op.getCallee()->str();
    auto operands = op.getOperands();
    if (callee == "qk_barrier") {
      EXPECT_FALSE(waits) << "two barriers in a row";
      waits = true;
      return;
    }
    if (callee == "qk_note_time") {
      noted = number(operands[2]);
      return;
    }
    GeneratedKernels::Traced traced{callee, noted, {}};
    const auto dot = callee.rfind('.');
    traced.call.kernel = planned.lookupSymbol<KernelOp>(callee.substr(0, dot));
    ASSERT_TRUE(traced.call.kernel) << callee << " is no kernel";
    traced.call.barrier = std::exchange(waits, false);
    const Value worker = values.lookup(operands[1]), workers = values.lookup(operands[2]);
    traced.call.replicated = worker.space == Space::none;
    if (traced.call.replicated) {
      EXPECT_EQ(worker.number, 0) << callee;
      EXPECT_EQ(workers.space, Space::none) << callee;
      EXPECT_EQ(workers.number, 1) << callee;
    } else {
      EXPECT_EQ(worker.space, Space::worker) << callee;
      EXPECT_EQ(workers.space, Space::workers) << callee;
    }
    for (mlir::Value operand : operands.drop_front(3))
      traced.call.operands.push_back(operandOf(values.lookup(operand)));
    calls.push_back(std::move(traced));
  }

  static codegen::Operand operandOf(const Value &value) {
    static const std::map<Space, Base> bases = {
        {Space::none, Base::None},   {Space::weights, Base::Weights},
        {Space::arena, Base::Arena}, {Space::own, Base::Replicated},
        {Space::input, Base::Input}, {Space::output, Base::Output},
        {Space::rows, Base::Rows}};
    const auto base = bases.find(value.space);
    if (base == bases.end()) {
      ADD_FAILURE() << "a kernel is handed space " << static_cast<int>(value.space);
      return {Base::None};
    }
    return {base->second, value.number, value.element};
  }

  int64_t number(mlir::Value value) {
    const Value known = values.lookup(value);
    EXPECT_EQ(known.space, Space::none) << "an address where a number is wanted";
    return known.number;
  }

  mlir::ModuleOp planned, module;
  llvm::DenseMap<mlir::Value, Value> values;
  std::vector<GeneratedKernels::Traced> calls;
  bool waits = false; // a barrier since the last call
  int64_t noted = -1;
};

} // namespace

GeneratedKernels::GeneratedKernels(mlir::ModuleOp planned) : planned_(planned) {
  std::string text;
  cpu::Options options;
  options.emit = [&](std::string_view, std::string_view made) { text = made; };
  const auto generated = cpu::generate(planned, {}, options);
  EXPECT_TRUE(generated.ok()) << generated.status();
  planned.getContext()
      ->loadDialect<LLVM::LLVMDialect, arith::ArithDialect, mlir::scf::SCFDialect>();
  module_ = mlir::parseSourceString<mlir::ModuleOp>(text, planned.getContext());
  EXPECT_TRUE(module_);
}

std::vector<GeneratedKernels::Traced> GeneratedKernels::trace(mlir::func::FuncOp bucket) const {
  auto function = module_.get().lookupSymbol<LLVM::LLVMFuncOp>(codegen::bucketSymbol(bucket));
  if (!function) {
    ADD_FAILURE() << codegen::bucketSymbol(bucket) << " was not generated";
    return {};
  }
  return Run(planned_, *module_).run(function);
}

bool GeneratedKernels::fetches(const std::string &function) const {
  bool found = false;
  module_.get().lookupSymbol<LLVM::LLVMFuncOp>(function).walk(
      [&](LLVM::CallOp call) { found |= call.getCallee() == "qk_next_chunk"; });
  return found;
}

} // namespace quern::test
