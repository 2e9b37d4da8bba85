#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

namespace quern {

namespace {
constexpr Family kFamilies[] = {
    {"bloom", "BloomForCausalLM", bloom_from_hf, nullptr},
    {"cohere", "CohereForCausalLM", cohere_from_hf, nullptr},
    {"cohere2", "Cohere2ForCausalLM", cohere2_from_hf, nullptr},
    {"ernie4_5", "Ernie4_5ForCausalLM", ernie4_5_from_hf, nullptr},
    {"exaone4", "Exaone4ForCausalLM", exaone4_from_hf, nullptr},
    {"falcon", "FalconForCausalLM", falcon_from_hf, nullptr},
    {"gemma", "GemmaForCausalLM", gemma_from_hf, nullptr},
    {"gemma2", "Gemma2ForCausalLM", gemma2_from_hf, nullptr},
    {"gemma3_text", "Gemma3ForCausalLM", gemma3_from_hf, nullptr},
    {"glm", "GlmForCausalLM", glm_from_hf, nullptr},
    {"glm4", "Glm4ForCausalLM", glm4_from_hf, nullptr},
    {"gpt2", "GPT2LMHeadModel", gpt2_from_hf, nullptr},
    {"gpt_neox", "GPTNeoXForCausalLM", gpt_neox_from_hf, nullptr},
    {"gptj", "GPTJForCausalLM", gptj_from_hf, nullptr},
    {"granite", "GraniteForCausalLM", granite_from_hf, nullptr},
    {"hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", hunyuan_from_hf, nullptr},
    {"llama", "LlamaForCausalLM", llama_from_hf, llama_from_gguf},
    {"mamba2", "Mamba2ForCausalLM", mamba2_from_hf, nullptr},
    {"ministral", "MinistralForCausalLM", ministral_from_hf, nullptr},
    {"mistral", "MistralForCausalLM", mistral_from_hf, nullptr},
    {"mpt", "MptForCausalLM", mpt_from_hf, nullptr},
    {"nemotron", "NemotronForCausalLM", nemotron_from_hf, nullptr},
    {"olmo", "OlmoForCausalLM", olmo_from_hf, nullptr},
    {"olmo2", "Olmo2ForCausalLM", olmo2_from_hf, nullptr},
    {"olmo3", "Olmo3ForCausalLM", olmo3_from_hf, nullptr},
    {"opt", "OPTForCausalLM", opt_from_hf, nullptr},
    {"phi", "PhiForCausalLM", phi_from_hf, nullptr},
    {"phi3", "Phi3ForCausalLM", phi3_from_hf, nullptr},
    {"qwen2", "Qwen2ForCausalLM", qwen2_from_hf, qwen2_from_gguf},
    {"qwen3", "Qwen3ForCausalLM", qwen3_from_hf, qwen3_from_gguf},
    {"smollm3", "SmolLM3ForCausalLM", smollm3_from_hf, nullptr},
    {"stablelm", "StableLmForCausalLM", stablelm_from_hf, nullptr},
    {"starcoder2", "Starcoder2ForCausalLM", starcoder2_from_hf, nullptr},
};

template <typename Has> const Family *find(std::string_view name, Has has) {
  for (const Family &family : kFamilies)
    if (family.name == name && has(family))
      return &family;
  return nullptr;
}

template <typename Has> std::string names(Has has) {
  std::string list;
  for (const Family &family : kFamilies)
    if (has(family))
      absl::StrAppend(&list, list.empty() ? "" : ", ", family.name);
  return list;
}

constexpr auto kHasHf = [](const Family &f) { return f.from_hf != nullptr; };
constexpr auto kHasGguf = [](const Family &f) { return f.from_gguf != nullptr; };
} // namespace

const Family *find_hf_family(std::string_view model_type) { return find(model_type, kHasHf); }
const Family *find_gguf_family(std::string_view name) { return find(name, kHasGguf); }
std::string hf_family_names() { return names(kHasHf); }
std::string gguf_family_names() { return names(kHasGguf); }

} // namespace quern
