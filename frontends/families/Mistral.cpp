// Mistral 7B (Jiang et al., 2023) and Ministral: Llama with windows, in all layers or in some; and
// Ministral 3. (The first two are `llama` in GGUF.)
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>
#include <string>

namespace quern {

recipe::Decoder mistral_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 8});
  d.family = "mistral";
  read_window(model, d, /*missing=*/4096);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder ministral_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 8});
  d.family = "ministral";
  const int64_t window = read_sliding_window(model, /*missing=*/4096);
  std::vector<bool> layers = read_sliding_layers(model, d.layers, /*pattern=*/window != 0);
  if (window)
    d.slide(layers, std::min(window, recipe::kMaxContext));
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder mistral3_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.rope = GgufRopeKeys{.yarn_keys = true}});
  d.family = "mistral3";
  d.rope_interleaved = true; // as in llama
  // Queries are scaled by 1 + t * log(1 + position / original), rounded down, which is 1 up to
  // there.
  const int64_t original = model.integer("rope.scaling.original_context_length", 1,
                                         recipe::kMaxContext, d.max_positions);
  if (model.number("attention.temperature_scale", 0, 1e9, 0.0) != 0 && d.context > original)
    model.problem("attention.temperature_scale",
                  "Quern does not scale the queries of positions beyond the original context",
                  "compile with -c " + std::to_string(original));
  return gguf_decoder(model, d);
}

} // namespace quern
