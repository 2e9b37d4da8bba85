#include "frontends/families/Families.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <utility>

namespace quern {

namespace {
constexpr Family kFamilies[] = {
    {"bamba", "BambaForCausalLM", bamba_from_hf, nullptr, nullptr},
    {"bert", "BertModel", bert_from_hf, "bert", bert_from_gguf, true},
    {"bloom", "BloomForCausalLM", bloom_from_hf, "bloom", bloom_from_gguf},
    {"cohere", "CohereForCausalLM", cohere_from_hf, "command-r", cohere_from_gguf},
    {"cohere2", "Cohere2ForCausalLM", cohere2_from_hf, "cohere2", cohere2_from_gguf},
    {"dbrx", "DbrxForCausalLM", dbrx_from_hf, "dbrx", dbrx_from_gguf},
    {"deepseek_v2", "DeepseekV2ForCausalLM", deepseek_v2_from_hf, "deepseek2", deepseek2_from_gguf},
    {"deepseek_v3", "DeepseekV3ForCausalLM", deepseek_v3_from_hf, nullptr, nullptr},
    {"delta_net", "DeltaNetForCausalLM", delta_net_from_hf, nullptr, nullptr},
    {"distilbert", "DistilBertModel", distilbert_from_hf, nullptr, nullptr, true},
    {"electra", "ElectraModel", electra_from_hf, nullptr, nullptr, true},
    {"ernie4_5", "Ernie4_5ForCausalLM", ernie4_5_from_hf, "ernie4_5", ernie4_5_from_gguf},
    {"ernie4_5_moe", "Ernie4_5_MoeForCausalLM", ernie4_5_moe_from_hf, "ernie4_5-moe",
     ernie4_5_moe_from_gguf},
    {"exaone4", "Exaone4ForCausalLM", exaone4_from_hf, "exaone4", exaone4_from_gguf},
    {"falcon", "FalconForCausalLM", falcon_from_hf, "falcon", falcon_from_gguf},
    {"falcon_h1", "FalconH1ForCausalLM", falcon_h1_from_hf, "falcon-h1", falcon_h1_from_gguf},
    {"falcon_mamba", "FalconMambaForCausalLM", falcon_mamba_from_hf, nullptr, nullptr},
    {"gated_deltanet", "GatedDeltaNetForCausalLM", gated_deltanet_from_hf, nullptr, nullptr},
    {"gemma", "GemmaForCausalLM", gemma_from_hf, "gemma", gemma_from_gguf},
    {"gemma2", "Gemma2ForCausalLM", gemma2_from_hf, "gemma2", gemma2_from_gguf},
    {"gemma-embedding", nullptr, nullptr, "gemma-embedding", gemma_embedding_from_gguf, true},
    {"gemma3_text", "Gemma3ForCausalLM", gemma3_from_hf, "gemma3", gemma3_from_gguf},
    {"gla", "GLAForCausalLM", gla_from_hf, nullptr, nullptr},
    {"glm", "GlmForCausalLM", glm_from_hf, "chatglm", glm_from_gguf},
    {"glm4", "Glm4ForCausalLM", glm4_from_hf, "glm4", glm4_from_gguf},
    {"glm4_moe", "Glm4MoeForCausalLM", glm4_moe_from_hf, "glm4moe", glm4_moe_from_gguf},
    {"gpt2", "GPT2LMHeadModel", gpt2_from_hf, "gpt2", gpt2_from_gguf},
    {"gpt_neox", "GPTNeoXForCausalLM", gpt_neox_from_hf, "gptneox", gpt_neox_from_gguf},
    {"gpt_oss", "GptOssForCausalLM", gpt_oss_from_hf, "gpt-oss", gpt_oss_from_gguf},
    {"gptj", "GPTJForCausalLM", gptj_from_hf, nullptr, nullptr},
    {"granite", "GraniteForCausalLM", granite_from_hf, "granite", granite_from_gguf},
    {"granitemoe", "GraniteMoeForCausalLM", granitemoe_from_hf, "granitemoe", granitemoe_from_gguf},
    {"granitemoehybrid", "GraniteMoeHybridForCausalLM", granitemoehybrid_from_hf, "granitehybrid",
     granitemoehybrid_from_gguf},
    {"hgrn", "HGRNForCausalLM", hgrn_from_hf, nullptr, nullptr},
    {"hgrn2", "HGRN2ForCausalLM", hgrn2_from_hf, nullptr, nullptr},
    {"hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", hunyuan_from_hf, "hunyuan-dense",
     hunyuan_from_gguf},
    {"hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM", hunyuan_moe_from_hf, "hunyuan-moe",
     hunyuan_moe_from_gguf},
    {"jamba", "JambaForCausalLM", jamba_from_hf, "jamba", jamba_from_gguf},
    {"kda", "KDAForCausalLM", kda_from_hf, nullptr, nullptr},
    {"kimi_linear", "KimiLinearForCausalLM", kimi_linear_from_hf, "kimi-linear",
     kimi_linear_from_gguf},
    {"lfm2", "Lfm2ForCausalLM", lfm2_from_hf, "lfm2", lfm2_from_gguf},
    {"lfm2_moe", "Lfm2MoeForCausalLM", lfm2_moe_from_hf, "lfm2moe", lfm2_moe_from_gguf},
    {"linear_attn", "LinearAttentionForCausalLM", linear_attn_from_hf, nullptr, nullptr},
    {"llama", "LlamaForCausalLM", llama_from_hf, "llama", llama_from_gguf},
    {"mamba", "MambaForCausalLM", mamba_from_hf, "mamba", mamba_from_gguf},
    {"mamba2", "Mamba2ForCausalLM", mamba2_from_hf, "mamba2", mamba2_from_gguf},
    {"mamba3", "Mamba3ForCausalLM", mamba3_from_hf, nullptr, nullptr},
    {"mamba_ssm", "MambaLMHeadModel", mamba_ssm_from_hf, nullptr, nullptr},
    {"minimax_m2", "MiniMaxM2ForCausalLM", minimax_m2_from_hf, "minimax-m2", minimax_m2_from_gguf},
    {"ministral", "MinistralForCausalLM", ministral_from_hf, nullptr, nullptr},
    {"mistral", "MistralForCausalLM", mistral_from_hf, nullptr, nullptr},
    {"mistral3", nullptr, nullptr, "mistral3", mistral3_from_gguf},
    {"mixtral", "MixtralForCausalLM", mixtral_from_hf, nullptr, nullptr},
    {"modernbert", "ModernBertModel", modernbert_from_hf, nullptr, nullptr, true},
    {"mpnet", "MPNetModel", mpnet_from_hf, nullptr, nullptr, true},
    {"mpt", "MptForCausalLM", mpt_from_hf, "mpt", mpt_from_gguf},
    {"nemotron", "NemotronForCausalLM", nemotron_from_hf, "nemotron", nemotron_from_gguf},
    {"nemotron_h", "NemotronHForCausalLM", nemotron_h_from_hf, "nemotron_h", nemotron_h_from_gguf},
    {"nemotron_h_moe", nullptr, nullptr, "nemotron_h_moe", nemotron_h_from_gguf},
    {"nomic_bert", "NomicBertModel", nomic_bert_from_hf, "nomic-bert", nomic_bert_from_gguf, true},
    {"olmo", "OlmoForCausalLM", olmo_from_hf, "olmo", olmo_from_gguf},
    {"olmo2", "Olmo2ForCausalLM", olmo2_from_hf, "olmo2", olmo2_from_gguf},
    {"olmo3", "Olmo3ForCausalLM", olmo3_from_hf, nullptr, nullptr},
    {"olmo_hybrid", "OlmoHybridForCausalLM", olmo_hybrid_from_hf, nullptr, nullptr},
    {"olmoe", "OlmoeForCausalLM", olmoe_from_hf, "olmoe", olmoe_from_gguf},
    {"opt", "OPTForCausalLM", opt_from_hf, nullptr, nullptr},
    {"phi", "PhiForCausalLM", phi_from_hf, "phi2", phi_from_gguf},
    {"phi3", "Phi3ForCausalLM", phi3_from_hf, "phi3", phi3_from_gguf},
    {"qwen2", "Qwen2ForCausalLM", qwen2_from_hf, "qwen2", qwen2_from_gguf},
    {"qwen2_moe", "Qwen2MoeForCausalLM", qwen2_moe_from_hf, "qwen2moe", qwen2_moe_from_gguf},
    {"qwen3", "Qwen3ForCausalLM", qwen3_from_hf, "qwen3", qwen3_from_gguf},
    {"qwen3_5_text", "Qwen3_5ForCausalLM", qwen3_5_from_hf, "qwen35", qwen3_5_from_gguf},
    {"qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", qwen3_5_moe_from_hf, "qwen35moe",
     qwen3_5_moe_from_gguf},
    {"qwen3_moe", "Qwen3MoeForCausalLM", qwen3_moe_from_hf, "qwen3moe", qwen3_moe_from_gguf},
    {"qwen3_next", "Qwen3NextForCausalLM", qwen3_next_from_hf, "qwen3next", qwen3_next_from_gguf},
    {"recurrent_gemma", "RecurrentGemmaForCausalLM", recurrent_gemma_from_hf, nullptr, nullptr},
    {"retnet", "RetNetForCausalLM", retnet_from_hf, nullptr, nullptr},
    {"roberta", "RobertaModel", roberta_from_hf, nullptr, nullptr, true},
    {"rwkv", "RwkvForCausalLM", rwkv_from_hf, nullptr, nullptr},
    {"rwkv5", "Rwkv5ForCausalLM", rwkv5_from_hf, nullptr, nullptr},
    {"rwkv6", "Rwkv6ForCausalLM", rwkv6_from_hf, "rwkv6", rwkv6_from_gguf},
    {"rwkv7", "RWKV7ForCausalLM", rwkv7_from_hf, "rwkv7", rwkv7_from_gguf},
    {"samba", "SambaForCausalLM", samba_from_hf, nullptr, nullptr},
    {"smollm3", "SmolLM3ForCausalLM", smollm3_from_hf, "smollm3", smollm3_from_gguf},
    {"stablelm", "StableLmForCausalLM", stablelm_from_hf, "stablelm", stablelm_from_gguf},
    {"starcoder2", "Starcoder2ForCausalLM", starcoder2_from_hf, "starcoder2", starcoder2_from_gguf},
    {"stripedhyena", "StripedHyenaModelForCausalLM", stripedhyena_from_hf, nullptr, nullptr},
    {"transformer", "TransformerForCausalLM", transformer_from_hf, nullptr, nullptr},
    {"xlm-roberta", "XLMRobertaModel", xlm_roberta_from_hf, nullptr, nullptr, true},
    {"xlstm", "xLSTMForCausalLM", xlstm_from_hf, nullptr, nullptr},
    {"zamba2", "Zamba2ForCausalLM", zamba2_from_hf, nullptr, nullptr},
};

/// model_type of families' own code, from before transformers had them, and the family.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"RefinedWeb", "falcon"},      // 40B
    {"RefinedWebModel", "falcon"}, // 7B and RW
    {"stablelm_epoch", "stablelm"},
    {"kimi_k2", "deepseek_v3"},
};

/// "LlamaForCausalLM" to "llama".
std::string stem(std::string_view name) {
  std::string stem = absl::AsciiStrToLower(std::string(name));
  for (const std::string_view head : {"forcausallm", "lmheadmodel", "model"})
    if (stem.ends_with(head)) {
      stem.resize(stem.size() - head.size());
      break;
    }
  return stem;
}

std::string add_name(std::string list, const char *name) {
  return name ? absl::StrCat(list, list.empty() ? "" : ", ", name) : list;
}
} // namespace

const Family *find_hf_family(std::string_view model_type) {
  for (const auto &[other, name] : kOtherNames)
    if (other == model_type)
      model_type = name;
  for (const Family &family : kFamilies)
    if (family.from_hf && family.name == model_type)
      return &family;
  return nullptr;
}

const Family *find_hf_architecture(std::string_view name) {
  for (const Family &family : kFamilies)
    if (family.from_hf && stem(family.hf_architecture) == stem(name))
      return &family;
  return nullptr;
}

const Family *find_gguf_family(std::string_view architecture) {
  for (const Family &family : kFamilies)
    if (family.from_gguf && family.gguf_architecture == architecture)
      return &family;
  return nullptr;
}

std::string hf_family_names() {
  std::string list;
  for (const Family &family : kFamilies)
    list = add_name(list, family.from_hf ? family.name : nullptr);
  return list;
}

std::string gguf_family_names() {
  std::string list;
  for (const Family &family : kFamilies)
    list = add_name(list, family.gguf_architecture);
  return list;
}

} // namespace quern
