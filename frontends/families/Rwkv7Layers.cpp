#include "frontends/families/Rwkv7Layers.h"

#include "frontends/families/Rwkv.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace quern {

const Rwkv7Names kRwkv7PackageNames = {.embedding = "emb",
                                       .pre_norm = "blocks.0.ln0",
                                       .norm1 = "blocks.*.ln1",
                                       .norm2 = "blocks.*.ln2",
                                       .time = "blocks.*.att.",
                                       .channel = "blocks.*.ffn.",
                                       .final_norm = "ln_out",
                                       .head = "head",
                                       .r = "receptance",
                                       .k = "key",
                                       .v = "value",
                                       .o = "output",
                                       .norm = "ln_x",
                                       .down = "%1",
                                       .up = "%2",
                                       .bias = "%0",
                                       .transposed = true};
const Rwkv7Names kRwkv7FlaNames = {.embedding = "model.embeddings",
                                   .pre_norm = "model.layers.0.pre_norm",
                                   .norm1 = "model.layers.*.attn_norm",
                                   .norm2 = "model.layers.*.ffn_norm",
                                   .time = "model.layers.*.attn.",
                                   .channel = "model.layers.*.ffn.",
                                   .final_norm = "model.norm",
                                   .head = "lm_head",
                                   .r = "r_proj",
                                   .k = "k_proj",
                                   .v = "v_proj",
                                   .o = "o_proj",
                                   .norm = "g_norm",
                                   .down = "%_lora.lora.0.weight",
                                   .up = "%_lora.lora.2.weight",
                                   .bias = "%_lora.lora.2.bias"};
const Rwkv7Names kRwkv7GgufNames = {.embedding = "token_embd",
                                    .pre_norm = "token_embd_norm",
                                    .norm1 = "blk.*.attn_norm",
                                    .norm2 = "blk.*.attn_norm_2",
                                    .time = "blk.*.time_mix_",
                                    .channel = "blk.*.channel_mix_",
                                    .final_norm = "output_norm",
                                    .head = "output",
                                    .r = "receptance",
                                    .k = "key",
                                    .v = "value",
                                    .o = "output",
                                    .norm = "ln",
                                    .down = "%1.weight",
                                    .up = "%2.weight",
                                    .bias = "%0.weight",
                                    .fused = "lerp_fused.weight",
                                    .suffix = ".weight"};

namespace {
std::string with(const std::string &prefix, const char *name, char what) {
  std::string text = name;
  std::replace(text.begin(), text.end(), '%', what);
  return prefix + text;
}
} // namespace

std::optional<int64_t> stored_rank(const ModelReader &model, const Rwkv7Names &names, char what) {
  const std::string layer = recipe::layer_name(names.time, what == 'v' ? 1 : 0);
  return stored_size(model, with(layer, names.down, what), names.transposed ? 1 : 0);
}

void add_rwkv7_layers(recipe::Decoder &decoder, const Rwkv7Sizes &s, const Rwkv7Names &names) {
  const int64_t hidden = decoder.hidden;
  const auto norm = [&](std::string module) {
    recipe::Norm n = rwkv_norm(std::move(module), hidden, s.eps);
    n.bias = s.norm_bias;
    return n;
  };
  if (s.pre_norm)
    decoder.embedding_norm = norm(names.pre_norm);
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto name = [&](const char *of) { return recipe::layer_name(of, i); };
    const std::string time = name(names.time), channel = name(names.channel);
    const int64_t values = s.values.empty() ? hidden : s.values[static_cast<size_t>(i)];
    const auto vector = [&](const char *of) {
      return recipe::Vector{absl::StrCat(time, of, names.suffix), hidden};
    };
    const auto mix = [&](char what, int64_t row) {
      return names.fused ? recipe::Vector{time + names.fused, hidden, row, 6}
                         : recipe::Vector{with(time, "x_%", what), hidden};
    };
    const auto low_rank = [&](char what, int64_t rank, int64_t out, bool bias = true) {
      recipe::Rwkv7::LowRank l{.down = {.module = time + what, .in = hidden, .out = rank},
                               .up = {.module = time + what, .in = rank, .out = out, .bias = bias}};
      l.down.transposed = l.up.transposed = names.transposed;
      l.down.weight_tensor = with(time, names.down, what);
      l.up.weight_tensor = with(time, names.up, what);
      l.up.bias_tensor = with(time, names.bias, what);
      return l;
    };
    recipe::Rwkv7 m{.module = time.substr(0, time.size() - 1),
                    .heads = hidden / s.head_dim,
                    .key_dim = s.head_dim,
                    .value_dim = values / std::max<int64_t>(1, hidden / s.head_dim),
                    .mix_receptance = mix('r', 0),
                    .mix_decay = mix('w', 1),
                    .mix_key = mix('k', 2),
                    .mix_value = mix('v', 3),
                    .mix_rate = mix('a', 4),
                    .mix_gate = mix('g', 5),
                    .receptance = {time + names.r, hidden, hidden},
                    .key = {time + names.k, hidden, hidden},
                    .value = {time + names.v, hidden, values},
                    .output = {time + names.o, values, hidden},
                    .decay = low_rank('w', s.decay, hidden),
                    .rate = low_rank('a', s.rate, hidden),
                    .gate = low_rank('g', s.gate, values, false),
                    .k_k = vector("k_k"),
                    .k_a = vector("k_a"),
                    .r_k = vector("r_k"),
                    .l2_eps = s.l2_eps};
    m.norm = rwkv_norm(time + names.norm, values, s.group_eps, m.value_dim);
    if (i > 0)
      m.value_mix = low_rank('v', s.value, values);
    recipe::RwkvMlp feed{
        .module = channel.substr(0, channel.size() - 1),
        .mix_key = {channel + (names.fused ? "lerp_k.weight" : "x_k"), hidden},
        .key = {channel + "key", hidden, s.mlp},
        .value = {channel + "value", s.mlp, hidden},
    };
    recipe::Layer layer;
    layer.sublayers.push_back({.norm = norm(name(names.norm1)), .block = std::move(m)});
    layer.sublayers.push_back({.norm = norm(name(names.norm2)), .block = std::move(feed)});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm = norm(names.final_norm);
}

} // namespace quern
