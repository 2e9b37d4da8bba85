// SmolLM3: Llama with layers whose positions are not rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>

namespace quern {

recipe::Decoder smollm3_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(
      model, {.default_kv_heads = 4, .default_tied = true, .rope = RopeKeys{.theta = 2e6}});
  d.family = "smollm3";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  model.ignore({"pretraining_tp"});

  const int64_t interval = model.integer("no_rope_layer_interval", 1, recipe::kMaxLayers, 4);
  std::vector<double> rotated = model.numbers("no_rope_layers"); // 1: rotated, whatever its name
  if (!rotated.empty() && static_cast<int64_t>(rotated.size()) != d.layers) {
    model.problem("no_rope_layers", "it has not one entry a layer");
    rotated.clear();
  }
  for (int64_t i = 0; i < d.layers; ++i) {
    const bool rotates =
        rotated.empty() ? (i + 1) % interval != 0 : rotated[static_cast<size_t>(i)] != 0;
    d.layer_ropes.push_back(rotates ? 0 : recipe::kNoRope);
  }

  const bool use = model.boolean("use_sliding_window", false);
  const int64_t window = read_sliding_window(model, /*missing=*/0);
  std::vector<bool> slides = read_sliding_layers(model, d.layers, /*pattern=*/0);
  if (!model.has("layer_types")) // those that are not rotated
    for (size_t i = 0; i < slides.size(); ++i)
      slides[i] = d.layer_ropes[i] == recipe::kNoRope;
  if (use && window)
    d.slide(slides, std::min(window, recipe::kMaxContext));
  return dense_decoder(model, d, kHfDenseNames);
}

// Every fourth layer is not rotated, whatever the model's config said, as in llama.cpp.
recipe::Decoder smollm3_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "smollm3";
  d.rope_interleaved = true; // as in llama
  for (int64_t i = 0; i < d.layers; ++i)
    d.layer_ropes.push_back((i + 1) % 4 != 0 ? 0 : recipe::kNoRope);
  return gguf_decoder(model, d);
}

} // namespace quern
