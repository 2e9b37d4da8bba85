// DeepSeek-V2 and V3: latent attention; dense MLPs in the first layers and experts in the others.
#include "frontends/families/Dense.h"
#include "frontends/families/Experts.h"
#include "frontends/families/Families.h"
#include "frontends/families/Latent.h"

#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxWidth;

namespace {

const HfKeys kKeys = {.head_dim = "qk_rope_head_dim", .default_head_dim = 64, .rope = std::nullopt};

/// YaRN's temperature belongs to the scores: the square of what DeepSeek's mscale_all_dim says. The
/// rest of it is the rope's.
double score_factor(ModelReader &model) {
  const bool old = model.has("rope_scaling") && !model.is_empty("rope_scaling");
  const std::string in = old ? "rope_scaling." : "rope_parameters.";
  std::string type = model.text(in + "type", "default");
  type = model.text(in + "rope_type", type);
  const double all = model.number(in + "mscale_all_dim", 0, 1e9, 0.0);
  if (type == "default" || all == 0)
    return 1;
  const double factor = model.number(in + "factor", 1e-9, 1e9, 1.0);
  const double mscale = factor <= 1 ? 1 : 0.1 * all * std::log(factor) + 1;
  return mscale * mscale;
}

/// Experts as both have them, but for the router.
Experts experts(ModelReader &model, const Dense &d, const ExpertKeys &keys, int64_t default_dense,
                int64_t default_shared) {
  Experts e = experts_from_hf(model, d, keys);
  read_first_dense_layers(model, d, e, default_dense);
  e.shared = e.width * model.integer("n_shared_experts", 0, recipe::kMaxExperts, default_shared);
  model.expect_number("moe_layer_freq", 1);
  model.ignore({"aux_loss_alpha", "seq_aux", "ep_size"}); // how they were trained
  model.leave_out_layers("model.layers.", d.layers,
                         model.integer("num_nextn_predict_layers", 0, recipe::kMaxLayers, 0));
  return e;
}

recipe::Decoder deepseek(ModelReader &model, Dense d, const Experts &e, bool interleaved) {
  recipe::Mla attention = latent_attention(model, d, 1536);
  attention.scale *= score_factor(model);
  // Written beside the others, and never another.
  model.expect_number("head_dim", static_cast<double>(attention.rotary));
  attention.rope_interleaved = interleaved;
  d.ropes = {rope_from_hf(model, attention.rotary, d.max_positions, d.context)};
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfExpertNames);
  for (int64_t i = 0; i < d.layers; ++i)
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = latent_of_layer(attention, i);
  return decoder;
}

} // namespace

recipe::Decoder deepseek_v2_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, kKeys);
  d.family = "deepseek_v2";
  d.mlp_bias = model.boolean("mlp_bias", false);
  Experts e = experts(
      model, d, {.count = "n_routed_experts", .default_count = 64, .default_width = 1407}, 0, 2);
  read_grouped_softmax(model, e, 1.0);
  if (model.text("scoring_func", "softmax") != "softmax")
    model.problem("scoring_func", "experts are scored in a way that this family does not have",
                  "transformers knows softmax here");
  return deepseek(model, d, e, /*interleaved=*/true);
}

recipe::Decoder deepseek_v3_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, kKeys);
  d.family = "deepseek_v3";
  Experts e = experts(model, d,
                      {.count = "n_routed_experts",
                       .default_count = 256,
                       .default_top_k = 8,
                       .default_width = 2048},
                      3, 1);
  read_corrected_sigmoid(model, e, 2.5, {.default_groups = 8, .default_top_groups = 4});
  if (model.text("scoring_func", "sigmoid") != "sigmoid")
    model.problem("scoring_func", "experts are scored in a way that this family does not have",
                  "transformers knows sigmoid here");
  model.ignore({"topk_method"}); // noaux_tc, which is this
  return deepseek(model, d, e, model.boolean("rope_interleave", true));
}

} // namespace quern
