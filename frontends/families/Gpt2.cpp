// GPT-2 (Radford et al., 2019): learned positions, layer norms, weights stored [in, out].
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <cstring>

namespace quern {

recipe::Decoder gpt2_from_hf(ModelReader &model) {
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
                                  .default_tied = true,
                                  .rope = std::nullopt});
  d.family = "gpt2";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.qkv_bias = d.o_bias = d.mlp_bias = true;
  d.gated = false;
  d.transposed = true;
  d.fused = FusedQkv::Stacked;
  d.position_rows = d.max_positions;
  if (!model.boolean("scale_attn_weights", true))
    d.attention_scale = 1;
  model.expect("scale_attn_by_inverse_layer_idx", false);
  // How sums are rounded; heads for other tasks; a name of n_positions from before.
  model.ignore({"reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
                "summary_proj_to_labels", "summary_type", "summary_use_proj", "n_ctx"});
  // Files saved from the bare model have no prefix.
  const size_t skip = model.has_tensor("wte.weight") ? std::strlen("transformer.") : 0;
  auto name = [skip](const char *full) { return full + skip; };
  const char *qkv = name("transformer.h.*.attn.c_attn");
  return dense_decoder(model, d,
                       {.embedding = name("transformer.wte"),
                        .final_norm = name("transformer.ln_f"),
                        .head = "lm_head",
                        .attention_norm = name("transformer.h.*.ln_1"),
                        .attention = name("transformer.h.*.attn"),
                        .q = qkv,
                        .k = qkv,
                        .v = qkv,
                        .o = name("transformer.h.*.attn.c_proj"),
                        .mlp_norm = name("transformer.h.*.ln_2"),
                        .mlp = name("transformer.h.*.mlp"),
                        .up = name("transformer.h.*.mlp.c_fc"),
                        .down = name("transformer.h.*.mlp.c_proj"),
                        .positions = name("transformer.wpe")});
}

// Converters have transposed the weights to [out, in].
recipe::Decoder gpt2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(
      model, {.norm = recipe::NormKind::Layer, .gated = false, .rope = std::nullopt});
  d.family = "gpt2";
  d.activation = "gelu_tanh";
  d.position_rows = d.max_positions;
  return gguf_decoder(model, d);
}

} // namespace quern
