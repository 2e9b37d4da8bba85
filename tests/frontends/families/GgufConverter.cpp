#include "tests/frontends/families/GgufConverter.h"

#include "ir/weights/SyntheticWeights.h"
#include "tests/frontends/families/GgufWeights.h"

#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;
using Names = std::vector<std::pair<std::string, std::string>>;

// What converters do to the weights.
enum Changes : unsigned {
  kPairs = 1,      ///< rows of queries and keys from halves of heads to neighbouring pairs
  kAddOne = 2,     ///< to the norms' weights
  kUngroup = 4,    ///< fused queries, keys and values from groups by kv head to one after another
  kTranspose = 8,  ///< the layers' weights, which are stored [in, out]
  kStackNorms = 16 ///< norms of each head in one tensor
};

struct Architecture {
  const char *name;
  bool layer_norm;
  unsigned changes;
  Names names;
};

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
/// Names of an expert's own matrices to those of all experts.
const std::map<std::string, std::string> kExpertParts = {{"gate_proj", "gate"}, {"up_proj", "up"},
                                                         {"down_proj", "down"}, {"w1", "gate"},
                                                         {"w3", "up"},          {"w2", "down"}};
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
const Names kMamba2 = {{"backbone.layers.", "blk."},
                       {"backbone.embeddings", "token_embd"},
                       {"backbone.norm_f", "output_norm"},
                       {"lm_head", "output"},
                       {"mixer.dt_bias", "ssm_dt.bias"},
                       {"mixer.A_log", "ssm_a"},
                       {"mixer.D", "ssm_d"},
                       {"mixer.conv1d", "ssm_conv1d"},
                       {"mixer.in_proj", "ssm_in"},
                       {"mixer.x_proj", "ssm_x"},
                       {"mixer.dt_proj", "ssm_dt"},
                       {"mixer.out_proj", "ssm_out"},
                       {"mixer.norm", "ssm_norm"},
                       {".norm.weight", ".attn_norm.weight"}};

/// By model_type.
const std::map<std::string, Architecture> kArchitectures = {
    {"bloom", {"bloom", true, kUngroup, kBloom}},
    {"cohere", {"command-r", true, 0, kLlama}},
    {"cohere2", {"cohere2", true, 0, kLlama}},
    {"ernie4_5", {"ernie4_5", false, 0, kLlama}},
    {"dbrx", {"dbrx", true, 0, kDbrx}},
    {"exaone4", {"exaone4", false, 0, kPostNorms}},
    {"falcon", {"falcon", true, kUngroup, kBloom}},
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
    {"hunyuan_v1_dense", {"hunyuan-dense", false, 0, kLlama}},
    {"llama", {"llama", false, kPairs, kLlama}},
    {"falcon_mamba", {"mamba", false, 0, kMamba2}},
    {"mamba", {"mamba", false, 0, kMamba2}},
    {"mamba2", {"mamba2", false, 0, kMamba2}},
    {"minimax_m2", {"minimax-m2", false, 0, kExperts}},
    {"mistral", {"llama", false, kPairs, kLlama}},
    {"mixtral", {"llama", false, kPairs, kExperts}},
    {"mpt", {"mpt", true, 0, kMpt}},
    {"nemotron", {"nemotron", true, kAddOne, kLlama}},
    {"olmo", {"olmo", true, kPairs, kLlama}},
    {"olmo2", {"olmo2", false, 0, kPostNorms}},
    {"olmo3", {"olmo2", false, 0, kPostNorms}},
    {"olmoe", {"olmoe", false, 0, kExperts}},
    {"phi", {"phi2", true, 0, kLlama}},
    {"phi3", {"phi3", false, 0, kLlama}},
    {"qwen2", {"qwen2", false, 0, kLlama}},
    {"qwen2_moe", {"qwen2moe", false, 0, kExperts}},
    {"qwen3", {"qwen3", false, 0, kLlama}},
    {"qwen3_moe", {"qwen3moe", false, 0, kExperts}},
    {"smollm3", {"smollm3", false, kPairs, kLlama}},
    {"stablelm", {"stablelm", true, kStackNorms, kLlama}},
    {"starcoder2", {"starcoder2", true, 0, kLlama}},
};

/// Columns that a wide layer's MLP has more.
constexpr uint64_t kWider = 5;

class Converter {
public:
  Converter(const json &golden, const std::string &architecture)
      : config_(golden["config"]), tensors_(golden["tensors"]), type_(config_["model_type"]),
        from_(kArchitectures.at(type_)), arch_(architecture.empty() ? from_.name : architecture) {}

  GgufWriter convert(GgufForm form) {
    form_ = form;
    writer_.string("general.architecture", arch_).string("general.type", "model");
    if (type_ == "mamba2")
      mamba2_keys();
    else if (arch_ == "mamba")
      mamba_keys();
    else
      dense_keys();
    std::map<std::string, Weights> tensors = changed();
    if (form.wide_layer)
      widen(tensors);
    if (form.fuse_qkv)
      fuse(tensors);
    for (auto &[name, weights] : tensors)
      write(name, std::move(weights));
    return std::move(writer_);
  }

private:
  // Keys.
  bool has(const std::string &key) const {
    return config_.contains(key) && !config_[key].is_null();
  }
  std::optional<double> number(std::initializer_list<const char *> keys) const {
    for (const char *key : keys)
      if (has(key))
        return config_[key].get<double>();
    return std::nullopt;
  }
  void u32(const std::string &key, double value) {
    writer_.u32(arch_ + "." + key, static_cast<uint32_t>(value));
  }
  /// A number of every layer, as the form spells it; `wide` is the wide layer's.
  void by_layer(const std::string &key, double value, double wide) {
    if (!form_.lists && !form_.wide_layer)
      return u32(key, value);
    std::vector<int32_t> list(static_cast<size_t>(*number({"num_hidden_layers", "n_layer"})),
                              static_cast<int32_t>(value));
    if (form_.wide_layer)
      list.at(1) = static_cast<int32_t>(wide);
    writer_.array<int32_t>(arch_ + "." + key, 5, list);
  }
  double mlp() const {
    if (type_ == "dbrx")
      return config_["ffn_config"]["ffn_hidden_size"];
    return number({"intermediate_size", "ffn_hidden_size", "n_inner"})
        .value_or(4 * double(hidden()));
  }
  void f32(const std::string &key, double value) { add_f32(writer_, arch_ + "." + key, value); }
  void boolean(const std::string &key, bool value) {
    writer_.key(arch_ + "." + key, 7, std::string(1, static_cast<char>(value)));
  }
  int64_t hidden() const {
    return static_cast<int64_t>(*number({"hidden_size", "n_embd", "d_model"}));
  }
  int64_t heads() const {
    return static_cast<int64_t>(*number({"num_attention_heads", "n_head", "n_heads"}));
  }
  int64_t kv_heads() const {
    if (type_ == "falcon" && config_["multi_query"] && !config_["new_decoder_architecture"])
      return 1;
    if (type_ == "dbrx")
      return config_["attn_config"]["kv_n_heads"];
    const auto n = number({"num_key_value_heads", "num_kv_heads"});
    return n ? static_cast<int64_t>(*n) : heads();
  }

  void dense_keys() {
    const int64_t width = hidden() / heads();
    u32("block_count", *number({"num_hidden_layers", "n_layer", "n_layers"}));
    u32("context_length",
        number({"max_position_embeddings", "n_positions", "max_seq_len"}).value_or(2048));
    u32("embedding_length", double(hidden()));
    by_layer("feed_forward_length", mlp(), mlp() + double(kWider));
    by_layer("attention.head_count", double(heads()), double(heads()));
    by_layer("attention.head_count_kv", double(kv_heads()), double(heads()));
    if (has("head_dim")) {
      u32("attention.key_length", config_["head_dim"]);
      u32("attention.value_length", config_["head_dim"]);
    }
    f32(from_.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
        number({"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"})
            .value_or(1e-5));
    rope_keys(has("head_dim") ? config_["head_dim"].get<int64_t>() : width);
    windows();
    own_keys();
    expert_keys();
  }

  void rope_keys(int64_t width) {
    json rope = config_.value("rope_parameters", config_.value("rope_scaling", json::object()));
    const json parameters = rope;
    if (rope.contains("full_attention"))
      rope = rope["full_attention"];
    if (parameters.contains("sliding_attention"))
      f32("rope.freq_base_swa", parameters["sliding_attention"]["rope_theta"]);
    else if (has("rope_local_base_freq"))
      f32("rope.freq_base_swa", config_["rope_local_base_freq"]);
    if (type_ == "gpt2" || type_ == "bloom" || type_ == "mpt")
      return;
    const double theta =
        rope.value("rope_theta", number({"rope_theta", "rotary_emb_base"}).value_or(10'000));
    const double part = rope.value("partial_rotary_factor", number({"rotary_pct"}).value_or(1));
    if (form_.lists)
      writer_.array<uint64_t>(
          arch_ + ".rope.dimension_count", 10,
          std::vector<uint64_t>(static_cast<size_t>(*number({"num_hidden_layers"})),
                                static_cast<uint64_t>(double(width) * part)));
    else
      u32("rope.dimension_count", double(width) * part);
    const std::string type = rope.value("rope_type", rope.value("type", "default"));
    const auto original = [&] {
      u32("rope.scaling.original_context_length", rope["original_max_position_embeddings"]);
    };
    if (rope.contains("alpha")) { // Hunyuan's: the base is stretched here
      f32("rope.freq_base",
          theta * std::pow(rope["alpha"].get<double>(), double(width) / double(width - 2)));
      return writer_.string(arch_ + ".rope.scaling.type", "none"), void();
    }
    f32("rope.freq_base", theta);
    if (type == "linear" || type == "yarn") {
      writer_.string(arch_ + ".rope.scaling.type", type);
      f32("rope.scaling.factor", rope["factor"]);
    }
    if (type == "yarn") {
      original();
      for (const auto &[from, to] :
           {std::pair("beta_fast", "rope.scaling.yarn_beta_fast"),
            std::pair("beta_slow", "rope.scaling.yarn_beta_slow"),
            std::pair("mscale_all_dim", "rope.scaling.yarn_log_multiplier")})
        if (rope.contains(from))
          f32(to, rope[from]);
    }
    if (type == "longrope") {
      original();
      const double limit = rope["original_max_position_embeddings"];
      const double scale = config_["max_position_embeddings"].get<double>() / limit;
      f32("rope.scaling.attn_factor",
          scale > 1 ? std::sqrt(1 + std::log(scale) / std::log(limit)) : 1);
      factors("rope_factors_long.weight", rope["long_factor"]);
      factors("rope_factors_short.weight", rope["short_factor"]);
    }
    if (type == "llama3") {
      std::vector<float> list;
      for (int64_t i = 0; i < width; i += 2) {
        const double turns = rope["original_max_position_embeddings"].get<double>() *
                             std::pow(theta, -double(i) / double(width)) / (2 * M_PI);
        const double low = rope["low_freq_factor"], high = rope["high_freq_factor"];
        const double keep = std::clamp((turns - low) / (high - low), 0.0, 1.0);
        list.push_back(static_cast<float>(1 / ((1 - keep) / rope["factor"].get<double>() + keep)));
      }
      factors("rope_freqs.weight", list);
    }
  }

  void windows() {
    // The converters of other architectures write no windows.
    static const std::vector<std::string> kWindowed = {"gemma2",  "gemma3_text", "cohere2", "olmo3",
                                                       "exaone4", "phi3",        "gpt_oss"};
    if (std::find(kWindowed.begin(), kWindowed.end(), type_) == kWindowed.end())
      return;
    u32("attention.sliding_window",
        has("sliding_window") ? config_["sliding_window"].get<int>() : 0);
    if (type_ == "gemma3_text" && has("sliding_window_pattern"))
      u32("attention.sliding_window_pattern", config_["sliding_window_pattern"]);
    if (type_ == "olmo3" || type_ == "exaone4") {
      std::string flags;
      for (const std::string kind : config_["layer_types"])
        flags += static_cast<char>(kind == "sliding_attention");
      writer_.key(arch_ + ".attention.sliding_window_pattern", 9,
                  GgufWriter::raw<uint32_t>(7) + GgufWriter::raw<uint64_t>(flags.size()) + flags);
    }
  }

  void own_keys() {
    const auto copy = [&](const char *from, const char *to) {
      if (has(from))
        f32(to, config_[from]);
    };
    copy("attn_logit_softcapping", "attn_logit_softcapping");
    copy("final_logit_softcapping", "final_logit_softcapping");
    copy("clip_qkv", "attention.clamp_kqv");
    copy("logit_scale", "logit_scale");
    copy("attention_multiplier", "attention.scale");
    copy("embedding_multiplier", "embedding_scale");
    copy("residual_multiplier", "residual_scale");
    copy("logits_scaling", "logit_scale");
    if (has("use_parallel_residual"))
      boolean("use_parallel_residual", config_["use_parallel_residual"]);
    if (type_ == "mpt") {
      const json &attention = config_["attn_config"];
      if (!attention["clip_qkv"].is_null())
        f32("attention.clamp_kqv", attention["clip_qkv"]);
      f32("attention.max_alibi_bias", attention["alibi_bias_max"]);
    }
    if (type_ == "falcon")
      writer_.string("falcon.tensor_data_layout", "jploski");
  }

  void expert_keys() {
    if (type_ == "dbrx") {
      u32("expert_count", config_["ffn_config"]["moe_num_experts"]);
      u32("expert_used_count", config_["ffn_config"]["moe_top_k"]);
      return f32("attention.clamp_kqv", config_["attn_config"]["clip_qkv"]);
    }
    const auto copy = [&](const char *from, const char *to) {
      if (has(from))
        u32(to, config_[from]);
    };
    copy("num_local_experts", "expert_count");
    copy("num_experts", "expert_count");
    copy("n_routed_experts", "expert_count");
    copy("num_experts_per_tok", "expert_used_count");
    copy("n_group", "expert_group_count");
    copy("topk_group", "expert_group_used_count");
    if (!form_.no_expert_width)
      copy("moe_intermediate_size", "expert_feed_forward_length");
    copy("shared_expert_intermediate_size", "expert_shared_feed_forward_length");
    if (type_ == "gpt_oss" || type_ == "minimax_m2")
      copy("intermediate_size", "expert_feed_forward_length");
    if (type_ == "glm4_moe" || type_ == "minimax_m2")
      u32("expert_gating_func", 2);
    if (type_ == "glm4_moe") { // the others' converters write none of these
      copy("n_shared_experts", "expert_shared_count");
      copy("first_k_dense_replace", "leading_dense_block_count");
      f32("expert_weights_scale", config_["routed_scaling_factor"]);
      boolean("expert_weights_norm", config_["norm_topk_prob"]);
    }
  }

  void mamba_keys() {
    mamba_sizes();
    const json &rank = config_["time_step_rank"];
    u32("ssm.time_step_rank", rank.is_number() ? double(rank) : std::ceil(double(hidden()) / 16));
    boolean("ssm.dt_b_c_rms", type_ == "falcon_mamba");
  }
  void mamba2_keys() {
    mamba_sizes();
    u32("ssm.time_step_rank", config_["num_heads"]);
    u32("ssm.group_count", config_["n_groups"]);
  }
  void mamba_sizes() {
    u32("context_length", 1 << 20);
    u32("embedding_length", config_["hidden_size"]);
    u32("feed_forward_length", 0);
    u32("attention.head_count", 0);
    u32("block_count", config_["num_hidden_layers"]);
    u32("ssm.conv_kernel", config_["conv_kernel"]);
    u32("ssm.inner_size", double(hidden()) * config_["expand"].get<double>());
    u32("ssm.state_size", config_["state_size"]);
    f32("attention.layer_norm_rms_epsilon", config_["layer_norm_epsilon"]);
  }

  // Weights.
  std::map<std::string, Weights> changed() const {
    std::map<std::string, Weights> all;
    for (const auto &[name, tensor] : tensors_.items()) {
      Weights w{tensor["shape"].get<std::vector<uint64_t>>(), {}};
      uint64_t count = 1;
      for (uint64_t n : w.shape)
        count *= n;
      w.values.resize(count);
      weights::generate({.seed = 1,
                         .name = name,
                         .scale = tensor["spread"].get<float>(),
                         .offset = tensor["mean"].get<float>()},
                        0, static_cast<int64_t>(count), w.values.data());
      if (put_experts(all, name, w))
        continue;
      change(name, w);
      std::string to = absl::StrReplaceAll(name, from_.names);
      if (size_t at = to.find(".norms."); at != to.npos && from_.changes & kStackNorms) {
        stack(all[to.substr(0, at) + ".weight"], std::stoull(to.substr(at + 7)), w);
        continue;
      }
      all[to] = std::move(w);
    }
    return all;
  }

  /// Experts whose matrices are tensors of their own, and their gates and ups that are one.
  static bool put_experts(std::map<std::string, Weights> &all, const std::string &name,
                          Weights &w) {
    const auto put = [&](const std::string &part) -> Weights & {
      const std::string layer = name.substr(name.find(".layers.") + 8);
      return all["blk." + layer.substr(0, layer.find('.')) + ".ffn_" + part];
    };
    if (name.ends_with("input_linear.weight")) { // each expert's gate, then its up
      put("gate_exps.weight") = half_of_each(w, 0, 1);
      put("up_exps.weight") = half_of_each(w, w.shape[1] / 2, 1);
      return true;
    }
    if (name.find("experts.gate_up_proj") != name.npos) { // of which the rows alternate
      const char *suffix = name.ends_with("_bias") ? "_exps.bias" : "_exps.weight";
      if (w.shape.size() == 3)
        transpose_each(w);
      put(std::string("gate") + suffix) = half_of_each(w, 0, 2);
      put(std::string("up") + suffix) = half_of_each(w, 1, 2);
      return true;
    }
    const size_t at = name.find(".experts.");
    if (at == name.npos || name.find_first_of("0123456789", at) != at + 9)
      return false;
    const std::string part = name.substr(name.find('.', at + 9) + 1);
    stack(put(kExpertParts.at(part.substr(0, part.find('.'))) + "_exps.weight"),
          std::stoull(name.substr(at + 9)), w);
    return true;
  }

  void change(const std::string &name, Weights &w) const {
    const auto is = [&](const char *part) { return name.find(part) != name.npos; };
    if (from_.changes & kPairs && is("self_attn.q_proj"))
      pair_rows(w, heads());
    if (from_.changes & kPairs && is("self_attn.k_proj"))
      pair_rows(w, kv_heads());
    if (from_.changes & kAddOne && name.ends_with("norm.weight"))
      for (float &value : w.values)
        value += 1;
    if (from_.changes & kUngroup && is("query_key_value"))
      ungroup(w);
    if (from_.changes & kTranspose && w.shape.size() == 2 && is(".h."))
      transpose(w);
    if (is("ffn.experts.mlp"))
      w.shape = {config_["ffn_config"]["moe_num_experts"], static_cast<uint64_t>(mlp()),
                 w.shape[1]};
    if (name.ends_with("ffn.experts.mlp.w2") || name.ends_with("mlp.experts.down_proj"))
      transpose_each(w);
    if (is(".A_log"))
      for (float &value : w.values)
        value = -std::exp(value);
    if (type_ == "mamba2" && (is(".A_log") || name.ends_with(".D")))
      w.shape.push_back(1);
    if (is("conv1d.weight"))
      w.shape = {w.shape[0], w.shape[2]};
    if (is("mixer.norm")) {
      const auto groups = config_["n_groups"].get<uint64_t>();
      w.shape = {groups, w.shape[0] / groups};
    }
  }

  /// Row r becomes what row from(r) was.
  template <typename From> static void permute_rows(Weights &w, From from) {
    const std::vector<float> old = w.values;
    const uint64_t cols = w.cols();
    for (uint64_t row = 0; row < w.shape[0]; ++row)
      std::copy_n(old.begin() + static_cast<int64_t>(from(row) * cols), cols,
                  w.values.begin() + static_cast<int64_t>(row * cols));
  }
  static void pair_rows(Weights &w, int64_t heads) {
    const uint64_t dim = w.shape[0] / static_cast<uint64_t>(heads);
    permute_rows(w, [dim](uint64_t row) {
      const uint64_t at = row % dim;
      return row - at + at % 2 * (dim / 2) + at / 2;
    });
  }
  void ungroup(Weights &w) const {
    const auto kv = static_cast<uint64_t>(kv_heads()), per = static_cast<uint64_t>(heads()) / kv;
    const uint64_t dim = static_cast<uint64_t>(hidden() / heads()), group = (per + 2) * dim;
    permute_rows(w, [=](uint64_t row) {
      if (row < kv * per * dim)
        return row / (per * dim) * group + row % (per * dim);
      row -= kv * per * dim;
      const uint64_t part = row / (kv * dim); // keys, then values
      row %= kv * dim;
      return row / dim * group + (per + part) * dim + row % dim;
    });
  }
  static void transpose(Weights &w) {
    const std::vector<float> old = w.values;
    const uint64_t rows = w.shape[0], cols = w.shape[1];
    for (uint64_t r = 0; r < rows; ++r)
      for (uint64_t c = 0; c < cols; ++c)
        w.values[c * rows + r] = old[r * cols + c];
    std::swap(w.shape[0], w.shape[1]);
  }
  /// Gives layer 1 what GgufForm::wide_layer says.
  void widen(std::map<std::string, Weights> &tensors) const {
    const uint64_t copies = static_cast<uint64_t>(heads() / kv_heads());
    for (const char *name : {"blk.1.attn_k.weight", "blk.1.attn_v.weight"}) {
      Weights &w = tensors.at(name);
      const uint64_t head = w.values.size() / static_cast<uint64_t>(kv_heads());
      std::vector<float> wide;
      for (uint64_t at = 0; at < w.values.size(); at += head)
        for (uint64_t i = 0; i < copies; ++i)
          wide.insert(wide.end(), w.values.begin() + static_cast<int64_t>(at),
                      w.values.begin() + static_cast<int64_t>(at + head));
      w.values = std::move(wide);
      w.shape[0] *= copies;
    }
    for (const char *name : {"blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"}) {
      Weights &w = tensors.at(name);
      w.shape[0] += kWider;
      w.values.resize(w.shape[0] * w.cols());
    }
    Weights &down = tensors.at("blk.1.ffn_down.weight");
    std::vector<float> wide;
    for (uint64_t row = 0; row < down.shape[0]; ++row) {
      const auto begin = down.values.begin() + static_cast<int64_t>(row * down.cols());
      wide.insert(wide.end(), begin, begin + static_cast<int64_t>(down.cols()));
      wide.resize(wide.size() + kWider);
    }
    down.values = std::move(wide);
    down.shape[1] += kWider;
  }

  static void fuse(std::map<std::string, Weights> &tensors) {
    std::map<std::string, Weights> fused;
    for (const char *part : {".attn_q.", ".attn_k.", ".attn_v."})
      std::erase_if(tensors, [&](const auto &tensor) {
        const auto &[name, w] = tensor;
        if (name.find(part) == name.npos)
          return false;
        Weights &all = fused[absl::StrReplaceAll(name, {{part, ".attn_qkv."}})];
        const uint64_t rows = all.shape.empty() ? 0 : all.shape[0];
        all.shape = w.shape;
        all.shape[0] += rows;
        all.values.insert(all.values.end(), w.values.begin(), w.values.end());
        return true;
      });
    tensors.merge(fused);
  }

  void factors(const std::string &name, const std::vector<float> &values) {
    write(name, {{values.size()}, values});
  }
  void write(const std::string &name, Weights w) {
    std::reverse(w.shape.begin(), w.shape.end());
    writer_.tensor(
        name, w.shape, 0,
        std::string(reinterpret_cast<const char *>(w.values.data()), w.values.size() * 4));
  }

  const json &config_, &tensors_;
  const std::string type_;
  const Architecture &from_;
  const std::string arch_;
  GgufForm form_;
  GgufWriter writer_;
};

} // namespace

gguf::GgufWriter &add_f32(gguf::GgufWriter &writer, const std::string &key, double value) {
  return writer.key(key, 6, GgufWriter::raw(static_cast<float>(value)));
}

std::string gguf_architecture(const std::string &model_type) {
  const auto found = kArchitectures.find(model_type);
  return found == kArchitectures.end() ? "" : found->second.name;
}

gguf::GgufWriter to_gguf(const json &golden, const std::string &architecture, GgufForm form) {
  return Converter(golden, architecture).convert(form);
}

} // namespace quern
