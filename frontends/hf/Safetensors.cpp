#include "frontends/hf/Safetensors.h"

#include "frontends/ModelFile.h"
#include "frontends/hf/WeightFiles.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace quern::hf {
namespace {

namespace fs = std::filesystem;
using weights::MappedFile;

} // namespace

Safetensors Safetensors::open(const std::string &path, std::vector<absl::Status> &errors) {
  Safetensors model;
  model.path_ = path;
  std::error_code failed;
  if (fs::is_directory(path, failed)) {
    absl::StatusOr<WeightsChoice> found = choose_weights(path);
    if (!found.ok()) {
      errors.push_back(found.status());
      return model;
    }
    model.path_ = found->path;
    model.notes_ = std::move(found->notes);
  }
  if (absl::EndsWith(model.path_, ".json"))
    model.open_index(model.path_, errors);
  else if (absl::Status status = model.open_file(model.path_); !status.ok())
    errors.push_back(std::move(status));
  model.sort();
  return model;
}

absl::StatusOr<Safetensors> Safetensors::open(const std::string &path) {
  std::vector<absl::Status> errors;
  Safetensors model = open(path, errors);
  if (!errors.empty())
    return errors.front();
  return model;
}

absl::Status Safetensors::open_file(const std::string &path) {
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = open_model_file(path);
  if (!file.ok())
    return file.status();
  absl::StatusOr<std::vector<SafeTensor>> tensors = parse_safetensors((*file)->bytes(), path);
  if (!tensors.ok())
    return tensors.status();
  if (!tensors->empty() && ends_in_zeros((*file)->bytes(), tensors->back().bytes))
    notes_.push_back(zeros_note(path));
  for (SafeTensor &tensor : *tensors) {
    tensor.file = static_cast<int>(files_.size());
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

void Safetensors::open_index(const std::string &path, std::vector<absl::Status> &errors) {
  const auto error = [&](const std::string &what) {
    errors.push_back(absl::InvalidArgumentError(
        absl::StrCat(path, ": ", what, "\nhint: download the model's index and files again")));
  };
  const auto index = read_weights_index(path);
  if (!index.ok())
    return errors.push_back(index.status());
  const std::map<std::string, std::string> &homes = *index; // tensor to file
  std::set<std::string> names;
  std::vector<std::string> copies;
  for (const auto &[tensor, name] : homes)
    names.insert(name);
  const fs::path folder = fs::path(path).parent_path();
  const size_t before = errors.size();
  for (const std::string &name : names) {
    const size_t first = tensors_.size();
    if (absl::Status status = open_file((folder / name).string()); !status.ok()) {
      std::error_code failed;
      if (!fs::exists(folder / name, failed) && unfinished_download(folder / name).empty())
        status = absl::NotFoundError(absl::StrCat((folder / name).string(),
                                                  ": is missing, and the model's index names it"
                                                  "\nhint: download it too"));
      errors.push_back(std::move(status));
    }
    // The index decides where a tensor is read from: copies in other shards do not count.
    const auto elsewhere = [&](const SafeTensor &tensor) {
      const auto home = homes.find(tensor.name);
      if (home == homes.end() || home->second == name)
        return false;
      copies.push_back(absl::StrCat(tensor.name, " (in ", name, ", read from ", home->second, ")"));
      return true;
    };
    tensors_.erase(std::remove_if(tensors_.begin() + static_cast<std::ptrdiff_t>(first),
                                  tensors_.end(), elsewhere),
                   tensors_.end());
  }
  if (errors.size() > before)
    return; // of tensors in files that cannot be read nothing more is known
  // Other readers take the last file's.
  constexpr size_t kMost = 4;
  if (const size_t more = copies.size() > kMost ? copies.size() - kMost : 0; !copies.empty()) {
    copies.resize(copies.size() - more);
    notes_.push_back(absl::StrCat("tensors are in more files than the one that the index names, "
                                  "which is read: ",
                                  absl::StrJoin(copies, ", "),
                                  more ? absl::StrCat(" and ", more, " more") : std::string()));
  }
  sort();
  for (size_t i = 1; i < tensors_.size(); ++i)
    if (tensors_[i].name == tensors_[i - 1].name)
      error(
          absl::StrCat("tensor '", tensors_[i].name, "' is in several files and not in the index"));
  for (const auto &[tensor, file] : homes)
    if (find(tensor) == nullptr)
      error(absl::StrCat("tensor '", tensor, "' is not in ", file, ", where the index has it"));
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
