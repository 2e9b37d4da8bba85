// See Code.h.
#include "codegen/cpu/Code.h"

#include "mlir/AsmParser/AsmParser.h"

using namespace mlir;
using namespace quern::cpu;

Value Code::cf(float value) {
  return arith::ConstantFloatOp::create(b, b.getF32Type(), llvm::APFloat(value));
}

Value Code::at(Value base, Type type, Value index) {
  return LLVM::GEPOp::create(b, ptr(), type, base, ValueRange{index});
}

Value Code::atBytes(Value base, Value bytes) { return at(base, b.getI8Type(), bytes); }

Value Code::atBytes(Value base, int64_t bytes) {
  if (bytes == 0)
    return base;
  return LLVM::GEPOp::create(b, ptr(), b.getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

Value Code::scratch(Type type, int64_t count) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  Value size = c(count);
  return LLVM::AllocaOp::create(b, ptr(), type, size, /*alignment=*/64);
}

Value Code::array(Type element, DenseElementsAttr values) {
  auto type = LLVM::LLVMArrayType::get(element, values.getNumElements());
  std::string name = "quern_array_" + std::to_string(constants++);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::Private, name, values,
                           /*alignment=*/64);
  }
  return LLVM::AddressOfOp::create(b, ptr(), name);
}

Value Code::floats(ArrayRef<float> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, f32());
  return array(f32(), DenseElementsAttr::get(type, values));
}

Value Code::integers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, i64());
  return array(i64(), DenseElementsAttr::get(type, values));
}

scf::ForOp Code::loop(Value from, Value to, Value step, std::function<void(Value)> body) {
  auto loop = scf::ForOp::create(b, from, to, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
  return loop;
}

void Code::rolledLoop(int64_t to, std::function<void(Value)> body) {
  loop(c(0), c(to), c(1), std::move(body))
      ->setAttr("llvm.loop_annotation",
                parseAttribute("#llvm.loop_annotation<unroll = <disable = true>>", b.getContext()));
}

void Code::when(Value condition, std::function<void()> body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  body();
}

void Code::whilst(std::function<Value()> condition, std::function<void()> body) {
  auto loop = scf::WhileOp::create(b, TypeRange{}, ValueRange{});
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&loop.getBefore());
  scf::ConditionOp::create(b, condition(), ValueRange{});
  b.createBlock(&loop.getAfter());
  body();
  scf::YieldOp::create(b);
}

Value Code::call(llvm::StringRef name, Type result, ValueRange args) {
  auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
  if (!callee) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    Type returned = result ? result : LLVM::LLVMVoidType::get(b.getContext());
    auto type = LLVM::LLVMFunctionType::get(returned, llvm::to_vector(args.getTypes()));
    callee = LLVM::LLVMFuncOp::create(b, name, type);
  }
  auto call = LLVM::CallOp::create(b, callee, args);
  return result ? call.getResult() : Value();
}

std::pair<Value, Value> Code::share(Value count, Value worker, Value workers) {
  return {div(mul(count, worker), workers), div(mul(count, add(worker, 1)), workers)};
}
