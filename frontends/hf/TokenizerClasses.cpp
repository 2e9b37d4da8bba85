// transformers' tokenizer classes: what they call their special tokens, and how those without a
// tokenizer.json read a vocabulary.
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

#include <algorithm>

namespace quern::hf {
namespace {

using Pipeline = TokenizerClass::Pipeline;

const std::vector<TokenizerClass> &classes() {
  static constexpr const char *kEnd = "<|endoftext|>";
  static const std::vector<std::pair<const char *, const char *>> gpt2 = {
      {"bos_token", kEnd}, {"eos_token", kEnd}, {"unk_token", kEnd}};
  static const std::vector<std::pair<const char *, const char *>> roberta = {
      {"bos_token", "<s>"},   {"eos_token", "</s>"},  {"sep_token", "</s>"},   {"cls_token", "<s>"},
      {"unk_token", "<unk>"}, {"pad_token", "<pad>"}, {"mask_token", "<mask>"}};
  static const std::vector<TokenizerClass> all = {
      {"GPT2Tokenizer", gpt2, Pipeline::Gpt2},
      {"CodeGenTokenizer", gpt2, Pipeline::Gpt2},
      {"GPTNeoXTokenizer",
       {{"bos_token", kEnd},
        {"eos_token", kEnd},
        {"unk_token", kEnd},
        {"pad_token", "<|padding|>"}},
       Pipeline::NormalizedGpt2},
      {"Qwen2Tokenizer",
       {{"eos_token", kEnd}, {"unk_token", kEnd}, {"pad_token", kEnd}},
       Pipeline::Qwen2},
      {"CohereTokenizer",
       {{"bos_token", "<BOS_TOKEN>"},
        {"eos_token", "<|END_OF_TURN_TOKEN|>"},
        {"unk_token", "<UNK>"},
        {"sep_token", "<SEP>"},
        {"pad_token", "<PAD>"},
        {"cls_token", "<CLS>"},
        {"mask_token", "<MASK_TOKEN>"}},
       Pipeline::Cohere},
      {"RobertaTokenizer", roberta, Pipeline::Gpt2, /*cls_and_sep=*/true},
      {"BartTokenizer", roberta, Pipeline::Gpt2, /*cls_and_sep=*/true},
      {"BertTokenizer",
       {{"unk_token", "[UNK]"},
        {"sep_token", "[SEP]"},
        {"pad_token", "[PAD]"},
        {"cls_token", "[CLS]"},
        {"mask_token", "[MASK]"}},
       Pipeline::WordPiece,
       /*cls_and_sep=*/true},
      {"LlamaTokenizer",
       {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}},
       Pipeline::None},
      {"GemmaTokenizer",
       {{"bos_token", "<bos>"},
        {"eos_token", "<eos>"},
        {"unk_token", "<unk>"},
        {"pad_token", "<pad>"},
        {"mask_token", "<mask>"}},
       Pipeline::None}};
  return all;
}

/// The class that transformers has for a model_type; "" where that is one that adds nothing.
struct Registered {
  std::string_view model_type, name;
  /// What there was before transformers 5, for models published then.
  std::string_view before = {};
};
constexpr Registered kRegistered[] = {{"bart", "RobertaTokenizer"},
                                      {"bert", "BertTokenizer"},
                                      {"bloom", ""},
                                      {"codegen", "GPT2Tokenizer"},
                                      {"cohere", "CohereTokenizer"},
                                      {"cohere2", "CohereTokenizer"},
                                      {"dbrx", "GPT2Tokenizer"},
                                      {"distilbert", "BertTokenizer"},
                                      {"electra", "BertTokenizer"},
                                      {"ernie4_5", ""},
                                      {"falcon_mamba", "GPTNeoXTokenizer"},
                                      {"gemma", "GemmaTokenizer"},
                                      {"gemma2", "GemmaTokenizer"},
                                      {"gemma3", "GemmaTokenizer"},
                                      {"gemma3_text", "GemmaTokenizer"},
                                      {"glm", ""},
                                      {"glm4", ""},
                                      {"gpt2", "GPT2Tokenizer"},
                                      {"gpt_bigcode", "", "GPT2Tokenizer"},
                                      {"gpt_neo", "GPT2Tokenizer"},
                                      {"gpt_neox", "GPTNeoXTokenizer"},
                                      {"gptj", "GPT2Tokenizer"},
                                      {"granite", "", "GPT2Tokenizer"},
                                      {"granitemoe", "", "GPT2Tokenizer"},
                                      {"mamba", "GPTNeoXTokenizer"},
                                      {"mamba2", "GPTNeoXTokenizer"},
                                      {"ministral", ""},
                                      {"mistral", ""},
                                      {"mixtral", ""},
                                      {"mpt", "GPTNeoXTokenizer"},
                                      {"nemotron", ""},
                                      {"olmo", "GPTNeoXTokenizer"},
                                      {"olmo2", "", "GPTNeoXTokenizer"},
                                      {"olmo3", "", "GPTNeoXTokenizer"},
                                      {"olmoe", "GPTNeoXTokenizer"},
                                      {"opt", "GPT2Tokenizer"},
                                      {"phi", "GPT2Tokenizer"},
                                      {"phi3", ""},
                                      {"qwen2", "Qwen2Tokenizer"},
                                      {"qwen2_moe", "Qwen2Tokenizer"},
                                      {"qwen3", "Qwen2Tokenizer"},
                                      {"qwen3_moe", "Qwen2Tokenizer"},
                                      {"recurrent_gemma", "GemmaTokenizer"},
                                      {"roberta", "RobertaTokenizer"},
                                      {"rwkv", "GPTNeoXTokenizer"},
                                      {"stablelm", "", "GPTNeoXTokenizer"},
                                      {"starcoder2", "GPT2Tokenizer"}};

const TokenizerClass *find_class(std::string_view name) {
  for (const TokenizerClass &known : classes())
    if (name == known.name)
      return &known;
  return nullptr;
}

const Registered *registered(const Config &model_config) {
  const std::string type = text_of(nlohmann::json(model_config), "model_type");
  for (const Registered &entry : kRegistered)
    if (entry.model_type == type)
      return &entry;
  return nullptr;
}

/// The class that the files name, without "Fast".
std::string named_class(const Config &tokenizer_config, const Config &model_config) {
  for (const Config *config : {&tokenizer_config, &model_config})
    if (std::string name = text_of(nlohmann::json(*config), "tokenizer_class"); !name.empty()) {
      if (name.ends_with("Fast"))
        name.resize(name.size() - 4);
      return name;
    }
  return "";
}

/// Whether the class makes its steps itself, byte-level ones.
bool is_byte_level(const TokenizerClass &known) {
  return known.pipeline != Pipeline::None && known.pipeline != Pipeline::WordPiece;
}

} // namespace

nlohmann::json pre_tokenizer_of(nlohmann::json step, const Config &tokenizer_config,
                                const TokenizerClass *known_class) {
  const Config said = tokenizer_config.value("add_prefix_space", Config());
  if (!known_class || !is_byte_level(*known_class) || !said.is_boolean() || !step.is_object())
    return step;
  if (text_of(step, "type") == "ByteLevel")
    step["add_prefix_space"] = said.get<bool>();
  if (const auto steps = step.find("pretokenizers"); steps != step.end() && steps->is_array())
    for (nlohmann::json &inner : *steps)
      inner = pre_tokenizer_of(std::move(inner), tokenizer_config, known_class);
  return step;
}

void note_other_steps(const TokenizerClass &known_class, const Config &tokenizer_config,
                      SpecBuilder &to) {
  if (!is_byte_level(known_class))
    return;
  const text::TokenizerSpec &spec = to.spec;
  const auto note = [&](std::string_view does, std::string_view says) {
    to.notes.push_back(text::concat("tokenizer.json ", says,
                                    ", which counts, though transformers' ", known_class.name, " ",
                                    does));
  };
  const bool normalizes = known_class.pipeline != Pipeline::Gpt2;
  if (normalizes == spec.normalizers.empty())
    note(normalizes ? "makes it NFC" : "does not",
         normalizes ? "leaves text as it is" : "normalizes text");
  if (known_class.cls_and_sep && spec.prefix_ids.empty() && spec.suffix_ids.empty())
    note("does", "puts no tokens around a text");
  const bool puts_space = std::ranges::any_of(spec.pre_tokenizer, [](const auto &step) {
    return step.kind == text::PreTokenizerStep::Kind::PrefixSpace;
  });
  if (puts_space && !tokenizer_config.value("add_prefix_space", Config()).is_boolean())
    note("does not where tokenizer_config.json has no add_prefix_space",
         "puts a space before a text");
}

const TokenizerClass *tokenizer_class(const Config &tokenizer_config, const Config &model_config) {
  const std::string name = named_class(tokenizer_config, model_config);
  const Registered *model = registered(model_config);
  if (name.empty() || (model && name != model->name && model->model_type == "qwen2"))
    return model ? find_class(model->name) : nullptr;
  // A model whose own class adds nothing has not that of another.
  return model && model->name.empty() ? nullptr : find_class(name);
}

const TokenizerClass *vocabulary_class(const Config &tokenizer_config, const Config &model_config) {
  const auto reads = [](const TokenizerClass *known) {
    return known && known->pipeline != Pipeline::None ? known : nullptr;
  };
  if (const auto *known = reads(find_class(named_class(tokenizer_config, model_config))))
    return known;
  const Registered *model = registered(model_config);
  if (!model)
    return nullptr;
  return reads(find_class(model->name.empty() ? model->before : model->name));
}

} // namespace quern::hf
