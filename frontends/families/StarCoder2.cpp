// StarCoder 2 (Lozhkov et al., 2024): layer norms, an MLP without gate, windows.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder starcoder2_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.eps = "norm_epsilon",
                                  .default_eps = 1e-5,
                                  .default_activation = "gelu_pytorch_tanh",
                                  .default_kv_heads = 2,
                                  .default_tied = true});
  d.family = "starcoder2";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = true;
  d.qkv_bias = d.o_bias = d.mlp_bias = model.boolean("use_bias", true);
  d.gated = false;
  read_window(model, d, /*missing=*/0);
  // transformers has these in one position, and does not read the keys.
  model.ignore(
      {"mlp_type", "norm_type", "activation_function", "layer_norm_epsilon", "scale_attn_weights"});
  DenseNames names = kHfDenseNames;
  names.up = "model.layers.*.mlp.c_fc";
  names.down = "model.layers.*.mlp.c_proj";
  return dense_decoder(model, d, names);
}

recipe::Decoder starcoder2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .gated = false});
  d.family = "starcoder2";
  d.activation = "gelu_tanh";
  return gguf_decoder(model, d);
}

} // namespace quern
