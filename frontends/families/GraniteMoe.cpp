// Granite 3 MoE: Granite with experts, whose weights are softmax over the chosen logits.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder granitemoe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model);
  d.family = "granitemoe";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.embedding_scale = model.number("embedding_multiplier", -1e9, 1e9, 1.0);
  d.attention_scale = model.number("attention_multiplier", 1e-9, 1e9, 1.0);
  d.residual_scale = model.number("residual_multiplier", -1e9, 1e9, 1.0);
  d.logit_scale = 1 / model.number("logits_scaling", 1e-9, 1e9, 1.0);
  Experts e = experts_from_hf(
      model, d,
      {.count = "num_local_experts", .width = nullptr, .default_count = 8, .default_top_k = 2});
  e.score = recipe::RouterScore::Chosen;
  e.fused_gate_up = true;
  ExpertNames names = kHfMixtralNames;
  names.router = "model.layers.*.block_sparse_moe.router.layer";
  names.gate = names.up = "model.layers.*.block_sparse_moe.input_linear.weight";
  names.down = "model.layers.*.block_sparse_moe.output_linear.weight";
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, names);
  return decoder;
}

recipe::Decoder granitemoe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "granitemoe";
  d.rope_interleaved = true; // as in llama
  read_gguf_multipliers(model, d);
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d));
}

} // namespace quern
