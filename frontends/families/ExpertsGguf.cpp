#include "frontends/families/ExpertsGguf.h"

#include <absl/strings/str_cat.h>

namespace quern {

const ExpertNames kGgufExpertNames = {
    .module = "blk.*.ffn",
    .router = "blk.*.ffn_gate_inp",
    .correction = "blk.*.exp_probs_b.bias",
    .gate = "blk.*.ffn_gate_exps.weight",
    .up = "blk.*.ffn_up_exps.weight",
    .down = "blk.*.ffn_down_exps.weight",
    .shared = "blk.*.ffn_shexp",
    .shared_gate = "blk.*.ffn_gate_shexp",
    .shared_up = "blk.*.ffn_up_shexp",
    .shared_down = "blk.*.ffn_down_shexp",
    .row_gate = "blk.*.ffn_gate_inp_shexp",
};

Experts experts_from_gguf(ModelReader &model, const Dense &dense, const GgufExpertKeys &keys) {
  Experts e;
  e.count = model.integer("expert_count", 1, recipe::kMaxExperts);
  e.top_k = model.integer("expert_used_count", 1, recipe::kMaxExperts);
  // 0 is what the architecture does, 1 softmax, 2 sigmoid, 3 softmax over the chosen.
  e.score = keys.score;
  switch (model.integer("expert_gating_func", 0, 3, 0)) {
  case 1:
    e.score = recipe::RouterScore::Softmax;
    break;
  case 2:
    e.score = recipe::RouterScore::Sigmoid;
    break;
  case 3:
    e.score = recipe::RouterScore::Chosen;
    break;
  default:
    break;
  }
  e.normalize = model.boolean("expert_weights_norm", keys.normalize) ? 1 : 0;
  if (e.score == recipe::RouterScore::Chosen)
    e.normalize = 0; // their sum is 1
  e.scale = model.number("expert_weights_scale", -1e9, 1e9, 1.0);
  if (e.scale == 0)
    e.scale = 1;
  e.groups = model.integer("expert_group_count", 1, recipe::kMaxExperts, 1);
  // Of files without expert_group_count llama.cpp does not read it.
  e.top_groups = model.integer("expert_group_used_count", 1, recipe::kMaxExperts, 1);
  if (e.groups == 1)
    e.top_groups = 1;
  e.group_top = e.groups > 1 ? 2 : 1;
  const int64_t first = model.integer("leading_dense_block_count", 0, recipe::kMaxLayers, 0);
  const auto of = [](const char *name, int64_t layer) { return recipe::layer_name(name, layer); };
  bool any = false;
  for (int64_t i = 0; i < dense.layers; ++i) {
    const bool has = model.has_tensor(of(kGgufExpertNames.router, i) + ".weight");
    any |= has;
    e.layers.push_back(has);
  }
  if (!any) // of made-up weights
    for (int64_t i = 0; i < dense.layers; ++i)
      e.layers[static_cast<size_t>(i)] = i >= first;
  int64_t width = dense.mlp; // where no tensor says
  for (int64_t i = dense.layers - 1; i >= 0; --i)
    if (e.layers[static_cast<size_t>(i)]) {
      e.correction = model.has_tensor(of(kGgufExpertNames.correction, i));
      e.router_bias = model.has_tensor(of(kGgufExpertNames.router, i) + ".bias");
      if (const auto shape = model.tensor_shape(of(kGgufExpertNames.shared_up, i) + ".weight");
          shape && shape->size() == 2)
        e.shared = shape->front();
      if (const auto shape = model.tensor_shape(of(kGgufExpertNames.up, i));
          shape && shape->size() == 3)
        width = shape->at(1);
      break;
    }
  e.width = model.integer("expert_feed_forward_length", 1, recipe::kMaxWidth, width);
  e.row_gate = keys.row_gate && e.shared != 0;
  // What the tensors say too.
  model.ignore({"expert_shared_feed_forward_length", "expert_shared_count"});
  return e;
}

recipe::Decoder gguf_expert_decoder(ModelReader &model, const Dense &dense, const Experts &experts,
                                    const DenseNames &names) {
  recipe::Decoder decoder = gguf_decoder(model, dense, names);
  put_experts(decoder, dense, experts, kGgufExpertNames);
  return decoder;
}

} // namespace quern
