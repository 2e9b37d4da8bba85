// Nemotron-4 and Minitron: layer norms around one, squared ReLU, a half of each head rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder nemotron_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.eps = "norm_eps",
                                  .default_eps = 1e-5,
                                  .default_activation = "relu2",
                                  .rope = RopeKeys{.partial = 0.5}});
  d.family = "nemotron";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.norm_add_one = true;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  d.gated = false;
  model.ignore({"rope_percent"}); // a name from before partial_rotary_factor, which counts
  return dense_decoder(model, d, kHfDenseNames);
}

// Converters have added the 1 to the norms' weights.
recipe::Decoder nemotron_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .gated = false});
  d.family = "nemotron";
  d.activation = "relu2";
  return gguf_decoder(model, d);
}

} // namespace quern
