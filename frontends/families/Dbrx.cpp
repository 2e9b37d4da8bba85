// DBRX (2024): fused queries, keys and values, clipped; layer norms without bias; experts whose
// matrices lie one below the other in one.
#include "frontends/families/Activations.h"
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

#include <string>

namespace quern {

recipe::Decoder dbrx_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.hidden = "d_model",
                                  .layers = "n_layers",
                                  .mlp = "ffn_config.ffn_hidden_size",
                                  .context = "max_seq_len",
                                  .heads = "n_heads",
                                  .kv_heads = "attn_config.kv_n_heads",
                                  .head_dim = nullptr,
                                  .eps = nullptr,
                                  .activation = nullptr,
                                  .default_eps = 1e-5,
                                  .default_kv_heads = 1,
                                  .default_context = 2048,
                                  .rope = RopeKeys{.theta_key = "attn_config.rope_theta"}});
  d.family = "dbrx";
  d.norm = recipe::NormKind::Layer;
  d.fused = FusedQkv::Stacked;
  d.clip = model.number("attn_config.clip_qkv", 1e-6, 1e9, 0.0);
  d.activation = read_activation(model, "ffn_config.ffn_act_fn.name", "silu");
  Experts e = experts_from_hf(model, d,
                              {.count = "ffn_config.moe_num_experts",
                               .top_k = "ffn_config.moe_top_k",
                               .width = nullptr,
                               .default_count = 4,
                               .default_top_k = 1});
  const bool norm = model.has("ffn_config.moe_normalize_expert_weights") ||
                    !model.mentions("ffn_config.moe_normalize_expert_weights");
  const double p = model.number("ffn_config.moe_normalize_expert_weights", -1e9, 1e9, 1.0);
  if (norm && p != 1 && p != 2)
    model.problem("ffn_config.moe_normalize_expert_weights",
                  "Quern divides weights by their 1-norm or their 2-norm");
  e.normalize = norm ? static_cast<int64_t>(p) : 0;
  // The width again, what matters in training, and what every configuration class writes of itself.
  model.ignore({"ffn_config.hidden_size", "ffn_config.moe_jitter_eps", "ffn_config.moe_loss_weight",
                "num_key_value_heads", "attn_config.attn_pdrop"});
  for (const std::string part : {"attn_config.", "ffn_config."})
    for (const char *key :
         {"_name_or_path", "architectures", "chunk_size_feed_forward", "dtype", "torch_dtype",
          "id2label", "is_encoder_decoder", "label2id", "model_type", "output_attentions",
          "output_hidden_states", "problem_type", "return_dict", "transformers_version"})
      model.ignore({part + key});

  DenseNames dense = kHfDenseNames;
  dense.embedding = "transformer.wte";
  dense.final_norm = "transformer.norm_f";
  dense.attention_norm = "transformer.blocks.*.norm_attn_norm.norm_1";
  dense.mlp_norm = "transformer.blocks.*.norm_attn_norm.norm_2";
  dense.attention = "transformer.blocks.*.norm_attn_norm.attn";
  dense.q = dense.k = dense.v = "transformer.blocks.*.norm_attn_norm.attn.Wqkv";
  dense.o = "transformer.blocks.*.norm_attn_norm.attn.out_proj";
  const ExpertNames names = {.module = "transformer.blocks.*.ffn",
                             .router = "transformer.blocks.*.ffn.router.layer",
                             .gate = "transformer.blocks.*.ffn.experts.mlp.w1",
                             .up = "transformer.blocks.*.ffn.experts.mlp.v1",
                             .down = "transformer.blocks.*.ffn.experts.mlp.w2"};
  recipe::Decoder decoder = dense_decoder(model, d, dense);
  put_experts(decoder, d, e, names);
  for (recipe::Layer &layer : decoder.layers)
    if (auto *m = std::get_if<recipe::Moe>(&layer.sublayers.back().block)) {
      m->gate.flat = m->up.flat = m->down.flat = true;
      m->down.transposed = true;
    }
  return decoder;
}

recipe::Decoder dbrx_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .experts = true});
  d.family = "dbrx";
  d.clip = model.number("attention.clamp_kqv", 0, 1e9, 0.0);
  DenseNames names = kGgufDenseNames;
  names.mlp_norm = "blk.*.attn_output_norm";
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d), names);
}

} // namespace quern
