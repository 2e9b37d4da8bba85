#include "tests/frontends/families/GgufKeys.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;

class Keys : ConfigSizes {
public:
  Keys(GgufWriter &writer, const json &config, const std::string &architecture,
       const GgufForm &form)
      : ConfigSizes(config), writer_(writer), from_(kArchitectures.at(type_)), arch_(architecture),
        form_(form) {}

  std::map<std::string, Weights> write() {
    if (type_ == "mamba2")
      mamba2_keys();
    else if (arch_ == "mamba")
      mamba_keys();
    else if (type_ == "nemotron_h")
      nemotron_keys();
    else
      dense_keys();
    return std::move(factors_);
  }

private:
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
  void f32(const std::string &key, double value) { add_f32(writer_, arch_ + "." + key, value); }
  void boolean(const std::string &key, bool value) {
    writer_.key(arch_ + "." + key, 7, std::string(1, static_cast<char>(value)));
  }
  /// Latents are one kv head.
  int64_t written_kv_heads() const {
    return has("kv_lora_rank") && !form_.unsplit_latent ? 1 : kv_heads();
  }

  void dense_keys() {
    u32("block_count", *number({"num_hidden_layers", "n_layer", "n_layers"}));
    u32("context_length",
        number({"max_position_embeddings", "n_positions", "max_seq_len", "model_max_length"})
            .value_or(2048));
    u32("embedding_length", double(hidden()));
    by_layer("feed_forward_length", mlp(), mlp() + double(kWider));
    by_layer("attention.head_count", double(heads()), double(heads()));
    if (type_ == "jamba" || type_ == "granitemoehybrid" || type_ == "lfm2" ||
        type_ == "kimi_linear") {
      std::vector<int32_t> list;
      for (const bool recurrent : recurrent_layers())
        list.push_back(recurrent ? 0 : static_cast<int32_t>(written_kv_heads()));
      writer_.array<int32_t>(arch_ + ".attention.head_count_kv", 5, list);
    } else {
      by_layer("attention.head_count_kv", double(written_kv_heads()), double(heads()));
    }
    if (has("kv_lora_rank")) {
      latent_keys();
    } else if (has("head_dim")) {
      u32("attention.key_length", config_["head_dim"]);
      u32("attention.value_length", config_["head_dim"]);
    }
    f32(from_.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
        number({"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"})
            .value_or(1e-5));
    if (type_ == "kimi_linear")
      u32("rope.dimension_count", config_["qk_rope_head_dim"]);
    else if (type_ != "jamba")
      rope_keys(static_cast<int64_t>(
          number({"qk_rope_head_dim", "head_dim"}).value_or(double(hidden() / heads()))));
    windows();
    own_keys();
    expert_keys();
    mixer_keys();
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
        if (rope.contains(from)) // of which DeepSeek's converter writes a tenth
          f32(to, rope[from].get<double>() *
                      (arch_ == "deepseek2" && std::string(from) == "mscale_all_dim" ? 0.1 : 1));
    }
    if (type == "longrope") {
      original();
      const double limit = rope["original_max_position_embeddings"];
      const double scale = config_["max_position_embeddings"].get<double>() / limit;
      f32("rope.scaling.attn_factor",
          scale > 1 ? std::sqrt(1 + std::log(scale) / std::log(limit)) : 1);
      factor_tensor("rope_factors_long.weight", rope["long_factor"]);
      factor_tensor("rope_factors_short.weight", rope["short_factor"]);
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
      factor_tensor("rope_freqs.weight", list);
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
      if (has(from) && type_ != "falcon_h1") // whose weights are multiplied
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
    for (const char *key :
         {"num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"})
      copy(key, "expert_count");
    for (const char *key : {"num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk"})
      copy(key, "expert_used_count");
    copy("moe_layer_start_index", "leading_dense_block_count");
    copy("moe_layer_interval", "interleave_moe_layer_step");
    copy("shared_intermediate_size", "expert_shared_feed_forward_length");
    copy("n_group", "expert_group_count");
    copy("topk_group", "expert_group_used_count");
    if (!form_.no_expert_width)
      copy("moe_intermediate_size", "expert_feed_forward_length");
    copy("shared_expert_intermediate_size", "expert_shared_feed_forward_length");
    if (type_ == "gpt_oss" || type_ == "minimax_m2" || type_ == "hunyuan_v1_moe")
      copy("intermediate_size", "expert_feed_forward_length");
    if (type_ == "glm4_moe" || type_ == "minimax_m2" || type_ == "deepseek_v3" ||
        type_ == "kimi_linear")
      u32("expert_gating_func", 2);
    if (type_ == "kimi_linear")
      f32("expert_weights_scale", config_["routed_scaling_factor"]);
    if (type_ == "glm4_moe" || arch_ == "deepseek2") { // the others' converters write none of these
      copy("n_shared_experts", "expert_shared_count");
      copy("first_k_dense_replace", "leading_dense_block_count");
      f32("expert_weights_scale", config_["routed_scaling_factor"]);
      boolean("expert_weights_norm", config_["norm_topk_prob"]);
    }
  }

  /// Which layers have no attention.
  std::vector<bool> recurrent_layers() const {
    std::vector<bool> recurrent;
    for (uint64_t i = 0; i < config_["num_hidden_layers"]; ++i)
      recurrent.push_back(has("layer_types") ? config_["layer_types"][i] != "full_attention"
                                             : i % config_["attn_layer_period"].get<uint64_t>() !=
                                                   config_["attn_layer_offset"].get<uint64_t>());
    return recurrent;
  }

  void latent_keys() {
    const double latent = config_["kv_lora_rank"], rotary = config_["qk_rope_head_dim"];
    const double head = config_["qk_nope_head_dim"].get<double>() + rotary;
    u32("attention.kv_lora_rank", latent);
    if (has("q_lora_rank"))
      u32("attention.q_lora_rank", config_["q_lora_rank"]);
    u32("attention.key_length", form_.unsplit_latent ? head : latent + rotary);
    u32("attention.value_length", form_.unsplit_latent ? double(config_["v_head_dim"]) : latent);
    if (form_.unsplit_latent)
      return;
    u32("attention.key_length_mla", head);
    u32("attention.value_length_mla", config_["v_head_dim"]);
  }

  /// ssm.*, from the config's keys for them, in this order.
  void ssm(double kernel, double inner, double state, double rank,
           std::optional<double> groups = std::nullopt) {
    u32("ssm.conv_kernel", kernel);
    u32("ssm.inner_size", inner);
    u32("ssm.state_size", state);
    u32("ssm.time_step_rank", rank);
    if (groups)
      u32("ssm.group_count", *groups);
  }
  void mixer_keys() {
    const auto at = [&](const char *key) { return config_[key].get<double>(); };
    if (type_ == "jamba")
      ssm(at("mamba_d_conv"), at("mamba_expand") * double(hidden()), at("mamba_d_state"),
          at("mamba_dt_rank"));
    if (type_ == "granitemoehybrid" || type_ == "falcon_h1")
      ssm(at("mamba_d_conv"), at("mamba_n_heads") * at("mamba_d_head"), at("mamba_d_state"),
          at("mamba_n_heads"), at("mamba_n_groups"));
    if (type_ == "granitemoehybrid")
      boolean("rope.scaling.finetuned", config_.value("position_embedding_type", "") == "rope");
    if (type_ == "lfm2")
      u32("shortconv.l_cache", at("conv_L_cache"));
    if (type_ == "kimi_linear") {
      u32("ssm.conv_kernel", at("linear_conv_kernel_dim"));
      u32("kda.head_dim", at("linear_head_dim"));
    }
    if (!has("linear_num_value_heads"))
      return;
    ssm(at("linear_conv_kernel_dim"), at("linear_num_value_heads") * at("linear_value_head_dim"),
        at("linear_key_head_dim"), at("linear_num_value_heads"), at("linear_num_key_heads"));
    std::string flags;
    for (const bool recurrent : recurrent_layers())
      flags += static_cast<char>(recurrent);
    writer_.key(arch_ + ".attention.recurrent_layers", 9,
                GgufWriter::raw<uint32_t>(7) + GgufWriter::raw<uint64_t>(flags.size()) + flags);
    u32("full_attention_interval", 4);
    if (type_ == "qwen3_5_text")
      writer_.array<int32_t>(arch_ + ".rope.dimension_sections", 5, {11, 11, 10, 0});
  }

  void nemotron_keys() {
    const json &blocks = config_["layers_block_type"];
    const bool listed = has("layers_block_type");
    const std::string pattern = config_.value("hybrid_override_pattern", "");
    const size_t layers = listed ? blocks.size() : pattern.size();
    std::vector<int32_t> kv, widths;
    for (size_t i = 0; i < layers; ++i) {
      const auto is = [&](const char *block, char letter) {
        return listed ? blocks[i] == block : pattern[i] == letter;
      };
      kv.push_back(is("full_attention", '*') ? config_["num_key_value_heads"].get<int32_t>() : 0);
      widths.push_back(is("moe", 'E')   ? config_["moe_intermediate_size"].get<int32_t>()
                       : is("mlp", '-') ? config_["intermediate_size"].get<int32_t>()
                                        : 0);
    }
    u32("block_count", double(layers));
    u32("context_length", 1 << 20);
    u32("embedding_length", double(hidden()));
    u32("attention.head_count", double(heads()));
    writer_.array<int32_t>(arch_ + ".attention.head_count_kv", 5, kv);
    writer_.array<int32_t>(arch_ + ".feed_forward_length", 5, widths);
    u32("attention.key_length", config_["head_dim"]);
    u32("attention.value_length", config_["head_dim"]);
    f32("attention.layer_norm_epsilon", config_["layer_norm_epsilon"]);
    u32("rope.dimension_count", double(hidden() / heads()));
    boolean("rope.scaling.finetuned", false);
    const auto at = [&](const char *key) { return config_[key].get<double>(); };
    ssm(at("conv_kernel"), at("mamba_num_heads") * at("mamba_head_dim"), at("ssm_state_size"),
        at("mamba_num_heads"), at("n_groups"));
    if (arch_ == "nemotron_h")
      return;
    expert_keys();
    u32("expert_shared_count", at("n_shared_experts"));
    u32("expert_shared_feed_forward_length", at("moe_shared_expert_intermediate_size"));
    if (has("norm_topk_prob"))
      boolean("expert_weights_norm", config_["norm_topk_prob"]);
    f32("expert_weights_scale", at("routed_scaling_factor"));
    if (has("moe_latent_size"))
      u32("moe_latent_size", at("moe_latent_size"));
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

  void factor_tensor(const std::string &name, const std::vector<float> &values) {
    factors_[name] = {{values.size()}, values};
  }

  GgufWriter &writer_;
  const Architecture &from_;
  const std::string arch_;
  const GgufForm &form_;
  std::map<std::string, Weights> factors_; ///< of rotary frequencies
};

} // namespace

GgufWriter &add_f32(GgufWriter &writer, const std::string &key, double value) {
  return writer.key(key, 6, GgufWriter::raw(static_cast<float>(value)));
}

std::map<std::string, Weights> write_gguf_keys(GgufWriter &writer, const json &config,
                                               const std::string &architecture,
                                               const GgufForm &form) {
  return Keys(writer, config, architecture, form).write();
}

} // namespace quern
