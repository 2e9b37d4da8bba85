// RecurrentGemma (Griffin; De et al., 2024): gated linear recurrences, and attention over a window
// in every third layer.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>

namespace quern {

using recipe::kMaxContext;
using recipe::kMaxWidth;

namespace {

constexpr DenseNames kNames = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.final_norm",
    .head = "lm_head",
    .attention_norm = "model.layers.*.temporal_pre_norm",
    .attention = "model.layers.*.temporal_block",
    .q = "model.layers.*.temporal_block.q_proj",
    .k = "model.layers.*.temporal_block.k_proj",
    .v = "model.layers.*.temporal_block.v_proj",
    .o = "model.layers.*.temporal_block.o_proj",
    .mlp_norm = "model.layers.*.channel_pre_norm",
    .mlp = "model.layers.*.mlp_block",
    .gate = "model.layers.*.mlp_block.gate_proj",
    .up = "model.layers.*.mlp_block.up_proj",
    .down = "model.layers.*.mlp_block.down_proj",
};

double round_to_bf16(double x) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

} // namespace

recipe::Decoder recurrent_gemma_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.activation = "hidden_activation",
                                  .default_activation = "gelu_pytorch_tanh",
                                  .default_context = recipe::kEndlessContext,
                                  .default_tied = true,
                                  .rope = RopeKeys{.partial = 0.5}});
  d.family = "recurrent_gemma";
  d.norm_add_one = d.mlp_bias = d.o_bias = true;
  d.qkv_bias = model.boolean("attention_bias", false);
  d.mlp /= 2; // intermediate_size counts gate and up
  d.embedding_scale = round_to_bf16(std::sqrt(static_cast<double>(d.hidden)));
  d.logit_softcap = model.number("logits_soft_cap", 0, 1e9, 30.0);
  const int64_t window = model.integer("attention_window_size", 1, kMaxContext, 2048);
  d.windows.assign(static_cast<size_t>(d.layers), window);
  // How weights were initialized.
  model.ignore({"w_init_variance_scale", "final_w_init_variance_scale"});

  recipe::Lru lru;
  lru.width = model.integer("lru_width", 1, kMaxWidth, d.hidden);
  lru.blocks = d.heads;
  lru.kernel = model.integer("conv1d_width", 1, recipe::kMaxKernel, 4);
  lru.activation = d.activation;
  if (lru.width % lru.blocks)
    model.wrong_size("lru_width", absl::StrCat(d.heads, " heads do not divide it"));
  // The embeddings are, whatever is said.
  model.expect("embeddings_scale_by_sqrt_dim", true);
  std::vector<std::string> kinds = model.texts("block_types");
  if (kinds.empty())
    kinds = model.texts("_block_types"); // as it was published
  if (kinds.empty())
    kinds = {"recurrent", "recurrent", "attention"};
  recipe::Decoder decoder = dense_decoder(model, d, kNames);
  for (int64_t i = 0; i < d.layers; ++i) {
    const std::string &kind = kinds[static_cast<size_t>(i) % kinds.size()];
    if (kind == "attention")
      continue;
    if (kind != "recurrent") {
      model.problem("block_types", absl::StrCat("'", kind, "' is not a layer of this family"),
                    "Quern knows recurrent and attention");
      break;
    }
    lru.module = recipe::layer_name(kNames.attention, i);
    lru.conv = lru.module + ".conv_1d";
    lru.unit = lru.module + ".rg_lru";
    lru.gate = {lru.module + ".linear_y", d.hidden, lru.width, true};
    lru.input = {lru.module + ".linear_x", d.hidden, lru.width, true};
    lru.out = {lru.module + ".linear_out", lru.width, d.hidden, true};
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = lru;
  }
  return decoder;
}

} // namespace quern
