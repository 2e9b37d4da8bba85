#include "frontends/recipe/Recipe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace quern::recipe {

namespace {

constexpr const char *kAsPublished = "the config contradicts itself: take it as it was published";

/// Lists tensors block by block, with what synthetic ones look like: products of normed rows keep
/// their size (spread 1/sqrt(inputs)), norms stay near 1, and the rest is as trained models have
/// it.
class Lister {
public:
  std::vector<Tensor> take() { return std::move(out_); }

  /// A tensor that is there already is one that more than one linear takes rows of.
  void add(std::string name, std::vector<int64_t> shape, Init init, bool transposed = false,
           bool linear = false) {
    if (names_.insert(name).second)
      out_.push_back({std::move(name), std::move(shape), {}, init, transposed, linear});
  }
  void linear(const Linear &l) {
    const int64_t rows = l.rows.stored ? l.rows.stored : l.out;
    std::vector<int64_t> shape = {rows, l.in};
    if (l.transposed)
      std::swap(shape[0], shape[1]);
    add(l.weight_name(), std::move(shape), {0, 1 / std::sqrt(double(l.in))}, l.transposed,
        /*linear=*/true);
    if (rows == 1 && out_.back().name == l.weight_name())
      out_.back().stored = {l.in}; // GGUF's
    bias(l);
    if (l.adapter) {
      linear({.module = l.adapter->down, .in = l.in, .out = l.adapter->rank});
      linear({.module = l.adapter->up, .in = l.adapter->rank, .out = l.out, .rows = l.rows});
    }
  }
  void bias(const Linear &l) {
    if (!l.bias)
      return;
    add(l.bias_name(), {l.rows.stored ? l.rows.stored : l.out}, {0, 0.1});
    if (!l.bias_tensor.empty())
      out_.back().stored = {1, 1, l.out}; // RWKV's
  }
  void norm(const Norm &n) {
    if (n.kind == NormKind::None)
      return;
    const Init init = {n.add_one ? 0.0 : 1.0, 0.1};
    if (n.weight && n.apart)
      for (int64_t h = 0; h < n.heads; ++h)
        add(absl::StrCat(n.module, ".norms.", h, ".weight"), {n.size / n.heads}, init);
    else if (n.weight && n.heads)
      add(n.weight_name(), {n.heads, n.size / n.heads}, init);
    else if (n.weight)
      add(n.weight_name(), {n.size}, init);
    if (n.bias)
      add(n.module + ".bias", {n.size}, {0, 0.1});
  }
  void norm(const std::optional<Norm> &n) {
    if (n)
      norm(*n);
  }

  void operator()(const Linear &l) { linear(l); }
  void operator()(const Attention &a) {
    linear(a.q);
    linear(a.k);
    linear(a.v);
    norm(a.q_norm);
    norm(a.k_norm);
    if (a.gate)
      linear(*a.gate);
    if (!a.sinks.empty())
      add(a.sinks, {a.heads}, {0, 1});
    if (a.bias)
      add(a.bias->tensor, {a.bias->count, a.heads}, {0, 0.5});
    linear(a.o);
  }
  /// Of a depthwise convolution.
  void convolution(const std::string &module, int64_t channels, int64_t kernel, bool bias) {
    const size_t before = out_.size();
    add(module + ".weight", {channels, kernel}, {0, 1 / std::sqrt(double(kernel))});
    if (out_.size() > before)
      out_.back().stored = {channels, 1, kernel};
    if (bias)
      add(module + ".bias", {channels}, {0, 0.1});
  }
  void operator()(const Mamba1 &m) {
    linear(m.in_proj);
    convolution(m.conv, m.inner, m.kernel, m.conv_bias);
    linear(m.x_proj);
    norm(m.dt_norm);
    norm(m.b_norm);
    norm(m.c_norm);
    linear(m.dt_proj);
    // As of Mamba-2, below; the bias of dt_proj is what dt_bias is there.
    add(m.a, {m.inner, m.state}, m.a_is_log ? Init{1, 0.5} : Init{-2.7, 0.5});
    add(m.d, {m.inner}, {1, 0.1});
    linear(m.out_proj);
  }
  void operator()(const DeltaNet &m) {
    for (const Linear &projection : m.projections)
      linear(projection);
    for (const DeltaNet::Conv &conv : m.convs)
      convolution(conv.module, conv.channels, m.kernel, false);
    if (!m.b.module.empty())
      linear(m.b);
    if (m.decay_latent)
      linear(*m.decay_latent);
    if (!m.decay.module.empty()) {
      linear(m.decay);
      add(m.dt_bias, {m.decay.out}, {-3, 1});
      add(m.a, {m.value_heads}, m.a_is_log ? Init{1, 0.5} : Init{-2.7, 0.5});
      if (m.a_padded)
        out_.back().stored = {1, 1, m.value_heads, 1};
    }
    if (m.z_latent)
      linear(*m.z_latent);
    if (!m.z.module.empty())
      linear(m.z);
    norm(m.norm);
    linear(m.out);
  }
  void operator()(const LinearAttention &m) {
    for (const Linear *l : {&m.q, &m.k, &m.v})
      linear(*l);
    for (size_t i = 0; i < m.convs.size(); ++i)
      convolution(m.convs[i], (i == 0 ? m.q : i == 1 ? m.k : m.v).out, m.kernel, false);
    for (const std::vector<Linear> *maps : {&m.q_maps, &m.k_maps})
      for (const Linear &l : *maps)
        linear(l);
    if (m.gate) {
      linear(*m.latent);
      linear(*m.gate);
    }
    norm(m.norm);
    if (m.z)
      linear(*m.z);
    linear(m.out);
  }
  void operator()(const Hgrn &m) {
    if (m.q)
      linear(*m.q);
    linear(m.forget);
    linear(m.input);
    for (size_t i = 0; i < m.convs.size(); ++i)
      convolution(m.convs[i], (i == 0 ? m.forget : i == 1 ? m.input : *m.q).out, m.kernel, false);
    if (!m.bounds.empty())
      add(m.bounds, {m.layers, m.forget.out}, {0, 1});
    if (m.z)
      linear(*m.z);
    norm(m.norm);
    linear(m.out);
  }
  void operator()(const ShortConv &m) {
    linear(m.in);
    convolution(m.conv, m.channels, m.kernel, m.conv_bias);
    linear(m.out);
  }
  void operator()(const Hyena &m) {
    linear(m.in);
    add(m.module + ".short_filter_weight", {3 * m.channels, m.kernel},
        {0, 1 / std::sqrt(double(m.kernel))});
    out_.back().stored = {3 * m.channels, 1, m.kernel};
    if (m.conv_bias)
      add(m.module + ".short_filter_bias", {3 * m.channels}, {0, 0.1});
    // Poles stay inside the circle: what is made up lies within 3.5 spreads.
    for (const auto &[name, spread] :
         {std::pair("poles", 0.2), std::pair("residues", 1 / std::sqrt(double(m.modes)))}) {
      add(absl::StrCat(m.module, ".", name), {m.filters, m.modes, 2}, {0, spread});
      out_.back().stored = {m.filters, m.modes, 1, 2};
    }
    add(m.module + ".D", {m.channels}, {1, 0.1});
    linear(m.out);
  }
  void operator()(const Mla &m) {
    if (m.q_latent)
      linear(*m.q_latent);
    norm(m.q_latent_norm);
    linear(m.q);
    linear(m.kv);
    norm(m.kv_norm);
    if (m.key_module.empty()) {
      linear(m.expand);
    } else {
      add(m.key_module + ".weight", {m.heads, m.latent, m.plain},
          {0, 1 / std::sqrt(double(m.plain))});
      add(m.value_module + ".weight", {m.heads, m.values, m.latent},
          {0, 1 / std::sqrt(double(m.latent))});
    }
    linear(m.o);
  }
  void operator()(const Mamba2 &m) {
    linear(m.in_proj);
    convolution(m.conv, m.conv_channels(), m.kernel, m.conv_bias);
    // softplus(-3) is 0.05 and -exp(1) is -2.7: memories of some ten tokens, and of some hundred.
    add(m.dt_bias, {m.heads}, {-3, 1});
    for (const auto &[name, init] : {std::pair(m.a, m.a_is_log ? Init{1, 0.5} : Init{-2.7, 0.5}),
                                     std::pair(m.d, Init{1, 0.1})}) {
      add(name, {m.heads}, init);
      out_.back().stored = {m.heads, 1}; // GGUF's
    }
    norm(m.norm);
    linear(m.out_proj);
  }
  void operator()(const Mamba3 &m) {
    linear(m.in_proj);
    // As of Mamba-2.
    add(m.module + ".dt_bias", {m.heads}, {-3, 1});
    norm(m.b_norm);
    norm(m.c_norm);
    for (const char *name : {".B_bias", ".C_bias"})
      add(m.module + name, {m.heads, m.rank, m.state}, {1, 0.3});
    if (m.ranked)
      for (const char *name : {".mimo_x", ".mimo_z", ".mimo_o"})
        add(m.module + name, {m.heads, m.rank, m.head_dim}, {1 / double(m.rank), 0.1});
    add(m.module + ".D", {m.heads}, {1, 0.1});
    norm(m.norm);
    linear(m.out_proj);
  }
  void operator()(const Lru &m) {
    linear(m.gate);
    linear(m.input);
    add(m.conv + ".weight", {m.width, m.kernel}, {0, 1 / std::sqrt(double(m.kernel))});
    out_.back().stored = {m.width, 1, m.kernel};
    add(m.conv + ".bias", {m.width}, {0, 0.1});
    const int64_t block = m.width / std::max<int64_t>(1, m.blocks);
    for (const char *gate : {"input", "recurrent"}) {
      const std::string name = absl::StrCat(m.unit, ".", gate, "_gate_");
      add(name + "weight", {m.blocks, block, block}, {0, 1 / std::sqrt(double(block))});
      add(name + "bias", {m.blocks, block}, {0, 0.1});
    }
    // exp(-8 * softplus(-4) / 2) is 0.93: memories of some ten tokens.
    add(m.unit + ".recurrent_param", {m.width}, {-4, 1});
    linear(m.out);
  }
  void operator()(const Mlstm &m) {
    for (const Linear *l : {&m.q, &m.k, &m.v, &m.out_gate, &m.input_gate, &m.forget_gate})
      linear(*l);
    norm(m.norm);
    linear(m.out);
  }
  void vector(const Vector &v, Init init, std::vector<int64_t> stored = {}) {
    if (names_.contains(v.tensor) || v.tensor.empty())
      return;
    add(v.tensor, v.rows ? std::vector{v.rows, v.size} : std::vector{v.size}, init);
    out_.back().stored = !stored.empty() ? std::move(stored)
                         : v.rows        ? std::vector<int64_t>{v.rows, 1, 1, v.size}
                                         : std::vector<int64_t>{1, 1, v.size};
  }
  /// What mixes rows with those of the token before.
  void mix(const Vector &v) { vector(v, {0.5, 0.2}); }
  void mix(const std::string &module, int64_t hidden, std::initializer_list<const char *> names) {
    for (const char *name : names) {
      add(absl::StrCat(module, ".time_mix_", name), {hidden}, {0.5, 0.2});
      out_.back().stored = {1, 1, hidden};
    }
  }
  void operator()(const Rwkv4 &m) {
    mix(m.module, m.hidden, {"key", "value", "receptance"});
    linear(m.key);
    linear(m.value);
    linear(m.receptance);
    add(m.module + ".time_decay", {m.width}, {-3, 1});
    add(m.module + ".time_first", {m.width}, {0, 0.5});
    linear(m.output);
  }
  void operator()(const Rwkv6 &m) {
    if (const auto &x = m.mixes) {
      using Stored = Rwkv6::Mixes::Stored;
      mix(x->base);
      linear(x->down);
      const int64_t rank = x->down.out / 5, out = x->down.in;
      add(x->up,
          x->stored == Stored::Transposed ? std::vector<int64_t>{5, rank, out}
          : x->stored == Stored::Blocks   ? std::vector<int64_t>{5, out, rank}
                                          : std::vector<int64_t>{out, 5 * rank},
          {0, 0.3 / std::sqrt(double(rank))});
    }
    for (const Vector *v : {&m.mix_receptance, &m.mix_decay, &m.mix_key, &m.mix_value, &m.mix_gate})
      mix(*v);
    for (const Linear *l : {&m.receptance, &m.key, &m.value, &m.gate})
      linear(*l);
    // exp(-exp(-3)) is 0.95: memories of some twenty tokens.
    vector(m.decay, {-3, 1}, {m.heads, m.key_dim});
    if (m.decay_up) {
      linear(*m.decay_down);
      linear(*m.decay_up);
      out_.back().init = {-3, 1};
    }
    add(m.bonus, {m.heads, m.key_dim}, {0, 0.5});
    norm(m.norm);
    linear(m.output);
  }
  void low_rank(const Rwkv7::LowRank &l, double bias) {
    linear(l.down);
    linear(l.up);
    if (l.up.bias)
      out_.back().init.mean = bias;
  }
  void operator()(const Rwkv7 &m) {
    for (const Vector *v :
         {&m.mix_receptance, &m.mix_decay, &m.mix_key, &m.mix_value, &m.mix_rate, &m.mix_gate})
      mix(*v);
    linear(m.receptance);
    linear(m.key);
    linear(m.value);
    low_rank(m.decay, -3); // exp(-0.6 sigmoid(-3)) is 0.97: memories of some thirty tokens
    low_rank(m.rate, 0);
    low_rank(m.gate, 0);
    if (m.value_mix)
      low_rank(*m.value_mix, 0.5);
    vector(m.k_k, {0.85, 0.1});
    vector(m.k_a, {1, 0.1});
    vector(m.r_k, {0, 0.1}, {m.heads, m.key_dim});
    norm(m.norm);
    linear(m.output);
  }
  void operator()(const RwkvMlp &m) {
    mix(m.mix_key);
    mix(m.mix_receptance);
    linear(m.key);
    if (m.receptance)
      linear(*m.receptance);
    linear(m.value);
  }
  void operator()(const GatedMlp &m) {
    linear(m.gate);
    linear(m.up);
    linear(m.down);
    if (m.row_gate)
      linear(*m.row_gate);
  }
  void operator()(const Mlp &m) {
    linear(m.up);
    linear(m.down);
  }
  void experts(const std::string &name, int64_t count, std::vector<int64_t> shape, Init init,
               bool transposed = false) {
    if (names_.contains(name))
      return;
    Tensor tensor{.name = name, .shape = std::move(shape), .stored = {}, .init = init};
    tensor.transposed = transposed;
    for (int64_t e = 0; e < count && name.find('#') != name.npos; ++e)
      tensor.parts.push_back(absl::StrReplaceAll(name, {{"#", absl::StrCat(e)}}));
    names_.insert(name);
    out_.push_back(std::move(tensor));
  }
  void experts(const ExpertLinear &l) {
    const int64_t rows = l.rows.stored ? l.rows.stored : l.out;
    std::vector<int64_t> shape = {l.experts, rows, l.in};
    if (l.transposed)
      std::swap(shape[1], shape[2]);
    if (l.flat)
      shape = {l.experts * shape[1], shape[2]};
    experts(l.weight, l.experts, std::move(shape), {0, 1 / std::sqrt(double(l.in))}, l.transposed);
    if (!l.bias.empty())
      experts(l.bias, l.experts, {l.experts, rows}, {0, 0.1});
  }
  void operator()(const Moe &m) {
    linear(m.router);
    if (!m.correction.empty()) {
      add(m.correction, {m.router.out}, {0, 0.1});
      if (m.correction_row)
        out_.back().stored = {1, m.router.out};
    }
    if (m.latent_in)
      linear(*m.latent_in);
    if (!m.gate.weight.empty())
      experts(m.gate);
    experts(m.up);
    experts(m.down);
    if (m.latent_out)
      linear(*m.latent_out);
  }

private:
  std::vector<Tensor> out_;
  std::set<std::string> names_;
};

/// Checks what no family's keys may say.
class Checker {
public:
  Checker(int64_t hidden, size_t ropes, const std::vector<Rope> &table, Problems &problems)
      : hidden_(hidden), ropes_(ropes), table_(table), problems_(problems) {}

  void operator()(const Linear &l) { mlp(l.module, l); }
  void operator()(const Attention &a) {
    if (a.head_dim < 1)
      problems_.add(a.module,
                    absl::StrCat(a.heads, " attention heads are more than the ", hidden_,
                                 " columns that they share"),
                    kAsPublished);
    else if (a.heads < 1 || a.kv_heads < 1 || a.heads % a.kv_heads)
      problems_.add(
          a.module,
          absl::StrCat(a.heads, " attention heads cannot share ", a.kv_heads, " kv heads evenly"),
          kAsPublished);
    if (a.head_dim >= 1 && a.rope != kNoRope &&
        (a.head_dim < 2 || a.rope >= ropes_ ||
         2 * static_cast<int64_t>(table_[a.rope].inv_freq.size()) > a.head_dim))
      problems_.add(a.module,
                    absl::StrCat("heads of ", a.head_dim, " cannot be rotated in ",
                                 a.rope < ropes_ ? table_[a.rope].inv_freq.size() : 0, " pairs"),
                    kAsPublished);
  }
  void operator()(const Mamba1 &m) {
    if (m.out_proj.in != m.inner || m.inner < 1)
      problems_.add(m.module, "its widths do not fit together", kAsPublished);
    convolution(m.module, m.kernel);
  }
  void operator()(const DeltaNet &m) {
    if (m.key_heads < 1 || m.value_heads < 1 || m.value_heads % m.key_heads)
      problems_.add(m.module,
                    absl::StrCat(m.value_heads, " value heads cannot share ", m.key_heads,
                                 " key heads evenly"),
                    kAsPublished);
    if (m.kernel > 0)
      convolution(m.module, m.kernel);
  }
  void operator()(const LinearAttention &m) {
    if (m.kv_heads < 1 || m.heads % m.kv_heads)
      problems_.add(m.module,
                    absl::StrCat(m.heads, " heads cannot share ", m.kv_heads, " kv heads evenly"),
                    kAsPublished);
    if (m.rope != kNoRope &&
        (m.rope >= ropes_ || 2 * static_cast<int64_t>(table_[m.rope].inv_freq.size()) > m.key_dim))
      problems_.add(m.module, absl::StrCat("heads of ", m.key_dim, " cannot be rotated"),
                    kAsPublished);
    mixer(m.module, m.out, m.convs.empty() ? 2 : m.kernel);
  }
  void operator()(const Hgrn &m) {
    if (m.heads < 1 || m.forget.out % m.heads || m.input.out % m.heads)
      problems_.add(m.module, absl::StrCat("its columns cannot be shared by ", m.heads, " heads"),
                    kAsPublished);
    mixer(m.module, m.out, m.convs.empty() ? 2 : m.kernel);
  }
  void operator()(const ShortConv &m) { convolution(m.module, m.kernel); }
  void operator()(const Hyena &m) {
    if (m.filters < 1 || m.channels % m.filters || m.runs < 1 || m.channels % m.runs ||
        m.out.out != hidden_)
      problems_.add(m.module, "its widths do not fit the model", kAsPublished);
    convolution(m.module, m.kernel);
  }
  void operator()(const Mla &m) {
    if (m.rope != kNoRope &&
        (m.rope >= ropes_ || 2 * static_cast<int64_t>(table_[m.rope].inv_freq.size()) > m.rotary))
      problems_.add(m.module,
                    absl::StrCat(m.rotary, " columns of a head cannot be rotated in ",
                                 m.rope < ropes_ ? table_[m.rope].inv_freq.size() : 0, " pairs"),
                    kAsPublished);
    if (m.o.out != hidden_ || m.o.in != m.heads * m.values)
      problems_.add(m.module, "its widths do not fit the model", kAsPublished);
  }
  void operator()(const Mamba2 &m) {
    if (m.heads < 1 || m.groups < 1 || m.heads % m.groups)
      problems_.add(
          m.module,
          absl::StrCat(m.heads, " heads cannot share ", m.groups, " groups of B and C evenly"),
          kAsPublished);
    if (m.out_proj.in != m.inner())
      problems_.add(m.module,
                    absl::StrCat("the inner width ", m.out_proj.in, " is not ", m.heads,
                                 " heads of ", m.head_dim),
                    kAsPublished);
    convolution(m.module, m.kernel);
    if (!(m.dt_min <= m.dt_max))
      problems_.add(m.module, "the limits of the time step are crossed", kAsPublished);
  }
  void operator()(const Mamba3 &m) {
    if (m.groups < 1 || m.heads % m.groups || m.rank < 1 || m.angles < 1 ||
        2 * m.angles > m.state || (!m.adjacent && m.state % 2))
      problems_.add(m.module, "its sizes do not fit together", kAsPublished);
    mlp(m.module, m.out_proj);
  }
  void operator()(const Lru &m) {
    if (m.blocks < 1 || m.width % m.blocks || m.kernel < 1 || m.out.out != hidden_)
      problems_.add(m.module, "its widths do not fit the model", kAsPublished);
  }
  void operator()(const Mlstm &m) { mlp(m.module, m.out); }
  void operator()(const Rwkv4 &m) { mlp(m.module, m.output); }
  void operator()(const Rwkv6 &m) { rwkv(m); }
  void operator()(const Rwkv7 &m) { rwkv(m); }
  void operator()(const RwkvMlp &m) { mlp(m.module, m.value); }
  void operator()(const GatedMlp &m) { mlp(m.module, m.down); }
  void operator()(const Mlp &m) { mlp(m.module, m.down); }
  void operator()(const Moe &m) {
    const int64_t experts = m.router.out;
    const auto contradiction = [&](std::string what) {
      problems_.add(m.module, std::move(what), kAsPublished);
    };
    if (m.top_k < 1 || m.top_k > experts)
      contradiction(absl::StrCat("of ", experts, " experts ", m.top_k, " cannot be chosen"));
    else if (m.groups < 1 || experts % m.groups || m.top_groups < 1 || m.top_groups > m.groups ||
             m.group_top < 1 || m.group_top > experts / m.groups ||
             m.top_groups * (experts / m.groups) < m.top_k)
      contradiction(absl::StrCat(m.top_k, " of ", experts, " experts cannot be chosen from ",
                                 m.top_groups, " of ", m.groups, " groups, each by its ",
                                 m.group_top, " best"));
    if (m.down.in < 1 || (m.latent_out ? m.latent_out->out : m.down.out) != hidden_)
      contradiction("its widths do not fit the model");
  }

private:
  template <typename Mixing> void rwkv(const Mixing &m) {
    if (m.heads < 1 || m.key_dim < 1 || m.value_dim < 1 || m.key.out != m.heads * m.key_dim ||
        m.value.out != m.heads * m.value_dim)
      problems_.add(m.module,
                    absl::StrCat(m.key.out, " columns of keys and ", m.value.out,
                                 " of values are not ", m.heads, " heads"),
                    kAsPublished);
    mlp(m.module, m.output);
  }
  void mixer(const std::string &module, const Linear &out, int64_t kernel) {
    mlp(module, out);
    convolution(module, kernel);
  }
  void convolution(const std::string &module, int64_t kernel) {
    if (kernel < 1)
      problems_.add(module, "a convolution of no position", kAsPublished);
  }
  void mlp(const std::string &module, const Linear &down) {
    if (down.in < 1 || down.out != hidden_)
      problems_.add(module, "its widths do not fit the model", kAsPublished);
  }

  int64_t hidden_;
  size_t ropes_;
  const std::vector<Rope> &table_;
  Problems &problems_;
};

} // namespace

std::string layer_name(std::string_view name_template, int64_t layer) {
  return absl::StrReplaceAll(std::string(name_template), {{"*", absl::StrCat(layer)}});
}

std::vector<Tensor> tensors(const Decoder &decoder) {
  Lister list;
  const Init embedded = {0, 1 / std::sqrt(double(decoder.embedded()))};
  if (!decoder.embedding.empty())
    list.add(decoder.embedding + ".weight", {decoder.vocab, decoder.embedded()}, embedded);
  if (decoder.positions)
    list.add(decoder.positions->module + ".weight", {decoder.positions->rows, decoder.embedded()},
             embedded);
  if (decoder.types)
    list.add(decoder.types->module + ".weight", {decoder.types->rows, decoder.embedded()},
             embedded);
  list.norm(decoder.embedding_norm);
  if (decoder.embedding_projection)
    list.linear(*decoder.embedding_projection);
  for (const Layer &layer : decoder.layers)
    for (const Sublayer &sublayer : layer.sublayers) {
      if (sublayer.input != Input::Shared)
        list.norm(sublayer.norm);
      std::visit(list, sublayer.block);
      list.norm(sublayer.post);
      list.norm(sublayer.after);
    }
  list.norm(decoder.final_norm);
  if (decoder.encoding) {
    for (const Encoding::Stage &stage : decoder.encoding->stages) {
      if (stage.linear)
        list.linear(*stage.linear);
      list.norm(stage.norm);
    }
    return list.take();
  }
  if (!decoder.tied())
    list.linear(decoder.head);
  else
    list.bias(decoder.head);
  return list.take();
}

void check(const Decoder &decoder, Problems &problems) {
  Checker checker(decoder.hidden, decoder.ropes.size(), decoder.ropes, problems);
  // Layers of a model are alike: what is wrong with one is wrong with all, and said once.
  size_t before = problems.size();
  for (const Layer &layer : decoder.layers)
    for (const Sublayer &sublayer : layer.sublayers) {
      std::visit(checker, sublayer.block);
      if (problems.size() > before)
        return;
    }
  if (const auto &p = decoder.positions; p && decoder.context > p->rows - p->offset)
    problems.add(p->module,
                 absl::StrCat("the model has learned ", p->rows - p->offset, " positions, and ",
                              decoder.context, " are asked for"),
                 absl::StrCat("compile with -c ", p->rows - p->offset));
  double elements = 0;
  for (const Tensor &tensor : tensors(decoder)) {
    double count = 1;
    for (int64_t n : tensor.shape)
      count *= static_cast<double>(n);
    elements += count;
  }
  if (elements > static_cast<double>(kMaxElements))
    problems.add(decoder.family, absl::StrCat("the model would have ", elements, " weights"),
                 "Quern compiles models of up to 17e12");
}

namespace {

/// As many kv heads as all heads can share evenly: one. Weights follow.
void share_one_kv_head(Attention &a) {
  const int64_t q = a.heads * a.head_dim, kv = a.head_dim;
  a.kv_heads = 1;
  a.k.out = a.v.out = kv;
  if (a.k_norm && a.k_norm->heads)
    a.k_norm->heads = 1;
  if (a.k_norm)
    a.k_norm->size = kv;
  if (a.q.module != a.k.module)
    return;
  const int64_t all = q + 2 * kv; // stored together
  a.q.rows = {all, 0, q, q};
  a.k.rows = {all, q, kv, kv};
  a.v.rows = {all, q + kv, kv, kv};
}

} // namespace

bool make_sound(Decoder &decoder) {
  for (Layer &layer : decoder.layers)
    for (Sublayer &sublayer : layer.sublayers)
      if (auto *a = std::get_if<Attention>(&sublayer.block)) {
        if (a->heads >= 1 && a->head_dim >= 1 && (a->kv_heads < 1 || a->heads % a->kv_heads))
          share_one_kv_head(*a);
        if (a->rope != kNoRope &&
            (a->rope >= decoder.ropes.size() ||
             2 * static_cast<int64_t>(decoder.ropes[a->rope].inv_freq.size()) > a->head_dim ||
             a->head_dim < 2))
          a->rope = kNoRope;
      } else if (auto *m = std::get_if<Mla>(&sublayer.block)) {
        if (m->rope != kNoRope &&
            (m->rope >= decoder.ropes.size() ||
             2 * static_cast<int64_t>(decoder.ropes[m->rope].inv_freq.size()) > m->rotary))
          m->rope = kNoRope;
      }
  if (const auto &p = decoder.positions; p && p->rows > p->offset)
    decoder.context = std::min(decoder.context, p->rows - p->offset);
  for (const Tensor &tensor : tensors(decoder))
    for (const int64_t n : tensor.shape)
      if (n < 1)
        return false;
  Problems left;
  check(decoder, left);
  return left.empty();
}

} // namespace quern::recipe
