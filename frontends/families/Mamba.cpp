// Mamba (Gu and Dao, 2023) and Falcon-Mamba (Zuo et al., 2024), which norms dt, B and C, without
// weights.
#include "frontends/families/Activations.h"
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {

/// Without a weight.
recipe::Norm plain_norm(const std::string &module, int64_t size, double eps) {
  return {.module = module, .size = size, .eps = eps, .weight = false};
}

recipe::Decoder decoder_from_hf(ModelReader &model, const char *family,
                                std::optional<double> norm_eps) {
  recipe::Decoder decoder{.family = family,
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("layer_norm_epsilon", 0, 1, 1e-5);
  const int64_t layers = model.layers("num_hidden_layers");
  const bool bias = model.boolean("use_bias", false);

  recipe::Mamba1 m;
  const double expand = model.number("expand", 1.0 / double(kMaxWidth), double(kMaxWidth), 2.0);
  m.inner = static_cast<int64_t>(double(hidden) * expand);
  if (model.has("intermediate_size")) { // Falcon Mamba's expand is another number
    m.inner = model.integer("intermediate_size", 1, kMaxWidth);
  } else if (m.inner < 1 || m.inner > kMaxWidth) {
    model.wrong_size("expand", absl::StrCat("hidden_size * expand is ", m.inner));
    m.inner = hidden;
  }
  m.state = model.integer("state_size", 1, kMaxHeadDim, 16);
  m.kernel = model.integer("conv_kernel", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("use_conv_bias", true);
  m.activation = read_activation(model, "hidden_act", "silu");
  m.rank = read_time_step_rank(model, "time_step_rank", hidden);
  // How weights were initialized, how programs split the work, and where sums were rounded.
  model.ignore({"time_step_min", "time_step_max", "time_step_floor", "time_step_init_scheme",
                "time_step_scale", "rescale_prenorm_residual", "residual_in_fp32", "use_mambapy",
                "use_falcon_mambapy", "use_associative_scan", "dt_min", "dt_max", "dt_scale",
                "dt_init_scheme", "dt_init_floor", "fuse_linear_cross_entropy", "use_l2warp"});
  // What a converter left of mamba_ssm's words, beside these.
  model.ignore({"d_model", "d_inner", "n_layer", "ssm_cfg", "rms_norm", "fused_add_norm",
                "pad_vocab_size_multiple"});

  for (int64_t i = 0; i < layers; ++i) {
    name_mamba1(m, recipe::layer_name("backbone.layers.*.mixer", i), hidden, bias);
    if (norm_eps) {
      m.dt_norm = plain_norm(m.module + ".dt_layernorm", m.rank, *norm_eps);
      m.b_norm = plain_norm(m.module + ".b_layernorm", m.state, *norm_eps);
      m.c_norm = plain_norm(m.module + ".c_layernorm", m.state, *norm_eps);
    }
    decoder.layers.push_back(
        {{{{recipe::layer_name("backbone.layers.*.norm", i), hidden, eps}, m}}});
  }
  decoder.final_norm = {"backbone.norm_f", hidden, eps};
  const bool tied = model.boolean("tie_word_embeddings", true);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}
} // namespace

recipe::Decoder mamba_from_hf(ModelReader &model) {
  return decoder_from_hf(model, "mamba", std::nullopt);
}

recipe::Decoder falcon_mamba_from_hf(ModelReader &model) {
  return decoder_from_hf(model, "falcon_mamba", model.number("mixer_rms_eps", 0, 1, 1e-6));
}

/// llama.cpp's architecture of both: `ssm.dt_b_c_rms` says which.
recipe::Decoder mamba_from_gguf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba",
                          .vocab = vocab_from_gguf(model),
                          .hidden = model.integer("embedding_length", 1, kMaxWidth),
                          .context = model.context(model.integer(
                              "context_length", 1, recipe::kMaxContext, recipe::kEndlessContext)),
                          .embedding = "token_embd"};
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("attention.layer_norm_rms_epsilon", 0, 1);
  const int64_t layers = model.layers("block_count");

  recipe::Mamba1 m = mamba1_from_gguf(model);
  const bool norms = model.boolean("ssm.dt_b_c_rms", false);
  if (norms)
    decoder.family = "falcon_mamba";
  // What such a model does not have, and converters write as 0.
  model.ignore({"feed_forward_length", "attention.head_count", "attention.layer_norm_epsilon"});

  for (int64_t i = 0; i < layers; ++i) {
    name_gguf_mamba1(model, m, i, hidden, eps);
    if (norms) {
      m.dt_norm = plain_norm(m.module + "_dt_norm", m.rank, eps);
      m.b_norm = plain_norm(m.module + "_b_norm", m.state, eps);
      m.c_norm = plain_norm(m.module + "_c_norm", m.state, eps);
    }
    decoder.layers.push_back({{{{recipe::layer_name("blk.*.attn_norm", i), hidden, eps}, m}}});
  }
  decoder.final_norm = {"output_norm", hidden, eps};
  decoder.head = {head_module(model, /*tied=*/true, decoder.embedding, "output"), hidden,
                  decoder.vocab};
  return decoder;
}

} // namespace quern
