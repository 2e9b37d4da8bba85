// fla's HGRN and HGRN2, whose gates have lower bounds that grow from layer to layer.
#include "frontends/families/Families.h"
#include "frontends/families/Fla.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxWidth;

namespace {

/// Layers whose gates have `width` columns. The first layer's have no bound.
recipe::Decoder hgrn_decoder(ModelReader &model, const Fla &fla, recipe::Hgrn m, int64_t width,
                             double norm_eps) {
  m.kernel = read_fla_kernel(model, false);
  const bool bounded = model.boolean("use_lower_bound", true);
  const bool weighted = model.boolean("elementwise_affine", true);
  const bool second = m.heads > 0;
  m.heads = second ? m.heads : 1;
  m.layers = fla.layers;
  return fla_decoder(fla, [&](const std::string &module, int64_t layer) {
    m.module = module;
    m.layer = layer;
    m.bounds = bounded && layer > 0 ? "model.lower_bounds" : "";
    m.forget = Fla::linear(module, ".f_proj", fla.hidden, width);
    m.input = Fla::linear(module, ".i_proj", fla.hidden, width);
    if (second)
      m.q = Fla::linear(module, ".q_proj", fla.hidden, width);
    else
      m.z = Fla::linear(module, ".g_proj", fla.hidden, width);
    if (m.kernel > 0)
      m.convs = fla_convolutions(module, second ? "fiq" : "fi");
    m.norm = {.module = module + ".g_norm", .size = width, .eps = norm_eps, .weight = weighted};
    m.out = Fla::linear(module, ".o_proj", width, fla.hidden);
    return m;
  });
}

} // namespace

recipe::Decoder hgrn_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "hgrn");
  const double width = static_cast<double>(fla.hidden) * model.number("expand_ratio", 1e-6, 1e6, 1);
  recipe::Hgrn m;
  m.heads = 0;
  if (width < 1 || width > static_cast<double>(kMaxWidth)) {
    model.wrong_size("expand_ratio", absl::StrCat("hidden_size times it is ", width));
    return hgrn_decoder(model, fla, m, fla.hidden, fla.eps);
  }
  return hgrn_decoder(model, fla, m, static_cast<int64_t>(width), fla.eps);
}

recipe::Decoder hgrn2_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "hgrn2");
  // A head's columns; where they are null, the number of heads counts.
  recipe::Hgrn m;
  const bool by_heads = model.mentions("expand_ratio") && !model.has("expand_ratio");
  const int64_t columns = model.integer("expand_ratio", 1, kMaxHeadDim, 128);
  const int64_t heads = model.integer("num_heads", 1, kMaxHeads,
                                      by_heads ? 1 : std::max<int64_t>(1, fla.hidden / columns));
  m.heads = by_heads ? heads : fla.hidden / columns;
  if (by_heads && !model.has("num_heads"))
    model.wrong_size("num_heads", "it and expand_ratio are both missing");
  if (m.heads < 1 || fla.hidden % m.heads || (!by_heads && fla.hidden % columns)) {
    model.wrong_size(by_heads ? "num_heads" : "expand_ratio",
                     absl::StrCat("it does not divide hidden_size ", fla.hidden));
    m.heads = 1;
  }
  // The norm is called without its eps.
  return hgrn_decoder(model, fla, m, fla.hidden, 1e-5);
}

} // namespace quern
