// Mamba-3 (2026), as fla writes its config.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

#include <string>

namespace quern {

using recipe::kMaxVocab;
using recipe::kMaxWidth;

recipe::Decoder mamba3_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "mamba3",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  const int64_t layers = model.layers("num_hidden_layers");
  const double eps = model.number("norm_eps", 0, 1, 1e-5);
  recipe::Mamba3 m = read_mamba3(model, hidden);
  model.expect_number("num_heads", static_cast<double>(m.heads));
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
