// A small vocabulary for writing loops and addresses as MLIR: what every kernel generator speaks.
//
// Integers are i64 throughout, loops are scf.for. LLVM's pointers do not know what they point at;
// what a microkernel is handed does (Pointer), and is checked as the call is written. Code is
// written as scalar loops; LLVM's vectorizer turns them into vector code. No fast-math flag is ever
// set, so what the loops say is what is computed, in that order, on every variant and for every
// bucket.
#ifndef QUERN_CODEGEN_CPU_CODE_H
#define QUERN_CODEGEN_CPU_CODE_H

#include "codegen/cpu/MicrokernelTable.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <cstddef>
#include <functional>

namespace quern::cpu {

using mlir::Type;
using mlir::Value;

/// An address of Ts.
template <class T> class Pointer {
public:
  Pointer() = default;
  explicit Pointer(Value address) : address(address) {}
  operator Value() const { return address; }
  operator Pointer<const T>() const
    requires(!std::is_const_v<T>)
  {
    return Pointer<const T>(address);
  }
  explicit operator bool() const { return static_cast<bool>(address); }

private:
  Value address;
};

/// What a microkernel is handed: a number, or an address that says of what.
class Argument {
public:
  Argument(Value value);
  template <class T> Argument(Pointer<T> pointer) : Argument(static_cast<Value>(pointer)) {
    if (value)
      type = abiType<T *>();
  }

  Value value;
  AbiType type;
};

/// The fields of a struct that a microkernel is handed (Microkernels.h) as values of the code.
template <class Struct> struct Fields;
template <class T> struct FieldOf {
  using Value = mlir::Value;
};
template <class T> struct FieldOf<T *> {
  using Value = Pointer<T>;
};
#define QK_FIELD(TYPE, NAME) FieldOf<TYPE>::Value NAME;
#define QK_FIELDS(STRUCT, FIELDS)                                                                  \
  template <> struct Fields<STRUCT> {                                                              \
    FIELDS(QK_FIELD)                                                                               \
  };
QK_FOR_EACH_STRUCT(QK_FIELDS)
#undef QK_FIELDS
#undef QK_FIELD

class Code {
public:
  Code(mlir::ModuleOp module, mlir::Location loc)
      : b(loc, mlir::OpBuilder::atBlockEnd(module.getBody())), module(module) {}

  mlir::ImplicitLocOpBuilder b;

  // Types.
  Type i64() { return b.getI64Type(); }
  Type i32() { return b.getI32Type(); }
  Type f32() { return b.getF32Type(); }
  Type ptr() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }

  // Constants and integer arithmetic.
  Value c(int64_t value) { return mlir::arith::ConstantIntOp::create(b, i64(), value); }
  Value c32(int64_t value) { return mlir::arith::ConstantIntOp::create(b, i32(), value); }
  Value cf(float value);
  Value add(Value l, Value r) { return mlir::arith::AddIOp::create(b, l, r); }
  Value add(Value l, int64_t r) { return r ? add(l, c(r)) : l; }
  Value sub(Value l, Value r) { return mlir::arith::SubIOp::create(b, l, r); }
  Value mul(Value l, Value r) { return mlir::arith::MulIOp::create(b, l, r); }
  Value mul(Value l, int64_t r) { return r == 1 ? l : mul(l, c(r)); }
  /// Division of values that are not negative.
  Value div(Value l, int64_t r) { return r == 1 ? l : mlir::arith::DivUIOp::create(b, l, c(r)); }
  Value div(Value l, Value r) { return mlir::arith::DivUIOp::create(b, l, r); }
  Value rem(Value l, int64_t r) { return mlir::arith::RemUIOp::create(b, l, c(r)); }
  Value rem(Value l, Value r) { return mlir::arith::RemUIOp::create(b, l, r); }
  Value min(Value l, Value r) { return mlir::arith::MinSIOp::create(b, l, r); }
  Value max(Value l, Value r) { return mlir::arith::MaxSIOp::create(b, l, r); }
  Value ceilDiv(Value l, int64_t r) { return div(add(l, r - 1), r); }
  Value ceilDiv(Value l, Value r) { return div(add(l, sub(r, c(1))), r); }
  Value less(Value l, Value r) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::slt, l, r);
  }
  Value select(Value condition, Value l, Value r) {
    return mlir::arith::SelectOp::create(b, condition, l, r);
  }
  Value equal(Value l, Value r) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::eq, l, r);
  }
  Value toI64(Value v) { return mlir::arith::ExtSIOp::create(b, i64(), v); }
  /// Exact for integers of up to 24 bits.
  Value toF32(Value v) { return mlir::arith::SIToFPOp::create(b, f32(), v); }
  Value toI32(Value v) { return mlir::arith::TruncIOp::create(b, i32(), v); }

  // Float arithmetic, rounded after each operation but for fma.
  Value fadd(Value l, Value r) { return mlir::arith::AddFOp::create(b, l, r); }
  Value fsub(Value l, Value r) { return mlir::arith::SubFOp::create(b, l, r); }
  Value fmul(Value l, Value r) { return mlir::arith::MulFOp::create(b, l, r); }
  Value fdiv(Value l, Value r) { return mlir::arith::DivFOp::create(b, l, r); }
  Value fma(Value x, Value y, Value z) { return mlir::LLVM::FMAOp::create(b, x, y, z); }

  // Memory. `index` counts elements of `type`; byte offsets have their own function.
  Value at(Value base, Type type, Value index);
  template <class T> Pointer<T> at(Pointer<T> base, Value index) {
    return Pointer<T>(at(base, typeOf<std::remove_const_t<T>>(), index));
  }
  Value atBytes(Value base, Value bytes);
  Value atBytes(Value base, int64_t bytes);
  template <class T> Pointer<T> atBytes(Pointer<T> base, Value bytes) {
    return Pointer<T>(atBytes(static_cast<Value>(base), bytes));
  }
  template <class T> Pointer<T> null() { return Pointer<T>(mlir::LLVM::ZeroOp::create(b, ptr())); }
  Value loadF(Value base, Value index) { return load(f32(), at(base, f32(), index)); }
  void storeF(Value value, Value base, Value index) { store(value, at(base, f32(), index)); }
  Value load(Type type, Value address) { return mlir::LLVM::LoadOp::create(b, type, address); }
  void store(Value value, Value address) { mlir::LLVM::StoreOp::create(b, value, address); }
  /// `count` elements on the worker's stack, aligned to 64 bytes, alive until the function returns.
  template <class T> Pointer<T> scratch(int64_t count) {
    return Pointer<T>(scratch(typeOf<T>(), count));
  }
  /// An array of constants.
  Pointer<const float> floats(llvm::ArrayRef<float> values);
  Value integers(llvm::ArrayRef<int64_t> values);
  Value array(Type element, mlir::DenseElementsAttr values);
  /// A field of a QuernStepArgs, by its C name's offset.
  Value field(Value args, size_t offset, Type type) {
    return load(type, atBytes(args, static_cast<int64_t>(offset)));
  }

  // Control.
  mlir::scf::ForOp loop(Value from, Value to, Value step, std::function<void(Value)> body);
  void loop(Value from, Value to, std::function<void(Value)> body) {
    loop(from, to, c(1), std::move(body));
  }
  void loop(int64_t to, std::function<void(Value)> body) { loop(c(0), c(to), std::move(body)); }
  /// From 0 to `to`, never unrolled: for bodies that are long and call what takes long.
  void rolledLoop(int64_t to, std::function<void(Value)> body);
  void when(Value condition, std::function<void()> body);
  /// Runs the body as long as the condition, computed before each time, holds.
  void whilst(std::function<Value()> condition, std::function<void()> body);

  /// Calls a microkernel of the table. A call that does not fit its declaration is not written, and
  /// `error` says why.
  Value call(llvm::StringRef name, llvm::ArrayRef<Argument> arguments);
  Value call(llvm::StringRef name, std::initializer_list<Argument> arguments) {
    return call(name, llvm::ArrayRef(arguments.begin(), arguments.size()));
  }
  /// A struct for microkernels, on the worker's stack. Where one is inlined nothing is left of it.
  template <class Struct> Pointer<const Struct> pack(const Fields<Struct> &fields);
  /// The first call or struct that was wrong.
  absl::Status error;

  /// The part [from, to) of `count` items that `worker` of `workers` takes: neighbours, even to
  /// one.
  std::pair<Value, Value> share(Value count, Value worker, Value workers);

  mlir::ModuleOp module;
  /// The function being written; `scratch` allocates in its entry block.
  mlir::LLVM::LLVMFuncOp function;

  Value scratch(Type type, int64_t count);

private:
  template <class T> Type typeOf() {
    if constexpr (std::is_same_v<T, float>)
      return f32();
    else if constexpr (std::is_integral_v<T>)
      return b.getIntegerType(8 * sizeof(T));
    else // what only a microkernel reads
      return b.getI8Type();
  }

  struct Field {
    llvm::StringRef name;
    size_t offset;
    AbiType type;
    Argument given;
  };
  Value pack(llvm::StringRef name, size_t bytes, llvm::ArrayRef<Field> fields);
  /// Notes what is wrong, and where; whether all is well.
  bool check(absl::Status status);

  int constants = 0; ///< arrays that the module has
};

#define QK_FIELD(TYPE, NAME) {#NAME, offsetof(Struct, NAME), abiType<TYPE>(), fields.NAME},
#define QK_PACK(STRUCT, FIELDS)                                                                    \
  template <> inline Pointer<const STRUCT> Code::pack(const Fields<STRUCT> &fields) {              \
    using Struct = STRUCT;                                                                         \
    return Pointer<const STRUCT>(pack(#STRUCT, sizeof(STRUCT), {FIELDS(QK_FIELD)}));               \
  }
QK_FOR_EACH_STRUCT(QK_PACK)
#undef QK_PACK
#undef QK_FIELD

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_CODE_H
