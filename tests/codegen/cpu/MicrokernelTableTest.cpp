// Tests that calls of microkernels are held against their declarations: when generated code is
// written, and when it is linked with their bitcode.
#include "codegen/cpu/MicrokernelTable.h"

#include "codegen/cpu/Code.h"
#include "codegen/cpu/microkernels/Bitcode.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::cpu {
namespace {

using testing::HasSubstr;

TEST(MicrokernelTable, ReadsDeclarations) {
  auto declared = [](const char *name) {
    const Signature *signature = findMicrokernel(name);
    return signature ? signature->str() : "none";
  };
  EXPECT_EQ(declared("qk_quantize_row"),
            "void qk_quantize_row(const float *x, int64_t k, QkQ8Row *row)");
  EXPECT_EQ(declared("qk_columns_at"),
            "float *qk_columns_at(const QuernStepArgs *args, float *result, float *own)");
  EXPECT_EQ(declared("qk_barrier"),
            "void qk_barrier(const QuernStepArgs *args, int32_t worker, int32_t num_workers)");
  EXPECT_EQ(declared("qk_attn_floats_from_int8"), "int64_t qk_attn_floats_from_int8(void)");
  EXPECT_EQ(declared("qk_gemm_q4_g32_z8_f16_rows"),
            "void qk_gemm_q4_g32_z8_f16_rows(const QkQ8Product *product)");
  EXPECT_EQ(declared("qk_gemm"), "none");
}

/// A function being written, with values to call microkernels with.
class Calls : public testing::Test {
protected:
  Calls() {
    context
        .loadDialect<mlir::arith::ArithDialect, mlir::scf::SCFDialect, mlir::LLVM::LLVMDialect>();
    module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
    code.emplace(*module, mlir::UnknownLoc::get(&context));
    auto type = mlir::LLVM::LLVMFunctionType::get(mlir::LLVM::LLVMVoidType::get(&context), {});
    code->function = mlir::LLVM::LLVMFuncOp::create(code->b, "kernel", type);
    code->b.setInsertionPointToStart(code->function.addEntryBlock(code->b));
    x = code->scratch<float>(64);
    row = code->scratch<QkQ8Row>(512);
    args = Pointer<const QuernStepArgs>(code->null<QuernStepArgs>());
  }

  std::string error() const { return std::string(code->error.message()); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<Code> code;
  Pointer<float> x;
  Pointer<QkQ8Row> row;
  Pointer<const QuernStepArgs> args;
};

TEST_F(Calls, ThatFitAreWritten) {
  code->call("qk_quantize_row", {x, code->c(64), row});
  Value sum = code->call("qk_sum", {x, code->c(64)});
  code->call("qk_prefetch", {row}); // any pointer
  EXPECT_TRUE(code->error.ok()) << error();
  EXPECT_TRUE(sum.getType().isF32());
  EXPECT_TRUE(module->lookupSymbol("qk_quantize_row"));
}

TEST_F(Calls, WithSwappedPointersAreRefused) {
  code->call("qk_quantize_row", {row, code->c(64), x});
  EXPECT_THAT(error(), HasSubstr("in kernel: argument 1 (x) of a call of qk_quantize_row is "
                                 "QkQ8Row *, where const float * is due\nhint: "));
  EXPECT_FALSE(module->lookupSymbol("qk_quantize_row"));
}

TEST_F(Calls, ThatWriteToWhatIsReadAreRefused) {
  code->call("qk_attn_finish_row",
             {code->null<const QkSoftmax>(), code->c(64), Pointer<const float>(x)});
  EXPECT_THAT(error(), HasSubstr("argument 3 (out) of a call of qk_attn_finish_row is const float "
                                 "*, where float * is due"));
}

TEST_F(Calls, WithWrongIntegerWidthsAreRefused) {
  code->call("qk_barrier", {args, code->c32(0), code->c(1)});
  EXPECT_THAT(error(), HasSubstr("argument 3 (num_workers) of a call of qk_barrier is int64_t, "
                                 "where int32_t is due"));
  code->error = absl::OkStatus();
  Value sum = code->call("qk_sum", {x, code->c32(64)});
  EXPECT_THAT(error(), HasSubstr("argument 2 (n) of a call of qk_sum is int32_t, where int64_t is "
                                 "due"));
  EXPECT_TRUE(sum.getType().isF32()) << "the rest of the kernel is still written";
}

TEST_F(Calls, WithMissingArgumentsAreRefused) {
  code->call("qk_sum", {x});
  EXPECT_THAT(error(), HasSubstr("a call of qk_sum has 1 arguments, where float qk_sum(const float "
                                 "*x, int64_t n) takes 2"));
  code->error = absl::OkStatus();
  code->call("qk_sum", {Pointer<float>(), code->c(64)});
  EXPECT_THAT(error(), HasSubstr("argument 1 (x) of a call of qk_sum is nothing"));
  code->error = absl::OkStatus();
  code->call("qk_sum", {x, Value()});
  EXPECT_THAT(error(), HasSubstr("argument 2 (n) of a call of qk_sum is nothing"));
}

TEST_F(Calls, WithPointersToNobodyKnowsWhatAreRefused) {
  code->call("qk_sum", {static_cast<Value>(x), code->c(64)});
  EXPECT_THAT(error(), HasSubstr("is a pointer to nobody knows what, where const float * is due"));
}

TEST_F(Calls, OfWhatIsNotThereAreRefused) {
  EXPECT_FALSE(code->call("qk_summ", {x, code->c(64)}));
  EXPECT_THAT(error(), HasSubstr("there is no microkernel 'qk_summ'"));
}

TEST_F(Calls, AreRefusedForTheFieldsOfStructs) {
  auto columns = [&](Value rows) {
    return Fields<QkColumns>{.x = x,
                             .x_stride = code->c(0),
                             .rows = rows,
                             .first = code->c(0),
                             .count = code->c(64),
                             .k = code->c(64),
                             .to = row,
                             .to_stride = code->c(0)};
  };
  code->call("qk_quantize_columns", {code->pack(columns(code->c(1)))});
  EXPECT_TRUE(code->error.ok()) << error();
  code->call("qk_quantize_columns", {code->pack(columns(code->c32(1)))});
  EXPECT_THAT(error(), HasSubstr("QkColumns::rows is int32_t, where int64_t is due"));
  code->error = absl::OkStatus();
  code->call("qk_quantize_columns", {code->null<const QkPage>()});
  EXPECT_THAT(error(), HasSubstr("is const QkPage *, where const QkColumns * is due"));
}

/// Bitcode of a variant, and generated code to be linked with it.
class Links : public testing::Test {
protected:
  void SetUp() override {
    const std::string_view bytes = codegen::microkernel_bitcode("x86-64-v3");
    auto parsed = llvm::parseBitcodeFile({{bytes.data(), bytes.size()}, "microkernels"}, context);
    ASSERT_TRUE(static_cast<bool>(parsed)) << llvm::toString(parsed.takeError());
    bitcode = std::move(*parsed);
  }
  std::string error(const char *generated) {
    llvm::SMDiagnostic problem;
    auto module = llvm::parseAssemblyString(generated, problem, context);
    EXPECT_TRUE(module) << problem.getMessage().str();
    return std::string(checkBitcode(*bitcode, *module, "x86-64-v3").message());
  }

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> bitcode;
};

TEST_F(Links, WhatFits) { EXPECT_EQ(error("declare float @qk_sum(ptr, i64)"), ""); }

TEST_F(Links, NoCallsOfAnotherType) {
  EXPECT_THAT(error("declare float @qk_sum(ptr, i32)"),
              HasSubstr("generated code calls qk_sum as float (ptr, i32), where float qk_sum(const "
                        "float *x, int64_t n) is declared"));
  EXPECT_THAT(error("declare void @qk_sum(ptr, i64)"), HasSubstr("as void (ptr, i64)"));
  EXPECT_THAT(error("declare float @qk_product(ptr, i64)"),
              HasSubstr("there is no microkernel 'qk_product'"));
}

TEST_F(Links, NoBitcodeWithoutASymbol) {
  bitcode->getFunction("qk_note_time")->setName("qk_note");
  EXPECT_THAT(error(""), HasSubstr("the microkernels of x86-64-v3 have no qk_note_time"));
}

TEST_F(Links, NoBitcodeOfAnotherType) {
  bitcode->getFunction("qk_sum")->setName("qk_total");
  bitcode->getFunction("qk_note_time")->setName("qk_sum");
  bitcode->getFunction("qk_total")->setName("qk_note_time");
  EXPECT_THAT(error(""), HasSubstr("in the microkernels of x86-64-v3 qk_sum has the type void "
                                   "(ptr, i32, i64), where float qk_sum(const float *x, int64_t "
                                   "n) is declared"));
}

TEST_F(Links, NoBitcodeWhoseStructsHaveOtherFields) {
  llvm::GlobalVariable *fields = bitcode->getNamedGlobal("qk_fields_QkSoftmax");
  ASSERT_TRUE(fields);
  fields->setName("qk_fields_before");
  auto *swapped = llvm::ConstantDataArray::getString(context, "float * sum; float * max; ");
  new llvm::GlobalVariable(*bitcode, swapped->getType(), true, llvm::GlobalValue::ExternalLinkage,
                           swapped, "qk_fields_QkSoftmax");
  EXPECT_THAT(error(""), HasSubstr("QkSoftmax with the fields 'float * sum; float * max; ', where "
                                   "the compiler has 'float * max; float * sum; int64_t step; "));
}

} // namespace
} // namespace quern::cpu
