#include "frontends/families/HybridsGguf.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxWidth;

namespace {

/// What `parts`, of the key `key`, share a width evenly.
int64_t share_of(ModelReader &model, const char *key, int64_t parts) {
  const int64_t inner = model.integer("ssm.inner_size", 1, kMaxWidth);
  if (inner % parts == 0)
    return inner / parts;
  model.wrong_size("ssm.inner_size",
                   absl::StrCat(parts, " heads (", key, ") do not divide ", inner));
  return 1;
}

/// Problems with groups of heads.
void check_groups(ModelReader &model, int64_t heads, int64_t groups) {
  if (heads % groups)
    model.problem("ssm.group_count",
                  absl::StrCat(groups, " groups do not divide ", heads, " heads"));
}
} // namespace

std::vector<bool> layers_without_kv_heads(ModelReader &model) {
  std::vector<bool> without;
  for (const int64_t heads : model.integers_by_layer("attention.head_count_kv",
                                                     model.layers("block_count"), 0, kMaxHeads, 1))
    without.push_back(heads == 0);
  return without;
}

std::vector<bool> flagged_recurrent_layers(ModelReader &model) {
  constexpr const char *kFlags = "attention.recurrent_layers";
  const int64_t layers = model.layers("block_count");
  const int64_t interval = model.integer("full_attention_interval", 1, kMaxLayers, 4);
  std::vector<bool> recurrent;
  if (model.has(kFlags))
    for (const int64_t flag : model.integers_by_layer(kFlags, layers, 0, 1))
      recurrent.push_back(flag != 0);
  else
    for (int64_t i = 0; i < layers; ++i)
      recurrent.push_back((i + 1) % interval != 0);
  return recurrent;
}

recipe::Mamba1 mamba1_from_gguf(ModelReader &model) {
  recipe::Mamba1 m;
  m.inner = model.integer("ssm.inner_size", 1, kMaxWidth);
  m.state = model.integer("ssm.state_size", 1, kMaxHeadDim);
  m.kernel = model.integer("ssm.conv_kernel", 2, recipe::kMaxKernel);
  m.rank = model.integer("ssm.time_step_rank", 1, kMaxWidth);
  m.a_is_log = false;
  return m;
}

void name_gguf_mamba1(const ModelReader &model, recipe::Mamba1 &m, int64_t layer, int64_t hidden,
                      double eps) {
  m.module = recipe::layer_name("blk.*.ssm", layer);
  m.conv = m.module + "_conv1d";
  m.conv_bias = model.has_tensor(m.conv + ".bias");
  m.a = m.module + "_a";
  m.d = m.module + "_d";
  m.in_proj = {m.module + "_in", hidden, 2 * m.inner};
  m.x_proj = {m.module + "_x", m.inner, m.rank + 2 * m.state};
  m.dt_proj = {m.module + "_dt", m.rank, m.inner, /*bias=*/true};
  m.out_proj = {m.module + "_out", m.inner, hidden};
  if (model.has_tensor(m.module + "_dt_norm.weight")) {
    m.dt_norm = {m.module + "_dt_norm", m.rank, eps};
    m.b_norm = {m.module + "_b_norm", m.state, eps};
    m.c_norm = {m.module + "_c_norm", m.state, eps};
  }
}

recipe::Mamba2 mamba2_sizes_from_gguf(ModelReader &model) {
  recipe::Mamba2 m;
  m.heads = model.integer("ssm.time_step_rank", 1, kMaxHeads);
  m.head_dim = share_of(model, "ssm.time_step_rank", m.heads);
  m.state = model.integer("ssm.state_size", 1, kMaxHeadDim);
  m.groups = model.integer("ssm.group_count", 1, kMaxHeads);
  m.kernel = model.integer("ssm.conv_kernel", 2, recipe::kMaxKernel);
  check_groups(model, m.heads, m.groups);
  m.a_is_log = false;
  return m;
}

void name_gguf_mamba2(const ModelReader &model, recipe::Mamba2 &m, int64_t layer, int64_t hidden,
                      double eps, bool may_lack_norm) {
  m.module = recipe::layer_name("blk.*.ssm", layer);
  m.conv = m.module + "_conv1d";
  m.conv_bias = model.has_tensor(m.conv + ".bias");
  m.dt_bias = m.module + "_dt.bias";
  m.a = m.module + "_a";
  m.d = m.module + "_d";
  m.in_proj = {m.module + "_in", hidden, m.inner() + m.conv_channels() + m.heads};
  m.out_proj = {m.module + "_out", m.inner(), hidden};
  m.norm = {.module = m.module + "_norm",
            .size = m.inner(),
            .eps = eps,
            .group = m.inner() / m.groups,
            .heads = m.groups};
  if (may_lack_norm && !model.has_tensor(m.module + "_norm.weight"))
    m.norm.kind = recipe::NormKind::None;
}

recipe::DeltaNet delta_net_from_gguf(ModelReader &model) {
  recipe::DeltaNet m;
  m.key_heads = model.integer("ssm.group_count", 1, kMaxHeads);
  m.value_heads = model.integer("ssm.time_step_rank", 1, kMaxHeads);
  m.key_dim = model.integer("ssm.state_size", 1, kMaxHeadDim);
  m.value_dim = share_of(model, "ssm.time_step_rank", m.value_heads);
  m.kernel = model.integer("ssm.conv_kernel", 2, recipe::kMaxKernel);
  check_groups(model, m.value_heads, m.key_heads);
  m.a_is_log = false;
  return m;
}

recipe::DeltaNet gguf_delta_net_of_layer(recipe::DeltaNet m, int64_t layer, int64_t hidden,
                                         double eps) {
  m.module = recipe::layer_name("blk.*.ssm", layer);
  m.dt_bias = m.module + "_dt.bias";
  m.a = m.module + "_a";
  m.convs = {{m.module + "_conv1d", 2 * m.keys() + m.values()}};
  m.norm = {m.module + "_norm", m.value_dim, eps, m.value_dim};
  m.out = {m.module + "_out", m.values(), hidden};
  return m;
}

void put_recurrent(recipe::Decoder &decoder, const std::vector<bool> &recurrent,
                   const std::function<recipe::Block(int64_t layer)> &make) {
  for (size_t i = 0; i < decoder.layers.size(); ++i)
    if (recurrent[i])
      decoder.layers[i].sublayers.front().block = make(static_cast<int64_t>(i));
}

} // namespace quern
