// GPT-NeoX (Black et al., 2022), Pythia, RedPajama: attention and MLP side by side or in sequence,
// queries, keys and values fused by head, a part of each head rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder gpt_neox_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = "layer_norm_eps",
                                  .default_eps = 1e-5,
                                  .default_activation = "gelu",
                                  .rope = RopeKeys{.theta_key = "rotary_emb_base",
                                                   .partial = 0.25,
                                                   .partial_key = "rotary_pct"}});
  d.family = "gpt_neox";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.mlp_bias = true;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", true);
  d.gated = false;
  d.fused = FusedQkv::Groups;
  if (model.boolean("use_parallel_residual", true))
    d.wiring = Wiring::Parallel;
  // What some releases of transformers wrote beside rotary_emb_base and rotary_pct, and none reads.
  model.ignore({"rope_theta", "partial_rotary_factor"});
  return dense_decoder(model, d,
                       {.embedding = "gpt_neox.embed_in",
                        .final_norm = "gpt_neox.final_layer_norm",
                        .head = "embed_out",
                        .attention_norm = "gpt_neox.layers.*.input_layernorm",
                        .attention = "gpt_neox.layers.*.attention",
                        .q = "gpt_neox.layers.*.attention.query_key_value",
                        .k = "gpt_neox.layers.*.attention.query_key_value",
                        .v = "gpt_neox.layers.*.attention.query_key_value",
                        .o = "gpt_neox.layers.*.attention.dense",
                        .mlp_norm = "gpt_neox.layers.*.post_attention_layernorm",
                        .mlp = "gpt_neox.layers.*.mlp",
                        .up = "gpt_neox.layers.*.mlp.dense_h_to_4h",
                        .down = "gpt_neox.layers.*.mlp.dense_4h_to_h"});
}

// The queries of all heads come first, then all keys, then all values. llama.cpp approximates the
// activation, which no key names, by GELU's tanh form; this is the published one.
recipe::Decoder gpt_neox_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .gated = false});
  d.family = "gpt_neox";
  d.activation = "gelu_erf";
  if (model.boolean("use_parallel_residual", true))
    d.wiring = Wiring::Parallel;
  return gguf_decoder(model, d);
}

} // namespace quern
