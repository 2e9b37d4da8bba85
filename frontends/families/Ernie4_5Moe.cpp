// ERNIE 4.5 MoE: ERNIE with experts in some layers, scores corrected for the choice, shared
// experts.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder ernie4_5_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5,
                                  .default_kv_heads = 4,
                                  .default_tied = true,
                                  .rope = RopeKeys{.theta = 500'000}});
  d.family = "ernie4_5_moe";
  d.rope_interleaved = true;
  // Shared experts have biases too where MLPs do; the others never. The head has one.
  d.qkv_bias = d.o_bias = d.mlp_bias = d.head_bias = model.boolean("use_bias", false);
  Experts e = experts_from_hf(model, d,
                              {.count = "moe_num_experts",
                               .top_k = "moe_k",
                               .default_count = 64,
                               .default_top_k = 6,
                               .default_width = 1536});
  e.correction = e.correction_row = true;
  e.normalize = 1;
  // A bound from below on the sum there, added to it here: the sum of the largest of some softmax
  // is far above it.
  e.eps = model.number("moe_norm_min", 0, 1e-6, 1e-12);
  const int64_t first = model.integer("moe_layer_start_index", 0, recipe::kMaxLayers, 1);
  int64_t last = model.integer("moe_layer_end_index", -1, recipe::kMaxLayers, -1);
  if (last < 0)
    last = d.layers - 1;
  const int64_t interval = model.integer("moe_layer_interval", 1, recipe::kMaxLayers, 1);
  for (int64_t i = 0; i < d.layers; ++i)
    e.layers.push_back((i + 1) % interval == 0 && i >= first && i <= last);
  e.shared = e.width * model.integer("moe_num_shared_experts", 0, recipe::kMaxExperts, 2);
  // How it was trained, and layers that guess further tokens.
  model.ignore({"moe_capacity", "moe_gate", "moe_use_aux_free", "num_nextn_predict_layers"});
  ExpertNames names = kHfExpertNames;
  names.correction = "model.layers.*.mlp.moe_statics.e_score_correction_bias";
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, names);
  return decoder;
}

recipe::Decoder ernie4_5_moe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "ernie4_5_moe";
  d.rope_interleaved = true;
  model.ignore({"interleave_moe_layer_step"}); // what the tensors say too
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d));
}

} // namespace quern
