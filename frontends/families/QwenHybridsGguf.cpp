// Qwen3-Next and Qwen 3.5's text model from GGUF.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/HybridsGguf.h"

namespace quern {

namespace {

struct Hybrid {
  Dense dense;
  recipe::DeltaNet mixer; ///< without names and projections
  std::vector<bool> recurrent;
};

Hybrid read_hybrid(ModelReader &model, bool experts) {
  std::vector<bool> recurrent = flagged_recurrent_layers(model);
  Dense d = dense_from_gguf(model, {.experts = experts, .further = true, .recurrent = recurrent});
  leave_out_further_layers(model, d, &recurrent);
  d.qk_norm = QkNorm::Head;
  return {std::move(d), delta_net_from_gguf(model), std::move(recurrent)};
}

DenseNames names() {
  DenseNames names = kGgufDenseNames;
  names.mlp_norm = "blk.*.post_attention_norm";
  return names;
}

/// Gates attention; puts mixers, which `project` gives their other projections, into the other
/// layers.
void put_mixers(recipe::Decoder &decoder, const Hybrid &h,
                const std::function<void(recipe::DeltaNet &mixer)> &project) {
  for (recipe::Layer &layer : decoder.layers)
    gate_attention(std::get<recipe::Attention>(layer.sublayers[0].block));
  put_recurrent(decoder, h.recurrent, [&](int64_t layer) {
    const int64_t hidden = h.dense.hidden;
    recipe::DeltaNet mixer = gguf_delta_net_of_layer(h.mixer, layer, hidden, h.dense.eps);
    const std::string attention = recipe::layer_name("blk.*.attn_", layer);
    mixer.projections = {{attention + "qkv", hidden, 2 * mixer.keys() + mixer.values()}};
    mixer.z = {attention + "gate", hidden, mixer.values()};
    project(mixer);
    return mixer;
  });
}

} // namespace

recipe::Decoder qwen3_next_from_gguf(ModelReader &model) {
  Hybrid h = read_hybrid(model, /*experts=*/true);
  h.dense.family = "qwen3_next";
  recipe::Decoder decoder = gguf_expert_decoder(
      model, h.dense, experts_from_gguf(model, h.dense, {.row_gate = true}), names());
  put_mixers(decoder, h, [&](recipe::DeltaNet &mixer) {
    const int64_t hidden = h.dense.hidden;
    if (model.has_tensor(mixer.module + "_in.weight")) // of old converters
      project_qkvz_by_key_head(mixer, hidden, mixer.module + "_in");
    project_ba_by_key_head(mixer, hidden, mixer.module + "_ba");
  });
  return decoder;
}

namespace {

recipe::Decoder qwen3_5(ModelReader &model, const char *family, bool experts) {
  Hybrid h = read_hybrid(model, experts);
  h.dense.family = family;
  h.mixer.tiled = true;
  model.ignore({"rope.dimension_sections"}); // a text's positions are the same in all
  recipe::Decoder decoder =
      experts ? gguf_expert_decoder(model, h.dense,
                                    experts_from_gguf(model, h.dense, {.row_gate = true}), names())
              : gguf_decoder(model, h.dense, names());
  put_mixers(decoder, h, [&](recipe::DeltaNet &mixer) {
    mixer.b = {mixer.module + "_beta", h.dense.hidden, mixer.value_heads};
    mixer.decay = {mixer.module + "_alpha", h.dense.hidden, mixer.value_heads};
  });
  return decoder;
}

} // namespace

recipe::Decoder qwen3_5_from_gguf(ModelReader &model) {
  return qwen3_5(model, "qwen3_5_text", /*experts=*/false);
}

recipe::Decoder qwen3_5_moe_from_gguf(ModelReader &model) {
  return qwen3_5(model, "qwen3_5_moe_text", /*experts=*/true);
}

} // namespace quern
