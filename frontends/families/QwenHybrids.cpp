// Qwen3-Next and Qwen 3.5's text model: a gated delta rule in most layers, gated attention in the
// others.
#include "frontends/families/Experts.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <string>
#include <utility>
#include <vector>

namespace quern {

namespace {

/// What both have.
struct Hybrid {
  Dense dense;
  recipe::DeltaNet mixer; ///< without names and projections
  std::vector<size_t> kinds;
};

Hybrid read_hybrid(ModelReader &model, const HfKeys &keys) {
  Dense d = dense_from_hf(model, keys);
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.norm_add_one = true;
  d.qk_norm = QkNorm::Head;
  recipe::DeltaNet mixer =
      read_delta_net(model, {.key_heads = 16, .value_heads = 32, .key_dim = 128, .value_dim = 128});
  const int64_t interval = model.integer("full_attention_interval", 1, recipe::kMaxLayers, 4);
  std::vector<size_t> kinds = read_layer_kinds(
      model, d.layers, {{"linear_attention"}, {"full_attention"}}, every(d.layers, interval));
  model.expect("attn_output_gate", true);
  // Of models that read it elsewhere, or not.
  model.ignore({"partial_rotary_factor"});
  return {std::move(d), std::move(mixer), std::move(kinds)};
}

/// A mixer in `module`, but for the projections of the rows; its norm's weight is the factor
/// itself.
recipe::DeltaNet named(recipe::DeltaNet mixer, const Dense &d, int64_t layer) {
  const std::string m = recipe::layer_name("model.layers.*.linear_attn", layer);
  mixer.module = m;
  mixer.dt_bias = m + ".dt_bias";
  mixer.a = m + ".A_log";
  mixer.convs = {{m + ".conv1d", 2 * mixer.keys() + mixer.values()}};
  mixer.norm = {m + ".norm", mixer.value_dim, d.eps, mixer.value_dim};
  mixer.out = {m + ".out_proj", mixer.values(), d.hidden};
  return mixer;
}

/// Gates attention; puts mixers, which `project` gives projections, into the other layers.
void put_mixers(recipe::Decoder &decoder, const Hybrid &h,
                void (*project)(recipe::DeltaNet &mixer, int64_t hidden)) {
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    recipe::Block &block = decoder.layers[i].sublayers[0].block;
    if (h.kinds[i] == 1) {
      gate_attention(std::get<recipe::Attention>(block));
      continue;
    }
    recipe::DeltaNet mixer = named(h.mixer, h.dense, static_cast<int64_t>(i));
    project(mixer, h.dense.hidden);
    block = std::move(mixer);
  }
}

/// Four projections.
void project_apart(recipe::DeltaNet &mixer, int64_t hidden) {
  const std::string &m = mixer.module;
  mixer.projections = {{m + ".in_proj_qkv", hidden, 2 * mixer.keys() + mixer.values()}};
  mixer.b = {m + ".in_proj_b", hidden, mixer.value_heads};
  mixer.decay = {m + ".in_proj_a", hidden, mixer.value_heads};
  mixer.z = {m + ".in_proj_z", hidden, mixer.values()};
}

/// Two.
void project_by_key_head(recipe::DeltaNet &mixer, int64_t hidden) {
  project_qkvz_by_key_head(mixer, hidden, mixer.module + ".in_proj_qkvz");
  project_ba_by_key_head(mixer, hidden, mixer.module + ".in_proj_ba");
}

} // namespace

recipe::Decoder qwen3_next_from_hf(ModelReader &model) {
  Hybrid h = read_hybrid(model, {.default_head_dim = 256,
                                 .default_kv_heads = 2,
                                 .default_context = 32'768,
                                 .rope = RopeKeys{.partial = 0.25}});
  Dense &d = h.dense;
  d.family = "qwen3_next";
  Experts e = experts_from_hf(
      model, d, {.default_count = 512, .default_top_k = 10, .default_width = 512, .least = 0});
  read_norm_topk(model, e, true);
  read_sparse_layers(model, d, e);
  e.shared = model.integer("shared_expert_intermediate_size", 1, recipe::kMaxWidth, 512);
  e.row_gate = true;
  // Of other Qwens: this one does not read it.
  model.ignore({"use_sliding_window"});
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfQwenExpertNames);
  put_mixers(decoder, h, project_by_key_head);
  return decoder;
}

namespace {

Hybrid read_qwen3_5(ModelReader &model, const char *family, HfKeys keys) {
  keys.default_head_dim = 256;
  keys.default_context = 32'768;
  keys.rope = RopeKeys{.partial = 0.25};
  Hybrid h = read_hybrid(model, keys);
  h.dense.family = family;
  // Positions of a text are the same in all three sections. Layers that predict more tokens are not
  // run; a program's precision.
  model.ignore({"rope_parameters.mrope_section", "rope_parameters.mrope_interleaved",
                "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "mamba_ssm_dtype"});
  return h;
}

} // namespace

recipe::Decoder qwen3_5_from_hf(ModelReader &model) {
  const Hybrid h = read_qwen3_5(model, "qwen3_5_text", {.default_kv_heads = 4});
  model.expect_number("num_experts", 0);
  recipe::Decoder decoder = dense_decoder(model, h.dense, kHfDenseNames);
  put_mixers(decoder, h, project_apart);
  return decoder;
}

recipe::Decoder qwen3_5_moe_from_hf(ModelReader &model) {
  const Hybrid h = read_qwen3_5(model, "qwen3_5_moe_text", {.mlp = nullptr, .default_kv_heads = 2});
  Experts e = experts_from_hf(model, h.dense,
                              {.default_count = 256, .default_top_k = 8, .default_width = 512});
  e.normalize = 1;
  e.shared = model.integer("shared_expert_intermediate_size", 1, recipe::kMaxWidth, 512);
  e.row_gate = true;
  // Every layer has experts, and their weights are divided by their sum, whatever is said.
  model.ignore({"intermediate_size", "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers"});
  recipe::Decoder decoder = dense_decoder(model, h.dense, kHfDenseNames);
  put_experts(decoder, h.dense, e, kHfQwenExpertNames);
  put_mixers(decoder, h, project_apart);
  return decoder;
}

} // namespace quern
