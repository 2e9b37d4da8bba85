// Mistral 7B (Jiang et al., 2023) and Ministral: Llama with windows, in all layers or in some.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder mistral_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model);
  d.family = "mistral";
  read_window(model, d);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder ministral_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model);
  d.family = "ministral";
  const bool slides = model.has("sliding_window");
  std::vector<bool> layers = read_sliding_layers(model, d.layers, /*pattern=*/slides);
  if (slides)
    d.slide(layers, model.integer("sliding_window", 1, recipe::kMaxContext));
  return dense_decoder(model, d, kHfDenseNames);
}

} // namespace quern
