// Mixtures of experts of Qwen 2 (with a shared expert that a gate opens by the row) and of Qwen 3.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

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

/// Experts of Qwen3-VL as published: all of a layer in one tensor, each [in, out], its gate before
/// its up. Where a shape is that of both ways round, transformers takes it for [out, in].
void turn_experts(const ModelReader &model, recipe::Decoder &decoder, const Experts &e) {
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    auto *moe = std::get_if<recipe::Moe>(&decoder.layers[i].sublayers.back().block);
    const std::string all =
        recipe::layer_name("model.layers.*.mlp.experts.", static_cast<int64_t>(i));
    const int64_t in = decoder.hidden, out = 2 * e.width;
    if (!moe || in == out ||
        model.tensor_shape(all + "gate_up_proj") != std::vector<int64_t>{e.count, in, out})
      continue;
    moe->gate.weight = moe->up.weight = all + "gate_up_proj";
    moe->down.weight = all + "down_proj";
    moe->gate.rows = {out, 0, e.width, out};
    moe->up.rows = {out, e.width, e.width, out};
    moe->gate.transposed = moe->up.transposed = moe->down.transposed = true;
  }
}

} // namespace

recipe::Decoder qwen2_moe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 16});
  d.family = "qwen2_moe";
  d.qkv_bias = model.boolean("qkv_bias", true);
  read_windows(model, d);
  Experts e = experts_from_hf(
      model, d, {.default_count = 60, .default_top_k = 4, .default_width = 1408, .least = 0});
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
                               .default_width = 768,
                               .least = 0});
  read_norm_topk(model, e, false);
  read_sparse_layers(model, d, e);
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfExpertNames);
  turn_experts(model, decoder, e);
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
