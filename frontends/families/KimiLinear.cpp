// Kimi Linear: a delta rule whose keys decay number by number in most layers, latent attention
// without positions in the others; experts behind the first layers.
#include "frontends/families/Experts.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/KimiDelta.h"
#include "frontends/families/Latent.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <string>
#include <vector>

namespace quern {

namespace {

const ExpertNames kExpertNames = [] {
  ExpertNames names = kHfMixtralNames;
  names.correction = "model.layers.*.block_sparse_moe.gate.e_score_correction_bias";
  names.shared = "model.layers.*.block_sparse_moe.shared_experts";
  names.shared_gate = "model.layers.*.block_sparse_moe.shared_experts.gate_proj";
  names.shared_up = "model.layers.*.block_sparse_moe.shared_experts.up_proj";
  names.shared_down = "model.layers.*.block_sparse_moe.shared_experts.down_proj";
  return names;
}();

/// Published files call a dense layer's MLP `mlp`; transformers saves it as the others.
DenseNames dense_names(const ModelReader &model, const Dense &d) {
  DenseNames names = kHfDenseNames;
  for (int64_t i = 0; i < d.layers; ++i)
    if (model.has_tensor(
            recipe::layer_name("model.layers.*.block_sparse_moe.gate_proj.weight", i))) {
      names.mlp = "model.layers.*.block_sparse_moe";
      names.gate = "model.layers.*.block_sparse_moe.gate_proj";
      names.up = "model.layers.*.block_sparse_moe.up_proj";
      names.down = "model.layers.*.block_sparse_moe.down_proj";
    }
  return names;
}

/// layer_types, or what linear_attn_config says of layers, which it counts from 1: 1 is attention.
std::vector<size_t> read_kinds(ModelReader &model, int64_t layers) {
  const char *keys[] = {"linear_attn_config.kda_layers", "linear_attn_config.full_attn_layers"};
  constexpr size_t kUnsaid = 2;
  std::vector<size_t> kinds(static_cast<size_t>(layers), kUnsaid);
  const bool listed = model.has(keys[0]) && model.has(keys[1]);
  for (const size_t kind : {0, 1})
    for (const double layer :
         model.has(keys[kind]) ? model.numbers(keys[kind]) : std::vector<double>()) {
      if (!(layer >= 1 && layer <= static_cast<double>(layers)) || layer != std::floor(layer))
        model.problem(keys[kind], absl::StrCat(layer, " is no layer of 1 to ", layers));
      else
        kinds[static_cast<size_t>(layer) - 1] = kind;
    }
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (!listed)
      kinds[i] = i > 0 && i % 4 == 0;
    if (kinds[i] != kUnsaid)
      continue;
    if (!model.has("layer_types"))
      model.problem(keys[0], absl::StrCat("neither it nor full_attn_layers has layer ", i + 1),
                    "every layer, counted from 1, is in one of the two lists");
    kinds[i] = 0;
  }
  return read_layer_kinds(model, layers, {{"linear_attention"}, {"full_attention"}}, kinds);
}

Experts read_experts(ModelReader &model, const Dense &d) {
  Experts e = experts_from_hf(model, d,
                              {.top_k = "num_experts_per_token",
                               .default_count = 256,
                               .default_top_k = 8,
                               .default_width = 1024});
  read_first_dense_layers(model, d, e, 1);
  const std::vector<std::string> kinds = model.texts("mlp_layer_types");
  if (!kinds.empty() && static_cast<int64_t>(kinds.size()) != d.layers)
    model.problem("mlp_layer_types",
                  absl::StrCat(kinds.size(), " entries for ", d.layers, " layers"));
  else
    for (size_t i = 0; i < kinds.size(); ++i)
      e.layers[i] = kinds[i] == "sparse";
  e.shared = e.width * model.integer("num_shared_experts", 0, recipe::kMaxExperts, 1);
  read_corrected_sigmoid(model, e, 2.446,
                         {.groups = "num_expert_group", .normalize = "moe_renormalize"});
  if (model.text("moe_router_activation_func", "sigmoid") != "sigmoid")
    model.problem("moe_router_activation_func",
                  "experts are scored in a way that this family does not have",
                  "transformers knows sigmoid here");
  model.expect("use_grouped_topk", true);
  model.expect_number("moe_layer_freq", 1);
  return e;
}

} // namespace

recipe::Decoder kimi_linear_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.context = "model_max_length",
                                  .head_dim = "qk_rope_head_dim",
                                  .default_eps = 1e-5,
                                  .default_head_dim = 64,
                                  .default_kv_heads = 32,
                                  .default_context = 1'048'576,
                                  .rope = std::nullopt});
  d.family = "kimi_linear";
  const Experts e = read_experts(model, d);
  const std::vector<size_t> kinds = read_kinds(model, d.layers);
  const recipe::DeltaNet mixer = read_kimi_delta(model, d);
  recipe::Mla attention = latent_attention(model, d, 0);
  attention.rope = recipe::kNoRope;
  model.expect("mla_use_nope", true);
  // Nothing is rotated, heads are as wide as their parts say, and layers that guess further tokens
  // are not run.
  model.ignore(
      {"rope_theta", "rope_scaling", "rope_parameters", "head_dim", "num_nextn_predict_layers"});
  recipe::Decoder decoder = dense_decoder(model, d, dense_names(model, d));
  put_experts(decoder, d, e, kExpertNames);
  for (int64_t i = 0; i < d.layers; ++i) {
    recipe::Block &block = decoder.layers[static_cast<size_t>(i)].sublayers[0].block;
    if (kinds[static_cast<size_t>(i)] == 1)
      block = latent_of_layer(attention, i);
    else
      block = kimi_delta_of_layer(mixer, d, i);
  }
  return decoder;
}

} // namespace quern
