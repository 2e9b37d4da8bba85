#include "tests/frontends/families/GgufNames.h"

namespace quern {

namespace {

const Names kLlama = {{"model.layers.", "blk."},
                      {"model.embed_tokens", "token_embd"},
                      {"model.norm", "output_norm"},
                      {"model.final_layernorm", "output_norm"},
                      {"lm_head", "output"},
                      {"self_attn.q_proj", "attn_q"},
                      {"self_attn.k_proj", "attn_k"},
                      {"self_attn.v_proj", "attn_v"},
                      {"self_attn.qkv_proj", "attn_qkv"},
                      {"self_attn.o_proj", "attn_output"},
                      {"self_attn.dense", "attn_output"},
                      {"self_attn.q_norm", "attn_q_norm"},
                      {"self_attn.k_norm", "attn_k_norm"},
                      {"self_attn.q_layernorm", "attn_q_norm"},
                      {"self_attn.k_layernorm", "attn_k_norm"},
                      {"self_attn.query_layernorm", "attn_q_norm"},
                      {"self_attn.key_layernorm", "attn_k_norm"},
                      {"input_layernorm", "attn_norm"},
                      {"post_attention_layernorm", "ffn_norm"},
                      {"mlp.gate_proj", "ffn_gate"},
                      {"mlp.gate_up_proj", "ffn_up"},
                      {"mlp.up_proj", "ffn_up"},
                      {"mlp.down_proj", "ffn_down"},
                      {"mlp.fc1", "ffn_up"},
                      {"mlp.fc2", "ffn_down"},
                      {"mlp.c_fc", "ffn_up"},
                      {"mlp.c_proj", "ffn_down"}};

/// Llama's names with others for some modules.
Names but(const Names &changes) {
  Names names = kLlama;
  for (const auto &[from, to] : changes) {
    std::erase_if(names, [&](const auto &name) { return name.first == from; });
    names.emplace_back(from, to);
  }
  return names;
}
const Names kPostNorms = but({{"post_attention_layernorm", "post_attention_norm"},
                              {"pre_feedforward_layernorm", "ffn_norm"},
                              {"post_feedforward_layernorm", "post_ffw_norm"}});
const Names kGlm4 = but(
    {{"post_self_attn_layernorm", "post_attention_norm"}, {"post_mlp_layernorm", "post_ffw_norm"}});
const Names kExperts = but({{"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
                            {"mlp.gate.weight", "ffn_gate_inp.weight"},
                            {"mlp.router", "ffn_gate_inp"},
                            {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
                            {"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
                            {"mlp.shared_expert.up_proj", "ffn_up_shexp"},
                            {"mlp.shared_expert.down_proj", "ffn_down_shexp"},
                            {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
                            {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
                            {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
                            {"mlp.experts.down_proj", "ffn_down_exps.weight"},
                            {"mlp.experts.down_proj_bias", "ffn_down_exps.bias"},
                            {"self_attn.sinks", "attn_sinks.weight"},
                            {"block_sparse_moe.e_score_correction_bias", "exp_probs_b.bias"},
                            {"block_sparse_moe.gate", "ffn_gate_inp"},
                            {"block_sparse_moe.router.layer", "ffn_gate_inp"},
                            {"block_sparse_moe.output_linear", "ffn_down_exps"}});
/// With the names of norms that GLM 4 MoE and GPT-OSS have.
Names with_post_norms(Names names) {
  for (auto &[from, to] : names)
    if (from == "post_attention_layernorm")
      to = "post_attention_norm";
  return names;
}
const Names kPostNormExperts = with_post_norms(kExperts);
const Names kDbrx = {{"transformer.blocks.", "blk."},
                     {"transformer.wte", "token_embd"},
                     {"transformer.norm_f", "output_norm"},
                     {"lm_head", "output"},
                     {"norm_attn_norm.norm_1", "attn_norm"},
                     {"norm_attn_norm.norm_2", "attn_output_norm"},
                     {"norm_attn_norm.attn.Wqkv", "attn_qkv"},
                     {"norm_attn_norm.attn.out_proj", "attn_output"},
                     {"ffn.router.layer", "ffn_gate_inp"},
                     {"ffn.experts.mlp.w1", "ffn_gate_exps.weight"},
                     {"ffn.experts.mlp.v1", "ffn_up_exps.weight"},
                     {"ffn.experts.mlp.w2", "ffn_down_exps.weight"}};
const Names kGpt2 = {{"transformer.h.", "blk."},
                     {"transformer.wte", "token_embd"},
                     {"transformer.wpe", "position_embd"},
                     {"transformer.ln_f", "output_norm"},
                     {"attn.c_attn", "attn_qkv"},
                     {"attn.c_proj", "attn_output"},
                     {"mlp.c_fc", "ffn_up"},
                     {"mlp.c_proj", "ffn_down"},
                     {"ln_1", "attn_norm"},
                     {"ln_2", "ffn_norm"}};
const Names kMpt = {{"transformer.blocks.", "blk."},
                    {"transformer.wte", "token_embd"},
                    {"transformer.norm_f", "output_norm"},
                    {"attn.Wqkv", "attn_qkv"},
                    {"attn.out_proj", "attn_output"},
                    {"ffn.up_proj", "ffn_up"},
                    {"ffn.down_proj", "ffn_down"},
                    {"norm_1", "attn_norm"},
                    {"norm_2", "ffn_norm"}};
const Names kBloom = {{"transformer.h.", "blk."},
                      {"transformer.word_embeddings_layernorm", "token_embd_norm"},
                      {"transformer.word_embeddings", "token_embd"},
                      {"transformer.ln_f", "output_norm"},
                      {"gpt_neox.layers.", "blk."},
                      {"gpt_neox.embed_in", "token_embd"},
                      {"gpt_neox.final_layer_norm", "output_norm"},
                      {"embed_out", "output"},
                      {"lm_head", "output"},
                      {"self_attention.query_key_value", "attn_qkv"},
                      {"self_attention.dense", "attn_output"},
                      {"attention.query_key_value", "attn_qkv"},
                      {"attention.dense", "attn_output"},
                      {"input_layernorm", "attn_norm"},
                      {"post_attention_layernorm", "ffn_norm"},
                      {"ln_attn", "attn_norm_2"},
                      {"ln_mlp", "attn_norm"},
                      {"mlp.dense_h_to_4h", "ffn_up"},
                      {"mlp.dense_4h_to_h", "ffn_down"}};

/// A mixer's, and what is around it in a model without attention.
const Names kMamba = {{"A_log", "ssm_a"},
                      {"D", "ssm_d"},
                      {"dt_bias", "ssm_dt.bias"},
                      {"conv1d", "ssm_conv1d"},
                      {"in_proj", "ssm_in"},
                      {"x_proj", "ssm_x"},
                      {"dt_proj", "ssm_dt"},
                      {"out_proj", "ssm_out"},
                      {"norm", "ssm_norm"},
                      {"dt_layernorm", "ssm_dt_norm"},
                      {"b_layernorm", "ssm_b_norm"},
                      {"c_layernorm", "ssm_c_norm"}};

/// `names` and a mixer's in modules `module`.
Names with_mixer(Names names, const std::string &module) {
  for (const auto &[from, to] : kMamba)
    names.emplace_back(module + "." + from, to);
  return names;
}
Names joined(Names names, const Names &more) {
  for (const auto &[from, to] : more) {
    std::erase_if(names, [&](const auto &name) { return name.first == from; });
    names.emplace_back(from, to);
  }
  return names;
}
const Names kMamba2 = with_mixer({{"backbone.layers.", "blk."},
                                  {"backbone.embeddings", "token_embd"},
                                  {"backbone.norm_f", "output_norm"},
                                  {"lm_head", "output"},
                                  {".norm.weight", ".attn_norm.weight"}},
                                 "mixer");
const Names kNemotronH =
    joined(kMamba2, {{"mixer.q_proj", "attn_q"},
                     {"mixer.k_proj", "attn_k"},
                     {"mixer.v_proj", "attn_v"},
                     {"mixer.o_proj", "attn_output"},
                     {"mixer.up_proj", "ffn_up"},
                     {"mixer.down_proj", "ffn_down"},
                     {"mixer.shared_experts.up_proj", "ffn_up_shexp"},
                     {"mixer.shared_experts.down_proj", "ffn_down_shexp"},
                     {"mixer.fc1_latent_proj", "ffn_latent_down"},
                     {"mixer.fc2_latent_proj", "ffn_latent_up"},
                     {"mixer.gate.e_score_correction_bias", "exp_probs_b.bias"},
                     {"mixer.gate.weight", "ffn_gate_inp.weight"}});
const Names kJamba = with_mixer(but({{"pre_ff_layernorm", "ffn_norm"},
                                     {"feed_forward.gate_proj", "ffn_gate"},
                                     {"feed_forward.up_proj", "ffn_up"},
                                     {"feed_forward.down_proj", "ffn_down"},
                                     {"feed_forward.router", "ffn_gate_inp"}}),
                                "mamba");
const Names kFalconH1 = joined(kJamba, {{"pre_ff_layernorm.weight", "ffn_norm"}});
const Names kGraniteHybrid =
    with_mixer(joined(kExperts, {{"shared_mlp.output_linear", "ffn_down_shexp"}}), "mamba");
const Names kLfm2 = but({{"model.embedding_norm", "token_embd_norm"},
                         {"operator_norm", "attn_norm"},
                         {"ffn_norm", "ffn_norm"},
                         {"conv.conv", "shortconv.conv"},
                         {"conv.in_proj", "shortconv.in_proj"},
                         {"conv.out_proj", "shortconv.out_proj"},
                         {"self_attn.out_proj", "attn_output"},
                         {"feed_forward.w1", "ffn_gate"},
                         {"feed_forward.w3", "ffn_up"},
                         {"feed_forward.w2", "ffn_down"}});
const Names kLatent = joined(kExperts, {{"self_attn.q_a_proj", "attn_q_a"},
                                        {"self_attn.q_a_layernorm", "attn_q_a_norm"},
                                        {"self_attn.q_b_proj", "attn_q_b"},
                                        {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
                                        {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
                                        {"self_attn.kv_b_proj", "attn_kv_b"}});
const Names kKimi =
    joined(kLatent, {{"block_sparse_moe.gate_proj", "ffn_gate"},
                     {"block_sparse_moe.up_proj", "ffn_up"},
                     {"block_sparse_moe.down_proj", "ffn_down"},
                     {"block_sparse_moe.gate.e_score_correction_bias", "exp_probs_b.bias"},
                     {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight"},
                     {"block_sparse_moe.shared_experts.gate_proj", "ffn_gate_shexp"},
                     {"block_sparse_moe.shared_experts.up_proj", "ffn_up_shexp"},
                     {"block_sparse_moe.shared_experts.down_proj", "ffn_down_shexp"},
                     {"self_attn.A_log", "ssm_a"},
                     {"self_attn.dt_bias", "ssm_dt.bias"},
                     {"self_attn.b_proj", "ssm_beta"},
                     {"self_attn.f_a_proj", "ssm_f_a"},
                     {"self_attn.f_b_proj", "ssm_f_b"},
                     {"self_attn.g_a_proj", "ssm_g_a"},
                     {"self_attn.g_b_proj", "ssm_g_b"},
                     {"self_attn.q_conv1d", "ssm_conv1d_q"},
                     {"self_attn.k_conv1d", "ssm_conv1d_k"},
                     {"self_attn.v_conv1d", "ssm_conv1d_v"},
                     {"self_attn.o_norm", "ssm_norm"}});
const Names kQwenHybrid = joined(kPostNormExperts, {{"linear_attn.dt_bias", "ssm_dt.bias"},
                                                    {"linear_attn.A_log", "ssm_a"},
                                                    {"linear_attn.conv1d", "ssm_conv1d"},
                                                    {"linear_attn.norm", "ssm_norm"},
                                                    {"linear_attn.out_proj", "ssm_out"},
                                                    {"linear_attn.in_proj_ba", "ssm_ba"},
                                                    {"linear_attn.in_proj_qkvz", "ssm_in"},
                                                    {"linear_attn.in_proj_qkv", "attn_qkv"},
                                                    {"linear_attn.in_proj_z", "attn_gate"},
                                                    {"linear_attn.in_proj_b", "ssm_beta"},
                                                    {"linear_attn.in_proj_a", "ssm_alpha"}});
const Names kErnieMoe =
    joined(kExperts, {{"mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias"}});
const Names kHunyuanMoe = joined(kExperts, {{"mlp.gate.wg", "ffn_gate_inp"},
                                            {"mlp.shared_mlp.gate_proj", "ffn_gate_shexp"},
                                            {"mlp.shared_mlp.up_proj", "ffn_up_shexp"},
                                            {"mlp.shared_mlp.down_proj", "ffn_down_shexp"}});

} // namespace

const std::map<std::string, std::string> kExpertParts = {{"gate_proj", "gate"}, {"up_proj", "up"},
                                                         {"down_proj", "down"}, {"w1", "gate"},
                                                         {"w3", "up"},          {"w2", "down"}};

const std::map<std::string, Architecture> kArchitectures = {
    {"bloom", {"bloom", true, kUngroup, kBloom}},
    {"cohere", {"command-r", true, 0, kLlama}},
    {"cohere2", {"cohere2", true, 0, kLlama}},
    {"dbrx", {"dbrx", true, 0, kDbrx}},
    {"deepseek_v2", {"deepseek2", false, 0, kLatent}},
    {"deepseek_v3", {"deepseek2", false, 0, kLatent}},
    {"ernie4_5", {"ernie4_5", false, 0, kLlama}},
    {"ernie4_5_moe", {"ernie4_5-moe", false, 0, kErnieMoe}},
    {"exaone4", {"exaone4", false, 0, kPostNorms}},
    {"falcon", {"falcon", true, kUngroup, kBloom}},
    {"falcon_h1", {"falcon-h1", false, kColumns | kMultiply, kFalconH1}},
    {"falcon_mamba", {"mamba", false, 0, kMamba2}},
    {"gemma", {"gemma", false, kAddOne, kLlama}},
    {"gemma2", {"gemma2", false, kAddOne, kPostNorms}},
    {"gemma3_text", {"gemma3", false, kAddOne, kPostNorms}},
    {"glm", {"chatglm", false, 0, kLlama}},
    {"glm4", {"glm4", false, 0, kGlm4}},
    {"glm4_moe", {"glm4moe", false, 0, kPostNormExperts}},
    {"gpt2", {"gpt2", true, kTranspose, kGpt2}},
    {"gpt_neox", {"gptneox", true, kUngroup, kBloom}},
    {"gpt_oss", {"gpt-oss", false, 0, kPostNormExperts}},
    {"granite", {"granite", false, kPairs, kLlama}},
    {"granitemoe", {"granitemoe", false, kPairs, kExperts}},
    {"granitemoehybrid", {"granitehybrid", false, kPairs | kColumns, kGraniteHybrid}},
    {"hunyuan_v1_dense", {"hunyuan-dense", false, 0, kLlama}},
    {"hunyuan_v1_moe", {"hunyuan-moe", false, 0, kHunyuanMoe}},
    {"jamba", {"jamba", false, 0, kJamba}},
    {"kimi_linear", {"kimi-linear", false, 0, kKimi}},
    {"lfm2", {"lfm2", false, 0, kLfm2}},
    {"llama", {"llama", false, kPairs, kLlama}},
    {"mamba", {"mamba", false, 0, kMamba2}},
    {"mamba2", {"mamba2", false, kColumns, kMamba2}},
    {"minimax_m2", {"minimax-m2", false, 0, kExperts}},
    {"mistral", {"llama", false, kPairs, kLlama}},
    {"mixtral", {"llama", false, kPairs, kExperts}},
    {"mpt", {"mpt", true, 0, kMpt}},
    {"nemotron", {"nemotron", true, kAddOne, kLlama}},
    {"nemotron_h", {"nemotron_h_moe", true, kColumns, kNemotronH}},
    {"olmo", {"olmo", true, kPairs, kLlama}},
    {"olmo2", {"olmo2", false, 0, kPostNorms}},
    {"olmo3", {"olmo2", false, 0, kPostNorms}},
    {"olmoe", {"olmoe", false, 0, kExperts}},
    {"phi", {"phi2", true, 0, kLlama}},
    {"phi3", {"phi3", false, 0, kLlama}},
    {"qwen2", {"qwen2", false, 0, kLlama}},
    {"qwen2_moe", {"qwen2moe", false, 0, kExperts}},
    {"qwen3", {"qwen3", false, 0, kLlama}},
    {"qwen3_5_text", {"qwen35", false, kAddOne, kQwenHybrid}},
    {"qwen3_moe", {"qwen3moe", false, 0, kExperts}},
    {"qwen3_next", {"qwen3next", false, kAddOne, kQwenHybrid}},
    {"smollm3", {"smollm3", false, kPairs, kLlama}},
    {"stablelm", {"stablelm", true, kStackNorms, kLlama}},
    {"starcoder2", {"starcoder2", true, 0, kLlama}},
};

} // namespace quern
