// Phi-1 and Phi-2: attention and MLP side by side behind one layer norm, biases everywhere; and
// Phi-3: Llama with its projections stored fused, and LongRoPE.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder phi_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.eps = "layer_norm_eps",
                                  .default_eps = 1e-5,
                                  .default_activation = "gelu_new",
                                  .rope = RopeKeys{.partial = 0.5}});
  d.family = "phi";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.qkv_bias = d.o_bias = d.mlp_bias = d.head_bias = true;
  d.wiring = Wiring::OneNorm;
  d.gated = false;
  if (model.boolean("qk_layernorm", false)) {
    d.qk_norm = QkNorm::Head;
    d.qk_norm_bias = true;
  }
  DenseNames names = kHfDenseNames;
  names.final_norm = "model.final_layernorm";
  names.o = "model.layers.*.self_attn.dense";
  names.q_norm = "model.layers.*.self_attn.q_layernorm";
  names.k_norm = "model.layers.*.self_attn.k_layernorm";
  names.up = "model.layers.*.mlp.fc1";
  names.down = "model.layers.*.mlp.fc2";
  return dense_decoder(model, d, names);
}

recipe::Decoder phi3_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(
      model, {.default_eps = 1e-5,
              .rope = RopeKeys{.partial = 1.0, .original = 4096, .yarn_is_longrope = true}});
  d.family = "phi3";
  d.fused = FusedQkv::Stacked;
  d.fused_gate_up = true;
  read_window(model, d, /*missing=*/0);
  for (const char *key : {"attention_bias", "mlp_bias", "lm_head_bias"})
    model.expect(key, false);
  // How many positions a rotation spans, and which layers see everything, in Phi-4's configs.
  for (const char *key : {"interpolate_factor", "full_attn_mod"})
    model.expect_number(key, 1);
  // Of consequence with LongRoPE only, which reads it.
  model.ignore({"original_max_position_embeddings"});
  DenseNames names = kHfDenseNames;
  names.q = names.k = names.v = "model.layers.*.self_attn.qkv_proj";
  names.gate = names.up = "model.layers.*.mlp.gate_up_proj";
  return dense_decoder(model, d, names);
}

recipe::Decoder phi_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .gated = false});
  d.family = "phi";
  d.activation = "gelu_tanh";
  d.wiring = Wiring::OneNorm;
  return gguf_decoder(model, d);
}

recipe::Decoder phi3_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.fused_gate_up = true});
  d.family = "phi3";
  return gguf_decoder(model, d);
}

} // namespace quern
