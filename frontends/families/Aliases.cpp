#include "frontends/families/Aliases.h"

namespace quern {

namespace {
// Of Bamba and Falcon-H1, whose classes work the value out themselves.
constexpr Alias kLayerTypes[] = {{"layer_types", "layers_block_type"}};
constexpr Alias kBloom[] = {{"num_hidden_layers", "n_layer"},
                            {"num_attention_heads", "n_head"},
                            {"n_embed", "hidden_size"}}; // which its __post_init__ reads
// n_embed as above; the others are RWConfig's, of the models' own first code. The numbers of layers
// and of heads have no default that could be meant in their place.
constexpr Alias kFalcon[] = {{"n_layer", "num_hidden_layers", AliasKind::FirstCode},
                             {"n_head", "num_attention_heads", AliasKind::FirstCode},
                             {"n_head_kv", "num_kv_heads", AliasKind::FirstCode},
                             {"n_embed", "hidden_size"}};
constexpr Alias kDistilBert[] = {
    {"hidden_size", "dim"}, {"num_attention_heads", "n_heads"}, {"num_hidden_layers", "n_layers"}};
// GPT-J's too.
constexpr Alias kGpt2[] = {{"hidden_size", "n_embd"},
                           {"max_position_embeddings", "n_positions"},
                           {"num_attention_heads", "n_head"},
                           {"num_hidden_layers", "n_layer"}};
constexpr Alias kGraniteHybrid[] = {{"layers_block_type", "layer_types"}};
// flash-linear-attention's names, in its own Mamba and Mamba-2.
constexpr Alias kMamba[] = {{"norm_eps", "layer_norm_epsilon", AliasKind::FirstCode},
                            {"dt_rank", "time_step_rank", AliasKind::FirstCode},
                            {"dt_limit", "time_step_limit", AliasKind::FirstCode}};
constexpr Alias kMpt[] = {{"num_attention_heads", "n_heads"},
                          {"hidden_size", "d_model"},
                          {"num_hidden_layers", "n_layers"}};
constexpr Alias kRecurrentGemma[] = {{"sliding_window", "attention_window_size"}};
constexpr Alias kRwkv[] = {{"max_position_embeddings", "context_length"}};
// StableLMEpochConfig's, of the models' own first code, which knows no others; transformers, where
// the family has another model_type, knows none of them.
constexpr Alias kStableLmEpoch[] = {{"rope_pct", "partial_rotary_factor"},
                                    {"norm_eps", "layer_norm_eps"}};
constexpr Alias kStableLm[] = {{"rope_pct", "partial_rotary_factor", AliasKind::PassedOver},
                               {"norm_eps", "layer_norm_eps", AliasKind::PassedOver}};
constexpr Alias kNumExperts[] = {{"num_experts", "num_local_experts"}};
constexpr Alias kNumLocalExperts[] = {{"num_local_experts", "num_experts"}};
constexpr Alias kDeepSeekV2[] = {{"num_experts", "n_routed_experts"}};
// DeepSeek-V3's and GLM-4's.
constexpr Alias kRoutedExperts[] = {{"num_local_experts", "n_routed_experts"},
                                    {"num_mtp_layers", "num_nextn_predict_layers"}};
constexpr Alias kNemotronH[] = {{"layer_types", "layers_block_type"},
                                {"num_local_experts", "n_routed_experts"},
                                {"mamba_n_groups", "n_groups"},
                                {"mamba_d_conv", "conv_kernel"},
                                {"mamba_expand", "expand"},
                                {"mamba_dt_min", "time_step_min"},
                                {"mamba_dt_max", "time_step_max"},
                                {"mamba_dt_limit", "time_step_limit"},
                                {"mamba_dt_init_floor", "time_step_floor"},
                                {"mamba_conv_bias", "use_conv_bias"},
                                {"mamba_chunk_size", "chunk_size"},
                                {"attention_head_dim", "head_dim", AliasKind::FirstCode}};
constexpr Alias kErnieMoe[] = {{"num_experts", "moe_num_experts"},
                               {"num_experts_per_tok", "moe_k"}};
constexpr Alias kHunyuanMoe[] = {{"num_experts_per_tok", "moe_topk"},
                                 {"num_local_experts", "num_experts"}};
constexpr Alias kKimiLinear[] = {{"max_position_embeddings", "model_max_length"},
                                 {"norm_topk_prob", "moe_renormalize"},
                                 {"n_group", "num_expert_group"},
                                 {"num_local_experts", "num_experts"},
                                 {"num_experts_per_tok", "num_experts_per_token"},
                                 {"n_shared_experts", "num_shared_experts"}};
constexpr Alias kZamba2[] = {{"layer_types", "layers_block_type"},
                             {"head_dim", "attention_head_dim"}};
constexpr Alias kDbrx[] = {{"num_attention_heads", "n_heads"},
                           {"hidden_size", "d_model"},
                           {"num_hidden_layers", "n_layers"},
                           {"max_position_embeddings", "max_seq_len"}};
} // namespace

std::span<const Alias> hf_aliases(std::string_view family, std::string_view model_type) {
  if (family == "bamba" || family == "falcon_h1")
    return kLayerTypes;
  if (family == "granitemoehybrid")
    return kGraniteHybrid;
  if (family == "bloom")
    return kBloom;
  if (family == "distilbert")
    return kDistilBert;
  if (family == "falcon")
    return kFalcon;
  if (family == "mixtral" || family == "minimax_m2" || family == "qwen3_moe" || family == "gpt_oss")
    return kNumExperts;
  if (family == "olmoe" || family == "jamba")
    return kNumLocalExperts;
  if (family == "deepseek_v2")
    return kDeepSeekV2;
  if (family == "deepseek_v3" || family == "glm4_moe")
    return kRoutedExperts;
  if (family == "nemotron_h")
    return kNemotronH;
  if (family == "ernie4_5_moe")
    return kErnieMoe;
  if (family == "hunyuan_v1_moe")
    return kHunyuanMoe;
  if (family == "kimi_linear")
    return kKimiLinear;
  if (family == "zamba2")
    return kZamba2;
  if (family == "dbrx")
    return kDbrx;
  if (family == "gpt2" || family == "gptj")
    return kGpt2;
  if (family == "mamba" || family == "mamba2")
    return kMamba;
  if (family == "mpt")
    return kMpt;
  if (family == "rwkv")
    return kRwkv;
  if (family == "recurrent_gemma")
    return kRecurrentGemma;
  if (family == "stablelm")
    return model_type == "stablelm_epoch" ? std::span<const Alias>(kStableLmEpoch) : kStableLm;
  return {};
}

} // namespace quern
