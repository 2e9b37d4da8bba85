#include "frontends/families/KimiDelta.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;

recipe::DeltaNet read_kimi_delta(ModelReader &model, const Dense &d) {
  // A key of linear_attn_config counts before the class's own.
  const auto size = [&](const char *key, const char *inner, int64_t high, int64_t missing) {
    const int64_t own = model.integer(key, 1, high, missing);
    return model.integer(absl::StrCat("linear_attn_config.", inner), 1, high, own);
  };
  recipe::DeltaNet m;
  m.key_heads = m.value_heads = size("linear_num_heads", "num_heads", kMaxHeads, 32);
  m.key_dim = m.value_dim = size("linear_head_dim", "head_dim", kMaxHeadDim, 128);
  m.kernel = size("linear_conv_kernel_dim", "short_conv_kernel_size", recipe::kMaxKernel, 4);
  m.key_decay = m.a_padded = true;
  m.activation = d.activation;
  m.gate_activation = "sigmoid";
  return m;
}

recipe::DeltaNet kimi_delta_of_layer(recipe::DeltaNet m, const Dense &d, int64_t layer) {
  m.module = recipe::layer_name("model.layers.*.self_attn", layer);
  const auto linear = [&](const char *name, int64_t in, int64_t out) {
    return recipe::Linear{.module = m.module + name, .in = in, .out = out};
  };
  m.dt_bias = m.module + ".dt_bias";
  m.a = m.module + ".A_log";
  for (const char *name : {".q_proj", ".k_proj", ".v_proj"})
    m.projections.push_back(linear(name, d.hidden, m.keys()));
  for (const char *name : {".q_conv1d", ".k_conv1d", ".v_conv1d"})
    m.convs.push_back({m.module + name, m.keys()});
  m.b = linear(".b_proj", d.hidden, m.value_heads);
  m.decay_latent = linear(".f_a_proj", d.hidden, m.key_dim);
  m.decay = linear(".f_b_proj", m.key_dim, m.keys());
  m.z_latent = linear(".g_a_proj", d.hidden, m.key_dim);
  m.z = linear(".g_b_proj", m.key_dim, m.values());
  m.norm = {m.module + ".o_norm", m.value_dim, d.eps, m.value_dim};
  m.out = linear(".o_proj", m.values(), d.hidden);
  return m;
}

} // namespace quern
