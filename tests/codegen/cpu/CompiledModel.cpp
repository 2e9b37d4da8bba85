// See CompiledModel.h.
#include "tests/codegen/cpu/CompiledModel.h"

#include "codegen/artifact/Plan.h"
#include "codegen/artifact/Writer.h"
#include "codegen/cpu/CpuCodegen.h"
#include "compiler/pipeline/Pipeline.h"
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace quern::test {

std::unique_ptr<CompiledModel> CompiledModel::create(const std::string &config,
                                                     const std::string &quant,
                                                     const std::string &variant) {
  auto model = std::make_unique<CompiledModel>();
  static int number = 0;
  model->folder_ = (std::filesystem::temp_directory_path() /
                    ("quern-codegen-" + std::to_string(getpid()) + "-" + std::to_string(number++)))
                       .string();
  model->variant_ = variant;
  std::filesystem::create_directories(model->folder_);
  std::string path = model->folder_ + "/config.json";
  std::ofstream(path) << config;

  model->context_ = std::make_unique<mlir::MLIRContext>();
  model->context_->loadDialect<QuernDialect, mlir::func::FuncDialect>();
  ImportOptions import;
  import.synthetic = 5;
  auto imported = importModel(path, import, *model->context_);
  if (!imported.ok()) {
    ADD_FAILURE() << imported.status();
    return nullptr;
  }
  model->vocab_ = imported->vocab;
  model->imported_ = std::move(imported->module);
  model->planned_ = model->imported_->clone();
  PipelineOptions options;
  options.quant = quant;
  options.max_tokens = 64;
  options.max_seqs = 4;
  if (mlir::failed(runTo(*model->planned_, Phase::plan, options))) {
    ADD_FAILURE() << "the pipeline failed";
    return nullptr;
  }

  const cpu::Variant *target = cpu::findVariant(variant);
  auto code = cpu::generate(*model->planned_, *target, {});
  if (!code.ok()) {
    ADD_FAILURE() << code.status();
    return nullptr;
  }
  artifact::Contents contents;
  contents.planned = *model->planned_;
  contents.extras.producer = "test";
  contents.extras.context = imported->context;
  contents.extras.max_tokens = options.max_tokens;
  contents.extras.max_seqs = options.max_seqs;
  contents.extras.variants.push_back({target->name, target->required});
  contents.code.push_back(*code);
  model->artifact_ = model->folder_ + "/model.quern";
  auto file = artifact::AtomicFile::create(model->artifact_);
  if (!file.ok()) {
    ADD_FAILURE() << file.status();
    return nullptr;
  }
  auto written = artifact::write_artifact(contents, weights::WeightStore(), **file, {});
  if (!written.ok()) {
    ADD_FAILURE() << written.status();
    return nullptr;
  }
  auto opened = session::Engine::open(model->artifact_, {.ctx = 64, .threads = 1});
  model->runs_ = opened.ok();
  if (!opened.ok())
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition) << opened.status();
  return model;
}

CompiledModel::~CompiledModel() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<session::Engine> CompiledModel::engine(int threads) const {
  auto engine = session::Engine::open(artifact_, {.ctx = 256, .slots = 4, .threads = threads});
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
  return interpret(*planned_, false);
}

std::unique_ptr<reference::Interpreter> CompiledModel::imported() const {
  return interpret(*imported_, true);
}

} // namespace quern::test
