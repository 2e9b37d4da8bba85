// Granite 3: Llama with multipliers of embeddings, scores, residuals and logits.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder granite_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model);
  d.family = "granite";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  d.embedding_scale = model.number("embedding_multiplier", -1e9, 1e9, 1.0);
  d.attention_scale = model.number("attention_multiplier", 1e-9, 1e9, 1.0);
  d.residual_scale = model.number("residual_multiplier", -1e9, 1e9, 1.0);
  d.logit_scale = 1 / model.number("logits_scaling", 1e-9, 1e9, 1.0);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder granite_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "granite";
  d.rope_interleaved = true; // as in llama
  read_gguf_multipliers(model, d);
  // Which says here whether positions are rotated at all.
  if (!model.boolean("rope.scaling.finetuned", true))
    d.layer_ropes.assign(static_cast<size_t>(d.layers), recipe::kNoRope);
  return gguf_decoder(model, d);
}

} // namespace quern
