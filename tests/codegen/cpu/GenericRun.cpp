// See GenericRun.h.
#include "tests/codegen/cpu/GenericRun.h"

#include "codegen/cpu/CpuCodegen.h"
#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "runtime/abi/StepArgs.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Object/ELFObjectFile.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace quern::test {
namespace {

/// A planned module with a bucket for each kernel that runs it once, on its inputs and results
/// alone.
mlir::OwningOpRef<mlir::ModuleOp> plan(mlir::MLIRContext &context, const std::string &text,
                                       const std::string &sizes) {
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  // Aliases stand before the module.
  const size_t start = text.find("\nquern.");
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      absl::StrCat(text.substr(0, start),
                   "\nmodule attributes {quern.target = \"cpu\", quern.sizes = {", sizes,
                   "}, quern.counted_sizes = {n = \"a*b\"}} {", text.substr(start), "\n}"),
      &context);
  if (!module)
    return module;
  for (KernelOp kernel : llvm::make_early_inc_range(module->getOps<KernelOp>())) {
    mlir::OpBuilder b(kernel);
    b.setInsertionPointAfter(kernel);
    mlir::Location loc = kernel.getLoc();
    auto bucket = mlir::func::FuncOp::create(b, loc, ("main." + kernel.getSymName()).str(),
                                             kernel.getFunctionType());
    bucket->setAttr(attrs::kEntry, b.getStringAttr("main"));
    bucket->setAttr(attrs::kBucket, kernel.getSymNameAttr());
    bucket->setAttr(attrs::kMaxTokens, b.getI64IntegerAttr(2));
    bucket->setAttr(attrs::kArena, b.getI64IntegerAttr(0));
    bucket->setAttr(attrs::kBarriers, b.getI64IntegerAttr(0));
    b.setInsertionPointToStart(bucket.addEntryBlock());
    llvm::SmallVector<int64_t> offsets(kernel.getResultTypes().size(), -1);
    auto dispatch = DispatchOp::create(
        b, loc, kernel.getResultTypes(), mlir::FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
        bucket.getArguments(), b.getStringAttr("k"), b.getDenseI64ArrayAttr(offsets),
        mlir::IntegerAttr(), mlir::UnitAttr(), mlir::UnitAttr(), mlir::UnitAttr());
    mlir::func::ReturnOp::create(b, loc, dispatch.getResults());
  }
  return module;
}

/// Names that the code expects of others.
std::vector<std::string> undefinedIn(const std::string &object) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, "code"));
  EXPECT_TRUE(static_cast<bool>(file));
  std::vector<std::string> names;
  for (auto symbol :
       llvm::cast<llvm::object::ELFObjectFileBase>(**file).getDynamicSymbolIterators())
    if (*symbol.getFlags() & llvm::object::BasicSymbolRef::SF_Undefined)
      names.push_back(symbol.getName()->str());
  return names;
}

} // namespace

std::unique_ptr<GenericRun> GenericRun::create(const std::string &text, const std::string &sizes,
                                               const std::string &variant) {
  mlir::MLIRContext context;
  auto module = plan(context, text, sizes);
  if (!module) {
    ADD_FAILURE() << "does not parse:\n" << text;
    return nullptr;
  }
  const cpu::Variant *target = cpu::findVariant(variant);
  cpu::Options options;
  const char *folder = std::getenv("QUERN_TEST_EMIT");
  if (folder)
    options.emit = [&](std::string_view name, std::string_view text) {
      std::error_code error;
      llvm::raw_fd_ostream(std::string(folder) + "/" + std::string(name), error) << text;
    };
  auto objects = cpu::generate(*module, {&target, 1}, options);
  if (!objects.ok()) {
    ADD_FAILURE() << objects.status() << "\n" << text;
    return nullptr;
  }
  // Code brings all that it calls but what every process has.
  for (const std::string &name : undefinedIn(objects->front()))
    if (name != "memcpy" && name != "memset" && !name.empty())
      ADD_FAILURE() << "calls " << name << ":\n" << text;
  auto run = std::make_unique<GenericRun>();
  auto code = device::CodeObject::load(
      {reinterpret_cast<const uint8_t *>(objects->front().data()), objects->front().size()}, "k");
  if (!code.ok()) {
    ADD_FAILURE() << code.status();
    return nullptr;
  }
  run->code_ = *std::move(code);
  return run;
}

std::string GenericRun::refusal(const std::string &text, const std::string &sizes) {
  mlir::MLIRContext context;
  auto module = plan(context, text, sizes);
  if (!module)
    return "does not parse";
  std::string said;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    absl::StrAppend(&said, diagnostic.str(), "\n");
    return mlir::success();
  });
  EXPECT_EQ(cpu::check(*module).ok(), said.empty());
  return said;
}

std::vector<Bytes> GenericRun::run(const std::string &kernel, const std::vector<Bytes> &inputs,
                                   const std::vector<size_t> &results,
                                   const std::vector<int64_t> &sizes, int workers,
                                   QuernFault *fault, std::vector<int64_t> *after) const {
  constexpr size_t kBehind = 64;
  constexpr uint8_t kMark = 0xa5;
  std::vector<const void *> in;
  for (const Bytes &input : inputs)
    in.push_back(input.data());
  std::vector<Bytes> made;
  std::vector<void *> out;
  for (size_t bytes : results)
    made.emplace_back(bytes + kBehind, kMark);
  for (Bytes &result : made)
    out.push_back(result.data());
  QuernBarrier barrier{};
  QuernStepArgs args{};
  args.inputs = in.data();
  args.outputs = out.data();
  args.barrier = &barrier;
  std::vector<int64_t> dims = sizes;
  args.dims = dims.data();
  QuernFault found{};
  args.fault = &found;
  auto function = reinterpret_cast<QuernBucketFn>(code_->function("quern_main_" + kernel));
  {
    std::vector<std::jthread> others;
    for (int worker = 1; worker < workers; ++worker)
      others.emplace_back([&, worker] { function(&args, worker, workers); });
    function(&args, 0, workers);
  }
  if (fault)
    *fault = found;
  else
    EXPECT_EQ(found.found, 0u) << kernel << ": fault " << found.value << " of " << found.limit;
  if (after)
    *after = dims;
  for (Bytes &result : made) {
    EXPECT_TRUE(std::all_of(result.end() - kBehind, result.end(), [](uint8_t byte) {
      return byte == kMark;
    })) << "writes behind its result";
    result.resize(result.size() - kBehind);
  }
  return made;
}

void GenericRun::run(const std::string &kernel, const std::vector<const void *> &inputs,
                     const std::vector<void *> &results, const std::vector<int64_t> &sizes) const {
  QuernBarrier barrier{};
  QuernStepArgs args{};
  args.inputs = inputs.data();
  args.outputs = results.data();
  args.barrier = &barrier;
  std::vector<int64_t> dims = sizes;
  args.dims = dims.data();
  reinterpret_cast<QuernBucketFn>(code_->function("quern_main_" + kernel))(&args, 0, 1);
}

} // namespace quern::test
