// LFM2 (Liquid AI, 2025): gated short convolutions in most layers, attention in the others;
// in LFM2-MoE experts in the place of MLPs but for the first layers.
#include "frontends/families/Dense.h"
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <algorithm>

namespace quern {

using recipe::kMaxWidth;

namespace {

/// How wide MLPs are where the config gives the width before it is adjusted: two thirds of it,
/// times a factor, rounded up.
int64_t adjusted(ModelReader &model, int64_t width) {
  const bool adjust = model.boolean("block_auto_adjust_ff_dim", true);
  const double factor = model.number("block_ffn_dim_multiplier", 1e-6, 1e6, 1.0);
  const int64_t multiple = model.integer("block_multiple_of", 1, kMaxWidth, 256);
  if (!adjust)
    return width;
  const auto scaled = static_cast<int64_t>(factor * static_cast<double>(2 * width / 3));
  return std::clamp<int64_t>((scaled + multiple - 1) / multiple * multiple, 1, kMaxWidth);
}

/// What both generations have, but for how wide MLPs are.
Dense read_dense(ModelReader &model, const char *mlp) {
  Dense d = dense_from_hf(model, {.mlp = mlp,
                                  .head_dim = nullptr,
                                  .eps = "norm_eps",
                                  .activation = nullptr,
                                  .default_eps = 1e-5,
                                  .default_kv_heads = 8,
                                  .default_context = 128'000,
                                  .default_tied = model.boolean("tie_embedding", true),
                                  .rope = RopeKeys{.theta = 1'000'000}});
  d.qk_norm = QkNorm::Head;
  return d;
}

recipe::ShortConv short_conv(std::string module, int64_t hidden, int64_t kernel, bool bias) {
  recipe::ShortConv mixer{.channels = hidden, .kernel = kernel, .conv_bias = bias};
  mixer.conv = module + ".conv";
  mixer.in = {module + ".in_proj", hidden, 3 * hidden, bias};
  mixer.out = {module + ".out_proj", hidden, hidden, bias};
  mixer.module = std::move(module);
  return mixer;
}

recipe::Decoder lfm2(ModelReader &model, const Dense &d, const std::vector<size_t> &missing) {
  const int64_t kernel = model.integer("conv_L_cache", 1, recipe::kMaxKernel, 3);
  const bool bias = model.boolean("conv_bias", false);
  const std::vector<size_t> kinds =
      read_layer_kinds(model, d.layers, {{"conv"}, {"full_attention"}}, missing);
  DenseNames names = kHfDenseNames;
  names.final_norm = "model.embedding_norm";
  names.attention_norm = "model.layers.*.operator_norm";
  names.o = "model.layers.*.self_attn.out_proj";
  names.q_norm = "model.layers.*.self_attn.q_layernorm";
  names.k_norm = "model.layers.*.self_attn.k_layernorm";
  names.mlp_norm = "model.layers.*.ffn_norm";
  names.mlp = "model.layers.*.feed_forward";
  names.gate = "model.layers.*.feed_forward.w1";
  names.up = "model.layers.*.feed_forward.w3";
  names.down = "model.layers.*.feed_forward.w2";
  recipe::Decoder decoder = dense_decoder(model, d, names);
  for (int64_t i = 0; i < d.layers; ++i)
    if (kinds[static_cast<size_t>(i)] == 0)
      decoder.layers[static_cast<size_t>(i)].sublayers[0].block =
          short_conv(recipe::layer_name("model.layers.*.conv", i), d.hidden, kernel, bias);
  return decoder;
}

recipe::Decoder from_gguf(ModelReader &model, const char *family, bool sparse) {
  const std::vector<bool> recurrent = layers_without_kv_heads(model);
  Dense d = dense_from_gguf(model, {.windows = true, .experts = sparse, .recurrent = recurrent});
  d.family = family;
  d.qk_norm = QkNorm::Head;
  read_gguf_windows(model, d, /*pattern=*/0);
  DenseNames names = kGgufDenseNames;
  names.final_norm = "token_embd_norm";
  recipe::Decoder decoder = sparse
                                ? gguf_expert_decoder(model, d, experts_from_gguf(model, d), names)
                                : gguf_decoder(model, d, names);
  const int64_t kernel = model.integer("shortconv.l_cache", 2, recipe::kMaxKernel);
  put_recurrent(decoder, recurrent, [&](int64_t layer) {
    return short_conv(recipe::layer_name("blk.*.shortconv", layer), d.hidden, kernel, false);
  });
  return decoder;
}

} // namespace

recipe::Decoder lfm2_from_hf(ModelReader &model) {
  Dense d = read_dense(model, model.has("block_ff_dim") ? "block_ff_dim" : "intermediate_size");
  d.family = "lfm2";
  d.mlp = adjusted(model, d.mlp);
  std::vector<double> attends;
  const bool listed = model.has("full_attn_idxs");
  if (listed)
    attends = model.numbers("full_attn_idxs");
  std::vector<size_t> missing;
  for (int64_t i = 0; i < d.layers; ++i)
    missing.push_back(!listed ||
                      std::ranges::find(attends, static_cast<double>(i)) != attends.end());
  // How weights were initialized, and what other keys say again.
  model.ignore({"intermediate_size", "block_dim", "block_mlp_init_scale", "block_norm_eps",
                "block_out_init_scale", "block_use_swiglu", "block_use_xavier_init", "conv_dim",
                "conv_dim_out", "conv_use_xavier_init", "num_heads", "use_pos_enc", "theta"});
  return lfm2(model, d, missing);
}

recipe::Decoder lfm2_moe_from_hf(ModelReader &model) {
  Dense d = read_dense(model, "intermediate_size");
  d.family = "lfm2_moe";
  Experts e =
      experts_from_hf(model, d, {.default_count = 32, .default_top_k = 4, .default_width = 1792});
  const int64_t dense = model.integer("num_dense_layers", 0, recipe::kMaxLayers, 2);
  for (int64_t i = 0; i < d.layers; ++i)
    e.layers.push_back(i >= dense);
  e.score = recipe::RouterScore::Sigmoid;
  e.correction = model.boolean("use_expert_bias", true);
  read_norm_topk(model, e, true);
  e.eps = 1e-6;
  e.scale = model.number("routed_scaling_factor", -1e9, 1e9, 1.0);
  recipe::Decoder decoder = lfm2(model, d, std::vector<size_t>(static_cast<size_t>(d.layers), 1));
  put_experts(decoder, d, e,
              {.module = "model.layers.*.feed_forward",
               .router = "model.layers.*.feed_forward.gate",
               .correction = "model.layers.*.feed_forward.expert_bias",
               .gate = "model.layers.*.feed_forward.experts.#.w1.weight",
               .up = "model.layers.*.feed_forward.experts.#.w3.weight",
               .down = "model.layers.*.feed_forward.experts.#.w2.weight"});
  return decoder;
}

recipe::Decoder lfm2_from_gguf(ModelReader &model) { return from_gguf(model, "lfm2", false); }

recipe::Decoder lfm2_moe_from_gguf(ModelReader &model) {
  return from_gguf(model, "lfm2_moe", true);
}

} // namespace quern
