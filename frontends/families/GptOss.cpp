// GPT-OSS (OpenAI, 2025): attention sinks, windows in every other layer, experts with biases, whose
// gates and ups alternate and are clamped.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder gpt_oss_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5,
                                  .default_head_dim = 64,
                                  .default_kv_heads = 8,
                                  .rope = RopeKeys{.theta = 150'000}});
  d.family = "gpt_oss";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", true);
  std::vector<bool> slides = read_sliding_layers(model, d.layers, /*pattern=*/2);
  d.slide(slides, model.integer("sliding_window", 1, recipe::kMaxContext, 128));
  Experts e = experts_from_hf(
      model, d,
      {.count = "num_local_experts", .width = nullptr, .default_count = 128, .default_top_k = 4});
  e.score = recipe::RouterScore::Chosen;
  e.router_bias = true;
  const double limit = model.number("swiglu_limit", 1e-6, 1e9, 7.0);
  const double alpha = model.number("swiglu_alpha", 1e-6, 1e9, 1.702);
  // The same number by another name, and how long the model was before its positions were scaled.
  model.ignore({"experts_per_token", "initial_context_length"});
  DenseNames dense = kHfDenseNames;
  dense.sinks = "model.layers.*.self_attn.sinks";
  ExpertNames names = kHfExpertNames;
  names.router = "model.layers.*.mlp.router";
  names.gate = names.up = "model.layers.*.mlp.experts.gate_up_proj";
  names.down = "model.layers.*.mlp.experts.down_proj";
  recipe::Decoder decoder = dense_decoder(model, d, dense);
  put_experts(decoder, d, e, names);
  for (recipe::Layer &layer : decoder.layers)
    if (auto *m = std::get_if<recipe::Moe>(&layer.sublayers.back().block)) {
      for (recipe::ExpertLinear *l : {&m->gate, &m->up, &m->down}) {
        l->transposed = true;
        l->bias = l->weight + "_bias";
      }
      m->gate.rows = {2 * e.width, 0, 1, 2};
      m->up.rows = {2 * e.width, 1, 1, 2};
      m->limit = limit;
      m->alpha = alpha;
      m->shift = 1;
    }
  return decoder;
}

recipe::Decoder gpt_oss_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(
      model, {.rope = GgufRopeKeys{.yarn_keys = true}, .windows = true, .experts = true});
  d.family = "gpt_oss";
  read_gguf_windows(model, d, /*pattern=*/2);
  DenseNames names = kGgufDenseNames;
  names.mlp_norm = "blk.*.post_attention_norm";
  names.sinks = "blk.*.attn_sinks.weight";
  recipe::Decoder decoder = gguf_expert_decoder(
      model, d, experts_from_gguf(model, d, {.score = recipe::RouterScore::Chosen}), names);
  for (recipe::Layer &layer : decoder.layers)
    if (auto *m = std::get_if<recipe::Moe>(&layer.sublayers.back().block)) {
      for (recipe::ExpertLinear *l : {&m->gate, &m->up, &m->down})
        l->bias = l->weight.substr(0, l->weight.rfind('.')) + ".bias";
      // Which files do not say.
      m->limit = 7;
      m->alpha = 1.702;
      m->shift = 1;
    }
  return decoder;
}

} // namespace quern
