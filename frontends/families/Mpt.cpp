// MPT (MosaicML, 2023): ALiBi, no biases.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder mpt_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.hidden = "d_model",
                                  .layers = "n_layers",
                                  .mlp = nullptr,
                                  .context = "max_seq_len",
                                  .heads = "n_heads",
                                  .kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = "layer_norm_epsilon",
                                  .activation = nullptr,
                                  .default_eps = 1e-5,
                                  .default_mlp_factor = 4,
                                  .default_tied = true,
                                  .rope = std::nullopt});
  d.family = "mpt";
  d.activation = "gelu_erf";
  d.norm = recipe::NormKind::Layer;
  d.gated = false;
  d.fused = FusedQkv::Stacked;
  d.alibi = alibi_slopes(d.heads);
  d.attention_scale = model.number("attn_config.softmax_scale", 1e-9, 1e9, 0.0);
  d.clip = model.number("attn_config.clip_qkv", 0, 1e9, 0.0);
  model.expect_number("expansion_ratio", 4);
  model.expect("no_bias", true);
  model.expect("attn_config.alibi", true);
  model.expect_number("attn_config.alibi_bias_max", 8);
  model.expect("attn_config.qk_ln", false);
  model.expect("attn_config.prefix_lm", false);
  model.expect("attn_config.attn_uses_sequence_id", false);
  if (std::string type = model.text("attn_config.attn_type", "multihead_attention");
      type != "multihead_attention")
    model.problem("attn_config.attn_type", "Quern knows multihead_attention");
  // Initialization, rounding, and what transformers adds to any object of settings. With ALiBi
  // there are no learned positions, whatever learned_pos_emb says.
  if (std::string type = model.text("ffn_config.ffn_type", "mptmlp"); type != "mptmlp")
    model.problem("ffn_config.ffn_type", "Quern knows mptmlp");
  model.expect("attn_config.rope", false);
  model.expect("attn_config.qk_gn", false);
  model.expect_number("attn_config.kv_n_heads", static_cast<double>(d.heads));
  model.expect_number("attn_config.sliding_window_size", -1); // none
  // What they are of is off; and which library's linears there are.
  model.ignore({"attn_config.rope_theta", "attn_config.rope_impl", "attn_config.rope_dail_config",
                "attn_config.rope_hf_config", "fc_type", "ffn_config.fc_type"});
  model.ignore({"embedding_fraction",
                "learned_pos_emb",
                "norm_type",
                "use_pad_tok_in_ffn",
                "attn_config.attn_impl",
                "attn_config.attn_pdrop",
                "attn_config.model_type",
                "attn_config._name_or_path",
                "attn_config.architectures",
                "attn_config.chunk_size_feed_forward",
                "attn_config.dtype",
                "attn_config.id2label",
                "attn_config.label2id",
                "attn_config.is_encoder_decoder",
                "attn_config.output_attentions",
                "attn_config.output_hidden_states",
                "attn_config.problem_type",
                "attn_config.return_dict",
                "attn_config.torch_dtype",
                "attn_config.transformers_version"});
  return dense_decoder(model, d,
                       {.embedding = "transformer.wte",
                        .final_norm = "transformer.norm_f",
                        .head = "lm_head",
                        .attention_norm = "transformer.blocks.*.norm_1",
                        .attention = "transformer.blocks.*.attn",
                        .q = "transformer.blocks.*.attn.Wqkv",
                        .k = "transformer.blocks.*.attn.Wqkv",
                        .v = "transformer.blocks.*.attn.Wqkv",
                        .o = "transformer.blocks.*.attn.out_proj",
                        .mlp_norm = "transformer.blocks.*.norm_2",
                        .mlp = "transformer.blocks.*.ffn",
                        .up = "transformer.blocks.*.ffn.up_proj",
                        .down = "transformer.blocks.*.ffn.down_proj"});
}

// Biases, norms of queries and keys, and learned positions are there if their tensors are.
// llama.cpp approximates the activation, which no key names, by GELU's tanh form; this is the
// published one.
recipe::Decoder mpt_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(
      model, {.norm = recipe::NormKind::Layer, .gated = false, .rope = std::nullopt});
  d.family = "mpt";
  d.activation = "gelu_erf";
  d.clip = model.number("attention.clamp_kqv", 0, 1e9, 0.0);
  if (const double steepest = model.number("attention.max_alibi_bias", 0, 1e3, 0.0))
    d.alibi = alibi_slopes(d.heads, steepest);
  if (model.has_tensor("position_embd.weight"))
    d.position_rows = d.max_positions;
  if (model.has_tensor("blk.0.attn_q_norm.weight")) {
    d.qk_norm = QkNorm::Row;
    d.qk_norm_bias = model.has_tensor("blk.0.attn_q_norm.bias");
  }
  return gguf_decoder(model, d);
}

} // namespace quern
