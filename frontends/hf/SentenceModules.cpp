#include "frontends/hf/SentenceModules.h"

#include "frontends/hf/JsonText.h"
#include "frontends/hf/Safetensors.h"
#include "frontends/recipe/Encodable.h"

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace quern::hf {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using recipe::Encoding;
using recipe::Pool;

constexpr int64_t kMaxPrompts = 1 << 10;

/// A file's object; nothing where there is none, or it is wrong, which is a problem then.
std::optional<ConfigJson> open_object(const fs::path &path, Problems &problems) {
  std::error_code error;
  if (!fs::exists(path, error))
    return std::nullopt;
  absl::StatusOr<ConfigJson> config = ConfigJson::open(path.string());
  if (config.ok())
    return *std::move(config);
  problems.add_file(path.string(), config.status());
  return std::nullopt;
}

std::string text_of(const json &object, const char *key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string last_name(const std::string &dotted) {
  return dotted.substr(dotted.find_last_of('.') + 1);
}

/// What pooling's modes are called: in configs of old, and since.
struct PoolName {
  const char *flag, *name;
  Pool pool;
};
constexpr PoolName kPools[] = {
    {"pooling_mode_cls_token", "cls", Pool::First},
    {"pooling_mode_max_tokens", "max", Pool::Max},
    {"pooling_mode_mean_tokens", "mean", Pool::Mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pool::RootMean},
    {"pooling_mode_weightedmean_tokens", "weightedmean", Pool::WeightedMean},
    {"pooling_mode_lasttoken", "lasttoken", Pool::Last}};

/// What torch's classes of activations are here.
constexpr std::pair<const char *, const char *> kActivations[] = {
    {"Identity", ""},       {"Tanh", "tanh"}, {"ReLU", "relu"}, {"GELU", "gelu_erf"},
    {"Sigmoid", "sigmoid"}, {"SiLU", "silu"}, {"Mish", "mish"}};

class Modules {
public:
  Modules(fs::path folder, bool made_up, recipe::Decoder &decoder, StoredTensors &tensors,
          Problems &problems)
      : folder_(std::move(folder)), made_up_(made_up), decoder_(decoder), tensors_(tensors),
        problems_(problems) {}

  /// Whether there are any.
  bool read() {
    std::error_code error;
    const fs::path path = folder_ / "modules.json";
    if (!fs::exists(path, error))
      return false;
    const absl::StatusOr<json> modules = read_json(path.string(), 1 << 20);
    if (!modules.ok() || !modules->is_array()) {
      problems_.add_file(path.string(), modules.ok()
                                            ? absl::InvalidArgumentError("not a list of modules")
                                            : modules.status());
      return true;
    }
    for (const json &module : *modules)
      if (module.is_object())
        add(last_name(text_of(module, "type")), text_of(module, "path"));
    if (decoder_.encoding->pools.empty() && problems_.empty())
      problem("modules.json", "no module pools the rows");
    return true;
  }

private:
  void problem(const std::string &where, std::string what) {
    problems_.add(where, std::move(what),
                  "Quern reads Transformer, Pooling, Dense, LayerNorm and Normalize");
  }

  void add(const std::string &type, const std::string &path) {
    if (type == "Transformer") {
      if (!path.empty() && path != ".")
        problems_.add("modules.json", absl::StrCat("the transformer lies in the folder ", path),
                      absl::StrCat("move what is in ", path, " beside modules.json"));
      return;
    }
    if (type == "Dropout")
      return;
    if (type == "Normalize") {
      stages().push_back({.unit = true});
      return;
    }
    if (type != "Pooling" && type != "Dense" && type != "LayerNorm")
      return problem("modules.json", absl::StrCat("the module '", type, "' is not known"));
    // No module lies outside of the model's folder.
    const fs::path relative = fs::path(path).lexically_normal();
    if (relative.is_absolute() || path.empty() || *relative.begin() == "..")
      return problem("modules.json", absl::StrCat("'", path, "' is no folder of the model's"));
    const std::optional<ConfigJson> config =
        open_object(folder_ / relative / "config.json", problems_);
    if (!config)
      return problem(absl::StrCat(path, "/config.json"), "the file is missing");
    if (type == "Pooling")
      return pool(path, *config);
    type == "Dense" ? dense(path, *config) : norm(path, *config);
    take_tensors(path);
  }

  std::vector<Encoding::Stage> &stages() { return decoder_.encoding->stages; }

  void pool(const std::string &path, const ConfigJson &config) {
    std::vector<Pool> &pools = decoder_.encoding->pools;
    std::vector<std::string> names;
    if (config.is_string("pooling_mode"))
      names = {config.get_string("pooling_mode").value_or("")};
    else if (config.is_array("pooling_mode"))
      names = config.get_strings("pooling_mode").value_or(names);
    for (const std::string &name : names) {
      const auto *known =
          std::ranges::find_if(kPools, [&](const PoolName &pool) { return name == pool.name; });
      if (known == std::end(kPools))
        problem(path, absl::StrCat("rows are pooled by '", name, "', which is not known"));
      else
        pools.push_back(known->pool);
    }
    if (names.empty())
      for (const PoolName &known : kPools)
        if (config.get_bool_or(known.flag, known.pool == Pool::Mean).value_or(false))
          pools.push_back(known.pool);
    if (!config.get_bool_or("include_prompt", true).value_or(true))
      problems_.add(path, "prompts are left out where rows are pooled (include_prompt)",
                    "Quern has them only included");
  }

  /// Columns that come out of what there is so far.
  int64_t width() {
    for (auto it = stages().rbegin(); it != stages().rend(); ++it)
      if (it->linear)
        return it->linear->out;
    return decoder_.hidden * static_cast<int64_t>(decoder_.encoding->pools.size());
  }

  int64_t size(const ConfigJson &config, const char *key, const std::string &path) {
    const absl::StatusOr<int64_t> value = config.get_int(key, 1, recipe::kMaxWidth);
    if (!value.ok())
      problems_.add(absl::StrCat(path, "/config.json"), value.status());
    return value.value_or(1);
  }

  void dense(const std::string &path, const ConfigJson &config) {
    const int64_t in = size(config, "in_features", path), out = size(config, "out_features", path);
    if (in != width())
      problem(path, absl::StrCat("it takes ", in, " columns, and is given ", width()));
    if (config.get_bool_or("use_residual", false).value_or(false))
      problem(path, "it adds what it is given (use_residual)");
    for (const char *key : {"module_input_name", "module_output_name"})
      if (config.get_string_or(key, "sentence_embedding").value_or("") != "sentence_embedding")
        problem(path, absl::StrCat("it works on something else (", key, ")"));
    const std::string activation =
        last_name(config.get_string_or("activation_function", "Tanh").value_or("Tanh"));
    const auto *known = std::ranges::find_if(
        kActivations, [&](const auto &entry) { return activation == entry.first; });
    if (known == std::end(kActivations))
      return problem(path, absl::StrCat("the activation '", activation, "' is not known"));
    stages().push_back(
        {.linear = recipe::Linear{.module = path + ".linear",
                                  .in = in,
                                  .out = out,
                                  .bias = config.get_bool_or("bias", true).value_or(true)},
         .activation = known->second});
  }

  void norm(const std::string &path, const ConfigJson &config) {
    stages().push_back({.norm = {.module = path + ".norm",
                                 .size = size(config, "dimension", path),
                                 .eps = 1e-5,
                                 .kind = recipe::NormKind::Layer,
                                 .bias = true}});
    if (stages().back().norm.size != width())
      problem(path, absl::StrCat("it is for ", stages().back().norm.size, " columns, and given ",
                                 width()));
  }

  /// The tensors of the module's folder, by names that begin with its path.
  void take_tensors(const std::string &path) {
    if (made_up_)
      return;
    std::vector<absl::Status> errors;
    const Safetensors files = Safetensors::open((folder_ / path).string(), errors);
    for (const absl::Status &status : errors)
      problems_.add_file((folder_ / path).string(), status);
    if (!errors.empty())
      return;
    std::vector<int> numbers;
    for (const auto &file : files.files())
      numbers.push_back(tensors_.store.add(file));
    for (const SafeTensor &tensor : files.tensors())
      tensors_.list[absl::StrCat(path, ".", tensor.name)] = {
          tensor.shape, tensor.format, tensor.dtype, numbers[static_cast<size_t>(tensor.file)],
          tensor.offset};
  }

  fs::path folder_;
  bool made_up_;
  recipe::Decoder &decoder_;
  StoredTensors &tensors_;
  Problems &problems_;
};

} // namespace

void read_sentence_modules(const fs::path &folder, bool made_up, recipe::Decoder &decoder,
                           StoredTensors &tensors, Problems &problems,
                           std::vector<std::string> &notes) {
  if (decoder.encoding->labels != 0 || Modules(folder, made_up, decoder, tensors, problems).read())
    return;
  decoder.encoding->pools = {Pool::Mean};
  notes.push_back("there is no modules.json to say how rows become a vector: their mean is taken, "
                  "as sentence-transformers does, and it is not normalized");
}

void adopt_language_model(const fs::path &folder, recipe::Decoder &decoder, StoredTensors &tensors,
                          std::vector<std::string> &notes) {
  std::error_code error;
  if (!fs::exists(folder / "modules.json", error) || decoder.layers.empty())
    return;
  if (!recipe::can_encode(decoder)) {
    notes.push_back("modules.json says that it makes vectors of texts, which Quern has for models "
                    "of attention alone: it is compiled as a language model");
    return;
  }
  decoder.encoding.emplace();
  if (!decoder.tied())
    for (const char *part : {".weight", ".bias"})
      tensors.harmless[decoder.head.module + part] = "no token is asked for";
  notes.push_back("modules.json says that it makes vectors of texts: it is compiled as an encoder; "
                  "without that file, as a language model");
}

EncoderInfo read_encoder_info(const fs::path &folder, const ConfigJson &config,
                              const recipe::Decoder &decoder, Problems &problems) {
  EncoderInfo info;
  info.max_length = decoder.context;
  const auto shorten = [&](const char *file, const char *key) {
    const std::optional<ConfigJson> object = open_object(folder / file, problems);
    if (!object || !object->has(key))
      return false;
    // Where there is none, transformers writes 1e30.
    const absl::StatusOr<double> most = object->get_float(key);
    if (most.ok() && *most >= 1 && *most < static_cast<double>(info.max_length))
      info.max_length = static_cast<int64_t>(*most);
    return true;
  };
  if (!shorten("sentence_bert_config.json", "max_seq_length"))
    shorten("tokenizer_config.json", "model_max_length");
  if (const std::optional<ConfigJson> sentences =
          open_object(folder / "config_sentence_transformers.json", problems)) {
    const json prompts = sentences->value("prompts");
    if (prompts.is_object() && prompts.size() <= kMaxPrompts)
      for (const auto &[name, text] : prompts.items())
        if (text.is_string())
          info.prompts.push_back({name, text.get<std::string>()});
    info.default_prompt = text_of(json{{"name", sentences->value("default_prompt_name")}}, "name");
  }
  if (decoder.encoding->labels == 0)
    return info;
  const json labels = config.value("id2label");
  for (int64_t i = 0; i < decoder.encoding->labels && i < kMaxPrompts; ++i) {
    std::string name = labels.is_object() ? text_of(labels, std::to_string(i).c_str()) : "";
    info.labels.push_back(name.empty() ? absl::StrCat("LABEL_", i) : std::move(name));
  }
  return info;
}

bool lowers_case(const fs::path &folder) {
  Problems unsaid;
  const std::optional<ConfigJson> config =
      open_object(folder / "sentence_bert_config.json", unsaid);
  return config && config->get_bool_or("do_lower_case", false).value_or(false);
}

} // namespace quern::hf
