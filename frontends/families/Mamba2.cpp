// Mamba-2 (Dao and Gu, 2024), as transformers' Mamba2ForCausalLM computes it: the gated norm works
// on each group of the inner width apart.
#include "frontends/families/Activations.h"
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

recipe::Decoder mamba2_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba2",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("layer_norm_epsilon", 0, 1, 1e-5);
  const int64_t layers = model.layers("num_hidden_layers");
  const bool bias = model.boolean("use_bias", false);

  recipe::Mamba2 m;
  m.heads = model.integer("num_heads", 1, kMaxHeads, 128);
  m.head_dim = model.integer("head_dim", 1, kMaxHeadDim, 64);
  m.state = model.integer("state_size", 1, kMaxHeadDim, 128);
  m.groups = model.integer("n_groups", 1, kMaxHeads, 8);
  m.kernel = model.integer("conv_kernel", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("use_conv_bias", true);
  m.activation = read_activation(model, "hidden_act", "silu");
  const double expand = model.number("expand", 1.0 / double(kMaxWidth), double(kMaxWidth), 2.0);
  if (double(hidden) * expand != double(m.inner()))
    model.wrong_size("expand",
                     absl::StrCat("hidden_size * expand is not num_heads * head_dim, ", m.inner()));
  if (m.heads % m.groups)
    model.problem("n_groups", absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  read_time_step_limit(model, m);
  // How weights were initialized, how kernels split the work, and where sums were rounded.
  model.ignore({"time_step_min", "time_step_max", "time_step_floor", "time_step_rank",
                "time_step_init_scheme", "time_step_scale", "rescale_prenorm_residual",
                "chunk_size", "residual_in_fp32", "rms_norm", "norm_before_gate", "conv_init",
                "A_init_range", "dt_min", "dt_max", "dt_init_floor", "fuse_linear_cross_entropy",
                "use_l2warp"});
  // flash-linear-attention's; transformers reads none of them.
  const bool own = model.has("rmsnorm"), normed = model.boolean("rmsnorm", true);
  m.norm_first = own && model.boolean("norm_before_gate", false);
  model.expect("D_has_hdim", false);
  model.expect_number("intermediate_size", static_cast<double>(m.inner()));

  for (int64_t i = 0; i < layers; ++i) {
    auto name = [&](const char *name_template) { return recipe::layer_name(name_template, i); };
    m.module = name("backbone.layers.*.mixer");
    m.conv = m.module + ".conv1d";
    m.dt_bias = m.module + ".dt_bias";
    m.a = m.module + ".A_log";
    m.d = m.module + ".D";
    m.in_proj = {m.module + ".in_proj", hidden, m.inner() + m.conv_channels() + m.heads, bias};
    m.out_proj = {m.module + ".out_proj", m.inner(), hidden, bias};
    m.norm = {m.module + ".norm", m.inner(), eps, m.inner() / m.groups};
    if (!normed)
      m.norm.kind = recipe::NormKind::None;
    decoder.layers.push_back({{{{name("backbone.layers.*.norm"), hidden, eps}, m}}});
  }
  decoder.final_norm = {"backbone.norm_f", hidden, eps};
  bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

recipe::Decoder mamba2_from_gguf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba2",
                          .vocab = vocab_from_gguf(model),
                          .hidden = model.integer("embedding_length", 1, kMaxWidth),
                          .context = model.context(model.integer(
                              "context_length", 1, recipe::kMaxContext, recipe::kEndlessContext)),
                          .embedding = "token_embd"};
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("attention.layer_norm_rms_epsilon", 0, 1);
  const int64_t layers = model.layers("block_count");

  recipe::Mamba2 m = mamba2_sizes_from_gguf(model);
  // What such a model does not have, and converters write as 0.
  model.ignore({"feed_forward_length", "attention.head_count", "attention.layer_norm_epsilon"});

  for (int64_t i = 0; i < layers; ++i) {
    name_gguf_mamba2(model, m, i, hidden, eps);
    decoder.layers.push_back({{{{recipe::layer_name("blk.*.attn_norm", i), hidden, eps}, m}}});
  }
  decoder.final_norm = {"output_norm", hidden, eps};
  decoder.head = {head_module(model, /*tied=*/true, decoder.embedding, "output"), hidden,
                  decoder.vocab};
  return decoder;
}

} // namespace quern
