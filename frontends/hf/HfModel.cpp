#include "frontends/hf/HfModel.h"

#include "frontends/ModelFile.h"
#include "frontends/StoredTensors.h"
#include "frontends/TokenizerNotes.h"
#include "frontends/families/Aliases.h"
#include "frontends/families/Families.h"
#include "frontends/hf/CommonKeys.h"
#include "frontends/hf/ConfigJson.h"
#include "frontends/hf/FindFamily.h"
#include "frontends/hf/JsonText.h"
#include "frontends/hf/Safetensors.h"
#include "frontends/hf/SentenceModules.h"
#include "frontends/hf/TensorNames.h"
#include "frontends/hf/TextPart.h"
#include "frontends/hf/TokenizerJson.h"
#include "frontends/hf/quantized/Quantized.h"
#include "ir/formats/Format.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace quern::hf {

namespace {

namespace fs = std::filesystem;

/// A dotted key is a path: "rope_parameters.factor" is `factor` in the object `rope_parameters`,
/// "attn[1].layers" is `layers` in the second object of the list `attn`.
/// A family's key may be there by another of its names (Aliases.h).
class HfReader final : public ModelReader {
public:
  HfReader(ConfigJson config, std::span<const Alias> aliases, const StoredTensors &tensors,
           Problems &problems, std::optional<int64_t> context)
      : ModelReader(tensors, problems, context), config_(std::move(config)), aliases_(aliases) {}

  /// Says which of two names of a key counts where they do not agree, or where one does not count.
  void note_aliases() {
    for (const Alias &alias : aliases_) {
      const std::string used = spelling(alias.key);
      const std::string other = used == alias.key ? alias.alias : alias.key;
      if (!config_.has(other))
        continue;
      const absl::StatusOr<double> one = config_.get_float(used), two = config_.get_float(other);
      if (!config_.has(used))
        note(absl::StrCat("'", other,
                          "' is passed over: transformers does not read it in this "
                          "family, and '",
                          used, "', which it reads, is not in config.json"));
      else if (!one.ok() || !two.ok() || *one != *two)
        note(absl::StrCat("config.json has '", used, "' and '", other, "', which do not agree: '",
                          used, "' counts"));
    }
  }

private:
  /// The object `name` of an object, or of the list `name` the one that "name[i]" says.
  static absl::StatusOr<ConfigJson> member(const ConfigJson &object, std::string_view name) {
    const size_t bracket = name.find('[');
    if (bracket == std::string_view::npos)
      return object.get_object(name);
    absl::StatusOr<std::vector<ConfigJson>> list = object.get_objects(name.substr(0, bracket));
    size_t index = 0;
    if (!list.ok())
      return list.status();
    if (!absl::SimpleAtoi(std::string(name.substr(bracket + 1, name.size() - bracket - 2)),
                          &index) ||
        index >= list->size())
      return absl::NotFoundError("is missing");
    return (*list)[index];
  }
  /// The object a key lies in, and its name there; nullopt if there is no such object.
  std::optional<std::pair<ConfigJson, std::string>> inside(std::string_view name) const {
    ConfigJson object = config_;
    const std::string spelled = spelling(name);
    std::string_view key = spelled;
    for (size_t dot; (dot = key.find('.')) != std::string_view::npos; key.remove_prefix(dot + 1)) {
      absl::StatusOr<ConfigJson> next = member(object, key.substr(0, dot));
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
  bool is_empty(std::string_view key) const override {
    auto at = inside(key);
    if (!at || !at->first.has(at->second))
      return false;
    if (at->first.is_object(at->second)) {
      const absl::StatusOr<ConfigJson> object = at->first.get_object(at->second);
      return object.ok() && object->keys().empty();
    }
    return at->first.is_bool(at->second) && !at->first.get_bool(at->second).value_or(true);
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
  /// transformers sets the key first and the alias that a map gives it after it, so that the alias
  /// counts where both are there.
  std::string spelling(std::string_view key) const override {
    for (const Alias &alias : aliases_)
      if (alias.key == key && config_.has(alias.alias) &&
          (alias.kind == AliasKind::Map ||
           (alias.kind == AliasKind::FirstCode && !config_.has(alias.key))))
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

/// What the config calls the type of its floats; "" where it does not say.
std::string dtype_of(const ConfigJson &config) {
  for (const char *key : {"dtype", "torch_dtype"})
    if (absl::StatusOr<std::string> type = config.get_string(key); type.ok())
      return *type;
  return "";
}

/// Weights of which only the formats are known, as the config tells them.
recipe::Source formats_of_config(const ConfigJson &config, ModelReader &reader,
                                 const recipe::Decoder &decoder,
                                 const std::vector<recipe::Tensor> &wanted, bool quantized,
                                 std::vector<std::string> &notes) {
  const std::string format = synthetic_format(config), dtype = dtype_of(config);
  recipe::Source source = recipe::synthetic_source(wanted, format, 0);
  std::string assumed = absl::StrCat("this plan is of the config alone: it takes weights",
                                     quantized ? " that are not quantized" : "", " to be ", format,
                                     dtype.empty() ? ", as there is no dtype"
                                                   : absl::StrCat(", as dtype ", dtype, " says"));
  if (quantized) {
    const PlannedFormats planned =
        plan_quantized_weights(config, reader, dtype, decoder.head.module);
    if (!planned.assumed.empty())
      absl::StrAppend(&assumed, "; it takes it that ", planned.assumed);
    for (size_t i = 0; planned.format_of && i < wanted.size(); ++i) {
      const recipe::Tensor &tensor = wanted[i];
      const size_t rank = tensor.shape.size();
      const bool weight = absl::EndsWith(tensor.name, ".weight");
      if (rank != 3 && (rank != 2 || !weight))
        continue;
      const std::string module = tensor.name.substr(0, tensor.name.size() - (weight ? 7 : 0));
      // Of experts, each is a linear.
      const size_t outputs = rank - (tensor.transposed ? 1 : 2);
      if (std::string found =
              planned.format_of(module, tensor.shape[outputs], tensor.shape[2 * rank - 3 - outputs],
                                tensor.linear || rank == 3);
          !found.empty()) {
        source.places[i].format = std::move(found);
        source.places[i].upright = tensor.transposed;
      }
    }
  }
  notes.push_back(assumed + "; the model's files have the last word");
  return source;
}

struct FolderTokenizer {
  std::optional<text::TokenizerSpec> spec{};
  bool wrong = false; ///< there is something, and a problem with it
};

/// Files that the tokenizer's importer reads, which it knows by their contents alone.
constexpr const char *kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer.model",
                                           "spiece.model",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "generation_config.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "vocab.txt",
                                           kWorldVocabulary,
                                           "chat_template.jinja",
                                           "chat_template.json"};

/// What stands beside a vocabulary, one no less damaged for another that is; vocabularies are
/// large, and what is wrong with them is found where they are read.
constexpr std::string_view kSideFiles[] = {"tokenizer_config.json", "special_tokens_map.json",
                                           "added_tokens.json", "generation_config.json",
                                           "chat_template.json"};
constexpr uint64_t kMaxSideFileBytes = 256 << 20;

/// Those of these files that were not downloaded as what they are, or are no JSON; each is a
/// problem.
std::vector<std::string> check_tokenizer_files(const fs::path &folder, Problems &problems) {
  std::vector<std::string> wrong;
  std::error_code error;
  for (const char *name : kTokenizerFiles) {
    const fs::path path = folder / name;
    const bool text = path.extension() == ".txt" || path.extension() == ".jinja";
    if (text && fs::file_size(path, error) == 0)
      continue; // a text may be empty
    absl::Status status = check_fetched(path.string());
    if (status.ok() && fs::exists(path, error) &&
        std::ranges::find(kSideFiles, name) != std::end(kSideFiles))
      status = read_json(path.string(), kMaxSideFileBytes).status();
    if (!status.ok()) {
      problems.add_file(path.string(), status);
      wrong.push_back(name);
    }
  }
  return wrong;
}

/// `config`: what is wrong with config.json, which is said already.
FolderTokenizer load_folder_tokenizer(const fs::path &folder, const absl::Status &config,
                                      Notes &notes, Problems &problems) {
  std::vector<std::string> said = check_tokenizer_files(folder, problems);
  if (!config.ok())
    said.push_back("config.json");
  absl::StatusOr<std::optional<text::TokenizerSpec>> spec = load_tokenizer(folder, &notes, said);
  if (!spec.ok()) {
    const std::string text(spec.status().message());
    if (std::none_of(said.begin(), said.end(), [&](const std::string &name) {
          return text.starts_with(name) || absl::StrContains(text, "/" + name);
        }))
      problems.add("tokenizer", spec.status());
    return {.wrong = true};
  }
  if (!*spec)
    return {.wrong = !said.empty()};
  return {.spec = **std::move(spec)};
}

void note_vocabulary(const FolderTokenizer &tokenizer, LoadedModel &model) {
  if (tokenizer.wrong)
    return;
  if (!tokenizer.spec)
    model.notes.push_back("there is no tokenizer.json, no tokenizer.model and no vocab.json with "
                          "merges.txt: what needs "
                          "text will refuse");
  else
    for (std::string &note :
         tokenizer_notes(*tokenizer.spec, model.decoder.vocab, model.decoder.encoding.has_value()))
      model.notes.push_back(std::move(note));
}

/// Says which tensors are passed over, one note for each reason.
void note_harmless(const StoredTensors &tensors, const std::vector<recipe::Tensor> &wanted,
                   std::vector<std::string> &notes) {
  std::set<std::string, std::less<>> used;
  for (const recipe::Tensor &tensor : wanted)
    for (std::string &name : tensor.file_names())
      used.insert(std::move(name));
  std::map<std::string, std::vector<std::string>> passed;
  for (const auto &[name, why] : tensors.harmless)
    if (!used.contains(name))
      passed[why].push_back(name);
  for (const auto &[why, names] : passed)
    notes.push_back(absl::StrCat(names.size(), names.size() == 1 ? " tensor is" : " tensors are",
                                 " passed over (", names.front(),
                                 names.size() == 1 ? "" : " and the like", "): ", why));
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
    problems.add_file(config_path, config.status());

  // The weights are opened first: what is in the files decides what a family makes of a tied head.
  StoredTensors tensors;
  bool have_tensors = options.synthetic.has_value();
  if (!options.synthetic) {
    std::vector<absl::Status> errors;
    const Safetensors files = Safetensors::open(folder.string(), errors);
    have_tensors = errors.empty();
    for (const absl::Status &status : errors)
      problems.add_file(folder.string(), status);
    // Of some of the shards it cannot be said what is missing.
    if (have_tensors) {
      for (const auto &file : files.files())
        tensors.store.add(file);
      for (const SafeTensor &tensor : files.tensors())
        tensors.list[tensor.name] = {tensor.shape, tensor.format, tensor.dtype, tensor.file,
                                     tensor.offset};
    }
    for (const std::string &note : files.notes())
      model.notes.push_back(note);
  }

  // What is wrong with one file does not hide what is wrong with another.
  FolderTokenizer tokenizer = load_folder_tokenizer(folder, config.status(), model.notes, problems);
  bool is_part = false;
  if (config.ok()) {
    TextPart part = find_text_part(*config, problems, model.notes);
    is_part = part.config.has_value();
    if (part.wrong)
      return model;
    if (is_part)
      config = *std::move(part.config);
  }
  const Family *family = config.ok() ? find_family(*config, problems, model.notes) : nullptr;
  if (!family)
    return model;
  adopt_quantization(folder.string(), *config, tensors, problems, model.notes);
  const std::span<const Alias> aliases =
      hf_aliases(family->name, config->get_string("model_type").value_or(""));
  const auto recipe_of_names = [&] {
    Problems unsaid; // what the family has to say is for the time the tensors have their names
    HfReader reader(config->unread(), aliases, tensors, unsaid, options.context);
    recipe::Decoder decoder = family->from_hf(reader);
    return NamedRecipe{std::move(decoder), reader.sizes_are_real()};
  };
  bool weights_are_known = name_tensors(recipe_of_names, is_part, tensors, problems, model.notes);
  HfReader reader(*config, aliases, tensors, problems, options.context);
  reader.note_aliases();
  read_common_keys(*config, reader);
  reader.read_elsewhere(
      {"architectures", "model_type", "eos_token_id", "quantization_config", "tokenizer_class"});
  if (options.synthetic) // or weights of which the config tells the formats
    reader.read_elsewhere({"dtype", "torch_dtype"});
  const bool quantized = reader.has("quantization_config");
  if (quantized && options.formats_only) {
    // Settings are read when the recipe's modules are known.
  } else if (quantized && options.synthetic) {
    reader.ignore({"quantization_config"});
    model.notes.push_back("the made-up weights are not quantized as quantization_config says: "
                          "--quant says how");
  } else if (quantized) {
    weights_are_known &= make_quantized_weights(*config, reader, tensors, model.notes);
  } else if (const std::string which = quantized_tensor(tensors); !which.empty()) {
    weights_are_known = false;
    problems.add(which,
                 "this is a tensor of a quantized model, and config.json has no "
                 "quantization_config to say how it is quantized",
                 "take config.json, or quantize_config.json, as it was published with these files");
  }
  model.decoder = family->from_hf(reader);
  if (!model.decoder.encoding)
    adopt_language_model(folder, model.decoder, tensors, model.notes);
  if (model.decoder.encoding) {
    read_sentence_modules(folder, !have_tensors || options.synthetic.has_value(), model.decoder,
                          tensors, problems, model.notes);
    model.encoder = read_encoder_info(folder, *config, model.decoder, problems);
    reader.ignore({"sentence_transformers", "sbert_ce_default_activation_function"});
    if (tokenizer.spec && lowers_case(folder)) {
      text::NormalizerStep lower;
      lower.kind = text::NormalizerStep::Kind::Lowercase;
      tokenizer.spec->normalizers.insert(tokenizer.spec->normalizers.begin(), std::move(lower));
    }
  }
  for (const char *prefix : {"mtp.", "model.mtp.", "model.mtp_"}) // of Qwens, Nemotron, OLMo, ERNIE
    reader.leave_out(prefix);
  model.formats = tensors.formats();
  recipe::Source planned;
  if (options.formats_only)
    planned = formats_of_config(*config, reader, model.decoder, recipe::tensors(model.decoder),
                                quantized, model.notes);
  pass_over_windows(*config, reader, model.decoder.context);
  reader.check_unread(options.ignored_keys);
  for (std::string &note : reader.take_notes())
    model.notes.push_back(std::move(note));
  if (!options.formats_only) // which asks of memory alone
    note_vocabulary(tokenizer, model);
  if (tokenizer.spec)
    model.tokenizer = text::serialize(*tokenizer.spec);
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
  if (options.formats_only) {
    model.source = std::move(planned);
    return model;
  }
  if (options.synthetic) {
    model.source = recipe::synthetic_source(wanted, synthetic_format(*config), *options.synthetic);
    return model;
  }
  model.source.files = tensors.paths();
  model.source.places = tensors.place(wanted, reader.taken(), problems);
  note_harmless(tensors, wanted, model.notes);
  if (!options.identify)
    return model;
  absl::StatusOr<uint64_t> hash = tensors.hash();
  if (hash.ok())
    model.weights_hash = *hash;
  else
    problems.add(folder.string(), hash.status());
  return model;
}

} // namespace quern::hf
