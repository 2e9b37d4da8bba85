// Mamba and Mamba-2 as the package `mamba_ssm` writes them (Gu and Dao, 2023 and 2024): a config of
// its own, without a model_type, and the same mixers.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxWidth;

namespace {

/// Nothing in such a model ends at a position; this is where Quern's own counters are comfortable.
constexpr int64_t kContext = int64_t{1} << 20;
constexpr int64_t kMaxKernel = 256;

int64_t up_to_multiple(int64_t n, int64_t of) { return (n + of - 1) / of * of; }

int64_t read_inner(ModelReader &model, int64_t hidden) {
  const double expand = model.number("ssm_cfg.expand", 1.0 / double(kMaxWidth), 1e6, 2.0);
  const double inner = double(hidden) * expand;
  if (inner >= 1 && inner <= double(kMaxWidth))
    return static_cast<int64_t>(inner);
  model.wrong_size("ssm_cfg.expand", absl::StrCat("d_model * expand is ", inner));
  return hidden;
}

recipe::Mamba1 read_first(ModelReader &model, int64_t hidden) {
  recipe::Mamba1 m;
  m.inner = read_inner(model, hidden);
  m.state = model.integer("ssm_cfg.d_state", 1, kMaxHeadDim, 16);
  m.kernel = model.integer("ssm_cfg.d_conv", 2, kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  m.rank = (hidden + 15) / 16;
  if (!model.is_text("ssm_cfg.dt_rank"))
    m.rank = model.integer("ssm_cfg.dt_rank", 1, kMaxWidth, m.rank);
  else if (model.text("ssm_cfg.dt_rank") != "auto")
    model.wrong_size("ssm_cfg.dt_rank", "it is neither a number nor \"auto\"");
  return m;
}

recipe::Mamba2 read_second(ModelReader &model, int64_t hidden) {
  recipe::Mamba2 m;
  const int64_t inner = read_inner(model, hidden);
  m.head_dim = model.integer("ssm_cfg.headdim", 1, kMaxHeadDim, 64);
  m.heads = inner / m.head_dim;
  if (m.inner() != inner || m.heads < 1)
    model.wrong_size("ssm_cfg.headdim",
                     absl::StrCat("heads of ", m.head_dim, " do not divide ", inner));
  m.state = model.integer("ssm_cfg.d_state", 1, kMaxHeadDim, 128);
  m.groups = model.integer("ssm_cfg.ngroups", 1, kMaxHeads, 1);
  if (m.heads % m.groups)
    model.problem("ssm_cfg.ngroups",
                  absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  m.kernel = model.integer("ssm_cfg.d_conv", 2, kMaxKernel, 4);
  m.conv_bias = model.boolean("ssm_cfg.conv_bias", true);
  m.norm_first = model.boolean("ssm_cfg.norm_before_gate", false);
  if (model.has("ssm_cfg.dt_limit")) {
    const std::vector<double> limits = model.numbers("ssm_cfg.dt_limit");
    if (limits.size() != 2 || !(limits[0] >= 0 && limits[0] <= limits[1]))
      model.problem("ssm_cfg.dt_limit", "it is not two numbers from 0 up, in order");
    else
      m.dt_min = limits[0], m.dt_max = limits[1];
  }
  // Options in one position here: a recurrence as wide as the mixer, a D for each head.
  model.expect_number("ssm_cfg.d_ssm", static_cast<double>(inner));
  model.expect("ssm_cfg.D_has_hdim", false);
  return m;
}

} // namespace

recipe::Decoder mamba_ssm_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba_ssm",
                          .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab),
                          .hidden = model.integer("d_model", 1, kMaxWidth),
                          .context = model.context(kContext),
                          .embedding = "backbone.embedding"};
  const int64_t hidden = decoder.hidden;
  decoder.vocab = up_to_multiple(decoder.vocab,
                                 model.integer("pad_vocab_size_multiple", 1, recipe::kMaxVocab, 8));
  const int64_t layers = model.layers("n_layer");
  const bool rms = model.boolean("rms_norm", true);
  const auto norm = [&](std::string module) {
    return recipe::Norm{.module = std::move(module),
                        .size = hidden,
                        .eps = 1e-5,
                        .kind = rms ? recipe::NormKind::Rms : recipe::NormKind::Layer,
                        .bias = !rms};
  };
  const std::string kind = model.text("ssm_cfg.layer", "Mamba1");
  if (kind != "Mamba1" && kind != "Mamba2")
    model.problem("ssm_cfg.layer", absl::StrCat("'", kind, "' is not a layer of this family"),
                  "Quern knows Mamba1 and Mamba2");
  const bool bias = model.boolean("ssm_cfg.bias", false), second = kind == "Mamba2";
  recipe::Mamba1 mamba1 = second ? recipe::Mamba1{} : read_first(model, hidden);
  recipe::Mamba2 mamba2 = second ? read_second(model, hidden) : recipe::Mamba2{};
  const bool normed = second && model.boolean("ssm_cfg.rmsnorm", true);
  const int64_t mlp = up_to_multiple(model.integer("d_intermediate", 0, kMaxWidth, 0), 128);
  if (model.has("attn_layer_idx") && !model.numbers("attn_layer_idx").empty())
    model.problem("attn_layer_idx", "layers of attention over convolved queries, keys and values",
                  "of this package's models Quern knows those without attention");
  // Attention's where there is none; rounding; what initial weights are made by, how work is split.
  model.ignore({"attn_cfg", "residual_in_fp32", "fused_add_norm", "ssm_cfg.dt_min",
                "ssm_cfg.dt_max", "ssm_cfg.dt_init", "ssm_cfg.dt_scale", "ssm_cfg.dt_init_floor",
                "ssm_cfg.use_fast_path", "ssm_cfg.use_mem_eff_path", "ssm_cfg.chunk_size",
                "ssm_cfg.A_init_range", "ssm_cfg.conv_init"});

  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = absl::StrCat("backbone.layers.", i), mixer = layer + ".mixer";
    recipe::Layer &made = decoder.layers.emplace_back();
    if (second)
      name_mamba2(mamba2, mixer, hidden, 1e-5, bias, bias);
    else
      name_mamba1(mamba1, mixer, hidden, bias);
    if (!normed)
      mamba2.norm.kind = recipe::NormKind::None;
    made.sublayers.push_back({.norm = norm(layer + ".norm"),
                              .block = second ? recipe::Block(mamba2) : recipe::Block(mamba1)});
    if (mlp == 0)
      continue;
    const std::string feed = layer + ".mlp";
    recipe::Linear up{feed + ".fc1", hidden, mlp};
    up.rows = {.stored = 2 * mlp, .block = mlp, .stride = mlp};
    recipe::Linear gate = up;
    gate.rows.offset = mlp;
    made.sublayers.push_back(
        {.norm = norm(layer + ".norm2"),
         .block = recipe::GatedMlp{
             .module = feed, .gate = gate, .up = up, .down = {feed + ".fc2", mlp, hidden}}});
  }
  decoder.final_norm = norm("backbone.norm_f");
  const bool tied = model.boolean("tie_embeddings", true);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  // Of two tied weights files may have either.
  if (tied && model.has_tensor("lm_head.weight") && !model.has_tensor("backbone.embedding.weight"))
    decoder.embedding = decoder.head.module;
  return decoder;
}

} // namespace quern
