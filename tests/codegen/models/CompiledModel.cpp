// See CompiledModel.h.
#include "tests/codegen/models/CompiledModel.h"

#include "codegen/artifact/Plan.h"
#include "codegen/artifact/Writer.h"
#include "codegen/cpu/CpuCodegen.h"
#include "codegen/cuda/CudaTarget.h"
#include "compiler/pipeline/Pipeline.h"
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"
#include "passes/target/Target.h"
#include "tests/support/Variants.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"

#include <absl/strings/str_split.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace quern::test {

static const codegen::VariantInfo *cudaVariant(const std::string &name) {
  static const cuda::CudaTarget target;
  const auto all = target.variants();
  const auto found = std::ranges::find(all, name, &codegen::VariantInfo::name);
  return found == all.end() ? nullptr : &*found;
}

/// The targets of the variants, each once, in their order.
static std::vector<std::string> targetsOf(const std::vector<std::string> &variants) {
  std::vector<std::string> targets;
  for (const std::string &variant : variants)
    if (const char *target = cudaVariant(variant) ? "cuda" : "cpu";
        targets.empty() || targets.back() != target)
      targets.push_back(target);
  return targets;
}

/// The variant as this machine can run it: over emulated instructions where the CPU lacks them.
static cpu::Variant runnable(const std::string &name) {
  cpu::Variant variant = *cpu::findVariant(name);
  if (test::whyNotRun(name).empty())
    return variant;
  std::string stem = name;
  std::ranges::replace(stem, '-', '_');
  const std::string path =
      QUERN_BINARY_DIR "/codegen/cpu/microkernels/microkernels-" + stem + "_emulated.bc";
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  const cpu::Variant &base = *cpu::findVariant("x86-64-v3");
  return {.name = name + "-emulated",
          .cpu = base.cpu,
          .features = base.features,
          .required = base.required,
          .microkernels = {std::istreambuf_iterator<char>(file), {}}};
}

std::string CompiledModel::whyNotRun(const std::string &variant, bool emulate) {
  if (cudaVariant(variant))
    return cuda::CudaTarget().available().ok() ? "" : "there is no NVRTC (scripts/get-nvrtc)";
  const std::string_view emulated[] = {"x86-64-v4", "amx"};
  if (emulate && std::ranges::find(emulated, variant) != std::end(emulated))
    return test::whyNotRun("x86-64-v3");
  return test::whyNotRun(variant);
}

std::unique_ptr<CompiledModel>
CompiledModel::create(const std::string &text, const std::string &quant, const std::string &names,
                      Windows windows, const std::string &kv, const std::string &without,
                      const Limits &limits) {
  auto model = begin(text);
  if (model)
    model->limits_ = limits;
  const std::vector<std::string> variants = absl::StrSplit(names, ',');
  if (!model || !model->plan(targetsOf(variants), quant, windows, kv, without) ||
      !model->compile(variants))
    return nullptr;
  return model;
}

std::unique_ptr<CompiledModel> CompiledModel::plan(const std::string &text,
                                                   const std::string &quant, const std::string &kv,
                                                   const std::string &target) {
  auto model = begin(text);
  if (!model || !model->plan({target}, quant, Windows::kept, kv, ""))
    return nullptr;
  return model;
}

std::unique_ptr<CompiledModel> CompiledModel::begin(const std::string &text) {
  auto model = std::make_unique<CompiledModel>();
  static int number = 0;
  model->folder_ = (std::filesystem::temp_directory_path() /
                    ("quern-codegen-" + std::to_string(getpid()) + "-" + std::to_string(number++)))
                       .string();
  std::filesystem::create_directories(model->folder_);
  model->context_ = std::make_unique<mlir::MLIRContext>();
  model->context_->loadDialect<QuernDialect, mlir::func::FuncDialect>();
  if (!(text.ends_with(".mlir") ? model->parse(text) : model->import(text)))
    return nullptr;
  return model;
}

bool CompiledModel::import(const std::string &config) {
  std::string path = folder_ + "/config.json";
  std::ofstream(path) << config;
  ImportOptions options;
  options.synthetic = 5;
  auto imported = import_model(path, options, *context_);
  if (!imported.ok()) {
    ADD_FAILURE() << imported.status();
    return false;
  }
  vocab_ = imported->vocab;
  length_ = imported->context;
  imported_ = std::move(imported->module);
  return true;
}

bool CompiledModel::parse(const std::string &module) {
  imported_ = mlir::parseSourceFile<mlir::ModuleOp>(
      QUERN_SOURCE_DIR "/tests/codegen/models/modules/" + module, context_.get());
  if (!imported_) {
    ADD_FAILURE() << module << " does not parse";
    return false;
  }
  auto model = imported_.get()->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel);
  vocab_ = model.getAs<mlir::IntegerAttr>(attrs::kModelVocab).getInt();
  length_ = model.getAs<mlir::IntegerAttr>(attrs::kModelContext).getInt();
  return true;
}

bool CompiledModel::plan(const std::vector<std::string> &targets, const std::string &quant,
                         Windows windows, const std::string &kv, const std::string &without) {
  PipelineOptions options;
  options.quant = quant;
  options.kv = kv;
  options.without = without;
  options.max_tokens = limits_.tokens;
  options.max_seqs = limits_.seqs;
  mlir::Builder builder(context_.get());
  for (const std::string &target : targets) {
    mlir::ModuleOp module = *planned_.emplace_back(imported_->clone());
    module->setAttr(attrs::kTarget, builder.getStringAttr(target));
    if (targets.size() > 1)
      module->setAttr(attrs::kTargets,
                      builder.getStrArrayAttr(llvm::to_vector_of<llvm::StringRef>(targets)));
    if (mlir::failed(runTo(module, Phase::order, options))) {
      ADD_FAILURE() << "the pipeline failed";
      return false;
    }
    if (windows == Windows::ignored) {
      auto kept = module->getAttrOfType<mlir::DenseI64ArrayAttr>(attrs::kKvWindows);
      std::vector<int64_t> all(static_cast<size_t>(kept.size()), 0);
      module->setAttr(attrs::kKvWindows, mlir::DenseI64ArrayAttr::get(context_.get(), all));
    }
  }
  return true;
}

bool CompiledModel::compile(const std::vector<std::string> &variants) {
  artifact::Contents contents;
  for (const auto &module : planned_)
    contents.planned.push_back(*module);
  std::vector<std::string> ofCuda;
  for (const std::string &variant : variants) {
    absl::StatusOr<std::vector<std::string>> code;
    if (const codegen::VariantInfo *known = cudaVariant(variant)) {
      contents.extras.variants.push_back({"cuda", variant, known->required});
      ofCuda.push_back(variant);
      if (variant != variants.back())
        continue; // together, as a compile has them: PTX is made once
      codegen::GenerateOptions options;
      options.threads = 2;
      options.cache = QUERN_BINARY_DIR "/tests/cuda-code"; // tests have kernels in common
      code = cuda::CudaTarget().generate(*planned_.back(), ofCuda, options);
    } else {
      const cpu::Variant made = runnable(variant), *target = &made;
      emulated_ |= made.name != variant;
      code = cpu::generate(*planned_.front(), {&target, 1}, {});
      contents.extras.variants.push_back({"cpu", target->name, target->required});
    }
    if (!code.ok()) {
      ADD_FAILURE() << code.status();
      return false;
    }
    contents.code.insert(contents.code.end(), code->begin(), code->end());
  }
  contents.extras.producer = "test";
  contents.extras.context = length_;
  contents.extras.max_tokens = limits_.tokens;
  contents.extras.max_seqs = limits_.seqs;
  artifact_ = folder_ + "/model.quern";
  auto file = artifact::AtomicFile::create(artifact_);
  if (!file.ok()) {
    ADD_FAILURE() << file.status();
    return false;
  }
  auto written = artifact::write_artifact(contents, weights::WeightStore(), **file, {});
  if (!written.ok()) {
    ADD_FAILURE() << written.status();
    return false;
  }
  return true;
}

CompiledModel::~CompiledModel() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<session::Engine> CompiledModel::engine(int threads, uint64_t ctx,
                                                       const std::string &device) const {
  const bool cpu = target::of(module()).name == "cpu";
  auto engine = session::Engine::open(artifact_, {.device = !device.empty() ? device
                                                            : cpu           ? "cpu"
                                                                            : "ptx",
                                                  .ctx = ctx,
                                                  .slots = limits_.slots,
                                                  .threads = threads});
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? std::move(*engine) : nullptr;
}

static std::unique_ptr<reference::Interpreter> interpret(mlir::ModuleOp module, bool float64) {
  reference::Interpreter::Options options;
  options.float64 = float64;
  auto interpreter = reference::Interpreter::create(module, options);
  EXPECT_TRUE(interpreter.ok()) << interpreter.status();
  return interpreter.ok() ? std::move(*interpreter) : nullptr;
}

std::unique_ptr<reference::Interpreter> CompiledModel::planned() const {
  return interpret(module(), false);
}

std::unique_ptr<reference::Interpreter> CompiledModel::imported() const {
  return interpret(*imported_, true);
}

std::vector<float> feed(session::Engine &engine, session::SlotId slot,
                        std::span<const int32_t> tokens, size_t chunk) {
  std::vector<float> logits(tokens.size() * engine.vocab());
  for (size_t at = 0; at < tokens.size(); at += chunk) {
    const session::SequenceStep step{slot, tokens.subspan(at, std::min(chunk, tokens.size() - at)),
                                     session::Rows::all};
    auto status = engine.step({&step, 1}, std::span(logits).subspan(at * engine.vocab()));
    EXPECT_TRUE(status.ok()) << status;
  }
  return logits;
}

std::vector<float> feed(session::Engine &engine, std::span<const int32_t> tokens, size_t chunk) {
  auto slot = engine.create_slot();
  EXPECT_TRUE(slot.ok()) << slot.status();
  auto logits = feed(engine, *slot, tokens, chunk);
  EXPECT_TRUE(engine.free_slot(*slot).ok());
  return logits;
}

} // namespace quern::test
