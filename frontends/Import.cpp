#include "frontends/Import.h"

#include "frontends/EncodeEntry.h"
#include "frontends/ModelFile.h"
#include "frontends/gguf/GgufModel.h"
#include "frontends/hf/GraphEncoder.h"
#include "frontends/hf/HfModel.h"
#include "frontends/hf/WeightFiles.h"
#include "frontends/onnx/CheckModel.h"
#include "frontends/onnx/lowering/Lowering.h"
#include "frontends/recipe/Builder.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string_view>

namespace quern {

namespace {

namespace fs = std::filesystem;

constexpr char kWhatModelsAre[] =
    "a model is a .gguf file, a folder with config.json and safetensors, a config.json with "
    "--synthetic SEED, or an .onnx file";

bool begins_with_gguf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 4> magic{};
  return file.read(magic.data(), magic.size()) &&
         std::string_view(magic.data(), magic.size()) == "GGUF";
}

/// The file with this ending of a folder that has one and no config.json: a split .gguf counts as
/// its first. Empty where there is none, and a problem where it is not clear which.
std::string find_only(const fs::path &folder, const std::string &ending, Problems &problems) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    static const std::regex other_part(".*-[0-9]{5}-of-[0-9]{5}\\.gguf");
    if (absl::EndsWithIgnoreCase(name, ending) &&
        (!std::regex_match(name, other_part) || absl::StrContains(name, "-00001-of-")))
      files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  if (files.size() > 1)
    problems.add(folder.string(),
                 absl::StrCat("the folder has several models: ", absl::StrJoin(files, ", ")),
                 absl::StrCat("give one of these files, as ", (folder / files[0]).string()));
  return files.size() == 1 ? (folder / files[0]).string() : "";
}

/// Where `folder` is a model's in the Hugging Face cache (models--OWNER--NAME): the snapshot that
/// its main branch is at, or any other; empty where it is none such.
std::string find_snapshot(const fs::path &folder) {
  std::error_code error;
  const auto is_snapshot = [&](const fs::path &path) {
    return fs::exists(path / "config.json", error) || fs::is_directory(path, error);
  };
  std::string hash;
  std::ifstream(folder / "refs" / "main") >> hash;
  const fs::path snapshots = folder / "snapshots";
  if (!hash.empty() && is_snapshot(snapshots / hash))
    return (snapshots / hash).string();
  std::vector<std::string> found;
  for (fs::directory_iterator entry(snapshots, error), end; !error && entry != end;
       entry.increment(error))
    if (is_snapshot(entry->path()))
      found.push_back(entry->path().string());
  std::sort(found.begin(), found.end());
  return found.empty() ? "" : found.front();
}

/// Equal for the same weights, as good as surely: their types, shapes and some of their bytes.
uint64_t hash_weights(const onnx::Model &model) {
  constexpr uint64_t kSome = 4096;
  uint64_t hash = 0;
  const auto mix = [&](const void *data, size_t size) {
    hash = XXH3_64bits_withSeed(data, size, hash);
  };
  for (const onnx::Value &value : model.values) {
    if (!value.constant || value.constant->storage != onnx::Storage::File)
      continue;
    const onnx::Tensor &tensor = *value.constant;
    mix(value.name.data(), value.name.size());
    mix(tensor.shape.data(), tensor.shape.size() * sizeof(int64_t));
    const uint64_t some = std::min(kSome, tensor.size);
    for (const uint64_t at : {tensor.offset, tensor.offset + tensor.size - some})
      if (const auto bytes = model.files[static_cast<size_t>(tensor.file)]->range(at, some);
          bytes.ok())
        mix(bytes->data(), bytes->size());
  }
  return hash;
}

LoadedModel load_graph(const std::string &path, const ImportOptions &options, Problems &problems) {
  LoadedModel model;
  auto checked = onnx::check_model(path, options.dims, onnx::can_lower, problems);
  if (!checked)
    return model;
  model.notes = checked->notes;
  if (options.identify)
    model.weights_hash = hash_weights(checked->model);
  model.graph = std::make_shared<onnx::CheckedModel>(*std::move(checked));
  if (problems.empty())
    hf::read_graph_encoder(path, model);
  return model;
}

void refuse_dims(const ImportOptions &options, Problems &problems) {
  if (!options.dims.empty())
    problems.add("--dim", "it is for ONNX graphs, and this model is none", "leave it out");
}

/// The model of one file, by its name or, of a .gguf, by how it begins.
LoadedModel load_file(const std::string &path, const ImportOptions &options, Problems &problems) {
  if (absl::EndsWithIgnoreCase(path, ".onnx")) {
    if (options.context)
      problems.add("-c", "it is for models of text, and this is a graph",
                   "--dim NAME=MAX bounds a dimension of a graph");
    return load_graph(path, options, problems);
  }
  refuse_dims(options, problems);
  if (absl::EndsWithIgnoreCase(path, ".gguf") || begins_with_gguf(path))
    return gguf::load_model(path, options, problems);
  if (absl::EndsWithIgnoreCase(path, ".json"))
    return hf::load_model(path, options, problems);
  if (absl::EndsWith(path, ".safetensors"))
    problems.add(path, "these are weights alone, which do not say what to do with them",
                 absl::StrCat("give the folder with the model's config.json: ",
                              fs::path(path).has_parent_path()
                                  ? fs::path(path).parent_path().string()
                                  : std::string(".")));
  else if (absl::EndsWith(path, ".pth"))
    problems.add(path,
                 "these are weights in PyTorch's pickle format, which runs code when it is read",
                 hf::pth_hint(path));
  else
    problems.add(path, "this is not a model that Quern reads", kWhatModelsAre);
  return {};
}

LoadedModel load(const std::string &path, const ImportOptions &options, Problems &problems) {
  if (options.context && (*options.context < 1 || *options.context > recipe::kMaxContext)) {
    problems.add("-c", absl::StrCat(*options.context, " is not in 1..", recipe::kMaxContext),
                 "-c takes the tokens of the longest sequence there will be");
    return {};
  }
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const std::string part = unfinished_download(path);
    if (part.empty())
      problems.add(path, "there is no such file or folder", kWhatModelsAre);
    else
      problems.add(path,
                   absl::StrCat("there is no such file, and there is ", part,
                                ": its download was interrupted, or still runs"),
                   "finish the download, or download it again");
    return {};
  }
  if (fs::is_directory(status)) {
    if (fs::exists(fs::path(path) / "config.json", error)) {
      refuse_dims(options, problems);
      return hf::load_model(path, options, problems);
    }
    for (const char *ending : {".gguf", ".onnx"}) {
      const std::string file = find_only(path, ending, problems);
      if (!file.empty()) {
        LoadedModel model = load_file(file, options, problems);
        model.notes.insert(model.notes.begin(), absl::StrCat(file, " is read, the folder's model"));
        return model;
      }
      if (!problems.empty())
        return {};
    }
    if (const std::string adapter = hf::adapter_text(path); !adapter.empty())
      problems.add(path, absl::InvalidArgumentError(absl::StrCat("the folder ", adapter)));
    else if (const std::string snapshot = find_snapshot(path); !snapshot.empty())
      problems.add(path,
                   "this is a folder of the Hugging Face cache, with a model's snapshots in it",
                   absl::StrCat("give the snapshot: ", snapshot));
    else if (const std::string file = hf::find_pth(path); !file.empty())
      problems.add(path,
                   absl::StrCat("the folder has no config.json, and its weights (", file,
                                ") are in PyTorch's pickle format, which runs code when it is "
                                "read"),
                   hf::pth_hint(file));
    else
      problems.add(path, "the folder has no config.json", kWhatModelsAre);
    return {};
  }
  if (!fs::is_regular_file(status)) { // opening a pipe would wait for its writer
    problems.add(path, "this is no regular file", kWhatModelsAre);
    return {};
  }
  return load_file(path, options, problems);
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

namespace {

/// The module of a loaded model and what is known of it; the error is what does not verify. Of a
/// graph, nodes that are not lowered are problems, and there is no module then.
absl::StatusOr<ImportedModel> built(LoadedModel loaded, mlir::MLIRContext &context,
                                    Problems &problems) {
  ImportedModel model;
  if (loaded.graph) {
    context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
    model.module = onnx::lower(loaded.graph->model, loaded.graph->inference, loaded.graph->bounds,
                               context, problems, loaded.notes);
    model.notes = loaded.notes;
    if (!model.module)
      return model;
    if (loaded.decoder.encoding)
      add_encode_entry(*model.module, loaded);
  } else {
    model.module = recipe::build(loaded.decoder, loaded.source, context);
  }
  std::string why;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", diagnostic.str());
  });
  if (mlir::failed(mlir::verify(*model.module)))
    return absl::InternalError(absl::StrCat("the imported module does not verify: ", why));
  model.family = loaded.graph ? "onnx" : loaded.decoder.family;
  model.tokenizer = std::move(loaded.tokenizer);
  model.vocab = loaded.decoder.vocab;
  model.context = loaded.decoder.context;
  model.hidden = loaded.decoder.hidden;
  model.layers = static_cast<int64_t>(loaded.decoder.layers.size());
  model.source_hash = hash_ops(*model.module, loaded.weights_hash);
  model.encodes = loaded.decoder.encoding.has_value();
  model.encoder = std::move(loaded.encoder);
  model.notes = std::move(loaded.notes);
  return model;
}

} // namespace

absl::StatusOr<ImportedModel> import_model(const std::string &path, const ImportOptions &options,
                                           mlir::MLIRContext &context) {
  Problems problems;
  LoadedModel loaded = load(path, options, problems);
  if (!problems.empty())
    return problems.status();
  absl::StatusOr<ImportedModel> model = built(std::move(loaded), context, problems);
  if (!problems.empty())
    return problems.status();
  if (!model.ok())
    return absl::Status(model.status().code(),
                        absl::StrCat(path, ": ", std::string(model.status().message())));
  return model;
}

ExaminedModel examine_model(const std::string &path, const ImportOptions &options,
                            mlir::MLIRContext &context) {
  Problems problems;
  LoadedModel loaded = load(path, options, problems);
  ExaminedModel examined;
  std::vector<std::string> notes = loaded.notes;
  const bool sound = problems.empty();
  if (sound || (!loaded.decoder.layers.empty() && recipe::make_sound(loaded.decoder))) {
    if (!sound)
      loaded.source = recipe::made_up_like(recipe::tensors(loaded.decoder), loaded.formats);
    absl::StatusOr<ImportedModel> model = built(std::move(loaded), context, problems);
    if (model.ok()) {
      notes = model->notes;
      examined.model = *std::move(model);
    } else if (sound) {
      problems.add(path, model.status());
    }
  }
  examined.model.notes = std::move(notes);
  examined.problems = problems.list();
  return examined;
}

std::vector<Problem> check_model(const std::string &path, const ImportOptions &options) {
  Problems problems;
  LoadedModel loaded = load(path, options, problems);
  if (problems.empty() && loaded.graph) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    if (const auto model = built(std::move(loaded), context, problems); !model.ok())
      problems.add(path, model.status());
  }
  return problems.list();
}

} // namespace quern
