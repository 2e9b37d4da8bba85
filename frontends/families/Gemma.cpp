// Gemma 1, 2 and 3 (text): norms around one, scaled embeddings; since 2 norms after the sublayers
// too, and windows in most layers; 3 norms queries and keys, and rotates windowed layers by another
// base, and is an encoder (EmbeddingGemma) where its tokens see to both sides.
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

#include <cmath>

namespace quern {

namespace {

DenseNames sandwich_names() {
  DenseNames names = kHfDenseNames;
  names.attention_post = "model.layers.*.post_attention_layernorm";
  names.mlp_norm = "model.layers.*.pre_feedforward_layernorm";
  names.mlp_post = "model.layers.*.post_feedforward_layernorm";
  return names;
}

Dense gemma(ModelReader &model, HfKeys keys) {
  keys.default_head_dim = 256;
  keys.default_activation = "gelu_pytorch_tanh";
  keys.default_tied = true;
  Dense d = dense_from_hf(model, keys);
  d.norm_add_one = true;
  d.embedding_scale = std::sqrt(static_cast<double>(d.hidden));
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.both_sides = model.boolean("use_bidirectional_attention", false);
  return d;
}

/// An encoder sees as much to each side as half of what the config calls its window.
recipe::Decoder gemma3_encoder(ModelReader &model, Dense &d, DenseNames names) {
  for (int64_t &window : d.windows)
    window /= 2;
  names.head = nullptr;
  recipe::Decoder decoder = dense_decoder(model, d, names);
  encode(model, decoder, {.dense = "score.dense", .out = "score"});
  return decoder;
}

/// Of families that Quern has as decoders alone.
void decodes(ModelReader &model, const Dense &d) {
  if (d.both_sides)
    model.problem("use_bidirectional_attention", "Quern has this only as false");
}

/// The soft-caps are those of a config that does not mention them; 0: none.
void read_gemma2(ModelReader &model, Dense &d, const std::vector<bool> &slides,
                 double attention_softcap, double final_softcap) {
  d.wiring = Wiring::Sandwich;
  d.attention_scale =
      1 / std::sqrt(model.number("query_pre_attn_scalar", 1e-6, recipe::kMaxWidth, 256.0));
  const auto softcap = [&](const char *key, double missing) {
    return model.number(key, 1e-3, 1e9, model.mentions(key) ? 0.0 : missing);
  };
  d.softcap = softcap("attn_logit_softcapping", attention_softcap);
  d.logit_softcap = softcap("final_logit_softcapping", final_softcap);
  d.slide(slides, model.integer("sliding_window", 1, recipe::kMaxContext, 4096));
  model.ignore({"sliding_window_size"}); // the same, in the first configs
}

} // namespace

recipe::Decoder gemma_from_hf(ModelReader &model) {
  Dense d = gemma(model, {.default_kv_heads = 16});
  d.family = "gemma";
  decodes(model, d);
  // The first releases say gelu, and their code computed the tanh form, as transformers does.
  if (d.activation == "gelu_erf")
    d.activation = "gelu_tanh";
  // transformers reads hidden_act only.
  model.ignore({"hidden_activation"});
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder gemma2_from_hf(ModelReader &model) {
  Dense d = gemma(model, {.activation = "hidden_activation", .default_kv_heads = 4});
  d.family = "gemma2";
  decodes(model, d);
  model.ignore({"hidden_act"});
  read_gemma2(model, d, read_sliding_layers(model, d.layers, /*pattern=*/2), 50, 30);
  return dense_decoder(model, d, sandwich_names());
}

recipe::Decoder gemma3_from_hf(ModelReader &model) {
  Dense d = gemma(model, {.activation = "hidden_activation",
                          .default_kv_heads = 4,
                          .rope = RopeKeys{.theta = 1e6, .section = "full_attention"}});
  d.family = "gemma3_text";
  d.qk_norm = QkNorm::Head;
  model.ignore({"hidden_act", "_sliding_window_pattern"});
  const int64_t pattern = model.integer("sliding_window_pattern", 1, recipe::kMaxLayers, 6);
  std::vector<bool> slides = read_sliding_layers(model, d.layers, pattern);
  read_gemma2(model, d, slides, 0, 0);
  d.ropes.push_back(rope_from_hf(
      model, d.head_dim, d.max_positions, d.context,
      {.theta_key = "rope_local_base_freq", .section = "sliding_attention", .scaled = false}));
  d.layer_ropes.assign(slides.begin(), slides.end()); // rope 1 where a layer slides
  return d.both_sides ? gemma3_encoder(model, d, sandwich_names())
                      : dense_decoder(model, d, sandwich_names());
}

} // namespace quern
