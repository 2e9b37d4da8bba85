// OLMo 1 (layer norms without weights), 2 (norms after the sublayers, and of queries and keys) and
// 3 (windows in three layers of four).
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>

namespace quern {

namespace {

DenseNames post_norm_names() {
  DenseNames names = kHfDenseNames;
  names.attention_post = "model.layers.*.post_attention_layernorm";
  names.mlp_post = "model.layers.*.post_feedforward_layernorm";
  return names;
}

Dense olmo2(ModelReader &model, const RopeKeys &rope) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5, .rope = rope});
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.wiring = Wiring::PostNorm;
  d.qk_norm = QkNorm::Row;
  return d;
}

} // namespace

recipe::Decoder olmo_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.eps = nullptr, .default_eps = 1e-5});
  d.family = "olmo";
  d.norm = recipe::NormKind::Layer;
  d.norm_weight = false;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.clip = model.number("clip_qkv", 1e-6, 1e9, 0.0);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder olmo2_from_hf(ModelReader &model) {
  Dense d = olmo2(model, {});
  d.family = "olmo2";
  return dense_decoder(model, d, post_norm_names());
}

recipe::Decoder olmo3_from_hf(ModelReader &model) {
  Dense d = olmo2(model, {.theta = 500'000, .section = "full_attention"});
  d.family = "olmo3";
  std::vector<bool> slides = read_sliding_layers(model, d.layers, /*pattern=*/4);
  d.slide(slides, model.integer("sliding_window", 1, recipe::kMaxContext, 4096));
  // Scalings are of the layers that see everything.
  d.ropes.push_back(
      rope_from_hf(model, d.head_dim, d.max_positions, d.context,
                   {.theta = 500'000, .section = "sliding_attention", .scaled = false}));
  d.layer_ropes.assign(slides.begin(), slides.end()); // rope 1 where a layer slides
  return dense_decoder(model, d, post_norm_names());
}

recipe::Decoder olmo_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer});
  d.family = "olmo";
  d.norm_weight = false;
  d.rope_interleaved = true; // as in llama
  d.clip = model.number("attention.clamp_kqv", 0, 1e9, 0.0);
  return gguf_decoder(model, d);
}

// OLMo 3 is `olmo2` with windows.
recipe::Decoder olmo2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.windows = true});
  d.wiring = Wiring::PostNorm;
  d.qk_norm = QkNorm::Row;
  const std::vector<bool> slides = read_gguf_windows(model, d, /*pattern=*/4);
  const bool windows = std::find(slides.begin(), slides.end(), true) != slides.end();
  d.family = windows ? "olmo3" : "olmo2";
  rotate_sliding_layers(
      model, d, slides,
      {.base_key = kSlidingRopeBase, .base = gguf_rope_base(model), .scaled = false});
  return gguf_decoder(model, d);
}

} // namespace quern
