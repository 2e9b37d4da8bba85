// GLM-4.5 and 4.6: half of each head rotated, a shared expert, DeepSeek-V3's router.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder glm4_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(
      model, {.default_eps = 1e-5, .default_kv_heads = 8, .rope = RopeKeys{.partial = 0.5}});
  d.family = "glm4_moe";
  d.qkv_bias = model.boolean("attention_bias", false);
  if (model.boolean("use_qk_norm", false))
    d.qk_norm = QkNorm::Head;
  Experts e = experts_from_hf(model, d,
                              {.count = "n_routed_experts",
                               .default_count = 128,
                               .default_top_k = 8,
                               .default_width = 1408});
  read_corrected_sigmoid(model, e, 1.0);
  read_first_dense_layers(model, d, e, 1);
  e.shared = e.width * model.integer("n_shared_experts", 0, recipe::kMaxExperts, 1);
  model.leave_out_layers("model.layers.", d.layers,
                         model.integer("num_nextn_predict_layers", 0, recipe::kMaxLayers, 0));
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfExpertNames);
  return decoder;
}

recipe::Decoder glm4_moe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true, .further = true});
  d.family = "glm4_moe";
  leave_out_further_layers(model, d);
  if (model.has_tensor("blk.0.attn_q_norm.weight"))
    d.qk_norm = QkNorm::Head;
  DenseNames names = kGgufDenseNames;
  names.mlp_norm = "blk.*.post_attention_norm";
  Experts e =
      experts_from_gguf(model, d, {.normalize = false, .score = recipe::RouterScore::Sigmoid});
  e.eps = 1e-20;
  return gguf_expert_decoder(model, d, e, names);
}

} // namespace quern
