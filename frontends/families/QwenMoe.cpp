// Mixtures of experts of Qwen 2 (with a shared expert that a gate opens by the row) and of Qwen 3.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>

namespace quern {

namespace {

/// Windows of Qwen 2 MoE: of every other layer below max_window_layers, unless layer_types says.
void read_windows(ModelReader &model, Dense &d) {
  if (!model.boolean("use_sliding_window", false)) {
    model.ignore({"sliding_window", "max_window_layers", "layer_types"});
    return;
  }
  const int64_t window = read_sliding_window(model, 4096);
  const int64_t first = model.integer("max_window_layers", 0, recipe::kMaxLayers, 28);
  std::vector<bool> slides;
  if (model.has("layer_types"))
    slides = read_sliding_layers(model, d.layers, /*pattern=*/0);
  else
    for (int64_t i = 0; i < d.layers; ++i)
      slides.push_back(i % 2 == 0 && i < first);
  if (window)
    d.slide(slides, std::min(window, recipe::kMaxContext));
}

} // namespace

recipe::Decoder qwen2_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 16});
  d.family = "qwen2_moe";
  d.qkv_bias = model.boolean("qkv_bias", true);
  read_windows(model, d);
  Experts e =
      experts_from_hf(model, d, {.default_count = 60, .default_top_k = 4, .default_width = 1408});
  read_norm_topk(model, e, false);
  read_sparse_layers(model, d, e);
  e.shared = model.integer("shared_expert_intermediate_size", 1, recipe::kMaxWidth, 5632);
  e.row_gate = true;
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfQwenExpertNames);
  return decoder;
}

recipe::Decoder qwen3_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 4});
  d.family = "qwen3_moe";
  d.qk_norm = QkNorm::Head;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  if (model.boolean("use_sliding_window", false))
    read_window(model, d, 4096);
  else
    model.ignore({"sliding_window"});
  model.ignore({"max_window_layers"}); // of other Qwens: this one does not read it
  Experts e = experts_from_hf(model, d,
                              {.count = "num_local_experts",
                               .default_count = 128,
                               .default_top_k = 8,
                               .default_width = 768});
  read_norm_topk(model, e, false);
  read_sparse_layers(model, d, e);
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfExpertNames);
  return decoder;
}

recipe::Decoder qwen2_moe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "qwen2_moe";
  return gguf_expert_decoder(model, d,
                             experts_from_gguf(model, d, {.normalize = false, .row_gate = true}));
}

recipe::Decoder qwen3_moe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "qwen3_moe";
  d.qk_norm = QkNorm::Head;
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d));
}

} // namespace quern
