// ModernBERT (Warner et al., 2024): rotated positions, gated MLPs, norms before each sublayer but
// the first, and layers of which most see a window to both sides.
#include "frontends/families/Activations.h"
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

namespace quern {

namespace {

/// Which layers slide: those that layer_types says; else all but every nth, from the first on.
std::vector<bool> sliding_layers(ModelReader &model, int64_t layers) {
  const int64_t every = model.integer("global_attn_every_n_layers", 1, recipe::kMaxLayers, 3);
  if (model.has("layer_types"))
    return read_sliding_layers(model, layers, 0);
  std::vector<bool> slides;
  for (int64_t i = 0; i < layers; ++i)
    slides.push_back(i % every != 0);
  return slides;
}

} // namespace

recipe::Decoder modernbert_from_hf(ModelReader &model) {
  HfKeys keys = bert_keys();
  keys.eps = "norm_eps";
  keys.activation = "hidden_activation";
  keys.default_eps = 1e-5;
  Dense d = dense_from_hf(model, keys);
  d.family = "modernbert";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = model.boolean("norm_bias", false);
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  d.fused = FusedQkv::Stacked;
  d.fused_gate_up = true;
  d.both_sides = true;
  const std::vector<bool> slides = sliding_layers(model, d.layers);
  d.slide(slides, model.integer("local_attention", 2, recipe::kMaxContext, 128) / 2);
  const auto rope = [&](const char *theta_key, double theta, const char *section) {
    return rope_from_hf(model, d.head_dim, d.max_positions, d.context,
                        {.theta = theta, .theta_key = theta_key, .section = section});
  };
  d.ropes = {rope("global_rope_theta", 160'000, "full_attention"),
             rope("local_rope_theta", 10'000, "sliding_attention")};
  d.layer_ropes.assign(slides.begin(), slides.end()); // rope 1 where a layer slides
  const char *qkv = "model.layers.*.attn.Wqkv", *gate_up = "model.layers.*.mlp.Wi";
  recipe::Decoder decoder = dense_decoder(model, d,
                                          {.embedding = "model.embeddings.tok_embeddings",
                                           .final_norm = "model.final_norm",
                                           .attention_norm = "model.layers.*.attn_norm",
                                           .attention = "model.layers.*.attn",
                                           .q = qkv,
                                           .k = qkv,
                                           .v = qkv,
                                           .o = "model.layers.*.attn.Wo",
                                           .mlp_norm = "model.layers.*.mlp_norm",
                                           .mlp = "model.layers.*.mlp",
                                           .gate = gate_up,
                                           .up = gate_up,
                                           .down = "model.layers.*.mlp.Wo",
                                           .embedding_norm = "model.embeddings.norm"});
  if (!decoder.layers.empty()) // the embeddings are normed already
    decoder.layers.front().sublayers.front().norm.kind = recipe::NormKind::None;
  const bool mean = model.text("classifier_pooling", "cls") == "mean";
  recipe::Norm norm = decoder.final_norm;
  norm.module = "head.norm";
  encode(model, decoder,
         {.dense = "head.dense",
          .out = "classifier",
          .activation = read_activation(model, "classifier_activation", "gelu"),
          .pool = mean ? recipe::Pool::Mean : recipe::Pool::First,
          .dense_bias = model.boolean("classifier_bias", false),
          .norm = norm});
  model.ignore({"initializer_cutoff_factor", "deterministic_flash_attn", "sparse_prediction",
                "sparse_pred_ignore_index", "decoder_bias", "reference_compile",
                "repad_logits_with_grad", "position_embedding_type"});
  if (decoder.encoding->labels == 0)
    model.pass_over_all("head.", "it is a head that the model was trained with");
  model.pass_over_all("decoder.", "it is a head that the model was trained with");
  return decoder;
}

} // namespace quern
