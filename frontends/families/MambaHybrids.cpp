// Decoders with Mamba-2 in the place of attention in most layers, or beside it: Bamba, Falcon-H1
// and Granite 4.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxWidth;

namespace {

constexpr const char *kMamba = "model.layers.*.mamba";

int64_t expanded(ModelReader &model, int64_t hidden) {
  return hidden * model.integer("mamba_expand", 1, kMaxHeadDim, 2);
}

/// Five numbers, or as many as `count`, or 1 each where there are none.
std::vector<double> multipliers(ModelReader &model, const char *key, size_t count) {
  std::vector<double> found;
  if (model.has(key))
    found = model.numbers(key);
  if (!found.empty() && found.size() != count) {
    model.problem(key, absl::StrCat(found.size(), " numbers, not ", count));
    found.clear();
  }
  found.resize(count, 1.0);
  return found;
}

double multiplier(ModelReader &model, const char *key) { return model.number(key, -1e9, 1e9, 1.0); }

} // namespace

recipe::Decoder bamba_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5,
                                  .default_kv_heads = 8,
                                  .default_context = 262'144,
                                  .rope = RopeKeys{.partial = 0.5}});
  d.family = "bamba";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  recipe::Mamba2 mixer = read_mamba2(model, expanded(model, d.hidden));
  const bool bias = model.boolean("mamba_proj_bias", false);
  std::vector<double> attends;
  if (model.has("attn_layer_indices"))
    attends = model.numbers("attn_layer_indices");
  // How a program runs it, training, and a width that nobody reads.
  model.ignore({"num_logits_to_keep", "z_loss_coefficient", "attn_rotary_emb"});

  recipe::Decoder decoder = dense_decoder(model, d, feed_forward_names());
  for (int64_t i = 0; i < d.layers; ++i)
    if (std::ranges::find(attends, static_cast<double>(i)) == attends.end()) {
      name_mamba2(mixer, recipe::layer_name(kMamba, i), d.hidden, d.eps, bias, bias);
      decoder.layers[static_cast<size_t>(i)].sublayers[0].block = mixer;
    }
  return decoder;
}

recipe::Decoder falcon_h1_from_hf(ModelReader &model) {
  Dense d =
      dense_from_hf(model, {.default_eps = 1e-5, .default_kv_heads = 8, .default_context = 8192});
  d.family = "falcon_h1";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  d.embedding_scale = multiplier(model, "embedding_multiplier");
  d.logit_scale = multiplier(model, "lm_head_multiplier");
  d.attention_scale =
      multiplier(model, "key_multiplier") / std::sqrt(static_cast<double>(d.head_dim));
  const int64_t twice = expanded(model, d.hidden);
  const int64_t inner = model.mentions("mamba_d_ssm") && !model.has("mamba_d_ssm")
                            ? twice
                            : model.integer("mamba_d_ssm", 1, kMaxWidth, 1024);
  recipe::Mamba2 mixer = read_mamba2(model, inner);
  mixer.norm_first = model.boolean("mamba_norm_before_gate", true);
  const bool normed = model.boolean("mamba_rms_norm", false);
  const std::vector<double> parts = multipliers(model, "ssm_multipliers", 5);
  mixer.z_scale = parts[0];
  mixer.x_scale = parts[1];
  mixer.b_scale = parts[2];
  mixer.c_scale = parts[3];
  mixer.dt_scale = parts[4];
  const bool in_bias = model.boolean("mamba_proj_bias", false);
  const bool out_bias = model.boolean("projectors_bias", false);
  const double ssm_in = multiplier(model, "ssm_in_multiplier");
  const double ssm_out = multiplier(model, "ssm_out_multiplier");
  const double attention_in = multiplier(model, "attention_in_multiplier");
  const double attention_out = multiplier(model, "attention_out_multiplier");
  const std::vector<double> mlp = multipliers(model, "mlp_multipliers", 2);
  model.ignore({"num_logits_to_keep", "mamba_use_mlp", "attn_layer_indices"});

  recipe::Decoder decoder = dense_decoder(model, d, feed_forward_names());
  for (int64_t i = 0; i < d.layers; ++i) {
    // One norm, after which the mixer and attention work side by side.
    std::vector<recipe::Sublayer> &layer = decoder.layers[static_cast<size_t>(i)].sublayers;
    name_mamba2(mixer, recipe::layer_name(kMamba, i), d.hidden, d.eps, in_bias, out_bias);
    if (!normed)
      mixer.norm.kind = recipe::NormKind::None;
    layer.insert(layer.begin(),
                 {.norm = layer[0].norm, .block = mixer, .scale = ssm_out, .input_scale = ssm_in});
    layer[1].input = recipe::Input::Shared;
    layer[1].scale = attention_out;
    layer[1].input_scale = attention_in;
    layer[2].scale = mlp[1];
    std::get<recipe::GatedMlp>(layer[2].block).gate_scale = mlp[0];
  }
  return decoder;
}

} // namespace quern
