// LFM2 (Liquid AI, 2025): gated short convolutions in most layers, attention in the others.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <algorithm>

namespace quern {

using recipe::kMaxWidth;

namespace {
constexpr int64_t kMaxKernel = 256;

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
} // namespace

recipe::Decoder lfm2_from_hf(ModelReader &model) {
  Dense d =
      dense_from_hf(model, {.mlp = model.has("block_ff_dim") ? "block_ff_dim" : "intermediate_size",
                            .head_dim = nullptr,
                            .eps = "norm_eps",
                            .activation = nullptr,
                            .default_eps = 1e-5,
                            .default_kv_heads = 8,
                            .default_context = 128'000,
                            .default_tied = model.boolean("tie_embedding", true),
                            .rope = RopeKeys{.theta = 1'000'000}});
  d.family = "lfm2";
  d.mlp = adjusted(model, d.mlp);
  d.qk_norm = QkNorm::Head;
  recipe::ShortConv mixer{.channels = d.hidden};
  mixer.kernel = model.integer("conv_L_cache", 2, kMaxKernel, 3);
  mixer.conv_bias = model.boolean("conv_bias", false);
  std::vector<double> attends;
  const bool listed = model.has("full_attn_idxs");
  if (listed)
    attends = model.numbers("full_attn_idxs");
  std::vector<size_t> missing;
  for (int64_t i = 0; i < d.layers; ++i)
    missing.push_back(!listed ||
                      std::ranges::find(attends, static_cast<double>(i)) != attends.end());
  const std::vector<size_t> kinds =
      read_layer_kinds(model, d.layers, {{"conv"}, {"full_attention"}}, missing);
  // How weights were initialized, and what other keys say again.
  model.ignore({"intermediate_size", "block_dim", "block_mlp_init_scale", "block_norm_eps",
                "block_out_init_scale", "block_use_swiglu", "block_use_xavier_init", "conv_dim",
                "conv_dim_out", "conv_use_xavier_init", "num_heads", "use_pos_enc", "theta"});

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
  for (int64_t i = 0; i < d.layers; ++i) {
    if (kinds[static_cast<size_t>(i)] == 1)
      continue;
    mixer.module = recipe::layer_name("model.layers.*.conv", i);
    mixer.conv = mixer.module + ".conv";
    mixer.in = {mixer.module + ".in_proj", d.hidden, 3 * d.hidden, mixer.conv_bias};
    mixer.out = {mixer.module + ".out_proj", d.hidden, d.hidden, mixer.conv_bias};
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = mixer;
  }
  return decoder;
}

namespace {

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
  recipe::ShortConv mixer{.channels = d.hidden};
  mixer.kernel = model.integer("shortconv.l_cache", 2, kMaxKernel);
  put_recurrent(decoder, recurrent, [&](int64_t layer) {
    mixer.module = recipe::layer_name("blk.*.shortconv", layer);
    mixer.conv = mixer.module + ".conv";
    mixer.in = {mixer.module + ".in_proj", d.hidden, 3 * d.hidden};
    mixer.out = {mixer.module + ".out_proj", d.hidden, d.hidden};
    return mixer;
  });
  return decoder;
}

} // namespace

recipe::Decoder lfm2_from_gguf(ModelReader &model) { return from_gguf(model, "lfm2", false); }

recipe::Decoder lfm2_moe_from_gguf(ModelReader &model) {
  return from_gguf(model, "lfm2_moe", true);
}

} // namespace quern
