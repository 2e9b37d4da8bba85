// GPT-J (Wang and Komatsuzaki, 2021): attention and MLP side by side behind one layer norm,
// neighbours rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

#include <algorithm>

namespace quern {

recipe::Decoder gptj_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.hidden = "n_embd",
                                  .layers = "n_layer",
                                  .mlp = "n_inner",
                                  .context = "n_positions",
                                  .heads = "n_head",
                                  .kv_heads = nullptr,
                                  .head_dim = nullptr,
                                  .eps = "layer_norm_epsilon",
                                  .activation = "activation_function",
                                  .default_eps = 1e-5,
                                  .default_activation = "gelu_new",
                                  .default_mlp_factor = 4,
                                  .rope = std::nullopt});
  d.family = "gptj";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.mlp_bias = d.head_bias = true;
  d.gated = false;
  d.wiring = Wiring::OneNorm;
  d.rope_interleaved = true;
  const int64_t rotary =
      model.integer("rotary_dim", 2, d.head_dim, std::min<int64_t>(64, d.head_dim));
  d.ropes = {plain_rope(model, "rotary_dim", 10'000, rotary)};
  // Always on in GPT-J; its configs have GPT-2's keys.
  model.expect("scale_attn_weights", true);
  model.expect("rotary", true);
  model.ignore({"summary_activation", "summary_first_dropout", "summary_proj_to_labels",
                "summary_type", "summary_use_proj", "n_ctx"});
  return dense_decoder(model, d,
                       {.embedding = "transformer.wte",
                        .final_norm = "transformer.ln_f",
                        .head = "lm_head",
                        .attention_norm = "transformer.h.*.ln_1",
                        .attention = "transformer.h.*.attn",
                        .q = "transformer.h.*.attn.q_proj",
                        .k = "transformer.h.*.attn.k_proj",
                        .v = "transformer.h.*.attn.v_proj",
                        .o = "transformer.h.*.attn.out_proj",
                        .mlp = "transformer.h.*.mlp",
                        .up = "transformer.h.*.mlp.fc_in",
                        .down = "transformer.h.*.mlp.fc_out"});
}

} // namespace quern
