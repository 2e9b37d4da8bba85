// Command R (Cohere) and Command R7B (Cohere 2): both branches behind one layer norm without bias,
// neighbours rotated; in 2 windowed layers rotate, and those that see everything do not.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

namespace {
Dense cohere(ModelReader &model, double theta) {
  Dense d = dense_from_hf(model, {.eps = "layer_norm_eps",
                                  .default_eps = 1e-5,
                                  .default_tied = true,
                                  .rope = RopeKeys{.theta = theta}});
  d.norm = recipe::NormKind::Layer;
  d.wiring = Wiring::OneNorm;
  d.rope_interleaved = true;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.logit_scale = model.number("logit_scale", -1e9, 1e9, 0.0625);
  // How transformers keeps the cache, and what its own code never reads.
  model.ignore({"cache_implementation", "use_embedding_sharing", "use_parallel_embedding",
                "position_embedding_type", "layer_switch", "order_of_interleaved_layers"});
  model.expect("use_parallel_block", true);
  model.expect("use_gated_activation", true);
  model.expect_number("rotary_pct", 1);
  return d;
}

Dense cohere_gguf(ModelReader &model, const GgufKeys &keys) {
  Dense d = dense_from_gguf(model, keys);
  d.wiring = Wiring::OneNorm;
  d.rope_interleaved = true;
  // 0 is "none".
  const double scale = model.number("logit_scale", -1e9, 1e9, 0.0);
  d.logit_scale = scale == 0 ? 1 : scale;
  return d;
}
} // namespace

recipe::Decoder cohere_from_hf(ModelReader &model) {
  Dense d = cohere(model, 500'000);
  d.family = "cohere";
  if (model.boolean("use_qk_norm", false))
    d.qk_norm = QkNorm::Each;
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder cohere2_from_hf(ModelReader &model) {
  Dense d = cohere(model, 10'000);
  d.family = "cohere2";
  model.expect("use_qk_norm", false);
  const int64_t pattern = model.integer("sliding_window_pattern", 1, recipe::kMaxLayers, 4);
  std::vector<bool> slides = read_sliding_layers(model, d.layers, pattern);
  d.slide(slides, model.integer("sliding_window", 1, recipe::kMaxContext, 4096));
  for (bool rotates : slides)
    d.layer_ropes.push_back(rotates ? 0 : recipe::kNoRope);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder cohere_from_gguf(ModelReader &model) {
  Dense d = cohere_gguf(model, {.norm = recipe::NormKind::Layer});
  d.family = "cohere";
  if (model.has_tensor("blk.0.attn_q_norm.weight"))
    d.qk_norm = QkNorm::Each;
  return gguf_decoder(model, d);
}

recipe::Decoder cohere2_from_gguf(ModelReader &model) {
  Dense d = cohere_gguf(
      model, {.norm = recipe::NormKind::Layer,
              .rope = GgufRopeKeys{.base_key = kSlidingRopeBase, .base = gguf_rope_base(model)},
              .windows = true});
  d.family = "cohere2";
  rotate_only_sliding_layers(d, read_gguf_windows(model, d, /*pattern=*/4));
  return gguf_decoder(model, d);
}

} // namespace quern
