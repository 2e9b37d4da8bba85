#include "frontends/families/Dense.h"

#include "frontends/families/Activations.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern {

using recipe::kMaxContext;
using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

const DenseNames kHfDenseNames = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.*.input_layernorm",
    .attention = "model.layers.*.self_attn",
    .q = "model.layers.*.self_attn.q_proj",
    .k = "model.layers.*.self_attn.k_proj",
    .v = "model.layers.*.self_attn.v_proj",
    .o = "model.layers.*.self_attn.o_proj",
    .q_norm = "model.layers.*.self_attn.q_norm",
    .k_norm = "model.layers.*.self_attn.k_norm",
    .mlp_norm = "model.layers.*.post_attention_layernorm",
    .mlp = "model.layers.*.mlp",
    .gate = "model.layers.*.mlp.gate_proj",
    .up = "model.layers.*.mlp.up_proj",
    .down = "model.layers.*.mlp.down_proj",
};

std::string head_module(const ModelReader &model, bool tied, const std::string &embedding,
                        const std::string &head) {
  return tied && !model.has_tensor(head + ".weight") ? embedding : head;
}

void Dense::slide(const std::vector<bool> &layers_that_do, int64_t window) {
  windows.clear();
  for (bool slides : layers_that_do)
    windows.push_back(slides ? window : 0);
}

Dense dense_from_hf(ModelReader &model, const HfKeys &keys) {
  Dense d;
  d.vocab = model.integer("vocab_size", 1, kMaxVocab);
  d.hidden = model.integer(keys.hidden, 1, kMaxWidth);
  d.layers = model.layers(keys.layers);
  std::optional<int64_t> mlp;
  if (keys.default_mlp_factor)
    mlp = *keys.default_mlp_factor * d.hidden;
  d.mlp = keys.mlp ? model.integer(keys.mlp, 1, kMaxWidth, mlp) : mlp.value_or(d.hidden);
  d.max_positions = model.integer(keys.context, 1, kMaxContext, keys.default_context);
  d.context = model.context(d.max_positions);
  d.heads = model.integer(keys.heads, 1, kMaxHeads);
  d.kv_heads = d.heads;
  if (keys.kv_heads) {
    const bool missing = !model.mentions(keys.kv_heads);
    d.kv_heads = model.integer(keys.kv_heads, 1, kMaxHeads,
                               missing ? keys.default_kv_heads.value_or(d.heads) : d.heads);
  } else {
    model.expect_number("num_key_value_heads", static_cast<double>(d.heads));
  }
  // null is the width that divides the model's among the heads, also where the class has a default.
  const bool has_width = keys.head_dim && model.mentions(keys.head_dim)
                             ? model.has(keys.head_dim)
                             : keys.default_head_dim.has_value();
  if (!has_width && d.hidden % d.heads)
    model.wrong_size(keys.heads,
                     absl::StrCat(d.heads, " heads do not divide ", keys.hidden, " ", d.hidden),
                     "a config with heads of another width says so in head_dim");
  d.head_dim = has_width ? keys.default_head_dim.value_or(d.hidden / d.heads) : d.hidden / d.heads;
  if (keys.head_dim)
    d.head_dim = model.integer(keys.head_dim, 1, kMaxHeadDim, d.head_dim);
  else
    model.expect_number("head_dim", static_cast<double>(d.head_dim));
  d.eps = keys.eps ? model.number(keys.eps, 0, 1, keys.default_eps) : keys.default_eps;
  if (keys.activation)
    d.activation = read_activation(model, keys.activation, keys.default_activation);
  d.tied = model.boolean("tie_word_embeddings", keys.default_tied);
  if (keys.rope)
    d.ropes = {rope_from_hf(model, d.head_dim, d.max_positions, d.context, *keys.rope)};
  return d;
}

void read_qwen_windows(ModelReader &model, Dense &dense) {
  bool use = model.boolean("use_sliding_window", false);
  int64_t window = model.integer("sliding_window", 1, kMaxContext, 4096);
  int64_t first = model.integer("max_window_layers", 0, kMaxLayers, 28);
  std::vector<std::string> kinds = model.texts("layer_types");
  if (!kinds.empty() && static_cast<int64_t>(kinds.size()) != dense.layers) {
    model.problem("layer_types",
                  absl::StrCat(kinds.size(), " entries for ", dense.layers, " layers"));
    return;
  }
  dense.windows.assign(static_cast<size_t>(dense.layers), 0);
  for (int64_t i = 0; i < dense.layers; ++i) {
    bool slides = use && i >= first;
    if (!kinds.empty()) {
      const std::string &kind = kinds[static_cast<size_t>(i)];
      slides = kind == "sliding_attention";
      if (!slides && kind != "full_attention") {
        model.problem("layer_types", absl::StrCat("'", kind, "' is not a layer of this family"),
                      "Quern knows full_attention and sliding_attention");
        return;
      }
      if (slides && !use) {
        model.problem("layer_types", "a layer slides while use_sliding_window is false");
        return;
      }
    }
    if (slides)
      dense.windows[static_cast<size_t>(i)] = window;
  }
}

std::vector<bool> read_sliding_layers(ModelReader &model, int64_t layers, int64_t pattern) {
  std::vector<bool> slides;
  std::vector<std::string> kinds = model.texts("layer_types");
  if (!kinds.empty() && static_cast<int64_t>(kinds.size()) != layers) {
    model.problem("layer_types", absl::StrCat(kinds.size(), " entries for ", layers, " layers"));
    kinds.clear();
  }
  for (int64_t i = 0; i < layers; ++i) {
    if (kinds.empty()) {
      slides.push_back(pattern == 1 || (pattern > 1 && (i + 1) % pattern != 0));
      continue;
    }
    const std::string &kind = kinds[static_cast<size_t>(i)];
    slides.push_back(kind == "sliding_attention");
    if (!slides.back() && kind != "full_attention") {
      model.problem("layer_types", absl::StrCat("'", kind, "' is not a layer of this family"),
                    "Quern knows full_attention and sliding_attention");
      kinds.clear();
    }
  }
  return slides;
}

int64_t read_sliding_window(ModelReader &model, int64_t missing) {
  const int64_t none = model.mentions("sliding_window") ? 0 : missing;
  return model.integer("sliding_window", 1, std::numeric_limits<int64_t>::max(), none);
}

void read_window(ModelReader &model, Dense &dense, int64_t missing) {
  if (const int64_t window = read_sliding_window(model, missing))
    dense.windows.assign(static_cast<size_t>(dense.layers), std::min(window, kMaxContext));
}

std::vector<float> alibi_slopes(int64_t heads, double steepest) {
  int64_t power = 1;
  while (2 * power <= heads)
    power *= 2;
  std::vector<float> slopes;
  for (int64_t i = 0; i < heads; ++i) {
    const bool between = i >= power;
    const double step = (between ? steepest / 2 : steepest) / double(power);
    const int64_t at = between ? 2 * (i - power) + 1 : i + 1;
    slopes.push_back(static_cast<float>(std::exp2(-step * double(at))));
  }
  return slopes;
}

namespace {

/// Makes the parts of layer `i`.
class LayerMaker {
public:
  LayerMaker(const Dense &d, const DenseNames &names, int64_t i)
      : d_(d), names_(names), i_(i), heads_(of_layer(d.layer_heads, d.heads)),
        kv_heads_(of_layer(d.layer_kv_heads, d.kv_heads)), mlp_(of_layer(d.layer_mlp, d.mlp)) {}

  recipe::Norm norm(const char *name, int64_t size) const {
    return {.module = recipe::layer_name(name, i_),
            .size = size,
            .eps = d_.eps,
            .kind = d_.norm,
            .weight = d_.norm_weight,
            .bias = d_.norm_bias,
            .add_one = d_.norm_add_one};
  }

  recipe::Attention attention() const {
    const int64_t d = d_.head_dim, q = heads_ * d, kv = kv_heads_ * d;
    recipe::Attention a{.module = recipe::layer_name(names_.attention, i_),
                        .heads = heads_,
                        .kv_heads = kv_heads_,
                        .head_dim = d,
                        .q = linear(names_.q, d_.hidden, q, d_.qkv_bias),
                        .k = linear(names_.k, d_.hidden, kv, d_.qkv_bias),
                        .v = linear(names_.v, d_.hidden, kv, d_.qkv_bias),
                        .o = linear(names_.o, q, d_.hidden, d_.o_bias),
                        .clip = d_.clip,
                        .norm_after_rope = d_.qk_norm_after_rope,
                        .clip_after_norm = d_.clip_after_norm,
                        .rope = d_.ropes.empty() ? recipe::kNoRope : 0,
                        .rope_interleaved = d_.rope_interleaved,
                        .scale = d_.attention_scale,
                        .softcap = d_.softcap,
                        .alibi = d_.alibi,
                        .alibi_bf16 = d_.alibi_bf16};
    if (a.scale == 0)
      a.scale = 1 / std::sqrt(static_cast<double>(d));
    const int64_t all = q + 2 * kv;
    if (d_.fused == FusedQkv::Stacked) {
      a.q.rows = {all, 0, q, q};
      a.k.rows = {all, q, kv, kv};
      a.v.rows = {all, q + kv, kv, kv};
    } else if (d_.fused == FusedQkv::Groups && heads_ % kv_heads_ == 0) {
      const int64_t queries = q / kv_heads_, stride = queries + 2 * d;
      a.q.rows = {all, 0, queries, stride};
      a.k.rows = {all, queries, d, stride};
      a.v.rows = {all, queries + d, d, stride};
    }
    if (d_.qk_norm != QkNorm::None) {
      a.q_norm = head_norm(names_.q_norm, heads_);
      a.k_norm = head_norm(names_.k_norm, kv_heads_);
    }
    if (names_.sinks)
      a.sinks = recipe::layer_name(names_.sinks, i_);
    if (!d_.windows.empty())
      a.window = d_.windows[static_cast<size_t>(i_)];
    if (!d_.layer_ropes.empty())
      a.rope = d_.layer_ropes[static_cast<size_t>(i_)];
    a.both_sides = d_.both_sides;
    a.bias = d_.distance_bias;
    return a;
  }

  recipe::Block mlp() const {
    std::string module = recipe::layer_name(names_.mlp, i_);
    recipe::Linear up = linear(names_.up, d_.hidden, mlp_, d_.mlp_bias);
    recipe::Linear down = linear(names_.down, mlp_, d_.hidden, d_.mlp_bias);
    if (!d_.gated)
      return recipe::Mlp{module, up, down, d_.activation};
    recipe::Linear gate = linear(names_.gate, d_.hidden, mlp_, d_.mlp_bias);
    if (d_.fused_gate_up) {
      gate.rows = {2 * mlp_, 0, mlp_, mlp_};
      up.rows = {2 * mlp_, mlp_, mlp_, mlp_};
    }
    return recipe::GatedMlp{module, gate, up, down, d_.activation};
  }

  recipe::Layer layer() const {
    recipe::Sublayer mix{.block = attention(), .scale = d_.residual_scale};
    recipe::Sublayer feed{.block = mlp(), .scale = d_.residual_scale};
    mix.norm.kind = feed.norm.kind = recipe::NormKind::None;
    if (d_.wiring == Wiring::AfterSum) {
      mix.after = norm(names_.attention_post, d_.hidden);
      feed.after = norm(names_.mlp_post, d_.hidden);
    } else if (d_.wiring != Wiring::PostNorm) {
      mix.norm = norm(names_.attention_norm, d_.hidden);
      if (d_.wiring != Wiring::OneNorm)
        feed.norm = norm(names_.mlp_norm, d_.hidden);
    }
    if (d_.wiring == Wiring::PostNorm || d_.wiring == Wiring::Sandwich) {
      mix.post = norm(names_.attention_post, d_.hidden);
      feed.post = norm(names_.mlp_post, d_.hidden);
    }
    if (d_.wiring == Wiring::Parallel)
      feed.input = recipe::Input::Layer;
    if (d_.wiring == Wiring::OneNorm)
      feed.input = recipe::Input::Shared;
    return {{std::move(mix), std::move(feed)}};
  }

private:
  int64_t of_layer(const std::vector<int64_t> &by_layer, int64_t all) const {
    return by_layer.empty() ? all : by_layer[static_cast<size_t>(i_)];
  }
  recipe::Linear linear(const char *name, int64_t in, int64_t out, bool bias) const {
    return {.module = recipe::layer_name(name, i_),
            .in = in,
            .out = out,
            .bias = bias,
            .transposed = d_.transposed};
  }
  recipe::Norm head_norm(const char *name, int64_t heads) const {
    const bool one = d_.qk_norm == QkNorm::Head;
    recipe::Norm n = norm(name, one ? d_.head_dim : heads * d_.head_dim);
    n.bias = d_.qk_norm_bias;
    if (d_.qk_norm != QkNorm::Row)
      n.group = d_.head_dim;
    if (d_.qk_norm == QkNorm::Each)
      n.heads = heads;
    n.apart = d_.qk_norm_apart;
    return n;
  }

  const Dense &d_;
  const DenseNames &names_;
  int64_t i_;
  int64_t heads_, kv_heads_, mlp_;
};

} // namespace

recipe::Decoder dense_decoder(const ModelReader &model, const Dense &d, const DenseNames &names) {
  recipe::Decoder decoder{.family = d.family,
                          .vocab = d.vocab,
                          .hidden = d.hidden,
                          .context = d.context,
                          .embedding = names.embedding,
                          .embedding_scale = d.embedding_scale,
                          .embedding_width = d.embedding_width,
                          .ropes = d.ropes,
                          .logit_scale = d.logit_scale,
                          .logit_softcap = d.logit_softcap};
  if (d.position_rows)
    decoder.positions = {names.positions, d.position_rows, d.position_offset};
  if (d.type_rows)
    decoder.types = {names.types, d.type_rows};
  if (names.embedding_norm)
    decoder.embedding_norm = LayerMaker(d, names, 0).norm(names.embedding_norm, decoder.embedded());
  if (d.embedding_width)
    decoder.embedding_projection = {.module = names.embedding_projection,
                                    .in = d.embedding_width,
                                    .out = d.hidden,
                                    .bias = true};
  for (int64_t i = 0; i < d.layers; ++i)
    decoder.layers.push_back(LayerMaker(d, names, i).layer());
  decoder.final_norm = {.kind = recipe::NormKind::None};
  if (names.final_norm)
    decoder.final_norm = LayerMaker(d, names, 0).norm(names.final_norm, d.hidden);
  if (!names.head)
    return decoder;
  decoder.head = {.module = head_module(model, d.tied, names.embedding, names.head),
                  .in = d.hidden,
                  .out = d.vocab,
                  .bias = d.head_bias,
                  .bias_module = names.head};
  return decoder;
}

} // namespace quern
