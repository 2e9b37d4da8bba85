// fla's transformer: softmax attention in every layer.
#include "frontends/families/Families.h"
#include "frontends/families/Fla.h"

#include <algorithm>

namespace quern {

recipe::Decoder transformer_from_hf(ModelReader &model) {
  Fla fla = read_fla(model, "transformer", {.attends = true});
  recipe::Attention attention = read_fla_attention(model, fla, "");
  if (model.boolean("qk_norm", false))
    attention.q_norm = attention.k_norm =
        recipe::Norm{.size = attention.head_dim, .eps = 1e-5, .group = attention.head_dim};
  // Of norms, which have weights whatever it says.
  model.ignore({"elementwise_affine"});
  std::fill(fla.attention.begin(), fla.attention.end(), attention);
  return fla_decoder(fla, nullptr);
}

} // namespace quern
