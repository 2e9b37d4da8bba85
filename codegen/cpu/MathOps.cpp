// Ops of the math dialect: instructions where the CPU has them, else microkernels.
#include "codegen/cpu/Body.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

/// Those that float32 has code of its own for; the others are computed in float64 and rounded.
static llvm::StringRef nameInFloat32(Operation *op) {
  return llvm::TypeSwitch<Operation *, llvm::StringRef>(op)
      .Case([](math::ExpOp) { return "qk_exp"; })
      .Case([](math::LogOp) { return "qk_log"; })
      .Case([](math::Log1pOp) { return "qk_log1p"; })
      .Case([](math::ErfOp) { return "qk_erf"; })
      .Case([](math::TanhOp) { return "qk_tanh"; })
      .Case([](math::RsqrtOp) { return "qk_rsqrt"; })
      .Default(llvm::StringRef());
}

static llvm::StringRef nameInFloat64(Operation *op) {
  return llvm::TypeSwitch<Operation *, llvm::StringRef>(op)
      .Case([](math::ExpOp) { return "qk_exp_f64"; })
      .Case([](math::Exp2Op) { return "qk_exp2_f64"; })
      .Case([](math::ExpM1Op) { return "qk_expm1_f64"; })
      .Case([](math::LogOp) { return "qk_log_f64"; })
      .Case([](math::Log2Op) { return "qk_log2_f64"; })
      .Case([](math::Log10Op) { return "qk_log10_f64"; })
      .Case([](math::Log1pOp) { return "qk_log1p_f64"; })
      .Case([](math::SinOp) { return "qk_sin_f64"; })
      .Case([](math::CosOp) { return "qk_cos_f64"; })
      .Case([](math::TanOp) { return "qk_tan_f64"; })
      .Case([](math::AsinOp) { return "qk_asin_f64"; })
      .Case([](math::AcosOp) { return "qk_acos_f64"; })
      .Case([](math::AtanOp) { return "qk_atan_f64"; })
      .Case([](math::SinhOp) { return "qk_sinh_f64"; })
      .Case([](math::CoshOp) { return "qk_cosh_f64"; })
      .Case([](math::TanhOp) { return "qk_tanh_f64"; })
      .Case([](math::AsinhOp) { return "qk_asinh_f64"; })
      .Case([](math::AcoshOp) { return "qk_acosh_f64"; })
      .Case([](math::AtanhOp) { return "qk_atanh_f64"; })
      .Case([](math::ErfOp) { return "qk_erf_f64"; })
      .Case([](math::ErfcOp) { return "qk_erfc_f64"; })
      .Case([](math::CbrtOp) { return "qk_cbrt_f64"; })
      .Case([](math::RsqrtOp) { return "qk_rsqrt_f64"; })
      .Case([](math::PowFOp) { return "qk_pow_f64"; })
      .Case([](math::Atan2Op) { return "qk_atan2_f64"; })
      .Case([](arith::RemFOp) { return "qk_fmod_f64"; })
      .Default(llvm::StringRef());
}

/// What is one instruction, or a few, in LLVM's hands.
static Value writeIntrinsic(Code &code, Operation *op, ArrayRef<Value> x) {
  Type type = x.front().getType();
  auto isClass = [&](unsigned mask) -> Value {
    return LLVM::IsFPClass::create(code.b, code.b.getI1Type(), x[0], mask);
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::SqrtOp) { return LLVM::SqrtOp::create(code.b, x[0]); })
      .Case([&](math::FloorOp) { return LLVM::FFloorOp::create(code.b, x[0]); })
      .Case([&](math::CeilOp) { return LLVM::FCeilOp::create(code.b, x[0]); })
      .Case([&](math::TruncOp) { return LLVM::FTruncOp::create(code.b, x[0]); })
      .Case([&](math::RoundEvenOp) { return LLVM::RoundEvenOp::create(code.b, x[0]); })
      .Case([&](math::RoundOp) { return LLVM::RoundOp::create(code.b, x[0]); })
      .Case([&](math::AbsFOp) { return LLVM::FAbsOp::create(code.b, x[0]); })
      .Case([&](math::CopySignOp) { return LLVM::CopySignOp::create(code.b, x[0], x[1]); })
      .Case([&](math::FmaOp) { return LLVM::FMAOp::create(code.b, x[0], x[1], x[2]); })
      .Case([&](math::AbsIOp) { return LLVM::AbsOp::create(code.b, type, x[0], false); })
      .Case([&](math::CountLeadingZerosOp) {
        return LLVM::CountLeadingZerosOp::create(code.b, type, x[0], false);
      })
      .Case([&](math::CountTrailingZerosOp) {
        return LLVM::CountTrailingZerosOp::create(code.b, type, x[0], false);
      })
      .Case([&](math::CtPopOp) { return LLVM::CtPopOp::create(code.b, x[0]); })
      .Case([&](math::IsNaNOp) { return isClass(0x003); })
      .Case([&](math::IsInfOp) { return isClass(0x204); })
      .Case([&](math::IsFiniteOp) { return isClass(0x1f8); })
      .Default(Value());
}

Value quern::cpu::writeMath(Code &code, Operation *op, ArrayRef<Value> operands) {
  if (Value value = writeIntrinsic(code, op, operands))
    return value;
  Type type = operands.front().getType();
  if (!isa<FloatType>(type) ||
      llvm::any_of(operands, [&](Value value) { return value.getType() != type; }))
    return {};
  auto call = [&](llvm::StringRef name, ArrayRef<Value> values) {
    return code.call(name,
                     llvm::map_to_vector(values, [](Value value) { return Argument(value); }));
  };
  if (type.isF32())
    if (llvm::StringRef name = nameInFloat32(op); !name.empty())
      return call(name, operands);
  llvm::StringRef name = nameInFloat64(op);
  if (name.empty())
    return {};
  if (type.isF64())
    return call(name, operands);
  SmallVector<Value> wide = llvm::map_to_vector(operands, [&](Value value) -> Value {
    return arith::ExtFOp::create(code.b, code.b.getF64Type(), value);
  });
  Value value = call(name, wide);
  // What is of 16 bits is rounded from float64 at once: as two roundings LLVM would take them for
  // one, for which it calls a library.
  if (!op->getResult(0).getType().isF32())
    return value;
  return arith::TruncFOp::create(code.b, type, value);
}
