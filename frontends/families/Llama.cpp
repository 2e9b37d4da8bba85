// Llama (Touvron et al., 2023; Llama 2, 3, SmolLM, and the many models of its shape).
#include "frontends/families/Dense.h"
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder llama_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model);
  d.family = "llama";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.mlp_bias = model.boolean("mlp_bias", false);
  // pretraining_tp split matrix products over machines; the sum is the same.
  model.ignore({"pretraining_tp", "is_llama_config"});
  model.expect("rope_interleaved", false);
  // Falcon 3's name of a gated SiLU, beside hidden_act.
  if (model.text("activation", "swiglu") != "swiglu")
    model.problem("activation", "in this family Quern knows swiglu, with hidden_act");
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder llama_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "llama";
  // Converters reorder Q's and K's rows for llama.cpp, which rotates neighbours.
  d.rope_interleaved = true;
  // Mixtral is of this architecture.
  if (model.integer("expert_count", 0, recipe::kMaxExperts, 0) > 0)
    return gguf_expert_decoder(model, d, experts_from_gguf(model, d));
  model.expect_number("expert_used_count", 0);
  model.expect_number("nextn_predict_layers", 0);
  return gguf_decoder(model, d);
}

} // namespace quern
