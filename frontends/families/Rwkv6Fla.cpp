#include "frontends/families/Dense.h"
#include "frontends/families/Rwkv.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxWidth;

bool is_rwkv6_of_fla(const ModelReader &model) {
  return model.has_tensor("model.embeddings.weight") || model.mentions("norm_eps") ||
         model.mentions("expand_k") || model.mentions("proj_low_rank_dim");
}

recipe::Decoder rwkv6_from_fla(ModelReader &model) {
  recipe::Decoder decoder{.family = "rwkv6",
                          .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab, 32000),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth, 2048),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "model.embeddings"};
  const int64_t hidden = decoder.hidden;
  const auto wide = static_cast<double>(hidden);
  const int64_t layers = model.layers("num_hidden_layers");
  const int64_t heads = model.integer("num_heads", 1, recipe::kMaxHeads, 4);
  const auto width = [&](const char *key, double missing) {
    const auto cols = std::llround(
        wide * model.number(key, 1e-6, static_cast<double>(kMaxWidth) / wide, missing));
    if (cols < heads || cols % heads)
      model.wrong_size(key, absl::StrCat(heads, " heads do not divide ", cols));
    return static_cast<int64_t>(cols);
  };
  const int64_t keys = width("expand_k", 0.5), values = width("expand_v", 1);
  const double ratio = model.number("hidden_ratio", 0.01, 1e6, 3.5);
  const int64_t mlp = model.integer("intermediate_size", 1, kMaxWidth,
                                    (static_cast<int64_t>(wide * ratio) + 31) / 32 * 32);
  const int64_t mixes = model.integer("proj_low_rank_dim", 1, kMaxWidth, 32);
  const int64_t rank = model.integer("gate_low_rank_dim", 1, kMaxWidth, 64);
  const double eps = model.number("norm_eps", 0, 1, 1e-5);
  const bool first = model.boolean("norm_first", true), bias = model.boolean("norm_bias", true);
  if (const std::string act = model.text("hidden_act", "sqrelu"); act != "sqrelu")
    model.problem("hidden_act", absl::StrCat("the activation '", act, "' is not known"),
                  "RWKV-6 is known with sqrelu");
  if (model.has("attn"))
    model.problem("attn", "some layers are attention", "RWKV-6 is known without such layers");
  // How programs train it and split the work; nothing ends at a position.
  model.ignore(
      {"attn", "attn_mode", "max_position_embeddings", "fuse_linear_cross_entropy", "use_l2warp"});

  const auto norm = [&](std::string module) {
    recipe::Norm n = rwkv_norm(std::move(module), hidden, eps);
    n.bias = bias;
    return n;
  };
  if (first)
    decoder.embedding_norm = norm("model.layers.0.pre_norm");
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = recipe::layer_name("model.layers.*", i);
    const std::string time = block + ".attn", channel = block + ".ffn";
    const std::string order = "rwkvg";
    const auto mix = [&](char what) {
      return recipe::Vector{time + ".x_bias", hidden, static_cast<int64_t>(order.find(what)), 5};
    };
    recipe::Rwkv6 m{.module = time,
                    .heads = heads,
                    .key_dim = keys / heads,
                    .value_dim = values / heads,
                    .mix_receptance = mix('r'),
                    .mix_decay = mix('w'),
                    .mix_key = mix('k'),
                    .mix_value = mix('v'),
                    .mix_gate = mix('g'),
                    .receptance = {time + ".r_proj.linear", hidden, keys},
                    .key = {time + ".k_proj.linear", hidden, keys},
                    .value = {time + ".v_proj.linear", hidden, values},
                    .gate = {time + ".g_proj.linear", hidden, values},
                    .output = {time + ".o_proj", values, hidden},
                    .decay_down = recipe::Linear{time + ".w_proj.linear.lora.0", hidden, rank},
                    .decay_up = recipe::Linear{time + ".w_proj.linear.lora.2", rank, keys, true},
                    .bonus = time + ".bonus",
                    .norm = rwkv_norm(time + ".g_norm", values, eps, values / heads)};
    m.mixes = {.base = {time + ".x_proj.0.mu", hidden},
               .down = {time + ".x_proj.0.linear", hidden, 5 * mixes},
               .up = time + ".x_proj.2.weight",
               .stored = recipe::Rwkv6::Mixes::Stored::Columns,
               .order = order};
    recipe::RwkvMlp feed{.module = channel,
                         .mix_key = {channel + ".key.mu", hidden},
                         .mix_receptance = {channel + ".receptance.mu", hidden},
                         .key = {channel + ".key.linear", hidden, mlp},
                         .value = {channel + ".value", mlp, hidden},
                         .receptance =
                             recipe::Linear{channel + ".receptance.linear", hidden, hidden}};
    recipe::Layer layer;
    layer.sublayers.push_back({.norm = norm(block + ".attn_norm"), .block = std::move(m)});
    layer.sublayers.push_back({.norm = norm(block + ".ffn_norm"), .block = std::move(feed)});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm = norm("model.norm");
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
