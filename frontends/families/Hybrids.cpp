#include "frontends/families/Hybrids.h"

#include "frontends/families/Activations.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxWidth;

std::vector<size_t> read_layer_kinds(ModelReader &model, int64_t layers,
                                     const std::vector<LayerKind> &kinds,
                                     const std::vector<size_t> &missing, std::string_view key) {
  const std::vector<std::string> texts = model.texts(key);
  if (texts.empty())
    return missing;
  if (static_cast<int64_t>(texts.size()) != layers) {
    model.problem(key, absl::StrCat(texts.size(), " entries for ", layers, " layers"));
    return missing;
  }
  std::vector<size_t> found;
  for (const std::string &text : texts) {
    size_t kind = 0;
    while (kind < kinds.size() && text != kinds[kind].name && text != kinds[kind].other)
      ++kind;
    if (kind == kinds.size()) {
      std::string known;
      for (const LayerKind &each : kinds)
        absl::StrAppend(&known, known.empty() ? "" : " and ", std::string(each.name));
      model.problem(key, absl::StrCat("'", text, "' is not a layer of this family"),
                    absl::StrCat("Quern knows ", known));
      return missing;
    }
    found.push_back(kind);
  }
  return found;
}

std::vector<size_t> read_layer_pattern(ModelReader &model, const std::vector<LayerKind> &kinds,
                                       std::string_view letters, const std::string &missing) {
  constexpr const char *kList = "layers_block_type", *kPattern = "hybrid_override_pattern";
  std::vector<size_t> found;
  if (model.has(kList)) {
    const auto layers = static_cast<int64_t>(model.texts(kList).size());
    found = read_layer_kinds(model, layers, kinds, {0}, kList);
    model.ignore({kPattern});
  } else {
    for (const char letter : model.text(kPattern, missing)) {
      found.push_back(letters.find(letter));
      if (found.back() == letters.npos) {
        model.problem(kPattern,
                      absl::StrCat("'", std::string(1, letter), "' is not a layer of this family"),
                      absl::StrCat("Quern knows ", std::string(letters)));
        return {0};
      }
    }
  }
  if (found.empty() || static_cast<int64_t>(found.size()) > recipe::kMaxLayers) {
    model.wrong_size(kList, absl::StrCat(found.size(), " layers"));
    return {0};
  }
  model.expect_number("num_hidden_layers", static_cast<double>(found.size()));
  return found;
}

std::vector<size_t> every(int64_t layers, int64_t interval) {
  std::vector<size_t> kinds;
  for (int64_t i = 0; i < layers; ++i)
    kinds.push_back((i + 1) % interval == 0);
  return kinds;
}

void name_mamba1(recipe::Mamba1 &m, const std::string &module, int64_t hidden, bool bias) {
  m.module = module;
  m.conv = module + ".conv1d";
  m.a = module + ".A_log";
  m.d = module + ".D";
  m.in_proj = {module + ".in_proj", hidden, 2 * m.inner, bias};
  m.x_proj = {module + ".x_proj", m.inner, m.rank + 2 * m.state};
  m.dt_proj = {module + ".dt_proj", m.rank, m.inner, /*bias=*/true};
  m.out_proj = {module + ".out_proj", m.inner, hidden, bias};
}

DenseNames feed_forward_names() {
  DenseNames names = kHfDenseNames;
  names.final_norm = "model.final_layernorm";
  names.mlp_norm = "model.layers.*.pre_ff_layernorm";
  names.mlp = "model.layers.*.feed_forward";
  names.gate = "model.layers.*.feed_forward.gate_proj";
  names.up = "model.layers.*.feed_forward.up_proj";
  names.down = "model.layers.*.feed_forward.down_proj";
  return names;
}

int64_t read_time_step_rank(ModelReader &model, std::string_view key, int64_t hidden) {
  const int64_t automatic = (hidden + 15) / 16;
  if (!model.is_text(key))
    return model.integer(key, 1, kMaxWidth, automatic);
  if (model.text(key) != "auto")
    model.wrong_size(key, "it is neither a number nor \"auto\"");
  return automatic;
}

void read_time_step_limit(ModelReader &model, recipe::Mamba2 &m, std::string_view key) {
  if (!model.has(key))
    return;
  const std::vector<double> limits = model.numbers(key);
  if (limits.size() != 2 || !(limits[0] >= 0 && limits[0] <= limits[1])) {
    model.problem(key, "it is not two numbers from 0 up, in order");
  } else {
    m.dt_min = limits[0];
    m.dt_max = limits[1];
  }
}

recipe::Mamba2 read_mamba2(ModelReader &model, int64_t inner) {
  recipe::Mamba2 m;
  m.heads = model.integer("mamba_n_heads", 1, kMaxHeads, 128);
  const int64_t automatic = std::max<int64_t>(1, inner / m.heads);
  if (model.is_text("mamba_d_head")) {
    if (model.text("mamba_d_head") != "auto")
      model.wrong_size("mamba_d_head", "it is neither a number nor \"auto\"");
    m.head_dim = automatic;
  } else {
    m.head_dim = model.integer("mamba_d_head", 1, kMaxHeadDim, automatic);
  }
  if (m.inner() != inner)
    model.wrong_size("mamba_n_heads", absl::StrCat(m.heads, " heads of ", m.head_dim,
                                                   " are not the inner width ", inner));
  m.groups = model.integer("mamba_n_groups", 1, kMaxHeads, 1);
  m.state = model.integer("mamba_d_state", 1, kMaxHeadDim, 256);
  m.kernel = model.integer("mamba_d_conv", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("mamba_conv_bias", true);
  m.activation = read_activation(model, "hidden_act", "silu");
  if (m.heads % m.groups)
    model.problem("mamba_n_groups",
                  absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  read_time_step_limit(model, m);
  // How programs split the work, and how weights were initialized.
  model.ignore({"mamba_chunk_size", "time_step_min", "time_step_max", "time_step_floor"});
  return m;
}

void name_mamba2(recipe::Mamba2 &m, const std::string &module, int64_t hidden, double eps,
                 bool in_bias, bool out_bias) {
  m.module = module;
  m.conv = module + ".conv1d";
  m.dt_bias = module + ".dt_bias";
  m.a = module + ".A_log";
  m.d = module + ".D";
  m.in_proj = {module + ".in_proj", hidden, m.inner() + m.conv_channels() + m.heads, in_bias};
  m.out_proj = {module + ".out_proj", m.inner(), hidden, out_bias};
  m.norm = {module + ".norm", m.inner(), eps, m.inner() / m.groups};
}

static void set_mamba3_angles(ModelReader &model, recipe::Mamba3 &m, const std::string &key) {
  const double fraction = model.number(key, 0, 1, 0.5);
  if (fraction != 0.5 && fraction != 1)
    model.problem(key, absl::StrCat("it is ", fraction), "Mamba-3 knows 0.5 and 1.0");
  m.angles = static_cast<int64_t>(static_cast<double>(m.state) * fraction) / 2;
  // The kernels of several ranks pair halves, those of one neighbours.
  m.adjacent = !m.ranked;
  if (m.angles < 1 || (m.ranked && m.state % (fraction == 1 ? 2 : 4))) {
    model.wrong_size(key,
                     absl::StrCat("of ", m.state, " numbers of B and C, no such part is pairs"));
    m.angles = 1;
  }
}

recipe::Mamba3 read_mamba3(ModelReader &model, int64_t hidden, const Mamba3Keys &keys) {
  const auto key = [&](const char *name) { return absl::StrCat(keys.prefix, name); };
  recipe::Mamba3 m;
  m.head_dim = model.integer(key(keys.head_dim), 1, kMaxHeadDim, 64);
  const double expand =
      model.number(key("expand"), 1.0 / double(kMaxWidth), double(kMaxWidth), 2.0);
  const auto inner = static_cast<int64_t>(static_cast<double>(hidden) * expand);
  if (inner < 1 || inner > kMaxWidth || inner % m.head_dim)
    model.wrong_size(key("expand"), absl::StrCat(hidden, " times it is ", inner,
                                                 ", which is no number of heads of ", m.head_dim));
  m.heads = std::max<int64_t>(1, inner / m.head_dim);
  m.state = model.integer(key(keys.state), 2, kMaxHeadDim, 128);
  m.groups = model.integer(key(keys.groups), 1, kMaxHeads, 1);
  if (m.heads % m.groups)
    model.wrong_size(key(keys.groups),
                     absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  m.ranked = model.boolean(key("is_mimo"), false);
  const int64_t rank = model.integer(key("mimo_rank"), 1, 256, 4);
  m.rank = m.ranked ? rank : 1;
  set_mamba3_angles(model, m, key("rope_fraction"));
  m.decay_floor = model.number(key("A_floor"), 1e-30, 1e6, 1e-4);
  return m;
}

void name_mamba3(recipe::Mamba3 &m, const std::string &module, int64_t hidden, double eps,
                 bool bias, bool normed) {
  m.module = module;
  m.in_proj = {module + ".in_proj", hidden, m.projected(), bias};
  m.out_proj = {module + ".out_proj", m.inner(), hidden, bias};
  m.b_norm = {module + ".B_norm", m.state, eps, m.state};
  m.c_norm = {module + ".C_norm", m.state, eps, m.state};
  if (normed)
    m.norm = recipe::Norm{module + ".norm", m.inner(), eps, m.head_dim};
}

recipe::DeltaNet read_delta_net(ModelReader &model, const DeltaDefaults &defaults) {
  recipe::DeltaNet m;
  m.key_heads = model.integer("linear_num_key_heads", 1, kMaxHeads, defaults.key_heads);
  m.value_heads = model.integer("linear_num_value_heads", 1, kMaxHeads, defaults.value_heads);
  const int64_t key_dim = defaults.key_dim > 0 ? defaults.key_dim : -defaults.key_dim / m.key_heads;
  m.key_dim = model.integer("linear_key_head_dim", 1, kMaxHeadDim, std::max<int64_t>(1, key_dim));
  m.value_dim = model.integer("linear_value_head_dim", 1, kMaxHeadDim,
                              defaults.value_dim ? defaults.value_dim : 2 * m.key_dim);
  m.kernel = model.integer("linear_conv_kernel_dim", 1, recipe::kMaxKernel, 4);
  m.activation = read_activation(model, "hidden_act", "silu");
  if (m.value_heads % m.key_heads)
    model.problem("linear_num_value_heads",
                  absl::StrCat(m.value_heads, " value heads cannot share ", m.key_heads,
                               " key heads evenly"));
  return m;
}

namespace {

/// `each` of a key head's columns, from `offset` on, of the `stride` that the stored projection
/// has.
recipe::Linear of_key_heads(const recipe::DeltaNet &m, int64_t hidden, const std::string &module,
                            int64_t offset, int64_t each, int64_t stride) {
  return {.module = module,
          .in = hidden,
          .out = m.key_heads * each,
          .rows = {m.key_heads * stride, offset, each, stride}};
}

} // namespace

void project_qkvz_by_key_head(recipe::DeltaNet &m, int64_t hidden, const std::string &module) {
  const int64_t key = m.key_dim, value = m.value_heads / m.key_heads * m.value_dim;
  const int64_t stride = 2 * (key + value);
  m.projections = {of_key_heads(m, hidden, module, 0, key, stride),
                   of_key_heads(m, hidden, module, key, key, stride),
                   of_key_heads(m, hidden, module, 2 * key, value, stride)};
  m.z = of_key_heads(m, hidden, module, 2 * key + value, value, stride);
}

void project_ba_by_key_head(recipe::DeltaNet &m, int64_t hidden, const std::string &module) {
  const int64_t share = m.value_heads / m.key_heads;
  m.b = of_key_heads(m, hidden, module, 0, share, 2 * share);
  m.decay = of_key_heads(m, hidden, module, share, share, 2 * share);
}

void gate_attention(recipe::Attention &a) {
  const int64_t queries = a.heads * a.head_dim, d = a.head_dim;
  a.q.rows = {2 * queries, 0, d, 2 * d};
  a.gate = a.q;
  a.gate->rows.offset = d;
}

} // namespace quern
