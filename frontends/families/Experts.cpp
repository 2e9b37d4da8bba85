#include "frontends/families/Experts.h"

#include <cmath>
#include <utility>

namespace quern {

const ExpertNames kHfExpertNames = {
    .module = "model.layers.*.mlp",
    .router = "model.layers.*.mlp.gate",
    .correction = "model.layers.*.mlp.gate.e_score_correction_bias",
    .gate = "model.layers.*.mlp.experts.#.gate_proj.weight",
    .up = "model.layers.*.mlp.experts.#.up_proj.weight",
    .down = "model.layers.*.mlp.experts.#.down_proj.weight",
    .shared = "model.layers.*.mlp.shared_experts",
    .shared_gate = "model.layers.*.mlp.shared_experts.gate_proj",
    .shared_up = "model.layers.*.mlp.shared_experts.up_proj",
    .shared_down = "model.layers.*.mlp.shared_experts.down_proj",
};
const ExpertNames kHfQwenExpertNames = [] {
  ExpertNames names = kHfExpertNames;
  names.shared = "model.layers.*.mlp.shared_expert";
  names.shared_gate = "model.layers.*.mlp.shared_expert.gate_proj";
  names.shared_up = "model.layers.*.mlp.shared_expert.up_proj";
  names.shared_down = "model.layers.*.mlp.shared_expert.down_proj";
  names.row_gate = "model.layers.*.mlp.shared_expert_gate";
  return names;
}();
const ExpertNames kHfMixtralNames = {
    .module = "model.layers.*.block_sparse_moe",
    .router = "model.layers.*.block_sparse_moe.gate",
    .correction = "model.layers.*.block_sparse_moe.e_score_correction_bias",
    .gate = "model.layers.*.block_sparse_moe.experts.#.w1.weight",
    .up = "model.layers.*.block_sparse_moe.experts.#.w3.weight",
    .down = "model.layers.*.block_sparse_moe.experts.#.w2.weight",
};

Experts experts_from_hf(ModelReader &model, const Dense &dense, const ExpertKeys &keys) {
  Experts e;
  e.count = model.integer(keys.count, keys.least, recipe::kMaxExperts, keys.default_count);
  e.top_k = model.integer(keys.top_k, e.count ? 1 : 0, recipe::kMaxExperts, keys.default_top_k);
  e.width =
      keys.width ? model.integer(keys.width, 1, recipe::kMaxWidth, keys.default_width) : dense.mlp;
  return e;
}

void read_norm_topk(ModelReader &model, Experts &experts, bool missing) {
  experts.normalize = model.boolean("norm_topk_prob", missing) ? 1 : 0;
}

void read_sparse_layers(ModelReader &model, const Dense &dense, Experts &experts) {
  const int64_t step = model.integer("decoder_sparse_step", 1, recipe::kMaxLayers, 1);
  experts.layers.clear();
  for (int64_t i = 0; i < dense.layers; ++i)
    experts.layers.push_back(experts.count > 0 && (i + 1) % step == 0);
  if (model.has("mlp_only_layers"))
    for (const double layer : model.numbers("mlp_only_layers"))
      if (layer >= 0 && layer < static_cast<double>(dense.layers) && layer == std::floor(layer))
        experts.layers[static_cast<size_t>(layer)] = false;
}

void read_first_dense_layers(ModelReader &model, const Dense &dense, Experts &experts,
                             int64_t missing) {
  const int64_t first = model.integer("first_k_dense_replace", 0, recipe::kMaxLayers, missing);
  experts.layers.clear();
  for (int64_t i = 0; i < dense.layers; ++i)
    experts.layers.push_back(i >= first);
}

void read_corrected_sigmoid(ModelReader &model, Experts &experts, double scale_missing,
                            const GroupKeys &keys) {
  experts.score = recipe::RouterScore::Sigmoid;
  experts.correction = true;
  experts.groups = model.integer(keys.groups, 1, recipe::kMaxExperts, keys.default_groups);
  experts.top_groups = model.integer("topk_group", 1, recipe::kMaxExperts, keys.default_top_groups);
  experts.group_top = experts.groups > 1 ? 2 : 1;
  experts.eps = 1e-20;
  experts.scale = model.number("routed_scaling_factor", -1e9, 1e9, scale_missing);
  experts.normalize = model.boolean(keys.normalize, true) ? 1 : 0;
}

void read_grouped_softmax(ModelReader &model, Experts &experts, double scale_missing) {
  const std::string method = model.text("topk_method", "greedy");
  const int64_t groups = model.integer("n_group", 1, recipe::kMaxExperts, 1);
  const int64_t top_groups = model.integer("topk_group", 1, recipe::kMaxExperts, 1);
  if (method == "group_limited_greedy") {
    experts.groups = groups;
    experts.top_groups = top_groups;
  } else if (method != "greedy") {
    model.problem("topk_method", "experts are chosen in a way that Quern does not know",
                  "in this family Quern knows greedy and group_limited_greedy");
  }
  experts.scale = model.number("routed_scaling_factor", -1e9, 1e9, scale_missing);
  model.expect("norm_topk_prob", false);
}

recipe::Moe routed(const Experts &e) {
  return {.correction_row = e.correction_row,
          .score = e.score,
          .top_k = e.top_k,
          .groups = e.groups,
          .top_groups = e.top_groups,
          .group_top = e.group_top,
          .normalize = e.normalize,
          .eps = e.eps,
          .scale = e.scale};
}

namespace {

recipe::Moe mixture(const Dense &d, const Experts &e, const ExpertNames &names, int64_t layer) {
  const auto name = [&](const char *of) { return recipe::layer_name(of, layer); };
  recipe::Moe m = routed(e);
  m.module = name(names.module);
  m.router = {.module = name(names.router), .in = d.hidden, .out = e.count, .bias = e.router_bias};
  m.gate = {.weight = name(names.gate), .experts = e.count, .in = d.hidden, .out = e.width};
  m.up = {.weight = name(names.up), .experts = e.count, .in = d.hidden, .out = e.width};
  m.down = {.weight = name(names.down), .experts = e.count, .in = e.width, .out = d.hidden};
  m.activation = d.activation;
  if (e.correction)
    m.correction = name(names.correction);
  if (e.fused_gate_up) {
    m.gate.rows = {2 * e.width, 0, e.width, 2 * e.width};
    m.up.rows = {2 * e.width, e.width, e.width, 2 * e.width};
  }
  return m;
}

recipe::GatedMlp shared_expert(const Dense &d, const Experts &e, const ExpertNames &names,
                               int64_t layer) {
  const auto linear = [&](const char *of, int64_t in, int64_t out) {
    return recipe::Linear{
        .module = recipe::layer_name(of, layer), .in = in, .out = out, .bias = d.mlp_bias};
  };
  recipe::GatedMlp mlp{.module = recipe::layer_name(names.shared, layer),
                       .gate = linear(names.shared_gate, d.hidden, e.shared),
                       .up = linear(names.shared_up, d.hidden, e.shared),
                       .down = linear(names.shared_down, e.shared, d.hidden),
                       .activation = d.activation};
  if (e.row_gate) {
    mlp.row_gate = linear(names.row_gate, d.hidden, 1);
    mlp.row_gate->bias = false;
  }
  return mlp;
}

} // namespace

void put_experts(recipe::Decoder &decoder, const Dense &d, const Experts &e,
                 const ExpertNames &names) {
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    if (!e.layers.empty() && !e.layers[i])
      continue;
    const auto layer = static_cast<int64_t>(i);
    std::vector<recipe::Sublayer> &sublayers = decoder.layers[i].sublayers;
    sublayers.back().block = mixture(d, e, names, layer);
    if (e.shared == 0)
      continue;
    recipe::Sublayer shared{.block = shared_expert(d, e, names, layer),
                            .scale = sublayers.back().scale,
                            .input = recipe::Input::Shared};
    shared.norm.kind = recipe::NormKind::None;
    sublayers.push_back(std::move(shared));
  }
}

} // namespace quern
