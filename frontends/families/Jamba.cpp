// Jamba (Lieber et al., 2024): Mamba, which norms dt, B and C, in most layers, attention without
// positions in the others, and experts in the place of some layers' MLPs.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxLayers;
using recipe::kMaxWidth;

namespace {

/// Every `period`th layer from layer `offset` on.
struct Every {
  int64_t period, offset;
  bool has(int64_t layer) const { return layer % period == offset; }
};

Every read_every(ModelReader &model, const char *period, const char *offset, int64_t default_period,
                 int64_t default_offset) {
  Every every{model.integer(period, 1, kMaxLayers, default_period),
              model.integer(offset, 0, kMaxLayers, default_offset)};
  if (every.offset >= every.period)
    model.problem(
        offset, absl::StrCat(every.offset, " is not below ", period, ", which is ", every.period));
  return every;
}

recipe::Mamba1 read_mamba1(ModelReader &model, const Dense &d) {
  recipe::Mamba1 m;
  m.inner = d.hidden * model.integer("mamba_expand", 1, kMaxHeadDim, 2);
  m.state = model.integer("mamba_d_state", 1, kMaxHeadDim, 16);
  m.kernel = model.integer("mamba_d_conv", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("mamba_conv_bias", true);
  m.activation = d.activation;
  m.rank = read_time_step_rank(model, "mamba_dt_rank", d.hidden);
  // The models' first code could leave the norms out.
  model.expect("mamba_inner_layernorms", true);
  return m;
}

} // namespace

recipe::Decoder jamba_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(
      model, {.default_kv_heads = 8, .default_context = 262'144, .rope = std::nullopt});
  d.family = "jamba";
  const Every attention = read_every(model, "attn_layer_period", "attn_layer_offset", 8, 4);
  const Every sparse = read_every(model, "expert_layer_period", "expert_layer_offset", 2, 1);
  Experts e =
      experts_from_hf(model, d, {.width = nullptr, .default_count = 16, .default_top_k = 2});
  for (int64_t i = 0; i < d.layers; ++i)
    e.layers.push_back(e.count > 1 && sparse.has(i));
  recipe::Mamba1 mixer = read_mamba1(model, d);
  const bool bias = model.boolean("mamba_proj_bias", false);
  // How programs run it, and training.
  model.ignore({"use_mamba_kernels", "use_mambapy", "use_associative_scan", "num_logits_to_keep",
                "calc_logits_for_entire_prompt", "n_ctx", "output_router_logits",
                "router_aux_loss_coef"});

  recipe::Decoder decoder = dense_decoder(model, d, feed_forward_names());
  put_experts(decoder, d, e,
              {.module = "model.layers.*.feed_forward",
               .router = "model.layers.*.feed_forward.router",
               .gate = "model.layers.*.feed_forward.experts.#.gate_proj.weight",
               .up = "model.layers.*.feed_forward.experts.#.up_proj.weight",
               .down = "model.layers.*.feed_forward.experts.#.down_proj.weight"});
  for (int64_t i = 0; i < d.layers; ++i) {
    if (attention.has(i))
      continue;
    name_mamba1(mixer, recipe::layer_name("model.layers.*.mamba", i), d.hidden, bias);
    mixer.dt_norm = {mixer.module + ".dt_layernorm", mixer.rank, d.eps};
    mixer.b_norm = {mixer.module + ".b_layernorm", mixer.state, d.eps};
    mixer.c_norm = {mixer.module + ".c_layernorm", mixer.state, d.eps};
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = mixer;
  }
  return decoder;
}

recipe::Decoder jamba_from_gguf(ModelReader &model) {
  const std::vector<bool> recurrent = layers_without_kv_heads(model);
  // One expert is an MLP.
  const bool sparse = model.integer("expert_count", 0, recipe::kMaxExperts, 0) > 1;
  Dense d = dense_from_gguf(model, {.rope = std::nullopt, .experts = true, .recurrent = recurrent});
  d.family = "jamba";
  recipe::Decoder decoder =
      sparse ? gguf_expert_decoder(model, d, experts_from_gguf(model, d, {.normalize = false}))
             : gguf_decoder(model, d);
  model.ignore({"expert_used_count"});
  recipe::Mamba1 mixer = mamba1_from_gguf(model);
  put_recurrent(decoder, recurrent, [&](int64_t layer) {
    name_gguf_mamba1(model, mixer, layer, d.hidden, d.eps);
    return mixer;
  });
  return decoder;
}

} // namespace quern
