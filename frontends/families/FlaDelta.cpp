// fla's delta rules: DeltaNet, of which nothing decays; gated DeltaNet, of which heads do; and
// Kimi's delta attention (KDA), of which every number of a key does.
#include "frontends/families/Families.h"
#include "frontends/families/Fla.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;

namespace {

/// num_heads of head_dim, num_v_heads of expand_v times that, convolutions and beta.
recipe::DeltaNet read_heads(ModelReader &model, int64_t heads, int64_t head_dim, double expand_v) {
  recipe::DeltaNet m;
  m.key_heads = model.integer("num_heads", 1, kMaxHeads, heads);
  m.value_heads = model.integer("num_v_heads", 1, kMaxHeads, m.key_heads);
  if (m.value_heads % m.key_heads)
    model.wrong_size("num_v_heads", absl::StrCat(m.value_heads, " value heads cannot share ",
                                                 m.key_heads, " key heads evenly"));
  m.key_dim = model.integer("head_dim", 1, kMaxHeadDim, head_dim);
  const double width =
      static_cast<double>(m.key_dim) * model.number("expand_v", 1e-6, 1e6, expand_v);
  m.value_dim = static_cast<int64_t>(std::round(width));
  if (m.value_dim < 1 || m.value_dim > kMaxHeadDim ||
      std::abs(width - static_cast<double>(m.value_dim)) > 1e-5 * width) {
    model.wrong_size("expand_v", absl::StrCat("head_dim times it is ", width));
    m.value_dim = m.key_dim;
  }
  m.kernel = read_fla_kernel(model, true);
  m.beta_scale = model.boolean("allow_neg_eigval", false) ? 2 : 1;
  return m;
}

/// Projections, convolutions, beta, norm and output, as all have them.
void name_mixer(recipe::DeltaNet &m, const Fla &fla, const std::string &module) {
  m.module = module;
  m.projections = {Fla::linear(module, ".q_proj", fla.hidden, m.keys()),
                   Fla::linear(module, ".k_proj", fla.hidden, m.keys()),
                   Fla::linear(module, ".v_proj", fla.hidden, m.values())};
  m.convs.clear();
  for (const std::string &conv : fla_convolutions(module, m.kernel > 0 ? "qkv" : ""))
    m.convs.push_back({conv, m.projections[m.convs.size()].out});
  m.b = Fla::linear(module, ".b_proj", fla.hidden, m.value_heads);
  m.dt_bias = module + ".dt_bias";
  m.a = module + ".A_log";
  m.norm = {module + ".o_norm", m.value_dim, fla.eps, m.value_dim};
  m.out = Fla::linear(module, ".o_proj", m.values(), fla.hidden);
}

} // namespace

recipe::Decoder gated_deltanet_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "gated_deltanet");
  recipe::DeltaNet m = read_heads(model, 6, 256, 2);
  const bool gated = model.boolean("use_gate", true);
  const std::string act = model.text("output_gate_activation", "swish");
  m.gate_activation = act == "sigmoid" ? "sigmoid" : "silu";
  if (act != "sigmoid" && act != "silu" && act != "swish")
    model.problem("output_gate_activation", absl::StrCat("the activation '", act, "' is not known"),
                  "Quern knows swish, silu and sigmoid");
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mixer(m, fla, module);
    m.decay = Fla::linear(module, ".a_proj", fla.hidden, m.value_heads);
    if (gated)
      m.z = Fla::linear(module, ".g_proj", fla.hidden, m.values());
    return m;
  });
}

recipe::Decoder delta_net_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "delta_net");
  recipe::DeltaNet m;
  m.key_heads = m.value_heads = model.integer("num_heads", 1, kMaxHeads, 16);
  m.key_dim = read_fla_expansion(model, fla, "expand_k", 1, m.key_heads);
  m.value_dim = read_fla_expansion(model, fla, "expand_v", 1, m.key_heads);
  m.kernel = read_fla_kernel(model, true);
  m.beta_scale = model.boolean("allow_neg_eigval", false) ? 2 : 1;
  const bool gated = model.boolean("use_gate", false), beta = model.boolean("use_beta", true);
  const std::string norm = model.text("qk_norm", "l2"), act = model.text("qk_activation", "silu");
  m.sum_norm = norm == "sum";
  if (norm != "sum" && norm != "l2")
    model.problem("qk_norm", absl::StrCat("the norm '", norm, "' is not known"),
                  "Quern knows l2 and sum");
  m.qk_activation = act == "identity" ? "" : act == "elu" ? "elu_plus_one" : act;
  if (act != "identity" && act != "elu" && act != "relu" && act != "silu") {
    model.problem("qk_activation", absl::StrCat("the activation '", act, "' is not known"),
                  "Quern knows silu, relu, elu and identity");
    m.qk_activation = "silu";
  }
  // The layer has the norm whatever this says.
  model.ignore({"use_output_norm"});
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mixer(m, fla, module);
    if (!beta)
      m.b = {};
    if (gated)
      m.z = Fla::linear(module, ".g_proj", fla.hidden, m.values());
    return m;
  });
}

recipe::Decoder kda_from_hf(ModelReader &model) {
  const Fla fla = read_fla(model, "kda");
  recipe::DeltaNet m = read_heads(model, 16, 128, 1);
  m.key_decay = true;
  m.gate_activation = "sigmoid";
  if (model.has("lower_bound"))
    m.decay_floor = model.number("lower_bound", -1e6, -1e-6);
  // It tells a kernel that there is a bound.
  if (model.boolean("safe_gate", false) && m.decay_floor == 0)
    model.problem("lower_bound", "safe_gate is true, and there is no bound");
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mixer(m, fla, module);
    m.decay_latent = Fla::linear(module, ".f_proj.0", fla.hidden, m.value_dim);
    m.decay = Fla::linear(module, ".f_proj.1", m.value_dim, m.value_heads * m.key_dim);
    m.z_latent = Fla::linear(module, ".g_proj.0", fla.hidden, m.value_dim);
    m.z = Fla::linear(module, ".g_proj.1", m.value_dim, m.values(), /*bias=*/true);
    return m;
  });
}

} // namespace quern
