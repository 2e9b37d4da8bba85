#include "frontends/hf/TextPart.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace quern::hf {
namespace {

/// A class of models by its model_type.
struct Wrapper {
  const char *type;
  const char *text = "llama"; ///< model_type of an object that has none
  /// The object's key; null: the language model's keys are the whole's own.
  const char *key = "text_config";
};

// Given text alone, each of these is its language model: what else it has makes embeddings of
// pictures or sound, which it puts in the place of tokens. (PaliGemma is none of them: it sees its
// whole prompt at once; nor are Aya Vision and Granite Speech, whose classes do not scale their
// logits.) Those of transformers were run against it; `internvl_chat` and `kimi_vl` come with code
// of their own.
constexpr Wrapper kWrappers[] = {
    {"deepseek_vl"},
    {"exaone4_5", "exaone4"},
    {"gemma3", "gemma3_text"},
    {"got_ocr2", "qwen2"},
    {"idefics2", "mistral"},
    {"idefics3"},
    {"internvl", "qwen2"},
    {"internvl_chat", "llama", "llm_config"},
    {"janus"},
    {"kimi_k25", "deepseek_v3"},
    {"kimi_vl", "deepseek_v3"},
    {"lfm2_vl", "lfm2"},
    {"lighton_ocr", "qwen3"},
    {"llava"},
    {"llava_next"},
    {"llava_next_video"},
    {"llava_onevision", "qwen2"},
    {"minicpmv4_6", "qwen3_5_text"},
    {"mistral3", "mistral"},
    {"nemotron_h_omni", "nemotron_h"},
    {"ovis2", "qwen2"},
    {"qianfan_ocr", "qwen3"},
    {"qwen2_5_vl", "qwen2", nullptr},
    {"qwen2_audio", "qwen2"},
    {"qwen2_vl", "qwen2", nullptr},
    {"qwen3_5", "qwen3_5_text"},
    {"qwen3_5_moe", "qwen3_5_moe_text"},
    {"qwen3_vl", "qwen3"},
    {"qwen3_vl_moe", "qwen3_moe"},
    {"smolvlm"},
    {"video_llama_3", "qwen2"},
    {"video_llava"},
    {"vipllava"},
    {"voxtral"},
};

/// Language models that have a class of their own only for positions in pictures: a text's are the
/// same in all three of their sections.
constexpr std::pair<const char *, const char *> kTextClasses[] = {
    {"qwen2_5_vl_text", "qwen2"},
    {"qwen2_vl_text", "qwen2"},
    {"qwen3_vl_moe_text", "qwen3_moe"},
    {"qwen3_vl_text", "qwen3"}};

/// What the classes of language models have where a key is missing, which in a part's config means
/// just that: transformers wrote what differs.
struct Sizes {
  const char *type;
  int64_t vocab, hidden, mlp, layers, heads, context;
};
constexpr Sizes kClassSizes[] = {
    {"llama", 32'000, 4096, 11'008, 32, 32, 2048},
    {"mistral", 32'000, 4096, 14'336, 32, 32, 131'072},
    {"qwen2", 151'936, 4096, 22'016, 32, 32, 32'768},
    {"qwen3", 151'936, 4096, 22'016, 32, 32, 32'768},
    {"gemma3_text", 262'208, 2304, 9216, 26, 8, 131'072},
    {"lfm2", 65'536, 2560, 12'288, 32, 32, 128'000},
    {"exaone4", 102'400, 4096, 16'384, 32, 32, 2048},
    {"qwen3_5_text", 248'320, 4096, 12'288, 32, 16, 32'768},
    {"qwen3_5_moe_text", 248'320, 2048, 0, 40, 16, 32'768},
};

void add_missing(const ConfigJson &text, const char *key, int64_t value) {
  if (value > 0 && !text.has(key))
    text.add(key, value);
}

/// Makes a language model's class of it that is one by itself.
void take_class(const ConfigJson &text) {
  const nlohmann::json type = text.value("model_type");
  for (const auto &[of_part, of_its_own] : kTextClasses)
    if (type == nlohmann::json(of_part))
      text.add("model_type", of_its_own);
  if (type == nlohmann::json("qwen3_vl_moe_text"))
    text.add("norm_topk_prob", true); // whatever is said
  for (const char *key : {"rope_parameters", "rope_scaling"}) {
    nlohmann::json rope = text.value(key);
    if (!rope.is_object() || !rope.contains("mrope_section"))
      continue;
    rope.erase("mrope_section");
    rope.erase("mrope_interleaved");
    for (const char *kind : {"type", "rope_type"})
      if (rope.contains(kind) && rope[kind] == nlohmann::json("mrope"))
        rope[kind] = "default";
    text.add(key, std::move(rope));
  }
}

} // namespace

TextPart find_text_part(const ConfigJson &config, Problems &problems,
                        std::vector<std::string> &notes) {
  if (!config.is_string("model_type"))
    return {};
  const auto type = config.value("model_type").get<std::string>();
  const auto *wrapper = std::find_if(std::begin(kWrappers), std::end(kWrappers),
                                     [&](const Wrapper &w) { return type == w.type; });
  if (wrapper == std::end(kWrappers))
    return {};
  const char *key = wrapper->key;
  if (!key && config.has("text_config"))
    key = "text_config"; // as transformers 5 writes it
  absl::StatusOr<ConfigJson> text = key ? config.part(key) : config.unread();
  if (!text.ok()) {
    problems.add(key, text.status());
    return {.wrong = true};
  }
  if (!key || !text->has("model_type"))
    text->add("model_type", wrapper->text);
  for (const Sizes &sizes : kClassSizes)
    if (text->value("model_type") == nlohmann::json(sizes.type)) {
      add_missing(*text, "vocab_size", sizes.vocab);
      add_missing(*text, "hidden_size", sizes.hidden);
      add_missing(*text, "intermediate_size", sizes.mlp);
      add_missing(*text, "num_hidden_layers", sizes.layers);
      add_missing(*text, "num_attention_heads", sizes.heads);
      add_missing(*text, "max_position_embeddings", sizes.context);
    }
  take_class(*text);
  if (type.starts_with("qwen2_") && !text->has("rms_norm_eps"))
    text->add("rms_norm_eps", 1e-5); // not Qwen 2's own
  for (const char *of_both : {"dtype", "torch_dtype", "quantization_config"})
    if (config.has(of_both) && !text->has(of_both))
      text->add(of_both, config.value(of_both));
  // The head is the whole's, but files of transformers 4 say of it what is in the part.
  if (const nlohmann::json tied = config.value("tie_word_embeddings");
      tied == nlohmann::json(true) || (!tied.is_null() && !text->has("tie_word_embeddings")))
    text->add("tie_word_embeddings", tied);
  if (config.has("architectures"))
    text->add("architectures", config.value("architectures"));
  if (!key) // not the language model's
    text->ignore({"vision_config"});
  notes.push_back(absl::StrCat("the model is the language model of a ", type, ", for text alone",
                               key ? absl::StrCat(": keys are those of its ", key) : ""));
  return {.config = *std::move(text)};
}

} // namespace quern::hf
