#include "frontends/hf/WeightFiles.h"

#include "frontends/ModelFile.h"
#include "frontends/hf/JsonText.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace quern::hf {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxIndexBytes = 100'000'000;
constexpr uint64_t kMaxAdapterConfigBytes = 1'000'000;
constexpr const char *kSingle = "model.safetensors";
constexpr const char *kIndex = "model.safetensors.index.json";

/// Names for a message: all of a few, the first of many.
std::string some(std::vector<std::string> names) {
  constexpr size_t kMost = 4;
  const size_t more = names.size() > kMost ? names.size() - kMost : 0;
  names.resize(names.size() - more);
  return absl::StrCat(absl::StrJoin(names, ", "),
                      more ? absl::StrCat(" and ", more, " more") : std::string());
}

bool is_adapter(const std::string &name) { return absl::StartsWith(name, "adapter_"); }
/// Mistral's own names of tensors, which no family here has.
bool is_consolidated(const std::string &name) { return absl::StartsWith(name, "consolidated"); }

struct Listing {
  std::vector<std::string> safetensors, ggufs, graphs, pickles, others, unfinished;
};

bool ends_with_any(const std::string &name, std::initializer_list<const char *> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](const char *suffix) { return absl::EndsWith(name, suffix); });
}

absl::StatusOr<Listing> list(const std::string &folder) {
  Listing found;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (absl::EndsWith(name, ".safetensors"))
      found.safetensors.push_back(name);
    else if (absl::EndsWithIgnoreCase(name, ".gguf"))
      found.ggufs.push_back(name);
    else if (ends_with_any(name, {".bin", ".pt", ".pth", ".ckpt"}))
      found.pickles.push_back(name);
    else if (absl::EndsWithIgnoreCase(name, ".onnx"))
      found.graphs.push_back(name);
    else if (ends_with_any(name, {".h5", ".msgpack"}))
      found.others.push_back(name);
    else if (ends_with_any(name, {".incomplete", ".part", ".partial", ".crdownload", ".aria2"}))
      found.unfinished.push_back(name);
  }
  if (failed)
    return absl::NotFoundError(
        absl::StrCat(folder, ": cannot list the folder: ", failed.message()));
  // Where optimum puts them in a repository that has other weights too.
  for (fs::directory_iterator entry(fs::path(folder) / "onnx", failed), end;
       !failed && entry != end; entry.increment(failed))
    if (absl::EndsWithIgnoreCase(entry->path().filename().string(), ".onnx"))
      found.graphs.push_back("onnx/" + entry->path().filename().string());
  // Where huggingface_hub keeps what it has of files that it is downloading into a folder.
  const fs::path cache = fs::path(folder) / ".cache" / "huggingface" / "download";
  for (fs::directory_iterator entry(cache, failed), end; !failed && entry != end;
       entry.increment(failed))
    if (entry->path().extension() == ".incomplete")
      found.unfinished.push_back(".cache/huggingface/download/" +
                                 entry->path().filename().string());
  for (auto *names : {&found.safetensors, &found.ggufs, &found.graphs, &found.pickles,
                      &found.others, &found.unfinished})
    std::sort(names->begin(), names->end());
  return found;
}

/// Why there are no weights to read, and what to do.
std::string why_none(const std::string &folder, const Listing &found) {
  if (!found.unfinished.empty())
    return absl::StrCat("has no whole .safetensors file, and ", some(found.unfinished),
                        ": a download that was interrupted, or still runs\nhint: finish the "
                        "download, or download the model again");
  if (const std::string adapter = adapter_text(folder); !adapter.empty())
    return adapter;
  if (!found.safetensors.empty())
    return absl::StrCat("has only ", some(found.safetensors),
                        ", in Mistral's own layout\nhint: download the model's files in "
                        "transformers' layout too, model-*.safetensors with their index");
  for (const auto *files : {&found.ggufs, &found.graphs})
    if (!files->empty())
      return absl::StrCat("has no .safetensors file, and ", some(*files), "\nhint: give ",
                          files->size() == 1 ? "that file" : "one of these",
                          " as the model: ", (fs::path(folder) / files->front()).string());
  if (!found.pickles.empty())
    return absl::StrCat("has no .safetensors file; its weights (", some(found.pickles),
                        ") are in PyTorch's pickle format, which runs code when it is read\nhint: "
                        "convert the model, by loading it in transformers and save_pretrained, or "
                        "take a repository that has safetensors",
                        find_pth(folder).empty()
                            ? std::string()
                            : absl::StrCat("; of RWKV's .pth files, ", pth_hint(find_pth(folder))));
  if (!found.others.empty())
    return absl::StrCat("has no .safetensors file; its weights (", some(found.others),
                        ") are another framework's\nhint: convert the model, by loading it in "
                        "transformers and save_pretrained");
  return "has no .safetensors file\nhint: download the model's weights into it, or compile with "
         "--synthetic SEED";
}

/// Says which .safetensors files are neither `named` nor read.
void note_others(const Listing &found, const std::set<std::string> &read, const std::string &why,
                 std::vector<std::string> &notes) {
  std::vector<std::string> others;
  for (const std::string &name : found.safetensors)
    if (is_adapter(name))
      notes.push_back(absl::StrCat(name, " is not applied: it is an adapter, and the folder's own "
                                         "weights are read; merge it first if it belongs to them"));
    else if (!read.contains(name))
      others.push_back(name);
  if (!others.empty())
    notes.push_back(
        absl::StrCat(some(others), others.size() == 1 ? " is" : " are", " not read: ", why));
}

} // namespace

std::string pth_hint(const std::string &file) {
  return absl::StrCat(
      "write them as model.safetensors, beside a config.json that says {\"model_type\": \"rwkv7\"} "
      "(or rwkv6, rwkv5): python -c \"import torch; from safetensors.torch import save_file; "
      "save_file({k: v.contiguous() for k, v in torch.load('",
      file, "', map_location='cpu', weights_only=True).items()}, 'model.safetensors')\"");
}

std::string find_pth(const std::string &folder) {
  std::string first;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed))
    if (const std::string name = entry->path().filename().string();
        absl::EndsWith(name, ".pth") && (first.empty() || name < first))
      first = name;
  return first;
}

std::string adapter_text(const std::string &folder) {
  const fs::path path = fs::path(folder) / "adapter_config.json";
  std::error_code failed;
  if (!fs::exists(path, failed))
    return "";
  std::string base = "the model that it adapts";
  if (const auto config = read_json(path.string(), kMaxAdapterConfigBytes);
      config.ok() && config->is_object())
    if (const json name = config->value("base_model_name_or_path", json());
        name.is_string() && !name.get<std::string>().empty())
      base = name.get<std::string>();
  return absl::StrCat("holds an adapter (LoRA), and no model of its own\nhint: merge it into ",
                      base, " (peft's merge_and_unload), save that, and compile what was saved");
}

absl::StatusOr<std::map<std::string, std::string>> read_weights_index(const std::string &path) {
  const absl::StatusOr<json> index = read_json(path, kMaxIndexBytes);
  if (!index.ok())
    return index.status();
  const auto error = [&](const std::string &what) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", what, "\nhint: download the model's index and files again"));
  };
  if (!index->is_object() || !index->contains("weight_map") || !(*index)["weight_map"].is_object())
    return error("has no object 'weight_map'");
  std::map<std::string, std::string> homes;
  for (const auto &[tensor, file] : (*index)["weight_map"].items()) {
    if (!file.is_string())
      return error(absl::StrCat("'weight_map' has no file name for tensor '", tensor, "'"));
    const auto name = file.get<std::string>();
    // Shards lie beside the index: a name that leads elsewhere is no shard of this model.
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
      return error(absl::StrCat("'weight_map' names '", name, "', which is no file beside it"));
    homes.emplace(tensor, name);
  }
  return homes;
}

absl::StatusOr<WeightsChoice> choose_weights(const std::string &folder) {
  absl::StatusOr<Listing> found = list(folder);
  if (!found.ok())
    return found.status();
  std::error_code failed;
  const auto has = [&](const char *name) { return fs::exists(fs::path(folder) / name, failed); };
  const auto path_of = [&](const std::string &name) { return (fs::path(folder) / name).string(); };
  WeightsChoice choice;
  std::set<std::string> named; // by the index
  const bool indexed = has(kIndex);
  if (indexed)
    if (const auto homes = read_weights_index(path_of(kIndex)); homes.ok())
      for (const auto &[tensor, file] : *homes)
        named.insert(file);
  if (has(kSingle)) {
    choice.path = path_of(kSingle);
    // As transformers does: one file goes before an index.
    if (named.erase(kSingle); !named.empty())
      choice.notes.push_back(absl::StrCat("the folder has two sets of weights: ", kSingle,
                                          " is read, as in transformers, and ",
                                          some({named.begin(), named.end()}), ", which ", kIndex,
                                          " names, ", named.size() == 1 ? "is not" : "are not"));
    named.insert(kSingle);
    note_others(*found, named, absl::StrCat(kSingle, " has the model's weights"), choice.notes);
    return choice;
  }
  if (indexed) {
    choice.path = path_of(kIndex);
    if (!named.empty())
      note_others(*found, named, absl::StrCat(kIndex, " names others"), choice.notes);
    return choice;
  }
  std::vector<std::string> own;
  for (const std::string &name : found->safetensors)
    if (!is_adapter(name) && !is_consolidated(name))
      own.push_back(name);
  if (own.empty())
    return absl::NotFoundError(absl::StrCat(folder, ": ", why_none(folder, *found)));
  if (own.size() > 1)
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": has several .safetensors files (", some(own), ") and no ", kIndex,
        " to say what they are\nhint: download the index, or leave one model in the folder"));
  choice.path = path_of(own[0]);
  note_others(*found, {own[0]}, absl::StrCat(own[0], " has the model's weights"), choice.notes);
  return choice;
}

} // namespace quern::hf
