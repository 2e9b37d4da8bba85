#include "frontends/families/Latent.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxWidth;

namespace {
/// Norms of latents have transformers' default, whatever rms_norm_eps is.
constexpr double kLatentEps = 1e-6;
} // namespace

recipe::Mla latent_attention(ModelReader &model, const Dense &d, int64_t default_queries) {
  recipe::Mla m;
  m.heads = d.heads;
  m.latent = model.integer("kv_lora_rank", 1, kMaxWidth, 512);
  m.plain = model.integer("qk_nope_head_dim", 1, kMaxHeadDim, 128);
  m.rotary = model.integer("qk_rope_head_dim", 2, kMaxHeadDim, 64);
  m.values = model.integer("v_head_dim", 1, kMaxHeadDim, 128);
  // Written beside the others, and never another.
  model.expect_number("qk_head_dim", static_cast<double>(m.plain + m.rotary));
  if (d.kv_heads != d.heads)
    model.problem("num_key_value_heads", "heads share no keys but the latent",
                  absl::StrCat("such a model has as many as heads, ", d.heads));
  const bool bias = model.boolean("attention_bias", false);
  // null: queries are made of the stream itself.
  const int64_t latent_queries = model.mentions("q_lora_rank") && !model.has("q_lora_rank")
                                     ? 0
                                     : model.integer("q_lora_rank", 0, kMaxWidth, default_queries);
  const std::string module = "model.layers.*.self_attn";
  m.module = module;
  const int64_t queries = m.heads * (m.plain + m.rotary);
  if (latent_queries) {
    m.q_latent = {module + ".q_a_proj", d.hidden, latent_queries, bias};
    m.q_latent_norm = {module + ".q_a_layernorm", latent_queries, kLatentEps};
    m.q = {module + ".q_b_proj", latent_queries, queries};
  } else {
    m.q = {module + ".q_proj", d.hidden, queries};
  }
  m.kv = {module + ".kv_a_proj_with_mqa", d.hidden, m.latent + m.rotary, bias};
  m.kv_norm = {module + ".kv_a_layernorm", m.latent, kLatentEps};
  m.expand = {module + ".kv_b_proj", m.latent, m.heads * (m.plain + m.values)};
  m.o = {module + ".o_proj", m.heads * m.values, d.hidden, bias};
  m.scale = 1 / std::sqrt(static_cast<double>(m.plain + m.rotary));
  return m;
}

recipe::Mla latent_from_gguf(ModelReader &model, const Dense &d) {
  recipe::Mla m{.module = "blk.*.attn", .heads = d.heads, .rotary = d.head_dim};
  m.latent = model.integer("attention.kv_lora_rank", 1, kMaxWidth);
  // Where it is split, key_length and value_length are those of what is cached.
  const bool split = model.has("attention.key_length_mla");
  const std::string suffix = split ? "_mla" : "";
  const int64_t head = model.integer("attention.key_length" + suffix, 1, kMaxHeadDim);
  m.values = model.integer("attention.value_length" + suffix, 1, kMaxHeadDim);
  model.ignore({"attention.key_length", "attention.value_length", "attention.head_count_kv"});
  m.plain = head - m.rotary;
  if (m.plain < 1) {
    model.wrong_size("attention.key_length" + suffix,
                     absl::StrCat("of ", head, " columns of a head, ", m.rotary, " are rotated"));
    m.plain = 1;
  }
  const int64_t queries = m.heads * (m.plain + m.rotary);
  if (const int64_t latent = model.integer("attention.q_lora_rank", 0, kMaxWidth, 0)) {
    m.q_latent = {"blk.*.attn_q_a", d.hidden, latent};
    m.q_latent_norm = {"blk.*.attn_q_a_norm", latent, d.eps};
    m.q = {"blk.*.attn_q_b", latent, queries};
  } else {
    m.q = {"blk.*.attn_q", d.hidden, queries};
  }
  m.kv = {"blk.*.attn_kv_a_mqa", d.hidden, m.latent + m.rotary};
  m.kv_norm = {"blk.*.attn_kv_a_norm", m.latent, d.eps};
  if (split) {
    m.key_module = "blk.*.attn_k_b";
    m.value_module = "blk.*.attn_v_b";
  } else {
    m.expand = {"blk.*.attn_kv_b", m.latent, m.heads * (m.plain + m.values)};
  }
  m.o = {"blk.*.attn_output", m.heads * m.values, d.hidden};
  m.scale = 1 / std::sqrt(static_cast<double>(m.plain + m.rotary));
  return m;
}

recipe::Mla latent_of_layer(recipe::Mla m, int64_t layer) {
  const auto name = [&](std::string &module) { module = recipe::layer_name(module, layer); };
  for (std::string *module : {&m.module, &m.key_module, &m.value_module})
    name(*module);
  if (m.q_latent)
    name(m.q_latent->module);
  if (m.q_latent_norm)
    name(m.q_latent_norm->module);
  for (recipe::Linear *linear : {&m.q, &m.kv, &m.expand, &m.o})
    name(linear->module);
  name(m.kv_norm.module);
  return m;
}

} // namespace quern
