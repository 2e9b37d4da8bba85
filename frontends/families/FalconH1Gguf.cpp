// Falcon-H1 from GGUF, whose converter multiplies the weights with the config's multipliers, and
// where results of Mamba-2 are gated before they are normed, if they are.
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/HybridsGguf.h"

namespace quern {

recipe::Decoder falcon_h1_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "falcon_h1";
  recipe::Mamba2 mixer = mamba2_sizes_from_gguf(model);
  recipe::Decoder decoder = gguf_decoder(model, d);
  for (int64_t i = 0; i < d.layers; ++i) {
    // One norm, after which the mixer and attention work side by side.
    std::vector<recipe::Sublayer> &layer = decoder.layers[static_cast<size_t>(i)].sublayers;
    name_gguf_mamba2(model, mixer, i, d.hidden, d.eps, /*may_lack_norm=*/true);
    layer.insert(layer.begin(), {.norm = layer[0].norm, .block = mixer});
    layer[1].input = recipe::Input::Shared;
    layer[2].norm.tensor = layer[2].norm.module;
  }
  return decoder;
}

} // namespace quern
