// StripedHyena (Together, 2023; Evo, 2024): Hyena's long convolutions in modal form and attention,
// as the package `stripedhyena` computes them. Where a key is missing, the package's default is
// meant, which is not always that of the configuration class published beside the weights; that
// class writes every key.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

namespace quern {

using recipe::kMaxHeads;
using recipe::kMaxWidth;

namespace {
constexpr int64_t kMaxModes = 1024;

/// Two thirds of four times the width, twice, rounded up, where no width is given.
int64_t read_mlp(ModelReader &model, int64_t hidden) {
  const int64_t multiple = model.integer("inner_size_multiple_of", 1, kMaxWidth, 64) *
                           model.integer("model_parallel_size", 1, kMaxHeads, 1);
  const int64_t width = 8 * hidden / 3;
  return model.integer("inner_mlp_size", 1, kMaxWidth,
                       std::min(kMaxWidth, (width + multiple - 1) / multiple * multiple));
}

/// Angles grow with the position divided by a factor, where the config has them interpolated.
recipe::Rope read_rope(ModelReader &model, int64_t head_dim) {
  const double base = model.number("rotary_emb_base", 1.01, 1e15, 10'000.0);
  recipe::Rope rope = plain_rope(model, "num_attention_heads", base, head_dim);
  const double factor = model.number("rotary_emb_scaling_factor", 1e-6, 1e9, 1.0);
  if (model.boolean("use_interpolated_rotary_pos_emb", false))
    for (float &frequency : rope.inv_freq)
      frequency = static_cast<float>(static_cast<double>(frequency) / factor);
  return rope;
}

/// Which layers attend; those that do not have a long convolution.
std::vector<bool> read_layers(ModelReader &model, int64_t layers) {
  const std::vector<double> attend = model.numbers("attn_layer_idxs");
  const std::vector<double> convolve = model.numbers("hyena_layer_idxs");
  const auto names = [](const std::vector<double> &list, int64_t layer) {
    return std::ranges::find(list, static_cast<double>(layer)) != list.end();
  };
  std::vector<bool> kinds;
  for (int64_t i = 0; i < layers; ++i) {
    kinds.push_back(names(attend, i));
    if (!kinds.back() && !names(convolve, i))
      model.problem("hyena_layer_idxs",
                    absl::StrCat("layer ", i, " is neither here nor in attn_layer_idxs"),
                    "each layer has a long convolution or attention");
  }
  return kinds;
}
} // namespace

recipe::Decoder stripedhyena_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.layers = "num_layers",
                                  .mlp = nullptr,
                                  .context = "max_seqlen",
                                  .kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = "eps",
                                  .activation = "mlp_activation",
                                  .default_eps = 1e-5,
                                  .default_context = 8192,
                                  .default_tied = model.boolean("tie_embeddings", false),
                                  .rope = std::nullopt});
  d.family = "stripedhyena";
  d.mlp = read_mlp(model, d.hidden);
  const int64_t groups = model.integer("proj_groups", 1, kMaxHeads, 1);
  if (d.heads % groups || (groups > 1 && model.boolean("smeared_gqa", false)))
    model.wrong_size("proj_groups", absl::StrCat(d.heads, " heads cannot be shared by ", groups));
  d.kv_heads = std::max<int64_t>(1, d.heads / groups);
  d.fused = FusedQkv::Stacked;
  d.qkv_bias = model.boolean("qkv_proj_bias", true);
  d.o_bias = model.boolean("mha_out_proj_bias", true);
  d.ropes = {read_rope(model, d.head_dim)};
  const std::vector<bool> attends = read_layers(model, d.layers);

  recipe::Hyena mixer{.channels = d.hidden};
  mixer.kernel = model.integer("short_filter_length", 2, recipe::kMaxKernel);
  mixer.conv_bias = model.boolean("short_filter_bias", true);
  mixer.modes = model.integer("state_size", 1, kMaxModes);
  const int64_t shared = model.integer("hyena_filter_groups", 1, kMaxWidth, d.hidden);
  const int64_t filters = model.integer("num_filters", 1, kMaxWidth, d.hidden);
  if (d.hidden % shared || d.hidden % filters)
    model.wrong_size(d.hidden % shared ? "hyena_filter_groups" : "num_filters",
                     absl::StrCat("does not divide hidden_size ", d.hidden));
  mixer.filters = std::max<int64_t>(1, d.hidden / shared);
  mixer.runs = model.boolean("column_split_hyena", true) ? d.heads : 1;
  if (const auto taps = model.integer("long_fir_threshold", 1, recipe::kMaxContext, d.context);
      taps < d.context)
    model.note(absl::StrCat("long_fir_threshold ", taps, " is passed over: filters are taken ",
                            "whole, as the package itself does beyond a prompt"));
  const bool flash = model.boolean("use_flash_rmsnorm", false);
  model.expect("final_norm", true);
  // How programs round, run, split and initialize it; column_split is of the training's layout.
  model.ignore({"attn_block_dtype", "mlp_dtype", "hyena_block_dtype", "depthwise_dtype",
                "params_dtype", "compile", "inference_mode", "low_mem_mode", "prefill_style"});
  model.ignore({"use_flash_depthwise", "use_flashfft", "use_laughing_hyena", "max_batch_size",
                "log_intermediate_values", "process_group", "rng_fork", "split_k0"});
  model.ignore({"column_split", "smeared_gqa", "pile_parallel_size", "pipe_parallel_size",
                "make_vocab_size_divisible_by", "max_sequence_len", "padding_idx", "vocab_file"});
  model.ignore({"tokenizer_type", "mlp_init_method", "mlp_output_init_method"});

  DenseNames names = {.embedding = "backbone.embedding_layer",
                      .final_norm = "backbone.norm",
                      .head = "backbone.unembed",
                      .attention_norm = "backbone.blocks.*.pre_norm",
                      .attention = "backbone.blocks.*.inner_mha_cls",
                      .o = "backbone.blocks.*.inner_mha_cls.out_proj",
                      .mlp_norm = "backbone.blocks.*.post_norm",
                      .mlp = "backbone.blocks.*.mlp",
                      .gate = "backbone.blocks.*.mlp.l1",
                      .up = "backbone.blocks.*.mlp.l2",
                      .down = "backbone.blocks.*.mlp.l3"};
  names.q = names.k = names.v = "backbone.blocks.*.inner_mha_cls.Wqkv";
  recipe::Decoder decoder = dense_decoder(model, d, names);
  const auto adjust = [&](recipe::Norm &norm) {
    norm.tensor = norm.module + ".scale";
    norm.root_eps = !flash;
  };
  for (int64_t i = 0; i < d.layers; ++i) {
    std::vector<recipe::Sublayer> &sublayers = decoder.layers[static_cast<size_t>(i)].sublayers;
    for (recipe::Sublayer &sublayer : sublayers)
      adjust(sublayer.norm);
    if (attends[static_cast<size_t>(i)])
      continue;
    const std::string block = recipe::layer_name("backbone.blocks.*", i);
    mixer.module = block + ".filter";
    mixer.in = {block + ".projections", d.hidden, 3 * d.hidden, true};
    mixer.out = {block + ".out_filter_dense", d.hidden, d.hidden, true};
    sublayers[0].block = mixer;
  }
  adjust(decoder.final_norm);
  return decoder;
}

} // namespace quern
