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
using recipe::kMaxWidth;

namespace {
constexpr double kEps = 1e-5; ///< of every norm

int64_t up_to_multiple(int64_t n, int64_t of) { return (n + of - 1) / of * of; }

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
  m.kernel = model.integer("ssm_cfg.d_conv", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  m.rank = read_time_step_rank(model, "ssm_cfg.dt_rank", hidden);
  return m;
}

recipe::Mamba2 read_second(ModelReader &model, int64_t hidden) {
  recipe::Mamba2 m;
  const int64_t inner = read_inner(model, hidden);
  read_heads(model, inner, m.heads, m.head_dim, m.groups);
  m.state = model.integer("ssm_cfg.d_state", 1, kMaxHeadDim, 128);
  m.kernel = model.integer("ssm_cfg.d_conv", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  m.norm_first = model.boolean("ssm_cfg.norm_before_gate", false);
  model.expect_number("ssm_cfg.d_ssm", static_cast<double>(inner));
  model.expect("ssm_cfg.D_has_hdim", false);
  read_time_step_limit(model, m, "ssm_cfg.dt_limit");
  return m;
}

recipe::GatedMlp gated_mlp(const std::string &module, int64_t hidden, int64_t width) {
  recipe::Linear up{module + ".fc1", hidden, width};
  up.rows = {.stored = 2 * width, .block = width, .stride = width};
  recipe::Linear gate = up;
  gate.rows.offset = width;
  return {.module = module, .gate = gate, .up = up, .down = {module + ".fc2", width, hidden}};
}
} // namespace

recipe::Decoder mamba_ssm_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba_ssm",
                          .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab),
                          .hidden = model.integer("d_model", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "backbone.embedding"};
  const int64_t hidden = decoder.hidden, layers = model.layers("n_layer");
  decoder.vocab = up_to_multiple(decoder.vocab,
                                 model.integer("pad_vocab_size_multiple", 1, recipe::kMaxVocab, 8));
  const bool rms = model.boolean("rms_norm", true);
  const int64_t mlp = up_to_multiple(model.integer("d_intermediate", 0, kMaxWidth, 0), 128);
  if (model.has("attn_layer_idx") && !model.numbers("attn_layer_idx").empty())
    model.problem("attn_layer_idx", "layers of attention over convolved queries, keys and values",
                  "of this package's models Quern knows those without attention");
  const std::string kind = model.text("ssm_cfg.layer", "Mamba1");
  const bool bias = model.boolean("ssm_cfg.bias", false) && kind != "Mamba3";
  const bool second = kind == "Mamba2";
  const bool normed = second ? model.boolean("ssm_cfg.rmsnorm", true)
                             : model.boolean("ssm_cfg.is_outproj_norm", false);
  recipe::Block block;
  if (kind == "Mamba1")
    block = read_first(model, hidden);
  else if (second)
    block = read_second(model, hidden);
  else if (kind == "Mamba3")
    block = read_mamba3(model, hidden, {"ssm_cfg.", "headdim", "d_state", "ngroups"});
  else
    model.problem("ssm_cfg.layer", absl::StrCat("the layer '", kind, "' is not known"),
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
    const std::string layer = absl::StrCat("backbone.layers.", i), mixer = layer + ".mixer";
    if (auto *one = std::get_if<recipe::Mamba1>(&block)) {
      name_mamba1(*one, mixer, hidden, bias);
    } else if (auto *two = std::get_if<recipe::Mamba2>(&block)) {
      name_mamba2(*two, mixer, hidden, kEps, bias, bias);
      two->norm.kind = normed ? recipe::NormKind::Rms : recipe::NormKind::None;
    } else if (auto *three = std::get_if<recipe::Mamba3>(&block)) {
      name_mamba3(*three, mixer, hidden, kEps, false, normed);
    }
    decoder.layers.push_back({{{norm(layer + ".norm"), block}}});
    if (mlp > 0)
      decoder.layers.back().sublayers.push_back(
          {norm(layer + ".norm2"), gated_mlp(layer + ".mlp", hidden, mlp)});
  }
  decoder.final_norm = norm("backbone.norm_f");
  const bool tied = model.boolean("tie_embeddings", true);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
