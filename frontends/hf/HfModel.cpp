#include "frontends/hf/HfModel.h"

#include "frontends/StoredTensors.h"
#include "frontends/families/Aliases.h"
#include "frontends/families/Families.h"
#include "frontends/hf/CommonKeys.h"
#include "frontends/hf/ConfigJson.h"
#include "frontends/hf/FindFamily.h"
#include "frontends/hf/Safetensors.h"
#include "frontends/hf/TokenizerJson.h"
#include "frontends/hf/quantized/Quantized.h"
#include "ir/formats/Format.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace quern::hf {

namespace {

namespace fs = std::filesystem;

/// A dotted key is a path: "rope_parameters.factor" is `factor` in the object `rope_parameters`.
/// A family's key may be there by another of its names (Aliases.h).
class HfReader final : public ModelReader {
public:
  HfReader(ConfigJson config, std::span<const Alias> aliases, const StoredTensors &tensors,
           Problems &problems, std::optional<int64_t> context)
      : ModelReader(tensors, problems, context), config_(std::move(config)), aliases_(aliases) {}

private:
  /// The object a key lies in, and its name there; nullopt if there is no such object.
  std::optional<std::pair<ConfigJson, std::string>> inside(std::string_view name) const {
    ConfigJson object = config_;
    const std::string spelled = spelling(name);
    std::string_view key = spelled;
    for (size_t dot; (dot = key.find('.')) != std::string_view::npos; key.remove_prefix(dot + 1)) {
      absl::StatusOr<ConfigJson> next = object.get_object(key.substr(0, dot));
      if (!next.ok())
        return std::nullopt;
      object = *std::move(next);
    }
    return std::pair(std::move(object), std::string(key));
  }
  template <typename T, typename Get> absl::StatusOr<T> get(std::string_view key, Get get) const {
    auto at = inside(key);
    if (!at)
      return absl::NotFoundError("is missing");
    absl::StatusOr<T> value = get(at->first, at->second);
    if (value.ok())
      return value;
    // The reader names the key already.
    std::string prefix = absl::StrCat(config_.file(), ": key '", spelling(key), "' ");
    std::string message(value.status().message());
    if (message.starts_with(prefix))
      message.erase(0, prefix.size());
    return absl::Status(value.status().code(), message);
  }

  bool lookup(std::string_view key) const override {
    auto at = inside(key);
    return at && at->first.has(at->second);
  }
  bool mentions(std::string_view key) const override {
    auto at = inside(key);
    return at && at->first.mentions(at->second);
  }
  bool is_list(std::string_view key) const override {
    auto at = inside(key);
    return at && at->first.is_array(at->second);
  }
  absl::StatusOr<int64_t> get_integer(std::string_view key) const override {
    return get<int64_t>(key, [](auto &object, auto &name) { return object.get_int(name); });
  }
  absl::StatusOr<double> get_number(std::string_view key) const override {
    return get<double>(key, [](auto &object, auto &name) { return object.get_float(name); });
  }
  absl::StatusOr<bool> get_boolean(std::string_view key) const override {
    return get<bool>(key, [](auto &object, auto &name) { return object.get_bool(name); });
  }
  absl::StatusOr<std::string> get_text(std::string_view key) const override {
    return get<std::string>(key, [](auto &object, auto &name) { return object.get_string(name); });
  }
  absl::StatusOr<std::vector<std::string>> get_texts(std::string_view key) const override {
    return get<std::vector<std::string>>(
        key, [](auto &object, auto &name) { return object.get_strings(name); });
  }
  absl::StatusOr<std::vector<double>> get_numbers(std::string_view key) const override {
    return get<std::vector<double>>(
        key, [](auto &object, auto &name) { return object.get_limits(name); });
  }
  // ConfigJson keeps what was read by its path from the top, which is what a dotted key is.
  void mark(std::string_view key) override {
    config_.ignore({key});
    for (const Alias &alias : aliases_)
      if (alias.key == key)
        config_.ignore({alias.alias});
  }
  std::vector<std::string> unread() const override { return config_.unused_keys(); }
  bool is_there(std::string_view spelled) const override {
    ConfigJson object = config_;
    for (size_t dot; !object.has(spelled) && (dot = spelled.find('.')) != std::string_view::npos;
         spelled.remove_prefix(dot + 1)) {
      absl::StatusOr<ConfigJson> next = object.get_object(spelled.substr(0, dot));
      if (!next.ok())
        return false;
      object = *std::move(next);
    }
    return object.has(spelled);
  }
  /// transformers sets the key first and the alias after it, so the alias wins where both are
  /// there.
  std::string spelling(std::string_view key) const override {
    for (const Alias &alias : aliases_)
      if (alias.key == key && config_.has(alias.alias))
        return alias.alias;
    return std::string(key);
  }

  ConfigJson config_;
  std::span<const Alias> aliases_;
};

/// The format of made-up weights: what the config says the real ones have.
std::string synthetic_format(const ConfigJson &config) {
  for (const char *key : {"dtype", "torch_dtype"})
    if (absl::StatusOr<std::string> type = config.get_string(key); type.ok()) {
      if (*type == "bfloat16")
        return "bf16";
      if (*type == "float16")
        return "f16";
    }
  return "f32";
}

/// Serialized; and how many tokens it has.
struct FolderTokenizer {
  std::string bytes;
  int64_t tokens = 0;
};

FolderTokenizer load_folder_tokenizer(const fs::path &folder, Problems &problems) {
  absl::StatusOr<std::optional<text::TokenizerSpec>> spec = load_tokenizer(folder);
  if (!spec.ok())
    problems.add("tokenizer", spec.status());
  if (!spec.ok() || !*spec)
    return {};
  return {text::serialize(**spec), static_cast<int64_t>((*spec)->tokens.size())};
}

void note_vocabulary(const FolderTokenizer &tokenizer, LoadedModel &model) {
  if (tokenizer.bytes.empty())
    model.notes.push_back(
        "there is no tokenizer.json and no tokenizer.model: what needs text will refuse");
  else if (tokenizer.tokens > model.decoder.vocab)
    model.notes.push_back(absl::StrCat("the tokenizer has ", tokenizer.tokens,
                                       " tokens and the model ", model.decoder.vocab));
}

} // namespace

LoadedModel load_model(const std::string &path, const ImportOptions &options, Problems &problems) {
  LoadedModel model;
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  fs::path folder = is_folder ? fs::path(path) : fs::path(path).parent_path();
  if (folder.empty())
    folder = ".";
  const std::string config_path = is_folder ? (folder / "config.json").string() : path;
  absl::StatusOr<ConfigJson> config = ConfigJson::open(config_path);
  if (!config.ok())
    problems.add(config_path, config.status());

  // The weights are opened first: what is in the files decides what a family makes of a tied head.
  StoredTensors tensors;
  bool have_tensors = options.synthetic.has_value();
  if (!options.synthetic) {
    absl::StatusOr<Safetensors> files = Safetensors::open(folder.string());
    if (files.ok()) {
      have_tensors = true;
      for (const auto &file : files->files())
        tensors.store.add(file);
      for (const SafeTensor &tensor : files->tensors())
        tensors.list[tensor.name] = {tensor.shape, tensor.format, tensor.dtype, tensor.file,
                                     tensor.offset};
    } else {
      problems.add(folder.string(), files.status());
    }
  }

  // What is wrong with one file does not hide what is wrong with another.
  FolderTokenizer tokenizer = load_folder_tokenizer(folder, problems);
  const Family *family = config.ok() ? find_family(*config, problems, model.notes) : nullptr;
  if (!family)
    return model;
  HfReader reader(*config, hf_aliases(family->name), tensors, problems, options.context);
  read_common_keys(*config, reader);
  bool weights_are_known = true;
  if (reader.has("quantization_config") && options.synthetic) {
    reader.ignore({"quantization_config"});
    model.notes.push_back("the made-up weights are not quantized as quantization_config says: "
                          "--quant says how");
  } else if (reader.has("quantization_config")) {
    weights_are_known = make_quantized_weights(*config, reader, tensors, model.notes);
  }
  model.decoder = family->from_hf(reader);
  pass_over_windows(*config, reader, model.decoder.context);
  reader.check_unread(options.ignored_keys);
  for (std::string &note : reader.take_notes())
    model.notes.push_back(std::move(note));
  note_vocabulary(tokenizer, model);
  model.tokenizer = std::move(tokenizer.bytes);
  // Tensors that are parts of others are not to be told apart, and what a recipe made of fallbacks
  // says of shapes is not so.
  if (!weights_are_known)
    return model;
  if (!reader.sizes_are_real()) {
    if (!options.synthetic)
      tensors.report_missing(model.decoder, problems);
    return model;
  }
  const std::vector<recipe::Tensor> wanted = recipe::tensors(model.decoder);
  recipe::check(model.decoder, problems);
  if (!have_tensors)
    return model;
  if (options.synthetic) {
    model.source = recipe::synthetic_source(wanted, synthetic_format(*config), *options.synthetic);
    return model;
  }
  model.source.files = tensors.paths();
  model.source.places = tensors.place(wanted, reader.taken(), problems);
  absl::StatusOr<uint64_t> hash = tensors.hash();
  if (hash.ok())
    model.weights_hash = *hash;
  else
    problems.add(folder.string(), hash.status());
  return model;
}

} // namespace quern::hf
