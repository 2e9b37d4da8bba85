// Kimi Linear from GGUF.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/HybridsGguf.h"
#include "frontends/families/Latent.h"

namespace quern {

namespace {

recipe::DeltaNet read_mixer(ModelReader &model, const Dense &d) {
  recipe::DeltaNet m;
  m.key_heads = m.value_heads = d.heads;
  m.key_dim = m.value_dim = model.integer("kda.head_dim", 1, recipe::kMaxHeadDim);
  m.kernel = model.integer("ssm.conv_kernel", 2, 256);
  m.key_decay = true;
  m.a_is_log = false;
  m.gate_activation = "sigmoid";
  return m;
}

recipe::DeltaNet of_layer(recipe::DeltaNet m, const Dense &d, int64_t layer) {
  m.module = recipe::layer_name("blk.*.ssm", layer);
  const std::string attention = recipe::layer_name("blk.*.attn_", layer);
  m.dt_bias = m.module + "_dt.bias";
  m.a = m.module + "_a";
  for (const char *name : {"q", "k", "v"}) {
    m.projections.push_back({attention + name, d.hidden, m.keys()});
    m.convs.push_back({m.module + "_conv1d_" + name, m.keys()});
  }
  m.b = {m.module + "_beta", d.hidden, m.value_heads};
  m.decay_latent = {m.module + "_f_a", d.hidden, m.key_dim};
  m.decay = {m.module + "_f_b", m.key_dim, m.keys()};
  m.z_latent = {m.module + "_g_a", d.hidden, m.key_dim};
  m.z = {m.module + "_g_b", m.key_dim, m.values()};
  m.norm = {m.module + "_norm", m.value_dim, d.eps, m.value_dim};
  m.out = {attention + "output", m.values(), d.hidden};
  return m;
}

} // namespace

recipe::Decoder kimi_linear_from_gguf(ModelReader &model) {
  const std::vector<bool> recurrent = layers_without_kv_heads(model);
  Dense d = dense_from_gguf(
      model, {.rope = std::nullopt, .experts = true, .latent = true, .recurrent = recurrent});
  d.family = "kimi_linear";
  Experts e = experts_from_gguf(model, d);
  e.eps = 1e-20;
  const recipe::DeltaNet mixer = read_mixer(model, d);
  recipe::Mla attention = latent_from_gguf(model, d);
  attention.rope = recipe::kNoRope;
  model.ignore({"rope.freq_base"}); // nothing is rotated
  recipe::Decoder decoder = gguf_expert_decoder(model, d, e);
  for (int64_t i = 0; i < d.layers; ++i)
    decoder.layers[static_cast<size_t>(i)].sublayers[0].block = latent_of_layer(attention, i);
  put_recurrent(decoder, recurrent, [&](int64_t layer) { return of_layer(mixer, d, layer); });
  return decoder;
}

} // namespace quern
