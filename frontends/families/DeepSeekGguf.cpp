// DeepSeek-V2 and V3 from GGUF, where both are one architecture.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Latent.h"

#include <cmath>

namespace quern {

namespace {

/// YaRN's temperature belongs to the scores: the square of what DeepSeek's mscale_all_dim says, of
/// which files have a tenth.
double score_factor(ModelReader &model) {
  const double all = 10 * model.number("rope.scaling.yarn_log_multiplier", 0, 1e9, 0.0);
  const double factor = model.number("rope.scaling.factor", 0, 1e9, 1.0);
  if (model.text("rope.scaling.type", "none") != "yarn" || factor <= 1)
    return 1;
  const double mscale = 0.1 * all * std::log(factor) + 1;
  return mscale * mscale;
}

} // namespace

recipe::Decoder deepseek2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.rope = GgufRopeKeys{.yarn_keys = true, .yarn_of_scores = true},
                                    .experts = true,
                                    .further = true,
                                    .latent = true});
  leave_out_further_layers(model, d);
  Experts e = experts_from_gguf(model, d, {.normalize = false});
  e.eps = 1e-20;
  const bool v3 = e.score == recipe::RouterScore::Sigmoid;
  d.family = v3 ? "deepseek_v3" : "deepseek_v2";
  if (!v3 && e.groups > 1) {
    // As the published code chooses groups.
    e.group_top = 1;
    model.note("groups of experts are chosen by their best one, as in DeepSeek-V2's code; "
               "llama.cpp counts the two best");
  }
  recipe::Mla attention = latent_from_gguf(model, d);
  attention.scale *= score_factor(model);
  recipe::Decoder decoder = gguf_expert_decoder(model, d, e);
  for (int64_t i = 0; i < d.layers; ++i)
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = latent_of_layer(attention, i);
  return decoder;
}

} // namespace quern
