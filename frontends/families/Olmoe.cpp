// OLMoE (Muennighoff et al., 2024): Llama with norms of whole rows of queries and keys, and
// experts.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder olmoe_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5});
  d.family = "olmoe";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.qk_norm = QkNorm::Row;
  d.clip = model.number("clip_qkv", 1e-6, 1e9, 0.0);
  d.clip_after_norm = true;
  Experts e =
      experts_from_hf(model, d, {.width = nullptr, .default_count = 64, .default_top_k = 8});
  read_norm_topk(model, e, false);
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfExpertNames);
  return decoder;
}

recipe::Decoder olmoe_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "olmoe";
  d.qk_norm = QkNorm::Row;
  return gguf_expert_decoder(model, d, experts_from_gguf(model, d, {.normalize = false}));
}

} // namespace quern
