#include "frontends/Import.h"

#include "frontends/gguf/GgufModel.h"
#include "frontends/hf/HfModel.h"
#include "frontends/recipe/Builder.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace quern {

namespace {

namespace fs = std::filesystem;

constexpr char kWhatModelsAre[] = "a model is a .gguf file, a folder with config.json and "
                                  "safetensors, or a config.json with --synthetic SEED";

bool begins_with_gguf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 4> magic{};
  return file.read(magic.data(), magic.size()) &&
         std::string_view(magic.data(), magic.size()) == "GGUF";
}

LoadedModel load(const std::string &path, const ImportOptions &options, Problems &problems) {
  if (options.context && (*options.context < 1 || *options.context > recipe::kMaxContext)) {
    problems.add("-c", absl::StrCat(*options.context, " is not in 1..", recipe::kMaxContext));
    return {};
  }
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    problems.add(path, "there is no such file or folder", kWhatModelsAre);
    return {};
  }
  if (fs::is_directory(status)) {
    if (fs::exists(fs::path(path) / "config.json", error))
      return hf::load_model(path, options, problems);
    problems.add(path, "the folder has no config.json", kWhatModelsAre);
    return {};
  }
  if (!fs::is_regular_file(status)) { // opening a pipe would wait for its writer
    problems.add(path, "this is no regular file", kWhatModelsAre);
    return {};
  }
  if (absl::EndsWithIgnoreCase(path, ".gguf") || begins_with_gguf(path))
    return gguf::load_model(path, options, problems);
  if (absl::EndsWithIgnoreCase(path, ".json"))
    return hf::load_model(path, options, problems);
  problems.add(path, "this is not a model that Quern reads", kWhatModelsAre);
  return {};
}

/// Hashes what the module does and leaves out where its files are and how long its sequences may
/// be, which are attributes of the module itself.
uint64_t hash_ops(mlir::ModuleOp module, uint64_t seed) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // One state for all: an op that is printed without looks at the whole module first.
  mlir::AsmState state(module, mlir::OpPrintingFlags().useLocalScope().assumeVerified());
  for (mlir::Operation &op : *module.getBody())
    op.print(stream, state);
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

} // namespace

absl::StatusOr<ImportedModel> importModel(const std::string &path, const ImportOptions &options,
                                          mlir::MLIRContext &context) {
  Problems problems;
  LoadedModel loaded = load(path, options, problems);
  if (!problems.empty())
    return problems.status();
  ImportedModel model;
  model.module = recipe::build(loaded.decoder, loaded.source, context);
  std::string why;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", diagnostic.str());
  });
  if (mlir::failed(mlir::verify(*model.module)))
    return absl::InternalError(absl::StrCat(path, ": the imported module does not verify: ", why));
  model.family = loaded.decoder.family;
  model.tokenizer = std::move(loaded.tokenizer);
  model.vocab = loaded.decoder.vocab;
  model.context = loaded.decoder.context;
  model.hidden = loaded.decoder.hidden;
  model.layers = static_cast<int64_t>(loaded.decoder.layers.size());
  model.source_hash = hash_ops(*model.module, loaded.weights_hash);
  model.notes = std::move(loaded.notes);
  return model;
}

std::vector<Problem> checkModel(const std::string &path, const ImportOptions &options,
                                std::vector<std::string> *notes) {
  Problems problems;
  LoadedModel loaded = load(path, options, problems);
  if (notes)
    *notes = std::move(loaded.notes);
  return problems.list();
}

} // namespace quern
