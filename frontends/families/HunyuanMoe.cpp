// Hunyuan (MoE): Hunyuan with experts beside a shared one, as wide as the MLPs of the dense models.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace quern {

recipe::Decoder hunyuan_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5});
  d.family = "hunyuan_v1_moe";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.qk_norm = QkNorm::Head;
  d.qk_norm_after_rope = true;
  model.expect("use_qk_norm", true);
  model.expect("use_rotary_pos_emb", true);
  model.expect("use_mixed_mlp_moe", true);
  for (const char *key : {"mlp_bias", "use_cla", "use_mla", "position_embedding_xdrope",
                          "group_limited_greedy", "moe_drop_tokens"})
    model.expect(key, false);
  model.expect_number("moe_layer_num_skipped", 0);
  model.expect_number("attention_head_dim", static_cast<double>(d.head_dim));
  // Lists of what is the same in every layer: the experts, and one shared one, are as wide as MLPs.
  for (const auto &[key, wanted] :
       {std::pair("moe_intermediate_size", d.mlp), {"num_shared_expert", 1}})
    for (const int64_t is : model.integers_by_layer(key, d.layers, 0, recipe::kMaxWidth, wanted))
      if (is != wanted) {
        model.wrong_size(key, absl::StrCat("it is ", is, ", and Quern has this only as ", wanted));
        break;
      }
  // Of what is switched off above, of training, and of the vocabulary before it was padded; weights
  // are divided by their sum, and not scaled, whatever is said.
  model.ignore({"cla_share_factor", "dense_list", "norm_type", "org_vocab_size", "n_group",
                "topk_group", "norm_topk_prob", "routed_scaling_factor",
                "moe_random_routing_dropped_token"});
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
