#include "tests/frontends/families/GgufMixers.h"

#include "tests/frontends/families/GgufNames.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace quern {
namespace {

using nlohmann::json;

/// Rows `first` to `first + count` of a matrix.
Weights rows(const Weights &w, uint64_t first, uint64_t count) {
  Weights part{w.shape, {}};
  part.shape[0] = count;
  const auto begin = w.values.begin() + static_cast<int64_t>(first * w.cols());
  part.values.assign(begin, begin + static_cast<int64_t>(count * w.cols()));
  return part;
}
void append(Weights &all, const Weights &part) {
  const uint64_t before = all.shape.empty() ? 0 : all.shape[0];
  all.shape = part.shape;
  all.shape[0] += before;
  all.values.insert(all.values.end(), part.values.begin(), part.values.end());
}

struct Delta {
  uint64_t key_heads, share, key_dim, value_dim;
};
Delta delta(const json &config) {
  const uint64_t keys = config["linear_num_key_heads"];
  return {keys, config["linear_num_value_heads"].get<uint64_t>() / keys,
          config["linear_key_head_dim"], config["linear_value_head_dim"]};
}

/// [q, k, v, z] of each key head in turn becomes all q, k and v, and all z.
void ungroup(const Delta &d, const Weights &w, Weights &qkv, Weights &z) {
  const uint64_t value = d.share * d.value_dim, stride = 2 * (d.key_dim + value);
  uint64_t offset = 0;
  for (const uint64_t each : {d.key_dim, d.key_dim, value, value}) {
    for (uint64_t head = 0; head < d.key_heads; ++head)
      append(offset == 2 * d.key_dim + value ? z : qkv, rows(w, head * stride + offset, each));
    offset += each;
  }
}

/// Value heads, each of `dim` rows from row `first` on, from those of a key head side by side to
/// one of each key head in turn.
void tile(const Delta &d, Weights &w, uint64_t first, uint64_t dim) {
  permute_rows(w, [=](uint64_t row) {
    if (row < first)
      return row;
    const uint64_t head = (row - first) / dim, at = (row - first) % dim;
    return first + (head % d.key_heads * d.share + head / d.key_heads) * dim + at;
  });
}

/// The same of what `name` is in Qwen 3.5's files.
void tile_mixer(const json &config, const std::string &name, Weights &w) {
  const Delta d = delta(config);
  const auto is = [&](const char *part) { return name.find(part) != name.npos; };
  const uint64_t keys = 2 * d.key_heads * d.key_dim;
  if (is("in_proj_qkv") || is("conv1d"))
    tile(d, w, keys, d.value_dim);
  else if (is("in_proj_z"))
    tile(d, w, 0, d.value_dim);
  else if (is("in_proj_a") || is("in_proj_b") || is("A_log") || is("dt_bias"))
    tile(d, w, 0, 1);
  else if (is("out_proj")) { // its columns
    const std::vector<float> old = w.values;
    const uint64_t cols = w.cols();
    Weights order{{cols}, std::vector<float>(cols)};
    for (uint64_t i = 0; i < cols; ++i)
      order.values[i] = static_cast<float>(i);
    tile(d, order, 0, d.value_dim);
    for (uint64_t i = 0; i < old.size(); ++i)
      w.values[i] = old[i - i % cols + static_cast<uint64_t>(order.values[i % cols])];
  }
}

/// Falcon-H1's multipliers.
void multiply(const json &config, const std::string &name, Weights &w) {
  const auto is = [&](const char *part) { return name.find(part) != name.npos; };
  const auto by = [&](double factor, uint64_t first, uint64_t count) {
    for (uint64_t i = first * w.cols(); i < (first + count) * w.cols(); ++i)
      w.values[i] = static_cast<float>(w.values[i] * factor);
  };
  const auto at = [&](const char *key) { return config[key].get<double>(); };
  const auto all = [&](double factor) { by(factor, 0, w.shape[0]); };
  if (is("embed_tokens"))
    all(at("embedding_multiplier"));
  else if (is("lm_head"))
    all(at("lm_head_multiplier"));
  else if (is("gate_proj"))
    all(config["mlp_multipliers"][0]);
  else if (is("down_proj"))
    all(config["mlp_multipliers"][1]);
  else if (is("k_proj"))
    all(at("key_multiplier") * at("attention_in_multiplier"));
  else if (is("q_proj") || is("v_proj"))
    all(at("attention_in_multiplier"));
  else if (is("o_proj"))
    all(at("attention_out_multiplier"));
  else if (is("out_proj"))
    all(at("ssm_out_multiplier"));
  else if (is("in_proj")) {
    all(at("ssm_in_multiplier"));
    const uint64_t inner = config["mamba_d_ssm"], heads = config["mamba_n_heads"];
    const uint64_t state =
        config["mamba_n_groups"].get<uint64_t>() * config["mamba_d_state"].get<uint64_t>();
    uint64_t row = 0, part = 0;
    for (const uint64_t count : {inner, inner, state, state, heads}) {
      by(config["ssm_multipliers"][part++], row, count);
      row += count;
    }
  }
}

} // namespace

bool put_parts(std::map<std::string, Weights> &all, const json &config, const GgufForm &form,
               const std::string &name, const Weights &w) {
  const auto put = [&](const std::string &part) -> Weights & {
    const std::string layer = name.substr(name.find(".layers.") + 8);
    return all["blk." + layer.substr(0, layer.find('.')) + "." + part + ".weight"];
  };
  if (name.ends_with("shared_mlp.input_linear.weight")) {
    const bool experts = config["num_local_experts"] != 0;
    put(experts ? "ffn_gate_shexp" : "ffn_gate") = rows(w, 0, w.shape[0] / 2);
    put(experts ? "ffn_up_shexp" : "ffn_up") = rows(w, w.shape[0] / 2, w.shape[0] / 2);
    return true;
  }
  if (name.ends_with("shared_mlp.output_linear.weight") && config["num_local_experts"] == 0) {
    put("ffn_down") = w;
    return true;
  }
  if (name.ends_with("in_proj_qkvz.weight") && !form.fused_qkvz) {
    ungroup(delta(config), w, put("attn_qkv"), put("attn_gate"));
    return true;
  }
  if (name.ends_with("kv_b_proj.weight") && !form.unsplit_latent) {
    const uint64_t plain = config["qk_nope_head_dim"], values = config["v_head_dim"];
    for (uint64_t head = 0; head * (plain + values) < w.shape[0]; ++head) {
      stack(put("attn_k_b"), head, rows(w, head * (plain + values), plain));
      stack(put("attn_v_b"), head, rows(w, head * (plain + values) + plain, values));
    }
    if (put("attn_v_b").shape[0] == config["num_attention_heads"])
      transpose_each(put("attn_k_b"));
    return true;
  }
  return false;
}

void change_mixer(const json &config, unsigned changes, const std::string &name, Weights &w) {
  const auto is = [&](const char *part) { return name.find(part) != name.npos; };
  if (is("_conv1d.weight"))
    w.shape = {1, w.shape[0], 1, w.shape[2]};
  else if (is(".conv1d.weight") || is("conv.conv.weight"))
    w.shape = {w.shape[0], w.shape[2]};
  if (is(".A_log"))
    for (float &value : w.values)
      value = -std::exp(value);
  if (config["model_type"] == "qwen3_5_text" && is("linear_attn"))
    tile_mixer(config, name, w);
  if (changes & kMultiply)
    multiply(config, name, w);
  if (changes & kColumns && (is(".A_log") || name.ends_with(".D")))
    w.shape.push_back(1);
  if (changes & kColumns && (is("mixer.norm") || is("mamba.norm"))) {
    const uint64_t groups = config.value("n_groups", config.value("mamba_n_groups", uint64_t{1}));
    w.shape = {groups, w.shape[0] / groups};
  }
}

} // namespace quern
