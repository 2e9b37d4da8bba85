// Mamba, Mamba-2 and Mamba-3 in the words of their authors' package, mamba_ssm, whose config.json
// names no model_type, and says in `ssm_cfg` which of them it is.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {
/// Nothing in such a model ends at a position.
constexpr int64_t kContext = int64_t{1} << 20;
constexpr int64_t kMaxKernel = 256;
constexpr double kEps = 1e-5; ///< of every norm

/// d_model times expand.
int64_t read_inner(ModelReader &model, int64_t hidden) {
  const double expand = model.number("ssm_cfg.expand", 1e-6, double(kMaxWidth), 2.0);
  const auto inner = static_cast<int64_t>(double(hidden) * expand);
  if (inner >= 1 && inner <= kMaxWidth)
    return inner;
  model.wrong_size("ssm_cfg.expand", absl::StrCat("d_model times it is ", inner));
  return hidden;
}

/// The heads of `inner` columns, and what groups divide them.
void read_heads(ModelReader &model, int64_t inner, int64_t &heads, int64_t &width,
                int64_t &groups) {
  width = model.integer("ssm_cfg.headdim", 1, kMaxHeadDim, 64);
  heads = std::max<int64_t>(1, inner / width);
  groups = model.integer("ssm_cfg.ngroups", 1, kMaxHeads, 1);
  if (inner % width)
    model.wrong_size("ssm_cfg.headdim", absl::StrCat(inner, " columns are no heads of ", width));
  else if (heads % groups)
    model.wrong_size("ssm_cfg.ngroups",
                     absl::StrCat(groups, " groups do not divide ", heads, " heads"));
}

recipe::Mamba1 read_first(ModelReader &model, int64_t hidden) {
  recipe::Mamba1 m;
  m.inner = read_inner(model, hidden);
  m.state = model.integer("ssm_cfg.d_state", 1, kMaxHeadDim, 16);
  m.kernel = model.integer("ssm_cfg.d_conv", 2, kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  const int64_t automatic = (hidden + 15) / 16;
  if (model.is_text("ssm_cfg.dt_rank") && model.text("ssm_cfg.dt_rank") == "auto")
    m.rank = automatic;
  else
    m.rank = model.integer("ssm_cfg.dt_rank", 1, kMaxWidth, automatic);
  return m;
}

recipe::Mamba2 read_second(ModelReader &model, int64_t hidden) {
  recipe::Mamba2 m;
  const int64_t inner = read_inner(model, hidden);
  read_heads(model, inner, m.heads, m.head_dim, m.groups);
  m.state = model.integer("ssm_cfg.d_state", 1, kMaxHeadDim, 128);
  m.kernel = model.integer("ssm_cfg.d_conv", 2, kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  m.norm_first = model.boolean("ssm_cfg.norm_before_gate", false);
  model.expect_number("ssm_cfg.d_ssm", static_cast<double>(inner));
  model.expect("ssm_cfg.D_has_hdim", false);
  read_time_step_limit(model, m, "ssm_cfg.dt_limit");
  return m;
}

recipe::Mamba3 read_third(ModelReader &model, int64_t hidden) {
  recipe::Mamba3 m;
  read_heads(model, read_inner(model, hidden), m.heads, m.head_dim, m.groups);
  m.state = model.integer("ssm_cfg.d_state", 2, kMaxHeadDim, 128);
  m.ranked = model.boolean("ssm_cfg.is_mimo", false);
  const int64_t rank = model.integer("ssm_cfg.mimo_rank", 1, 256, 4);
  m.rank = m.ranked ? rank : 1;
  m.decay_floor = model.number("ssm_cfg.A_floor", 1e-30, 1e6, 1e-4);
  set_mamba3_angles(model, m, "ssm_cfg.rope_fraction");
  return m;
}
} // namespace

recipe::Decoder mamba_ssm_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba_ssm",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("d_model", 1, kMaxWidth),
                          .context = model.context(kContext),
                          .embedding = "backbone.embedding"};
  const int64_t hidden = decoder.hidden, layers = model.layers("n_layer");
  const int64_t multiple = model.integer("pad_vocab_size_multiple", 1, kMaxVocab, 8);
  decoder.vocab = (decoder.vocab + multiple - 1) / multiple * multiple;
  const bool rms = model.boolean("rms_norm", true);
  model.expect_number("d_intermediate", 0);
  if (!model.numbers("attn_layer_idx").empty())
    model.problem("attn_layer_idx", "layers of this package's attention are not known",
                  "Quern knows its models of Mamba layers alone");
  const std::string layer = model.text("ssm_cfg.layer", "Mamba1");
  const bool bias = model.boolean("ssm_cfg.bias", false) && layer != "Mamba3";
  const bool second = layer == "Mamba2";
  const bool normed = second ? model.boolean("ssm_cfg.rmsnorm", true)
                             : model.boolean("ssm_cfg.is_outproj_norm", false);
  recipe::Block block;
  if (layer == "Mamba1")
    block = read_first(model, hidden);
  else if (second)
    block = read_second(model, hidden);
  else if (layer == "Mamba3")
    block = read_third(model, hidden);
  else
    model.problem("ssm_cfg.layer", absl::StrCat("the layer '", layer, "' is not known"),
                  "Quern knows Mamba1, Mamba2 and Mamba3");
  // How weights were initialized, programs split the work, and sums are rounded.
  model.ignore({"residual_in_fp32", "fused_add_norm", "attn_cfg", "ssm_cfg.chunk_size",
                "ssm_cfg.use_mem_eff_path", "ssm_cfg.use_fast_path", "ssm_cfg.dt_min",
                "ssm_cfg.dt_max", "ssm_cfg.dt_init", "ssm_cfg.dt_scale", "ssm_cfg.dt_init_floor",
                "ssm_cfg.A_init_range", "ssm_cfg.conv_init"});
  const auto norm = [&](std::string module) {
    return recipe::Norm{.module = std::move(module),
                        .size = hidden,
                        .eps = kEps,
                        .kind = rms ? recipe::NormKind::Rms : recipe::NormKind::Layer,
                        .bias = !rms};
  };
  for (int64_t i = 0; i < layers; ++i) {
    const std::string mixer = recipe::layer_name("backbone.layers.*.mixer", i);
    if (auto *one = std::get_if<recipe::Mamba1>(&block)) {
      name_mamba1(*one, mixer, hidden, bias);
    } else if (auto *two = std::get_if<recipe::Mamba2>(&block)) {
      name_mamba2(*two, mixer, hidden, kEps, bias, bias);
      two->norm.kind = normed ? recipe::NormKind::Rms : recipe::NormKind::None;
    } else if (auto *three = std::get_if<recipe::Mamba3>(&block)) {
      name_mamba3(*three, mixer, hidden, kEps, false, normed);
    }
    decoder.layers.push_back({{{norm(recipe::layer_name("backbone.layers.*.norm", i)), block}}});
  }
  decoder.final_norm = norm("backbone.norm_f");
  const bool tied = model.boolean("tie_embeddings", true);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
