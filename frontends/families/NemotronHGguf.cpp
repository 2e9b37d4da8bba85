// Nemotron-H from GGUF: a layer is Mamba-2 where it has neither kv heads nor a width of its MLP,
// attention where it has no width, and else an MLP, or experts.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/HybridsGguf.h"

#include <utility>

namespace quern {

namespace {

/// Experts without gates, and a shared one, who may work on a latent.
void put_plain_experts(ModelReader &model, recipe::Decoder &decoder, const Dense &d,
                       const std::vector<bool> &wide) {
  Experts e =
      experts_from_gguf(model, d, {.normalize = false, .score = recipe::RouterScore::Sigmoid});
  e.eps = 1e-20;
  for (size_t i = 0; i < wide.size(); ++i)
    e.layers[i] = e.layers[i] && wide[i];
  put_experts(decoder, d, e, kGgufExpertNames);
  const int64_t latent = model.integer("moe_latent_size", 0, recipe::kMaxWidth, 0);
  for (size_t i = 0; i < wide.size(); ++i) {
    if (!e.layers[i])
      continue;
    std::vector<recipe::Sublayer> &layer = decoder.layers[i].sublayers;
    auto &moe = std::get<recipe::Moe>(layer[1].block);
    moe.gate.weight.clear();
    if (latent) {
      const std::string module = recipe::layer_name("blk.*.ffn_latent", static_cast<int64_t>(i));
      moe.latent_in = {module + "_down", d.hidden, latent};
      moe.latent_out = {module + "_up", latent, d.hidden};
      moe.up.in = moe.down.out = latent;
    }
    if (layer.size() > 2) {
      const recipe::GatedMlp shared = std::get<recipe::GatedMlp>(layer[2].block);
      layer[2].block = recipe::Mlp{shared.module, shared.up, shared.down, d.activation};
    }
  }
}

} // namespace

recipe::Decoder nemotron_h_from_gguf(ModelReader &model) {
  std::vector<bool> unattended = layers_without_kv_heads(model);
  constexpr const char *kRmsEps = "attention.layer_norm_rms_epsilon";
  Dense d = dense_from_gguf(
      model, {.norm = model.has(kRmsEps) ? recipe::NormKind::Rms : recipe::NormKind::Layer,
              .gated = false,
              .rope = std::nullopt,
              .experts = true,
              .further = true,
              .recurrent = unattended});
  d.norm = recipe::NormKind::Rms; // whatever the key of its epsilon
  d.norm_bias = false;
  d.family = "nemotron_h";
  d.activation = "relu2";
  const std::vector<int64_t> widths =
      model.integers_by_layer("feed_forward_length", d.layers, 0, recipe::kMaxWidth);
  leave_out_further_layers(model, d, &unattended);
  for (int64_t i = 0; i < d.layers; ++i)
    d.mlp_bias |= model.has_tensor(recipe::layer_name("blk.*.ffn_up.bias", i));
  // Nothing is rotated.
  model.ignore({"rope.dimension_count", "rope.freq_base", "rope.scaling.finetuned"});
  DenseNames names = kGgufDenseNames;
  names.mlp_norm = names.attention_norm; // a layer's only one
  recipe::Decoder decoder = gguf_decoder(model, d, names);
  std::vector<bool> wide;
  for (size_t i = 0; i < unattended.size(); ++i)
    wide.push_back(widths[i] != 0);
  if (model.integer("expert_count", 0, recipe::kMaxExperts, 0) > 0)
    put_plain_experts(model, decoder, d, wide);
  model.ignore({"expert_used_count", "expert_group_count", "expert_group_used_count"});
  recipe::Mamba2 mixer = mamba2_sizes_from_gguf(model);
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    std::vector<recipe::Sublayer> &layer = decoder.layers[i].sublayers;
    if (wide[i]) {
      layer.erase(layer.begin());
      continue;
    }
    if (unattended[i]) {
      name_gguf_mamba2(model, mixer, static_cast<int64_t>(i), d.hidden, d.eps);
      layer[0].block = mixer;
    }
    layer.resize(1);
  }
  return decoder;
}

} // namespace quern
