// Granite 4: Mamba-2 in most layers, attention in the others, with Granite's multipliers; its
// larger models have Granite MoE's experts beside each layer's MLP.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <utility>
#include <vector>

namespace quern {

namespace {

/// Experts in every layer, whose results are added to those of the MLP that is there.
void add_experts(recipe::Decoder &decoder, const Dense &d, const Experts &e) {
  const std::vector<recipe::Layer> dense = decoder.layers;
  ExpertNames names = kHfMixtralNames;
  names.router = "model.layers.*.block_sparse_moe.router.layer";
  names.gate = names.up = "model.layers.*.block_sparse_moe.input_linear.weight";
  names.down = "model.layers.*.block_sparse_moe.output_linear.weight";
  put_experts(decoder, d, e, names);
  for (size_t i = 0; i < dense.size(); ++i) {
    recipe::Sublayer shared = dense[i].sublayers.back();
    shared.norm = {.kind = recipe::NormKind::None};
    shared.input = recipe::Input::Shared;
    decoder.layers[i].sublayers.push_back(std::move(shared));
  }
}

} // namespace

recipe::Decoder granitemoehybrid_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.mlp = "shared_intermediate_size", .default_context = 2048});
  d.family = "granitemoehybrid";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.embedding_scale = model.number("embedding_multiplier", -1e9, 1e9, 1.0);
  d.attention_scale = model.number("attention_multiplier", 1e-9, 1e9, 1.0);
  d.residual_scale = model.number("residual_multiplier", -1e9, 1e9, 1.0);
  d.logit_scale = 1 / model.number("logits_scaling", 1e-9, 1e9, 1.0);
  if (model.text("position_embedding_type", "") != "rope")
    d.layer_ropes.assign(static_cast<size_t>(d.layers), recipe::kNoRope);
  d.fused_gate_up = true;
  Experts experts{.score = recipe::RouterScore::Chosen, .fused_gate_up = true};
  experts.count = model.integer("num_local_experts", 0, recipe::kMaxExperts, 8);
  if (experts.count) {
    experts.top_k = model.integer("num_experts_per_tok", 1, recipe::kMaxExperts, 2);
    experts.width = model.integer("intermediate_size", 1, recipe::kMaxWidth, 11008);
  }
  // Without experts, what they would be.
  model.ignore({"intermediate_size", "num_experts_per_tok", "router_aux_loss_coef",
                "output_router_logits", "normalization_function", "init_method"});
  const int64_t inner = d.hidden * model.integer("mamba_expand", 1, recipe::kMaxHeadDim, 2);
  recipe::Mamba2 mixer = read_mamba2(model, inner);
  const bool bias = model.boolean("mamba_proj_bias", false);
  const std::vector<size_t> kinds = read_layer_kinds(
      model, d.layers, {{"linear_attention", "mamba"}, {"full_attention", "attention"}},
      std::vector<size_t>(static_cast<size_t>(d.layers), 0));

  DenseNames names = kHfDenseNames;
  names.mlp = "model.layers.*.shared_mlp";
  names.gate = names.up = "model.layers.*.shared_mlp.input_linear";
  names.down = "model.layers.*.shared_mlp.output_linear";
  recipe::Decoder decoder = dense_decoder(model, d, names);
  if (experts.count)
    add_experts(decoder, d, experts);
  for (int64_t i = 0; i < d.layers; ++i)
    if (kinds[static_cast<size_t>(i)] == 0) {
      name_mamba2(mixer, recipe::layer_name("model.layers.*.mamba", i), d.hidden, d.eps, bias,
                  bias);
      decoder.layers[static_cast<size_t>(i)].sublayers[0].block = mixer;
    }
  return decoder;
}

/// llama.cpp's architecture of Bamba, too, whose positions are rotated and whose multipliers are 1.
recipe::Decoder granitemoehybrid_from_gguf(ModelReader &model) {
  const std::vector<bool> recurrent = layers_without_kv_heads(model);
  const bool sparse = model.integer("expert_count", 0, recipe::kMaxExperts, 0) > 0;
  Dense d = dense_from_gguf(model, {.experts = true, .recurrent = recurrent});
  const bool rotates = model.boolean("rope.scaling.finetuned", true);
  d.family = rotates && !model.has("residual_scale") ? "bamba" : "granitemoehybrid";
  d.rope_interleaved = true; // as in llama
  read_gguf_multipliers(model, d);
  if (!rotates)
    d.layer_ropes.assign(static_cast<size_t>(d.layers), recipe::kNoRope);
  // Without experts the MLP is what is called shared beside them.
  if (const auto up = model.tensor_shape("blk.0.ffn_up.weight"); !sparse && up && up->size() == 2)
    d.mlp = up->front();
  recipe::Decoder decoder =
      sparse ? gguf_expert_decoder(model, d, experts_from_gguf(model, d)) : gguf_decoder(model, d);
  model.ignore({"expert_used_count", "expert_shared_feed_forward_length"});
  recipe::Mamba2 mixer = mamba2_sizes_from_gguf(model);
  put_recurrent(decoder, recurrent, [&](int64_t layer) {
    name_gguf_mamba2(model, mixer, layer, d.hidden, d.eps);
    return mixer;
  });
  return decoder;
}

} // namespace quern
