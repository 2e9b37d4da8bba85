// See CpuCodegen.h.
#include "codegen/cpu/CpuCodegen.h"

#include "codegen/CodeCache.h"
#include "codegen/cpu/Backend.h"
#include "codegen/cpu/Bucket.h"
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/Stopwatch.h"
#include "passes/analysis/Entries.h"
#include "runtime/abi/Variants.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "llvm/Config/llvm-config.h"

#include <absl/strings/str_cat.h>

#include <atomic>
#include <thread>

using namespace mlir;

namespace quern::cpu {

namespace {

/// A variant's level as LLVM has it, and what Quern asks for beyond that.
struct Level {
  std::string_view variant, cpu, features;
};
constexpr Level kLevels[] = {{"x86-64-v3", "x86-64-v3", ""},
                             {"x86-64-v4", "x86-64-v4", "+avx512vnni"},
                             {"amx", "x86-64-v4", "+avx512vnni,+amx-tile,+amx-bf16"}};

} // namespace

const std::vector<Variant> &variants() {
  static const std::vector<Variant> all = [] {
    std::vector<Variant> made;
    for (const CpuVariant &known : llvm::reverse(kCpuVariants)) {
      const Level &level = *llvm::find_if(
          kLevels, [&](const Level &candidate) { return candidate.variant == known.name; });
      made.push_back({std::string(known.name),
                      std::string(level.cpu),
                      std::string(level.features),
                      {known.features.begin(), known.features.end()}});
    }
    return made;
  }();
  return all;
}

const Variant *findVariant(std::string_view name) {
  for (const Variant &variant : variants())
    if (variant.name == name)
      return &variant;
  return nullptr;
}

namespace {

/// The kernels and the buckets' functions as MLIR. They do not depend on the variant.
absl::StatusOr<OwningOpRef<ModuleOp>> generateKernels(ModuleOp planned) {
  MLIRContext *context = planned.getContext();
  context->loadDialect<arith::ArithDialect, scf::SCFDialect, cf::ControlFlowDialect,
                       LLVM::LLVMDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(planned.getLoc());
  Code code(*module, UnknownLoc::get(context));

  // A kernel is generated once for all buckets of many tokens, and once for single ones.
  constexpr const char *kNames[] = {".many", ".one", ".last"};
  llvm::StringMap<LLVM::LLVMFuncOp> functions;
  auto kernelFor = [&](KernelOp op, Form form) -> LLVM::LLVMFuncOp {
    std::string name = absl::StrCat(op.getSymName().str(), kNames[static_cast<int>(form)]);
    auto [entry, fresh] = functions.try_emplace(name);
    if (!fresh)
      return entry->second;
    OpBuilder::InsertionGuard guard(code.b);
    LLVM::LLVMFuncOp outer = code.function;
    Kernel kernel(code, op, name, form);
    LLVM::LLVMFuncOp function = code.function;
    LogicalResult result = kernel.generate();
    code.function = outer;
    if (failed(result))
      return nullptr;
    return functions[name] = function;
  };
  const SymbolTable symbols(planned);
  for (auto bucket : planned.getOps<func::FuncOp>())
    if (bucket->hasAttr(attrs::kBucket) && failed(generateBucket(code, symbols, bucket, kernelFor)))
      return absl::InternalError("code generation failed; see the diagnostics above");
  if (!code.error.ok())
    return code.error;
  return module;
}

/// Does `job(i)` for all i in [0, count) on `threads` threads at most.
void inParallel(size_t count, int threads, const std::function<void(size_t)> &job) {
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i = next++; i < count; i = next++)
      job(i);
  };
  std::vector<std::jthread> others;
  for (size_t i = 1; i < std::min(count, static_cast<size_t>(std::max(threads, 1))); ++i)
    others.emplace_back(work);
  work();
}

/// A variant that is not in the cache.
struct Missing {
  size_t index; // of the variant
  std::string key;
  absl::StatusOr<std::string> object;
  std::vector<std::pair<std::string, double>> steps;
};

} // namespace

absl::Status check(ModuleOp planned) { return generateKernels(planned).status(); }

absl::StatusOr<std::vector<std::string>>
generate(ModuleOp planned, std::span<const Variant *const> variants, const Options &options) {
  Stopwatch watch(options);
  auto module = generateKernels(planned);
  if (!module.ok())
    return module.status();
  watch.took("kernels");
  if (options.emit) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    (*module)->print(stream);
    options.emit("kernels.mlir", text);
  }
  auto bitcode = lowerToBitcode(**module);
  if (!bitcode.ok())
    return bitcode.status();
  watch.took("lowering");

  // Texts are made along the way, and what the cache has came another.
  const codegen::CodeCache cache(options.emit ? "" : options.cache);
  std::vector<std::string> objects(variants.size());
  std::vector<Missing> missing;
  for (auto [i, variant] : llvm::enumerate(variants)) {
    const std::string_view parts[] = {variant->name,       variant->cpu,          variant->features,
                                      LLVM_VERSION_STRING, variant->microkernels, *bitcode};
    std::string key = codegen::CodeCache::key(parts);
    if (auto found = cache.find(key)) {
      objects[i] = *std::move(found);
      watch.took(variant->name + ": from the cache");
    } else {
      missing.push_back({i, std::move(key), "", {}});
    }
  }
  inParallel(missing.size(), options.emit ? 1 : options.threads, [&](size_t i) {
    Options own;
    own.emit = options.emit;
    own.took = [&](std::string_view step, double seconds) {
      missing[i].steps.emplace_back(step, seconds);
    };
    missing[i].object = compileObject(*bitcode, *variants[missing[i].index], own);
  });
  for (Missing &made : missing) {
    if (!made.object.ok())
      return made.object.status();
    const std::string &name = variants[made.index]->name;
    if (options.took)
      for (const auto &[step, seconds] : made.steps)
        options.took(absl::StrCat(name, ": ", step), seconds);
    Stopwatch linking(options);
    auto linked = linkShared(*made.object);
    if (!linked.ok())
      return linked.status();
    linking.took(absl::StrCat(name, ": linking"));
    cache.keep(made.key, *linked);
    objects[made.index] = *std::move(linked);
  }
  return objects;
}

} // namespace quern::cpu
