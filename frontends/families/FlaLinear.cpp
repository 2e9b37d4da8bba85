// fla's attention without a softmax: GLA, RetNet and the plain one.
#include "frontends/families/Families.h"
#include "frontends/families/Fla.h"
#include "frontends/families/Rotary.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <string>

namespace quern {

using recipe::kMaxHeads;

namespace {

/// num_heads, num_kv_heads, expand_k and expand_v.
recipe::LinearAttention read_heads(ModelReader &model, const Fla &fla, int64_t heads,
                                   double expand_k, double expand_v) {
  recipe::LinearAttention m;
  m.heads = model.integer("num_heads", 1, kMaxHeads, heads);
  m.kv_heads = model.integer("num_kv_heads", 1, kMaxHeads, m.heads);
  if (m.heads % m.kv_heads)
    model.wrong_size("num_kv_heads",
                     absl::StrCat(m.heads, " heads cannot share ", m.kv_heads, " kv heads evenly"));
  m.key_dim = read_fla_expansion(model, fla, "expand_k", expand_k, m.heads);
  m.value_dim = read_fla_expansion(model, fla, "expand_v", expand_v, m.heads);
  return m;
}

/// Projections and the norm of each head.
void name_mixer(recipe::LinearAttention &m, const Fla &fla, const std::string &module,
                const char *norm, bool weighted) {
  m.module = module;
  m.q = Fla::linear(module, ".q_proj", fla.hidden, m.heads * m.key_dim);
  m.k = Fla::linear(module, ".k_proj", fla.hidden, m.kv_heads * m.key_dim);
  m.v = Fla::linear(module, ".v_proj", fla.hidden, m.kv_heads * m.value_dim);
  m.norm = {.module = module + norm,
            .size = m.value_dim,
            .eps = fla.eps,
            .group = m.value_dim,
            .weight = weighted};
  m.out = Fla::linear(module, ".o_proj", m.heads * m.value_dim, fla.hidden);
}

/// What GLA and RetNet have in common: a function of queries and keys, and a gate of the output.
recipe::Decoder gated_decoder(ModelReader &model, const Fla &fla, recipe::LinearAttention m) {
  static const std::map<std::string, std::string> kFeatures = {
      {"relu", "relu"},  {"sigmoid", "sigmoid"}, {"logsigmoid", "log_sigmoid"}, {"silu", "silu"},
      {"swish", "silu"}, {"sqrelu", "relu2"},    {"gelu", "gelu_tanh"}};
  if (model.has("feature_map")) {
    const auto known = kFeatures.find(model.text("feature_map"));
    if (known == kFeatures.end())
      model.problem("feature_map",
                    absl::StrCat("the feature map '", model.text("feature_map"), "' is not known"),
                    "Quern knows relu, sigmoid, logsigmoid, silu, swish, sqrelu and gelu");
    else
      m.feature = known->second;
  }
  const bool weighted = model.boolean("elementwise_affine", true);
  const bool gated = model.boolean("use_output_gate", true);
  // Fused with its gate, the norm has another name.
  const bool fused = model.boolean("fuse_norm", true) && gated;
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mixer(m, fla, module, fused ? ".g_norm_swish_gate" : ".g_norm", weighted);
    if (gated)
      m.z = Fla::linear(module, ".g_proj", fla.hidden, m.heads * m.value_dim);
    if (m.kernel > 0)
      m.convs = fla_convolutions(module, "qkv");
    if (!m.retains) {
      constexpr int64_t kRank = 16; // which no class sets, as it leaves gate_divisor
      m.latent = Fla::linear(module, ".gk_proj.0", fla.hidden, kRank);
      m.gate = Fla::linear(module, ".gk_proj.1", kRank, m.kv_heads * m.key_dim, /*bias=*/true);
    }
    return m;
  });
}

} // namespace

recipe::Decoder gla_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "gla");
  recipe::LinearAttention m = read_heads(model, fla, 4, 0.5, 1);
  m.kernel = read_fla_kernel(model, false);
  if (model.has("clamp_min"))
    m.gate_floor = model.number("clamp_min", -1e6, 0);
  // Of an older class; the layer has gates of keys, and none of values.
  model.expect("use_gk", true);
  model.expect("use_gv", false);
  return gated_decoder(model, fla, m);
}

recipe::Decoder retnet_from_hf(ModelReader &model) {
  Fla fla = read_fla(model, "retnet", {.hidden_ratio = 2});
  recipe::LinearAttention m = read_heads(model, fla, 8, 1, 2);
  m.retains = true;
  m.rope = fla.decoder.ropes.size();
  fla.decoder.ropes.push_back(plain_rope(model, "expand_k", 10'000, m.key_dim));
  // Layers have them; the class does not pass them on.
  model.ignore({"use_short_conv", "conv_size"});
  return gated_decoder(model, fla, m);
}

recipe::Decoder linear_attn_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "linear_attn");
  recipe::LinearAttention m = read_heads(model, fla, 4, 1, 1);
  const std::string map = model.text("feature_map", "elementwise_product");
  int64_t linears = 0;
  if (map == "elementwise_product")
    linears = 2;
  else if (map == "t2r")
    linears = 1;
  else if (map != "elu" && map != "relu" && map != "identity")
    model.problem("feature_map", absl::StrCat("the feature map '", map, "' is not known"),
                  "Quern knows elementwise_product, t2r, elu, relu and identity");
  m.feature = map == "elu" ? "elu_plus_one" : map == "relu" || map == "t2r" ? "relu" : "";
  const bool tied = model.boolean("tie_feature_map_qk", false);
  m.q_sum = model.boolean("norm_q", false);
  m.k_sum = model.boolean("norm_k", false);
  m.normalize = model.boolean("norm_feature_map", false);
  const bool weighted = model.boolean("elementwise_affine", true);
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mixer(m, fla, module, ".norm", weighted);
    const auto maps = [&](const char *name) {
      std::vector<recipe::Linear> list;
      for (int64_t i = 1; i <= linears; ++i)
        list.push_back(Fla::linear(
            module,
            absl::StrCat(".feature_map_", name, linears == 1 ? ".layer" : absl::StrCat(".layer", i))
                .c_str(),
            m.key_dim, m.key_dim, /*bias=*/linears == 2));
      return list;
    };
    m.q_maps = maps("q");
    m.k_maps = maps(tied ? "q" : "k");
    return m;
  });
}

} // namespace quern
