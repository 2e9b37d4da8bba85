// OPT (Zhang et al., 2022): learned positions that begin at row 2 of their table. The 350M model,
// with norms after the sublayers and embeddings of another width, is refused.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder opt_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.mlp = "ffn_dim",
                                  .kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = nullptr,
                                  .activation = "activation_function",
                                  .default_eps = 1e-5,
                                  .default_activation = "relu",
                                  .default_tied = true,
                                  .rope = std::nullopt});
  d.family = "opt";
  d.norm = recipe::NormKind::Layer;
  d.norm_weight = d.norm_bias = model.boolean("layer_norm_elementwise_affine", true);
  d.qkv_bias = d.o_bias = d.mlp_bias = model.boolean("enable_bias", true);
  d.gated = false;
  d.position_offset = 2;
  d.position_rows = d.max_positions + d.position_offset;
  model.expect("do_layer_norm_before", true);
  model.expect("_remove_final_layer_norm", false);
  model.expect_number("word_embed_proj_dim", static_cast<double>(d.hidden));
  model.expect("learned_embeddings", true);
  model.expect("scale_embeddings", false);
  return dense_decoder(model, d,
                       {.embedding = "model.decoder.embed_tokens",
                        .final_norm = "model.decoder.final_layer_norm",
                        .head = "lm_head",
                        .attention_norm = "model.decoder.layers.*.self_attn_layer_norm",
                        .attention = "model.decoder.layers.*.self_attn",
                        .q = "model.decoder.layers.*.self_attn.q_proj",
                        .k = "model.decoder.layers.*.self_attn.k_proj",
                        .v = "model.decoder.layers.*.self_attn.v_proj",
                        .o = "model.decoder.layers.*.self_attn.out_proj",
                        .mlp_norm = "model.decoder.layers.*.final_layer_norm",
                        .mlp = "model.decoder.layers.*",
                        .up = "model.decoder.layers.*.fc1",
                        .down = "model.decoder.layers.*.fc2",
                        .positions = "model.decoder.embed_positions"});
}

} // namespace quern
