// Hunyuan (MoE): Hunyuan with experts beside a shared one, as wide as the MLPs of the dense models.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder hunyuan_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5});
  d.family = "hunyuan_v1_moe";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.qk_norm = QkNorm::Head;
  d.qk_norm_after_rope = true;
  model.expect("use_qk_norm", true);
  for (const char *key : {"mlp_bias", "use_cla", "use_mla"})
    model.expect(key, false);
  const std::vector<int64_t> count =
      model.integers_by_layer("num_experts", d.layers, 1, recipe::kMaxExperts, 1);
  const std::vector<int64_t> top_k =
      model.integers_by_layer("moe_topk", d.layers, 1, recipe::kMaxExperts, 1);
  ExpertNames names = kHfExpertNames;
  names.router = "model.layers.*.mlp.gate.wg";
  names.shared = "model.layers.*.mlp.shared_mlp";
  names.shared_gate = "model.layers.*.mlp.shared_mlp.gate_proj";
  names.shared_up = "model.layers.*.mlp.shared_mlp.up_proj";
  names.shared_down = "model.layers.*.mlp.shared_mlp.down_proj";
  DenseNames dense = kHfDenseNames;
  dense.q_norm = "model.layers.*.self_attn.query_layernorm";
  dense.k_norm = "model.layers.*.self_attn.key_layernorm";
  recipe::Decoder decoder = dense_decoder(model, d, dense);
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    Experts e{.count = count[i], .width = d.mlp, .top_k = top_k[i], .normalize = 1};
    e.shared = d.mlp;
    e.layers.assign(decoder.layers.size(), false);
    e.layers[i] = true;
    put_experts(decoder, d, e, names);
  }
  return decoder;
}

recipe::Decoder hunyuan_moe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "hunyuan_v1_moe";
  d.qk_norm = QkNorm::Head;
  d.qk_norm_after_rope = true;
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d));
}

} // namespace quern
