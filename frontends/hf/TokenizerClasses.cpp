// transformers' tokenizer classes: what they call their special tokens, and how those without a
// tokenizer.json read a vocabulary.
#include "frontends/hf/TokenizerParts.h"

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

} // namespace

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
