// Hunyuan (dense): Llama with queries and keys normed by head after they are rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder hunyuan_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5});
  d.family = "hunyuan_v1_dense";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.qk_norm = QkNorm::Head;
  d.qk_norm_after_rope = true;
  model.ignore({"pretraining_tp", "eod_token_id"});
  model.expect("use_qk_norm", true);
  model.expect("mlp_bias", false);
  DenseNames names = kHfDenseNames;
  names.q_norm = "model.layers.*.self_attn.query_layernorm";
  names.k_norm = "model.layers.*.self_attn.key_layernorm";
  return dense_decoder(model, d, names);
}

recipe::Decoder hunyuan_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.rope = GgufRopeKeys{.alpha = true}});
  d.family = "hunyuan_v1_dense";
  d.qk_norm = QkNorm::Head;
  d.qk_norm_after_rope = true;
  return gguf_decoder(model, d);
}

} // namespace quern
