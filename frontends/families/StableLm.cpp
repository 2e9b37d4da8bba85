// StableLM: layer norms, a part of each head rotated, in some models a norm for each head or both
// branches behind one norm.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder stablelm_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.head_dim = nullptr,
                                  .eps = "layer_norm_eps",
                                  .default_eps = 1e-5,
                                  .default_kv_heads = 32,
                                  .rope = RopeKeys{.partial = 0.25}});
  d.family = "stablelm";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = true;
  d.qkv_bias = model.boolean("use_qkv_bias", false);
  if (model.boolean("use_parallel_residual", false))
    d.wiring = Wiring::OneNorm;
  if (model.boolean("qk_layernorm", false)) {
    d.qk_norm = QkNorm::Each;
    d.qk_norm_apart = true;
  }
  model.expect_number("rotary_scaling_factor", 1); // of the models' own first code
  DenseNames names = kHfDenseNames;
  names.q_norm = "model.layers.*.self_attn.q_layernorm";
  names.k_norm = "model.layers.*.self_attn.k_layernorm";
  return dense_decoder(model, d, names);
}

recipe::Decoder stablelm_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer});
  d.family = "stablelm";
  // llama.cpp goes by the tensor.
  model.ignore({"use_parallel_residual"});
  if (!model.has_tensor("blk.0.ffn_norm.weight"))
    d.wiring = Wiring::OneNorm;
  if (model.has_tensor("blk.0.attn_q_norm.weight"))
    d.qk_norm = QkNorm::Each;
  return gguf_decoder(model, d);
}

} // namespace quern
