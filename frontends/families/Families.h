// The families Quern knows. Each has one short file that fills a recipe from a model's keys; this
// table is all that the importers know of them. docs/guides/adding-a-family.md says how to add one.
#ifndef QUERN_FRONTENDS_FAMILIES_FAMILIES_H
#define QUERN_FRONTENDS_FAMILIES_FAMILIES_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <string>
#include <string_view>

namespace quern {

struct Family {
  const char *name; ///< model_type in config.json
  /// `architectures` in config.json; null: the family is not read from Hugging Face's files.
  const char *hf_architecture;
  /// Fills a recipe. What is wrong goes to the reader's problems; the recipe is then not used.
  recipe::Decoder (*from_hf)(ModelReader &model);
  /// `general.architecture` in GGUF, and the same from there; null: the family is not read from
  /// GGUF, as llama.cpp does not have it or calls it by another's name (Mistral is `llama`).
  const char *gguf_architecture;
  recipe::Decoder (*from_gguf)(ModelReader &model);
  /// Its models are encoders: they may have heads that score texts, and were trained with others.
  bool encodes = false;
};

/// The family of that name with an importer for HF (else GGUF) files, or null. HF files have other
/// names of some families, which their first code had before transformers did.
const Family *find_hf_family(std::string_view model_type);
const Family *find_gguf_family(std::string_view architecture);

/// The family of a class of Hugging Face's that `architectures` names, in any spelling of capitals,
/// with or without its head; or null.
const Family *find_hf_architecture(std::string_view name);

/// Names for messages: "llama, mamba2, ...".
std::string hf_family_names();
std::string gguf_family_names();

// One a file.
recipe::Decoder bloom_from_hf(ModelReader &model);
recipe::Decoder bloom_from_gguf(ModelReader &model);
recipe::Decoder cohere_from_hf(ModelReader &model);
recipe::Decoder cohere_from_gguf(ModelReader &model);
recipe::Decoder cohere2_from_hf(ModelReader &model);
recipe::Decoder cohere2_from_gguf(ModelReader &model);
recipe::Decoder ernie4_5_from_hf(ModelReader &model);
recipe::Decoder ernie4_5_from_gguf(ModelReader &model);
recipe::Decoder exaone4_from_hf(ModelReader &model);
recipe::Decoder exaone4_from_gguf(ModelReader &model);
recipe::Decoder falcon_from_hf(ModelReader &model);
recipe::Decoder falcon_from_gguf(ModelReader &model);
recipe::Decoder gemma_from_hf(ModelReader &model);
recipe::Decoder gemma_from_gguf(ModelReader &model);
recipe::Decoder gemma2_from_hf(ModelReader &model);
recipe::Decoder gemma2_from_gguf(ModelReader &model);
recipe::Decoder gemma3_from_hf(ModelReader &model);
recipe::Decoder gemma3_from_gguf(ModelReader &model);
recipe::Decoder glm_from_hf(ModelReader &model);
recipe::Decoder glm_from_gguf(ModelReader &model);
recipe::Decoder glm4_from_hf(ModelReader &model);
recipe::Decoder glm4_from_gguf(ModelReader &model);
recipe::Decoder gpt2_from_hf(ModelReader &model);
recipe::Decoder gpt2_from_gguf(ModelReader &model);
recipe::Decoder gpt_neox_from_hf(ModelReader &model);
recipe::Decoder gpt_neox_from_gguf(ModelReader &model);
recipe::Decoder gptj_from_hf(ModelReader &model);
recipe::Decoder granite_from_hf(ModelReader &model);
recipe::Decoder granite_from_gguf(ModelReader &model);
recipe::Decoder hunyuan_from_hf(ModelReader &model);
recipe::Decoder hunyuan_from_gguf(ModelReader &model);
recipe::Decoder ministral_from_hf(ModelReader &model);
recipe::Decoder mistral_from_hf(ModelReader &model);
recipe::Decoder mistral3_from_gguf(ModelReader &model);
recipe::Decoder mpt_from_hf(ModelReader &model);
recipe::Decoder mpt_from_gguf(ModelReader &model);
recipe::Decoder nemotron_from_hf(ModelReader &model);
recipe::Decoder nemotron_from_gguf(ModelReader &model);
recipe::Decoder olmo_from_hf(ModelReader &model);
recipe::Decoder olmo_from_gguf(ModelReader &model);
recipe::Decoder olmo2_from_hf(ModelReader &model);
recipe::Decoder olmo2_from_gguf(ModelReader &model);
recipe::Decoder olmo3_from_hf(ModelReader &model);
recipe::Decoder deepseek_v2_from_hf(ModelReader &model);
recipe::Decoder deepseek_v3_from_hf(ModelReader &model);
recipe::Decoder deepseek2_from_gguf(ModelReader &model);
recipe::Decoder recurrent_gemma_from_hf(ModelReader &model);
recipe::Decoder rwkv_from_hf(ModelReader &model);
recipe::Decoder rwkv5_from_hf(ModelReader &model);
recipe::Decoder rwkv6_from_hf(ModelReader &model);
recipe::Decoder rwkv6_from_gguf(ModelReader &model);
recipe::Decoder rwkv7_from_hf(ModelReader &model);
recipe::Decoder rwkv7_from_gguf(ModelReader &model);
recipe::Decoder xlstm_from_hf(ModelReader &model);
recipe::Decoder opt_from_hf(ModelReader &model);
recipe::Decoder phi_from_hf(ModelReader &model);
recipe::Decoder phi_from_gguf(ModelReader &model);
recipe::Decoder phi3_from_hf(ModelReader &model);
recipe::Decoder phi3_from_gguf(ModelReader &model);
recipe::Decoder smollm3_from_hf(ModelReader &model);
recipe::Decoder smollm3_from_gguf(ModelReader &model);
recipe::Decoder stablelm_from_hf(ModelReader &model);
recipe::Decoder stripedhyena_from_hf(ModelReader &model);
recipe::Decoder stablelm_from_gguf(ModelReader &model);
recipe::Decoder starcoder2_from_hf(ModelReader &model);
recipe::Decoder starcoder2_from_gguf(ModelReader &model);
recipe::Decoder llama_from_hf(ModelReader &model);
recipe::Decoder llama_from_gguf(ModelReader &model);
recipe::Decoder qwen2_from_hf(ModelReader &model);
recipe::Decoder qwen2_from_gguf(ModelReader &model);
recipe::Decoder qwen3_from_hf(ModelReader &model);
recipe::Decoder qwen3_from_gguf(ModelReader &model);
recipe::Decoder falcon_mamba_from_hf(ModelReader &model);
recipe::Decoder mamba_from_hf(ModelReader &model);
recipe::Decoder mamba_from_gguf(ModelReader &model);
recipe::Decoder bamba_from_hf(ModelReader &model);
recipe::Decoder falcon_h1_from_hf(ModelReader &model);
recipe::Decoder falcon_h1_from_gguf(ModelReader &model);
recipe::Decoder granitemoehybrid_from_hf(ModelReader &model);
recipe::Decoder granitemoehybrid_from_gguf(ModelReader &model);
recipe::Decoder jamba_from_hf(ModelReader &model);
recipe::Decoder jamba_from_gguf(ModelReader &model);
recipe::Decoder kimi_linear_from_hf(ModelReader &model);
recipe::Decoder kimi_linear_from_gguf(ModelReader &model);
recipe::Decoder lfm2_from_hf(ModelReader &model);
recipe::Decoder lfm2_from_gguf(ModelReader &model);
recipe::Decoder lfm2_moe_from_gguf(ModelReader &model);
recipe::Decoder nemotron_h_from_hf(ModelReader &model);
recipe::Decoder nemotron_h_from_gguf(ModelReader &model);
recipe::Decoder olmo_hybrid_from_hf(ModelReader &model);
recipe::Decoder qwen3_5_from_hf(ModelReader &model);
recipe::Decoder qwen3_5_from_gguf(ModelReader &model);
recipe::Decoder qwen3_5_moe_from_hf(ModelReader &model);
recipe::Decoder qwen3_5_moe_from_gguf(ModelReader &model);
recipe::Decoder qwen3_next_from_hf(ModelReader &model);
recipe::Decoder qwen3_next_from_gguf(ModelReader &model);
recipe::Decoder mamba2_from_hf(ModelReader &model);
recipe::Decoder mamba2_from_gguf(ModelReader &model);
recipe::Decoder mamba_ssm_from_hf(ModelReader &model);
recipe::Decoder zamba2_from_hf(ModelReader &model);

// Encoders.
recipe::Decoder bert_from_hf(ModelReader &model);
recipe::Decoder bert_from_gguf(ModelReader &model);
recipe::Decoder distilbert_from_hf(ModelReader &model);
recipe::Decoder electra_from_hf(ModelReader &model);
recipe::Decoder gemma_embedding_from_gguf(ModelReader &model);
recipe::Decoder modernbert_from_hf(ModelReader &model);
recipe::Decoder mpnet_from_hf(ModelReader &model);
recipe::Decoder nomic_bert_from_hf(ModelReader &model);
recipe::Decoder nomic_bert_from_gguf(ModelReader &model);
recipe::Decoder roberta_from_hf(ModelReader &model);
recipe::Decoder xlm_roberta_from_hf(ModelReader &model);

// flash-linear-attention's.
recipe::Decoder delta_net_from_hf(ModelReader &model);
recipe::Decoder gated_deltanet_from_hf(ModelReader &model);
recipe::Decoder gla_from_hf(ModelReader &model);
recipe::Decoder hgrn_from_hf(ModelReader &model);
recipe::Decoder hgrn2_from_hf(ModelReader &model);
recipe::Decoder kda_from_hf(ModelReader &model);
recipe::Decoder linear_attn_from_hf(ModelReader &model);
recipe::Decoder mamba3_from_hf(ModelReader &model);
recipe::Decoder mamba_ssm_from_hf(ModelReader &model);
recipe::Decoder retnet_from_hf(ModelReader &model);
recipe::Decoder samba_from_hf(ModelReader &model);
recipe::Decoder transformer_from_hf(ModelReader &model);

// Mixtures of experts.
recipe::Decoder dbrx_from_hf(ModelReader &model);
recipe::Decoder dbrx_from_gguf(ModelReader &model);
recipe::Decoder ernie4_5_moe_from_hf(ModelReader &model);
recipe::Decoder ernie4_5_moe_from_gguf(ModelReader &model);
recipe::Decoder glm4_moe_from_hf(ModelReader &model);
recipe::Decoder glm4_moe_from_gguf(ModelReader &model);
recipe::Decoder gpt_oss_from_hf(ModelReader &model);
recipe::Decoder gpt_oss_from_gguf(ModelReader &model);
recipe::Decoder granitemoe_from_hf(ModelReader &model);
recipe::Decoder granitemoe_from_gguf(ModelReader &model);
recipe::Decoder hunyuan_moe_from_hf(ModelReader &model);
recipe::Decoder hunyuan_moe_from_gguf(ModelReader &model);
recipe::Decoder lfm2_moe_from_hf(ModelReader &model);
recipe::Decoder minimax_m2_from_hf(ModelReader &model);
recipe::Decoder minimax_m2_from_gguf(ModelReader &model);
recipe::Decoder mixtral_from_hf(ModelReader &model);
recipe::Decoder olmoe_from_hf(ModelReader &model);
recipe::Decoder olmoe_from_gguf(ModelReader &model);
recipe::Decoder qwen2_moe_from_hf(ModelReader &model);
recipe::Decoder qwen2_moe_from_gguf(ModelReader &model);
recipe::Decoder qwen3_moe_from_hf(ModelReader &model);
recipe::Decoder qwen3_moe_from_gguf(ModelReader &model);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_FAMILIES_H
