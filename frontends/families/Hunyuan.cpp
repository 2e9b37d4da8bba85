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
  model.expect("use_qk_norm", true);
  model.expect("use_rotary_pos_emb", true);
  for (const char *key : {"mlp_bias", "use_cla", "use_mla", "position_embedding_xdrope"})
    model.expect(key, false);
  for (const char *key : {"num_experts", "num_shared_expert", "moe_topk"})
    model.expect_number(key, 1);
  model.expect_number("attention_head_dim", static_cast<double>(d.head_dim));
  // Of what is switched off above, and of the vocabulary before it was padded.
  model.ignore({"cla_share_factor", "dense_list", "norm_type", "org_vocab_size"});
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
