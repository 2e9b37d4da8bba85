// xLSTM (Beck et al., 2024), of matrix memories alone, as transformers' xLSTMForCausalLM computes
// it.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxHeads;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {

/// As the configuration class rounds it: down to a whole number first.
int64_t round_up(double x, int64_t multiple) {
  const auto m = static_cast<double>(multiple);
  return static_cast<int64_t>(std::floor((x + m - 1) / m)) * multiple;
}
} // namespace

recipe::Decoder xlstm_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "xlstm",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  model.expect_number("embedding_dim", static_cast<double>(hidden));
  const int64_t layers = model.layers("num_hidden_layers");
  model.expect_number("num_blocks", static_cast<double>(layers));
  const int64_t heads = model.integer("num_heads", 1, kMaxHeads, 8);
  const bool bias = model.boolean("use_bias", false);
  const double eps = model.number("norm_eps", 0, 1, 1e-6);
  const double wide = static_cast<double>(hidden);
  const auto width = [&](const char *key, double missing) {
    const auto cols = static_cast<int64_t>(
        wide * model.number(key, 1e-6, static_cast<double>(kMaxWidth), missing));
    if (cols < heads || cols % heads)
      model.wrong_size(key, absl::StrCat(heads, " heads do not divide ", cols));
    return cols;
  };
  const int64_t keys = width("qk_dim_factor", 0.5), values = width("v_dim_factor", 1);
  const int64_t mlp =
      round_up(wide * model.number("ffn_proj_factor", 1e-6, static_cast<double>(kMaxWidth), 2.667),
               model.integer("ffn_round_up_to_multiple_of", 1, kMaxWidth, 64));
  const double cap = model.number("gate_soft_cap", 1e-6, 1e9, 15.0);
  const double least = model.number("eps", 0, 1, 1e-6);
  decoder.logit_softcap = model.number("output_logit_soft_cap", 1e-6, 1e9, 30.0);
  if (const std::string mode = model.text("weight_mode", "single"); mode != "single")
    model.problem("weight_mode", absl::StrCat("weights are stored '", mode, "'"),
                  "Quern knows weights stored one by one, 'single'");
  model.expect("add_out_norm", true);
  // How programs run it, split and round the work.
  model.ignore({"norm_reduction_force_float32", "chunkwise_kernel", "sequence_kernel",
                "step_kernel", "mode", "chunk_size", "return_last_states", "autocast_kernel_dtype",
                "inference_state_dtype", "max_inference_chunksize"});

  const auto norm = [&](std::string module, bool with_bias) {
    return recipe::Norm{.module = std::move(module), .size = hidden, .eps = eps, .bias = with_bias};
  };
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = recipe::layer_name("backbone.blocks.*", i);
    const std::string mixer = block + ".mlstm_layer", feed = block + ".ffn";
    recipe::Mlstm m{.module = mixer,
                    .heads = heads,
                    .key_dim = keys / heads,
                    .value_dim = values / heads,
                    .q = {mixer + ".q", hidden, keys, bias},
                    .k = {mixer + ".k", hidden, keys, bias},
                    .v = {mixer + ".v", hidden, values, bias},
                    .out_gate = {mixer + ".ogate_preact", hidden, values, bias},
                    .input_gate = {mixer + ".igate_preact", hidden, heads, true},
                    .forget_gate = {mixer + ".fgate_preact", hidden, heads, true},
                    .norm = {.module = mixer + ".multihead_norm",
                             .size = values,
                             .eps = eps,
                             .group = values / heads,
                             .kind = recipe::NormKind::Layer,
                             .bias = bias},
                    .out = {mixer + ".out_proj", values, hidden, bias},
                    .gate_cap = cap,
                    .eps = least};
    recipe::GatedMlp mlp_block{.module = feed,
                               .gate = {feed + ".proj_up_gate", hidden, mlp, bias},
                               .up = {feed + ".proj_up", hidden, mlp, bias},
                               .down = {feed + ".proj_down", mlp, hidden, bias}};
    recipe::Layer layer;
    layer.sublayers.push_back({.norm = norm(block + ".norm_mlstm", bias), .block = m});
    layer.sublayers.push_back({.norm = norm(block + ".norm_ffn", bias), .block = mlp_block});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm = norm("backbone.out_norm", false);
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
