// GLM-4 as `glm` and `glm4` (0414): a half of each head rotated by neighbours, gate and up fused;
// glm4 norms after the sublayers too.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

namespace {
Dense glm(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1.5625e-07,
                                  .default_head_dim = 128,
                                  .default_kv_heads = 2,
                                  .rope = RopeKeys{.partial = 0.5}});
  d.rope_interleaved = true;
  d.qkv_bias = model.boolean("attention_bias", true);
  d.fused_gate_up = true;
  return d;
}

DenseNames glm_names() {
  DenseNames names = kHfDenseNames;
  names.gate = names.up = "model.layers.*.mlp.gate_up_proj";
  names.attention_post = "model.layers.*.post_self_attn_layernorm";
  names.mlp_post = "model.layers.*.post_mlp_layernorm";
  return names;
}
} // namespace

recipe::Decoder glm_from_hf(ModelReader &model) {
  Dense d = glm(model);
  d.family = "glm";
  return dense_decoder(model, d, glm_names());
}

recipe::Decoder glm4_from_hf(ModelReader &model) {
  Dense d = glm(model);
  d.family = "glm4";
  d.wiring = Wiring::Sandwich;
  return dense_decoder(model, d, glm_names());
}

// `chatglm` in GGUF, as its ancestors are.
recipe::Decoder glm_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.fused_gate_up = true});
  d.family = "glm";
  d.rope_interleaved = true;
  return gguf_decoder(model, d);
}

recipe::Decoder glm4_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.fused_gate_up = true});
  d.family = "glm4";
  d.rope_interleaved = true;
  d.wiring = Wiring::Sandwich;
  return gguf_decoder(model, d);
}

} // namespace quern
