// OLMo hybrid: a gated delta rule in most layers, behind norms; attention in the others, before
// them.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

namespace quern {

recipe::Decoder olmo_hybrid_from_hf(ModelReader &model) {
  // Where rope_theta is null, positions are not rotated; a missing one is the class's.
  const bool rotated =
      !model.mentions("rope_parameters.rope_theta") || model.has("rope_parameters.rope_theta");
  HfKeys keys{.default_context = 65'536};
  if (!rotated) {
    keys.rope = std::nullopt;
    model.ignore({"rope_parameters", "rope_scaling"});
  }
  Dense d = dense_from_hf(model, keys);
  d.family = "olmo_hybrid";
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  d.qk_norm = QkNorm::Row;
  recipe::DeltaNet mixer =
      read_delta_net(model, {.key_heads = d.heads,
                             .value_heads = d.heads,
                             .key_dim = -static_cast<int64_t>(0.75 * double(d.hidden))});
  mixer.beta_scale = model.boolean("linear_allow_neg_eigval", true) ? 2 : 1;
  std::vector<size_t> missing = every(d.layers, 4);
  if (d.layers < 4)
    missing.back() = 1;
  const std::vector<size_t> kinds =
      read_layer_kinds(model, d.layers, {{"linear_attention"}, {"full_attention"}}, missing);
  // How weights were initialized.
  model.ignore({"linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max",
                "linear_dt_init_floor"});

  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  for (int64_t i = 0; i < d.layers; ++i) {
    std::vector<recipe::Sublayer> &layer = decoder.layers[static_cast<size_t>(i)].sublayers;
    // As the model was published, or as transformers calls it.
    auto rename = [&](recipe::Norm &norm, const char *published) {
      const std::string name = recipe::layer_name(published, i);
      if (!model.has_tensor(norm.module + ".weight"))
        norm.module = name;
    };
    if (kinds[static_cast<size_t>(i)] == 1) {
      // Norms after the sublayers alone.
      std::swap(layer[0].norm, layer[0].post);
      std::swap(layer[1].norm, layer[1].post);
      layer[0].post.module = recipe::layer_name("model.layers.*.post_attention_layernorm", i);
      rename(layer[0].post, "model.layers.*.feedforward_layer_norm");
      layer[1].post.module = recipe::layer_name("model.layers.*.post_feedforward_layernorm", i);
      continue;
    }
    rename(layer[0].norm, "model.layers.*.attention_layer_norm");
    rename(layer[1].norm, "model.layers.*.feedforward_layer_norm");
    mixer.module = recipe::layer_name("model.layers.*.linear_attn", i);
    const std::string &m = mixer.module;
    mixer.dt_bias = m + ".dt_bias";
    mixer.a = m + ".A_log";
    mixer.projections.clear();
    mixer.convs.clear();
    for (const auto &[name, out] : {std::pair("q", mixer.keys()), std::pair("k", mixer.keys()),
                                    std::pair("v", mixer.values())}) {
      mixer.projections.push_back({absl::StrCat(m, ".", name, "_proj"), d.hidden, out});
      // transformers writes the channels of all three in equal thirds.
      const std::string conv = absl::StrCat(m, ".", name, "_conv1d");
      const auto shape = model.tensor_shape(conv + ".weight");
      mixer.convs.push_back({conv, shape && !shape->empty() ? shape->front() : out});
    }
    if (model.has_tensor(m + ".conv1d.weight"))
      mixer.convs = {{m + ".conv1d", 2 * mixer.keys() + mixer.values()}};
    int64_t channels = 0;
    for (const recipe::DeltaNet::Conv &conv : mixer.convs)
      channels += conv.channels;
    if (channels != 2 * mixer.keys() + mixer.values())
      for (size_t part = 0; part < mixer.convs.size(); ++part)
        mixer.convs[part].channels = mixer.projections[part].out;
    mixer.b = {m + ".b_proj", d.hidden, mixer.value_heads};
    mixer.decay = {m + ".a_proj", d.hidden, mixer.value_heads};
    mixer.z = {m + ".g_proj", d.hidden, mixer.values()};
    mixer.norm = {m + ".o_norm", mixer.value_dim, 1e-5, mixer.value_dim};
    mixer.out = {m + ".o_proj", mixer.values(), d.hidden};
    layer[0].block = mixer;
  }
  return decoder;
}

} // namespace quern
