#include "frontends/hf/Safetensors.h"

#include "frontends/hf/AllOf.h"
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
using weights::MappedFile;

constexpr uint64_t kMaxIndexBytes = 100'000'000;

/// The file to open in a folder.
absl::StatusOr<std::string> find_in_folder(const std::string &folder) {
  std::error_code failed;
  for (const char *name : {"model.safetensors.index.json", "model.safetensors"})
    if (const fs::path path = fs::path(folder) / name; fs::exists(path, failed))
      return path.string();
  std::vector<std::string> found;
  bool pickles = false;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (absl::EndsWith(name, ".safetensors"))
      found.push_back(name);
    pickles |=
        absl::EndsWith(name, ".bin") || absl::EndsWith(name, ".pt") || absl::EndsWith(name, ".pth");
  }
  if (failed)
    return absl::NotFoundError(
        absl::StrCat(folder, ": cannot list the folder: ", failed.message()));
  if (found.size() == 1)
    return (fs::path(folder) / found[0]).string();
  std::sort(found.begin(), found.end());
  if (found.empty())
    return absl::NotFoundError(absl::StrCat(
        folder, ": has no .safetensors file",
        pickles ? "; its weights are in PyTorch's pickle format, which runs code when it is read: "
                  "save the model again as safetensors"
                : "; download the model's weights into it, or compile with --synthetic SEED"));
  return absl::InvalidArgumentError(absl::StrCat(
      folder, ": has several .safetensors files (", absl::StrJoin(found, ", "),
      ") and no model.safetensors.index.json to say what they are; download the index"));
}

} // namespace

absl::StatusOr<Safetensors> Safetensors::open(const std::string &path) {
  std::string file = path;
  std::error_code failed;
  if (fs::is_directory(path, failed)) {
    absl::StatusOr<std::string> found = find_in_folder(path);
    if (!found.ok())
      return found.status();
    file = *std::move(found);
  }
  Safetensors model;
  model.path_ = file;
  const absl::Status status =
      absl::EndsWith(file, ".json") ? model.open_index(file) : model.open_file(file);
  if (!status.ok())
    return status;
  model.sort();
  return model;
}

absl::Status Safetensors::open_file(const std::string &path) {
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  absl::StatusOr<std::vector<SafeTensor>> tensors = parse_safetensors((*file)->bytes(), path);
  if (!tensors.ok())
    return tensors.status();
  for (SafeTensor &tensor : *tensors) {
    tensor.file = static_cast<int>(files_.size());
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

absl::Status Safetensors::open_index(const std::string &path) {
  const absl::StatusOr<json> index = read_json(path, kMaxIndexBytes);
  if (!index.ok())
    return index.status();
  const auto error = [&](const std::string &what) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", what, "; download the model's index and files again"));
  };
  if (!index->is_object() || !index->contains("weight_map") || !(*index)["weight_map"].is_object())
    return error("has no object 'weight_map'");
  std::map<std::string, std::string> homes; // tensor to file
  std::set<std::string> names;
  for (const auto &[tensor, file] : (*index)["weight_map"].items()) {
    if (!file.is_string())
      return error(absl::StrCat("'weight_map' has no file name for tensor '", tensor, "'"));
    const auto name = file.get<std::string>();
    // Shards lie beside the index: a name that leads elsewhere is no shard of this model.
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
      return error(absl::StrCat("'weight_map' names '", name, "', which is no file beside it"));
    homes.emplace(tensor, name);
    names.insert(name);
  }
  const fs::path folder = fs::path(path).parent_path();
  absl::Status shards;
  for (const std::string &name : names) {
    const size_t first = tensors_.size();
    add_to(shards, open_file((folder / name).string()));
    // The index decides where a tensor is read from: copies in other shards do not count.
    const auto elsewhere = [&](const SafeTensor &tensor) {
      const auto home = homes.find(tensor.name);
      return home != homes.end() && home->second != name;
    };
    tensors_.erase(std::remove_if(tensors_.begin() + static_cast<std::ptrdiff_t>(first),
                                  tensors_.end(), elsewhere),
                   tensors_.end());
  }
  if (!shards.ok())
    return shards;
  sort();
  for (size_t i = 1; i < tensors_.size(); ++i)
    if (tensors_[i].name == tensors_[i - 1].name)
      return error(
          absl::StrCat("tensor '", tensors_[i].name, "' is in several files and not in the index"));
  for (const auto &[tensor, file] : homes)
    if (find(tensor) == nullptr)
      return error(
          absl::StrCat("tensor '", tensor, "' is not in ", file, ", where the index has it"));
  return absl::OkStatus();
}

void Safetensors::sort() {
  std::sort(tensors_.begin(), tensors_.end(),
            [](const SafeTensor &a, const SafeTensor &b) { return a.name < b.name; });
}

const SafeTensor *Safetensors::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const SafeTensor &tensor, std::string_view key) { return tensor.name < key; });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

absl::StatusOr<const SafeTensor *> Safetensors::require(std::string_view name) const {
  if (const SafeTensor *tensor = find(name))
    return tensor;
  return absl::NotFoundError(absl::StrCat(path_, ": tensor '", std::string(name),
                                          "' is missing among its ", tensors_.size(),
                                          "; the weights and config.json are of different models"));
}

} // namespace quern::hf
