// Mamba-3 (2026), as fla writes its config.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {
/// Nothing in such a model ends at a position.
constexpr int64_t kContext = int64_t{1} << 20;
} // namespace

recipe::Decoder mamba3_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba3",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(kContext),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  const int64_t layers = model.layers("num_hidden_layers");
  const double eps = model.number("norm_eps", 0, 1, 1e-5);
  recipe::Mamba3 m;
  m.head_dim = model.integer("head_dim", 1, kMaxHeadDim, 64);
  const auto inner =
      static_cast<int64_t>(static_cast<double>(hidden) *
                           model.number("expand", 1.0 / double(kMaxWidth), double(kMaxWidth), 2.0));
  if (inner < 1 || inner > kMaxWidth || inner % m.head_dim)
    model.wrong_size("expand", absl::StrCat("hidden_size times it is ", inner,
                                            ", which is no number of heads of ", m.head_dim));
  m.heads = std::max<int64_t>(1, inner / m.head_dim);
  model.expect_number("num_heads", static_cast<double>(m.heads));
  m.state = model.integer("state_size", 2, kMaxHeadDim, 128);
  m.groups = model.integer("n_groups", 1, kMaxHeads, 1);
  if (m.heads % m.groups)
    model.wrong_size("n_groups",
                     absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  m.ranked = model.boolean("is_mimo", false);
  const int64_t rank = model.integer("mimo_rank", 1, 256, 4);
  m.rank = m.ranked ? rank : 1;
  set_mamba3_angles(model, m, "rope_fraction");
  m.decay_floor = model.number("A_floor", 1e-30, 1e6, 1e-4);
  const bool bias = model.boolean("use_bias", false);
  const bool normed = model.boolean("is_outproj_norm", false);
  if (const std::string act = model.text("hidden_act", "silu"); act != "silu")
    model.problem("hidden_act", absl::StrCat("the activation '", act, "' is not known"),
                  "no class reads it: Mamba-3 knows silu");
  // How weights were initialized, programs split the work, and sums are rounded.
  model.ignore({"dt_min", "dt_max", "dt_init_floor", "rescale_prenorm_residual", "chunk_size",
                "residual_in_fp32", "fuse_linear_cross_entropy", "use_l2warp"});
  for (int64_t i = 0; i < layers; ++i) {
    name_mamba3(m, recipe::layer_name("backbone.layers.*.mixer", i), hidden, eps, bias, normed);
    decoder.layers.push_back(
        {{{{recipe::layer_name("backbone.layers.*.norm", i), hidden, eps}, m}}});
  }
  decoder.final_norm = {"backbone.norm_f", hidden, eps};
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
