// Falcon (Almazrouei et al., 2023): 7B has one kv head and one norm a layer, 40B and 180B groups of
// kv heads and two norms, RW heads of their own and ALiBi.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

#include <bit>

namespace quern {

namespace {
float to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  bits += 0x7FFF + ((bits >> 16) & 1); // to the nearest, ties to even
  return std::bit_cast<float>(bits & 0xFFFF0000u);
}
} // namespace

recipe::Decoder falcon_from_hf(ModelReader &model) {
  const bool alibi = model.boolean("alibi", false);
  HfKeys keys{.mlp = "ffn_hidden_size",
              .kv_heads = nullptr,
              .head_dim = nullptr,
              .eps = "layer_norm_epsilon",
              .activation = "activation",
              .default_eps = 1e-5,
              .default_activation = "gelu",
              .default_mlp_factor = 4,
              .default_context = 2048,
              .default_tied = true};
  if (alibi)
    keys.rope = std::nullopt;
  Dense d = dense_from_hf(model, keys);
  d.family = "falcon";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = true;
  d.qkv_bias = d.o_bias = d.mlp_bias = model.boolean("bias", false);
  d.gated = false;
  d.fused = FusedQkv::Groups;
  if (alibi) {
    for (float slope : alibi_slopes(d.heads))
      d.alibi.push_back(to_bf16(slope));
    d.alibi_bf16 = true;
    model.ignore({"rope_parameters", "rope_scaling", "rope_theta"});
  }
  // The first code of the 40B model knew no other decoder.
  const bool grouped =
      model.boolean("new_decoder_architecture", model.text("model_type", "") == "RefinedWeb");
  model.expect("apply_residual_connection_post_layernorm", false);
  if (model.has("ffn_hidden_size"))
    model.ignore({"ff_factor"});
  else
    model.expect_number("ff_factor", 4);
  const bool multi_query = model.boolean("multi_query", true);
  const int64_t kv_heads = model.integer("num_kv_heads", 1, recipe::kMaxHeads, d.heads);
  const int64_t norms = model.integer("num_ln_in_parallel_attn", 1, 2, grouped ? 2 : 1);
  const bool parallel = model.boolean("parallel_attn", true);
  d.kv_heads = grouped ? kv_heads : multi_query ? 1 : d.heads;
  if (parallel)
    d.wiring = norms == 2 ? Wiring::Parallel : Wiring::OneNorm;
  if (norms == 2 && !(grouped && parallel))
    model.problem("num_ln_in_parallel_attn", "two norms need the new decoder and parallel_attn");
  if (grouped && !parallel)
    model.problem("parallel_attn", "the new decoder has it");
  DenseNames names = {.embedding = "transformer.word_embeddings",
                      .final_norm = "transformer.ln_f",
                      .head = "lm_head",
                      .attention_norm = "transformer.h.*.input_layernorm",
                      .attention = "transformer.h.*.self_attention",
                      .q = "transformer.h.*.self_attention.query_key_value",
                      .k = "transformer.h.*.self_attention.query_key_value",
                      .v = "transformer.h.*.self_attention.query_key_value",
                      .o = "transformer.h.*.self_attention.dense",
                      .mlp_norm = "transformer.h.*.post_attention_layernorm",
                      .mlp = "transformer.h.*.mlp",
                      .up = "transformer.h.*.mlp.dense_h_to_4h",
                      .down = "transformer.h.*.mlp.dense_4h_to_h"};
  if (norms == 2) {
    names.attention_norm = "transformer.h.*.ln_attn";
    names.mlp_norm = "transformer.h.*.ln_mlp";
  }
  return dense_decoder(model, d, names);
}

// Only models with rotated positions and parallel branches have a GGUF form. The queries of all
// heads come first, then all keys, then all values. llama.cpp approximates the activation, which no
// key names, by GELU's tanh form; this is the published one.
recipe::Decoder falcon_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .gated = false});
  d.family = "falcon";
  d.activation = "gelu_erf";
  d.wiring = Wiring::OneNorm;
  DenseNames names = kGgufDenseNames;
  if (model.has_tensor("blk.0.attn_norm_2.weight")) {
    d.wiring = Wiring::Parallel;
    names.attention_norm = "blk.*.attn_norm_2";
    names.mlp_norm = "blk.*.attn_norm";
  }
  return gguf_decoder(model, d, names);
}

} // namespace quern
