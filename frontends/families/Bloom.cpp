// BLOOM (2022): ALiBi, a norm of the embeddings, queries, keys and values fused by head.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <cstring>

namespace quern {

recipe::Decoder bloom_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.layers = "n_layer",
                                  .mlp = nullptr,
                                  .context = "seq_length",
                                  .heads = "n_head",
                                  .kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = "layer_norm_epsilon",
                                  .activation = nullptr,
                                  .default_eps = 1e-5,
                                  .default_mlp_factor = 4,
                                  .default_context = 2048,
                                  .default_tied = true,
                                  .rope = std::nullopt});
  d.family = "bloom";
  d.activation = "gelu_tanh";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.qkv_bias = d.o_bias = d.mlp_bias = true;
  d.gated = false;
  d.fused = FusedQkv::Groups;
  d.alibi = alibi_slopes(d.heads);
  model.expect("apply_residual_connection_post_layernorm", false);
  // How training and Megatron split the work.
  model.ignore({"pretraining_tp", "slow_but_exact", "n_inner", "unk_token_id",
                "attention_softmax_in_fp32", "masked_softmax_fusion", "bias_dropout_fusion",
                "offset_alibi", "skip_bias_add", "skip_bias_add_qkv"});
  // Files saved from the bare model have no prefix.
  const size_t skip = model.has_tensor("word_embeddings.weight") ? std::strlen("transformer.") : 0;
  auto name = [skip](const char *full) { return full + skip; };
  const char *qkv = name("transformer.h.*.self_attention.query_key_value");
  return dense_decoder(model, d,
                       {.embedding = name("transformer.word_embeddings"),
                        .final_norm = name("transformer.ln_f"),
                        .head = "lm_head",
                        .attention_norm = name("transformer.h.*.input_layernorm"),
                        .attention = name("transformer.h.*.self_attention"),
                        .q = qkv,
                        .k = qkv,
                        .v = qkv,
                        .o = name("transformer.h.*.self_attention.dense"),
                        .mlp_norm = name("transformer.h.*.post_attention_layernorm"),
                        .mlp = name("transformer.h.*.mlp"),
                        .up = name("transformer.h.*.mlp.dense_h_to_4h"),
                        .down = name("transformer.h.*.mlp.dense_4h_to_h"),
                        .embedding_norm = name("transformer.word_embeddings_layernorm")});
}

// The queries of all heads come first, then all keys, then all values.
recipe::Decoder bloom_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(
      model, {.norm = recipe::NormKind::Layer, .gated = false, .rope = std::nullopt});
  d.family = "bloom";
  d.activation = "gelu_tanh";
  d.alibi = alibi_slopes(d.heads);
  DenseNames names = kGgufDenseNames;
  names.embedding_norm = "token_embd_norm";
  return gguf_decoder(model, d, names);
}

} // namespace quern
