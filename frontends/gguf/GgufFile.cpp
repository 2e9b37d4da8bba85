#include "frontends/gguf/GgufFile.h"

#include "frontends/ModelFile.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <cstring>
#include <limits>

namespace quern::gguf {
namespace {

using weights::MappedFile;

constexpr int64_t kMaxShards = 99999; // five digits in the name

const char *type_name(ValueType type) {
  switch (type) {
  case ValueType::U8:
    return "uint8";
  case ValueType::I8:
    return "int8";
  case ValueType::U16:
    return "uint16";
  case ValueType::I16:
    return "int16";
  case ValueType::U32:
    return "uint32";
  case ValueType::I32:
    return "int32";
  case ValueType::F32:
    return "float32";
  case ValueType::Bool:
    return "bool";
  case ValueType::String:
    return "string";
  case ValueType::Array:
    return "array";
  case ValueType::U64:
    return "uint64";
  case ValueType::I64:
    return "int64";
  case ValueType::F64:
    return "float64";
  }
  return "unknown";
}

template <typename T> T element(const Value &value, uint64_t index) {
  T result;
  std::memcpy(&result, value.at + index * sizeof(T), sizeof(T));
  return result;
}

/// Element `index` of an integer value; a uint64 beyond int64 becomes the largest int64, which no
/// use can accept.
int64_t integer(const Value &value, uint64_t index) {
  switch (value.element) {
  case ValueType::U8:
    return element<uint8_t>(value, index);
  case ValueType::I8:
    return element<int8_t>(value, index);
  case ValueType::U16:
    return element<uint16_t>(value, index);
  case ValueType::I16:
    return element<int16_t>(value, index);
  case ValueType::U32:
    return element<uint32_t>(value, index);
  case ValueType::I32:
    return element<int32_t>(value, index);
  case ValueType::I64:
    return element<int64_t>(value, index);
  default: // U64: callers have checked the type
    return static_cast<int64_t>(
        std::min<uint64_t>(element<uint64_t>(value, index), std::numeric_limits<int64_t>::max()));
  }
}

constexpr std::initializer_list<ValueType> kIntegers = {
    ValueType::U8,  ValueType::I8,  ValueType::U16, ValueType::I16,
    ValueType::U32, ValueType::I32, ValueType::U64, ValueType::I64};
constexpr std::initializer_list<ValueType> kFloats = {ValueType::F32, ValueType::F64};

/// What is wrong with one of the files of a split model, told as that.
absl::Status of_split_model(const absl::Status &status, int64_t number, int64_t count) {
  const std::string which =
      absl::StrCat("; it is file ", number, " of the ", count, " of this split model");
  std::string text(status.message());
  const size_t hint = text.find("\nhint: ");
  if (hint != std::string::npos)
    text.insert(hint, which);
  else
    absl::StrAppend(&text, which, "\nhint: download all files of the model into one folder");
  return absl::Status(status.code(), text);
}

std::string shard_suffix(int64_t number, int64_t count) {
  return absl::StrFormat("-%05d-of-%05d.gguf", number + 1, count);
}

} // namespace

absl::StatusOr<GgufFile> GgufFile::open(const std::string &path) {
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = open_model_file(path);
  if (!file.ok())
    return file.status();
  absl::StatusOr<Shard> shard = parse_shard((*file)->bytes(), path);
  if (!shard.ok())
    return shard.status();
  GgufFile model;
  model.keys_ = std::move(shard->keys);
  model.metadata_ = std::move(shard->metadata);
  shard->metadata.clear();
  if (absl::Status status = model.add_shard(*std::move(file), *std::move(shard)); !status.ok())
    return status;
  if (absl::Status status = model.open_other_shards(); !status.ok())
    return status;
  return model;
}

absl::Status GgufFile::add_shard(std::shared_ptr<const MappedFile> file, Shard shard) {
  const int number = static_cast<int>(files_.size());
  for (Tensor &tensor : shard.tensors) {
    tensor.file = number;
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
      return absl::InvalidArgumentError(absl::StrCat(file->path(), ": tensor '", tensor.name,
                                                     "' is in another file of the split model too"
                                                     "\nhint: download all of them again"));
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status GgufFile::open_other_shards() {
  if (!has("split.count"))
    return absl::OkStatus();
  const absl::StatusOr<int64_t> count = get_int("split.count");
  if (!count.ok())
    return count.status();
  const absl::StatusOr<int64_t> number = get_int("split.no");
  if (!number.ok())
    return number.status();
  if (*count < 1 || *count > kMaxShards || *number < 0 || *number >= *count)
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": keys 'split.no' and 'split.count' say file ", *number, " of ",
                     *count, ", which makes no sense\nhint: split the model again"));
  if (*count == 1)
    return absl::OkStatus();
  const std::string suffix = shard_suffix(*number, *count);
  if (!absl::EndsWith(path(), suffix))
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": this is file ", *number + 1, " of ", *count,
                     " of a split model, but its name does not end in '", suffix,
                     "', so the others cannot be found\nhint: rename it back"));
  const std::string stem = path().substr(0, path().size() - suffix.size());
  if (*number != 0)
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": this is file ", *number + 1, " of ", *count,
                     " of a split model\nhint: give the first, ", stem, shard_suffix(0, *count)));
  for (int64_t i = 1; i < *count; ++i) {
    const std::string other = stem + shard_suffix(i, *count);
    absl::StatusOr<std::shared_ptr<const MappedFile>> file = open_model_file(other);
    if (!file.ok())
      return of_split_model(file.status(), i + 1, *count);
    absl::StatusOr<Shard> shard = parse_shard((*file)->bytes(), other);
    if (!shard.ok())
      return shard.status();
    GgufFile view; // for the typed getters on this file's own metadata
    view.files_.push_back(*file);
    view.metadata_ = std::move(shard->metadata);
    const absl::StatusOr<int64_t> its_number = view.get_int("split.no");
    const absl::StatusOr<int64_t> its_count = view.get_int("split.count");
    if (!its_number.ok())
      return its_number.status();
    if (!its_count.ok())
      return its_count.status();
    if (*its_number != i || *its_count != *count)
      return absl::InvalidArgumentError(absl::StrCat(
          other, ": says it is file ", *its_number, " (from 0) of ", *its_count, ", its name says ",
          i, " of ", *count, "\nhint: the files are of different models: download all again"));
    if (absl::Status status = add_shard(*std::move(file), *std::move(shard)); !status.ok())
      return status;
  }
  if (!has("split.tensors.count"))
    return absl::OkStatus();
  const absl::StatusOr<int64_t> total = get_int("split.tensors.count");
  if (!total.ok())
    return total.status();
  if (*total != static_cast<int64_t>(tensors_.size()))
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": key 'split.tensors.count' says ", *total, " tensors, the ", *count,
                     " files have ", tensors_.size(), "\nhint: download all of them again"));
  return absl::OkStatus();
}

const Tensor *GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const Value *GgufFile::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

absl::StatusOr<const Value *> GgufFile::require(std::string_view key, bool array,
                                                const char *wanted,
                                                std::initializer_list<ValueType> types) const {
  const Value *value = find(key);
  if (value == nullptr)
    return absl::NotFoundError(
        absl::StrCat(path(), ": key '", std::string(key),
                     "' is missing\nhint: convert the model again with current tools"));
  const bool fits = (value->type == ValueType::Array) == array &&
                    std::find(types.begin(), types.end(), value->element) != types.end();
  if (!fits)
    return absl::InvalidArgumentError(absl::StrCat(
        path(), ": at offset ", value->offset, ": key '", std::string(key), "' is ",
        value->type == ValueType::Array ? "an array of " : "a ", type_name(value->element),
        ", not ", wanted, "\nhint: convert the model again with current tools"));
  return value;
}

absl::StatusOr<int64_t> GgufFile::get_int(std::string_view key) const {
  const auto value = require(key, false, "an integer", kIntegers);
  if (!value.ok())
    return value.status();
  return integer(**value, 0);
}

absl::StatusOr<double> GgufFile::get_float(std::string_view key) const {
  const auto value = require(key, false, "a float", kFloats);
  if (!value.ok())
    return value.status();
  return (*value)->type == ValueType::F32 ? element<float>(**value, 0)
                                          : element<double>(**value, 0);
}

absl::StatusOr<bool> GgufFile::get_bool(std::string_view key) const {
  const auto value = require(key, false, "a bool", {ValueType::Bool});
  if (!value.ok())
    return value.status();
  return element<uint8_t>(**value, 0) != 0;
}

absl::StatusOr<std::string_view> GgufFile::get_string(std::string_view key) const {
  const auto value = require(key, false, "a string", {ValueType::String});
  if (!value.ok())
    return value.status();
  return std::string_view(reinterpret_cast<const char *>((*value)->at + 8),
                          element<uint64_t>(**value, 0));
}

absl::StatusOr<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  const auto value = require(key, true, "an array of integers", kIntegers);
  if (!value.ok())
    return value.status();
  std::vector<int64_t> result((*value)->count);
  for (uint64_t i = 0; i < result.size(); ++i)
    result[i] = integer(**value, i);
  return result;
}

absl::StatusOr<std::vector<float>> GgufFile::get_floats(std::string_view key) const {
  const auto value = require(key, true, "an array of floats", kFloats);
  if (!value.ok())
    return value.status();
  std::vector<float> result((*value)->count);
  for (uint64_t i = 0; i < result.size(); ++i)
    result[i] = (*value)->element == ValueType::F32
                    ? element<float>(**value, i)
                    : static_cast<float>(element<double>(**value, i));
  return result;
}

absl::StatusOr<std::vector<bool>> GgufFile::get_bools(std::string_view key) const {
  const auto value = require(key, true, "an array of bools", {ValueType::Bool});
  if (!value.ok())
    return value.status();
  std::vector<bool> result((*value)->count);
  for (uint64_t i = 0; i < result.size(); ++i)
    result[i] = element<uint8_t>(**value, i) != 0;
  return result;
}

absl::StatusOr<std::vector<std::string_view>> GgufFile::get_strings(std::string_view key) const {
  const auto value = require(key, true, "an array of strings", {ValueType::String});
  if (!value.ok())
    return value.status();
  std::vector<std::string_view> result((*value)->count);
  const std::byte *at = (*value)->at; // every length was checked by the parser
  for (std::string_view &text : result) {
    uint64_t length = 0;
    std::memcpy(&length, at, sizeof(length));
    text = {reinterpret_cast<const char *>(at + 8), static_cast<size_t>(length)};
    at += 8 + length;
  }
  return result;
}

} // namespace quern::gguf
