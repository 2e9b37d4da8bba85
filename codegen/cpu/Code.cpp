// See Code.h.
#include "codegen/cpu/Code.h"

#include "mlir/AsmParser/AsmParser.h"

#include <absl/strings/str_cat.h>

using namespace mlir;
using namespace quern::cpu;

/// What a value is at the boundary, but for what a pointer points at.
static AbiType abiTypeOf(Value value) {
  if (!value)
    return {AbiType::other, "nothing", false};
  Type type = value.getType();
  if (type.isInteger(64))
    return abiType<int64_t>();
  if (type.isInteger(32))
    return abiType<int32_t>();
  if (type.isF32())
    return abiType<float>();
  if (type.isF64())
    return abiType<double>();
  if (isa<LLVM::LLVMPointerType>(type))
    return {AbiType::pointer, {}, false};
  return {AbiType::other, type.isIndex() ? "an index" : "of a type that no microkernel takes",
          false};
}

Argument::Argument(Value value) : value(value), type(abiTypeOf(value)) {}

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

Pointer<const float> Code::floats(ArrayRef<float> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, f32());
  return Pointer<const float>(array(f32(), DenseElementsAttr::get(type, values)));
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

bool Code::check(absl::Status status) {
  if (status.ok())
    return true;
  if (error.ok())
    error = absl::InternalError(
        absl::StrCat("in ", function.getSymName().str(), ": ", status.message()));
  return false;
}

Value Code::call(llvm::StringRef name, ArrayRef<Argument> arguments) {
  SmallVector<AbiType> given;
  SmallVector<Value> values;
  for (const Argument &argument : arguments) {
    given.push_back(argument.type);
    values.push_back(argument.value);
  }
  const Signature *signature = findMicrokernel(name);
  auto lowered = [&](const AbiType &type) -> Type {
    switch (type.kind) {
    case AbiType::i32:
      return i32();
    case AbiType::i64:
      return i64();
    case AbiType::f32:
      return f32();
    case AbiType::f64:
      return b.getF64Type();
    case AbiType::pointer:
      return ptr();
    default:
      return LLVM::LLVMVoidType::get(b.getContext());
    }
  };
  if (!check(checkCall(name, given))) {
    if (!signature || signature->result.kind == AbiType::none)
      return Value();
    return LLVM::PoisonOp::create(b, lowered(signature->result));
  }
  auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
  if (!callee) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    SmallVector<Type> types;
    for (const Parameter &parameter : signature->parameters)
      types.push_back(lowered(parameter.type));
    callee = LLVM::LLVMFuncOp::create(
        b, name, LLVM::LLVMFunctionType::get(lowered(signature->result), types));
  }
  auto call = LLVM::CallOp::create(b, callee, values);
  return call.getNumResults() ? call.getResult() : Value();
}

Value Code::pack(llvm::StringRef name, size_t bytes, ArrayRef<Field> fields) {
  // One array, not so many bytes: only that is taken apart before constants go from callers to
  // functions that are not inlined.
  Value address = scratch(LLVM::LLVMArrayType::get(b.getI8Type(), bytes), 1);
  for (const Field &field : fields)
    if (check(checkValue(absl::StrCat(name.str(), "::", field.name.str()), field.given.type,
                         field.type)))
      store(field.given.value, atBytes(address, static_cast<int64_t>(field.offset)));
  return address;
}

std::pair<Value, Value> Code::share(Value count, Value worker, Value workers) {
  return {div(mul(count, worker), workers), div(mul(count, add(worker, 1)), workers)};
}
