// Qwen 3.5's text model: a gated delta rule in most layers, gated attention in the others.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

namespace quern {

namespace {

/// Queries lie beside the gates of their heads: [query, gate] in each.
void gate_attention(recipe::Attention &a) {
  const int64_t queries = a.heads * a.head_dim, d = a.head_dim;
  a.q.rows = {2 * queries, 0, d, 2 * d};
  a.gate = a.q;
  a.gate->rows.offset = d;
}

} // namespace

recipe::Decoder qwen3_5_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_head_dim = 256,
                                  .default_kv_heads = 4,
                                  .default_context = 32'768,
                                  .rope = RopeKeys{.partial = 0.25}});
  d.family = "qwen3_5_text";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.norm_add_one = true;
  d.qk_norm = QkNorm::Head;
  recipe::DeltaNet mixer =
      read_delta_net(model, {.key_heads = 16, .value_heads = 32, .key_dim = 128, .value_dim = 128});
  const int64_t interval = model.integer("full_attention_interval", 1, recipe::kMaxLayers, 4);
  const std::vector<size_t> kinds = read_layer_kinds(
      model, d.layers, {{"linear_attention"}, {"full_attention"}}, every(d.layers, interval));
  model.expect("attn_output_gate", true);
  // Positions of a text are the same in all three sections. Layers that predict more tokens are not
  // run; a program's precision.
  model.ignore({"rope_parameters.mrope_section", "rope_parameters.mrope_interleaved",
                "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "mamba_ssm_dtype",
                "partial_rotary_factor"});

  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  for (int64_t i = 0; i < d.layers; ++i) {
    recipe::Block &block = decoder.layers[static_cast<size_t>(i)].sublayers[0].block;
    if (kinds[static_cast<size_t>(i)] == 1) {
      gate_attention(std::get<recipe::Attention>(block));
      continue;
    }
    mixer.module = recipe::layer_name("model.layers.*.linear_attn", i);
    const std::string &m = mixer.module;
    const int64_t channels = 2 * mixer.keys() + mixer.values();
    mixer.dt_bias = m + ".dt_bias";
    mixer.a = m + ".A_log";
    mixer.projections = {{m + ".in_proj_qkv", d.hidden, channels}};
    mixer.convs = {{m + ".conv1d", channels}};
    mixer.b = {m + ".in_proj_b", d.hidden, mixer.value_heads};
    mixer.decay = {m + ".in_proj_a", d.hidden, mixer.value_heads};
    mixer.z = {m + ".in_proj_z", d.hidden, mixer.values()};
    mixer.norm = {m + ".norm", mixer.value_dim, d.eps, mixer.value_dim};
    mixer.out = {m + ".out_proj", mixer.values(), d.hidden};
    block = mixer;
  }
  return decoder;
}

} // namespace quern
