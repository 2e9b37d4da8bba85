// EXAONE 4: norms after the sublayers and of each head; where there are windows, layers that see
// everything do not rotate.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>

namespace quern {

recipe::Decoder exaone4_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5, .default_kv_heads = 32});
  d.family = "exaone4";
  d.wiring = Wiring::PostNorm;
  d.qk_norm = QkNorm::Head;
  int64_t pattern = 4;
  if (model.has("layer_types"))
    model.ignore({"sliding_window_pattern"}); // which may be a text there, "LLLG"
  else
    pattern = model.integer("sliding_window_pattern", 1, recipe::kMaxLayers, pattern);
  const int64_t window = read_sliding_window(model, /*missing=*/4096);
  const bool windows = window != 0;
  std::vector<bool> slides = read_sliding_layers(model, d.layers, windows ? pattern : 0);
  if (windows) {
    d.slide(slides, std::min(window, recipe::kMaxContext));
    for (bool rotates : slides)
      d.layer_ropes.push_back(rotates ? 0 : recipe::kNoRope);
  }
  DenseNames names = kHfDenseNames;
  names.attention_post = "model.layers.*.post_attention_layernorm";
  names.mlp_post = "model.layers.*.post_feedforward_layernorm";
  return dense_decoder(model, d, names);
}

recipe::Decoder exaone4_from_gguf(ModelReader &model) {
  // llama.cpp has windows in the 32B model only, which it knows by its 64 layers.
  const bool windows = model.integer("block_count", 1, recipe::kMaxLayers) == 64;
  GgufKeys keys{.windows = windows};
  if (windows)
    keys.rope = GgufRopeKeys{.base_key = kSlidingRopeBase, .base = gguf_rope_base(model)};
  Dense d = dense_from_gguf(model, keys);
  d.family = "exaone4";
  d.wiring = Wiring::PostNorm;
  d.qk_norm = QkNorm::Head;
  if (windows)
    rotate_only_sliding_layers(d, read_gguf_windows(model, d, /*pattern=*/4, /*window=*/4096));
  else
    model.ignore({"attention.sliding_window_pattern"});
  return gguf_decoder(model, d);
}

} // namespace quern
