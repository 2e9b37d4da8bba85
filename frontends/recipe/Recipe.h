// Recipes: what a family says of its models. A decoder is an embedding, layers that each add
// something to the residual stream, a last norm and a head; a layer is a list of sublayers; a
// sublayer is a norm and a block. Families fill these structs (frontends/families), one builder
// turns them into IR (Builder.h), and neither knows the other.
//
// A new block is a struct here, an entry of `Block`, its tensors in Recipe.cpp and its IR in the
// builder. A new wiring of the residual stream is a field of Sublayer.
//
// Names are the model's own: a module `m` has its weight in the tensor `m.weight` and its bias in
// `m.bias`, in Hugging Face's files and in GGUF's.
#ifndef QUERN_FRONTENDS_RECIPE_RECIPE_H
#define QUERN_FRONTENDS_RECIPE_RECIPE_H

#include "frontends/Problem.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace quern::recipe {

/// Bounds on what a config may ask for. Generous, but such that no product of two of them overflows
/// and no list made from them is large.
inline constexpr int64_t kMaxLayers = 10'000;
inline constexpr int64_t kMaxWidth = int64_t{1} << 22;
inline constexpr int64_t kMaxVocab = int64_t{1} << 24;
inline constexpr int64_t kMaxContext = int64_t{1} << 30;
/// The context of models in which nothing ends at a position: where Quern's own counters are
/// comfortable.
inline constexpr int64_t kEndlessContext = int64_t{1} << 20;
inline constexpr int64_t kMaxKernel = 256; ///< taps of a convolution
inline constexpr int64_t kMaxExperts = int64_t{1} << 16;
inline constexpr int64_t kMaxHeads = int64_t{1} << 16;
inline constexpr int64_t kMaxHeadDim = int64_t{1} << 14;
/// Of all weights together.
inline constexpr int64_t kMaxElements = int64_t{1} << 44;

/// What synthetic values of a tensor look like: mean + spread * normal.
struct Init {
  double mean = 0;
  double spread = 1;
};

/// A tensor that the model must have.
struct Tensor {
  std::string name;
  std::vector<int64_t> shape;  ///< as the IR sees it
  std::vector<int64_t> stored; ///< as Hugging Face stores it, where that has more dimensions of 1
  Init init;
  bool transposed = false; ///< a linear's weight whose shape is [in, out]
  bool linear = false;     ///< a linear's weight
  /// The tensors that the files have it in, where each has one of the first dimension (experts).
  std::vector<std::string> parts{};

  /// What the files call it: the parts, or its name.
  std::vector<std::string> file_names() const {
    return parts.empty() ? std::vector<std::string>{name} : parts;
  }
};

/// Where the rows of a weight lie in one that the model stores fused: row r of it is row
/// offset + (r / block) * stride + r % block.
struct Rows {
  int64_t stored = 0; ///< rows of the stored tensor; 0: the weight is stored alone
  int64_t offset = 0;
  int64_t block = 0;
  int64_t stride = 0;
};

/// What a linear of its own adds to another's result, by way of `rank` numbers: y += (x D^T) U^T.
struct Adapter {
  std::string down{}, up{}; ///< modules; `up` has the rows that the other has
  int64_t rank = 0;
};

/// y = x W^T + b, W [out, in].
struct Linear {
  std::string module{};
  int64_t in = 0;
  int64_t out = 0;
  bool bias = false;
  Rows rows{};
  bool transposed = false;   ///< stored [in, out]
  std::string bias_module{}; ///< whose bias it has, where that is not `module`
  /// What the weight and the bias are called, where that is not `.weight` and `.bias` of a module.
  std::string weight_tensor{}, bias_tensor{};
  std::optional<Adapter> adapter{};

  std::string weight_name() const {
    return weight_tensor.empty() ? module + ".weight" : weight_tensor;
  }
  std::string bias_name() const {
    return bias_tensor.empty() ? (bias_module.empty() ? module : bias_module) + ".bias"
                               : bias_tensor;
  }
};

/// A vector: a tensor, or one of the rows of a tensor that has several.
struct Vector {
  std::string tensor{};
  int64_t size = 0;
  int64_t row = 0, rows = 0; ///< 0 rows: it is stored alone
};

enum class NormKind { Rms, Layer, None };

struct Norm {
  std::string module{};
  int64_t size = 0; ///< of the weight
  double eps = 0;
  int64_t group = 0; ///< columns normalized together; 0: the whole row
  NormKind kind = NormKind::Rms;
  bool weight = true;
  bool bias = false;
  bool add_one = false; ///< the weight is stored as its distance from 1
  /// Above 0: the weight is stored [heads, size / heads], or in as many tensors
  /// `module.norms.H.weight` where `apart`.
  int64_t heads = 0;
  bool apart = false;
  std::string tensor{};  ///< the weight's, where it is not `module.weight`
  bool root_eps = false; ///< eps is added to the root of the mean of squares, not under it

  std::string weight_name() const { return tensor.empty() ? module + ".weight" : tensor; }
};

/// Rotary positions: the frequencies with every scaling applied.
struct Rope {
  std::vector<float> inv_freq;
  double scale = 1; ///< of cosines and sines (YaRN's attention factor)
  bool operator==(const Rope &) const = default;
};

/// In the place of an index into Decoder::ropes: positions are not rotated.
inline constexpr size_t kNoRope = std::numeric_limits<size_t>::max();

/// Biases of scores by how far a key is from its query: buckets[clamp(distance, -m, m) + m] is the
/// row of the tensor [count, heads], for 2 m + 1 distances.
struct DistanceBias {
  std::string tensor{};
  int64_t count = 0;
  std::vector<int32_t> buckets{};
};

/// Softmax attention with grouped kv heads: causal, or to both sides.
struct Attention {
  std::string module{};
  std::string state{}; ///< what names its keys and values; empty: `module`, which is used once
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  Linear q{}, k{}, v{}, o{};
  double clip = 0;                        ///< bound of queries, keys and values; 0: none
  std::optional<Norm> q_norm{}, k_norm{}; ///< of queries and keys, per head or of the whole row
  bool norm_after_rope = false;
  bool clip_after_norm = false;
  size_t rope = 0;               ///< index into Decoder::ropes, or kNoRope
  bool rope_interleaved = false; ///< pairs are (2i, 2i+1), not (i, i+n)
  double scale = 0;              ///< of the scores
  int64_t window = 0;            ///< keys seen by a query, itself included; 0: all
  double softcap = 0;            ///< of the scaled scores; 0: none
  std::vector<float> alibi{};    ///< slope of each head; empty: none
  bool alibi_bf16 = false;       ///< biases rounded to bfloat16, then scaled (Falcon)
  std::string sinks{};           ///< tensor of a score for each head that no key has; empty: none
  std::optional<Linear> gate{};  ///< the result is multiplied by its sigmoid
  /// An encoder's: every token sees those behind it too, keys and values are kept by nobody, and a
  /// query sees `window` keys to each side, and itself.
  bool both_sides = false;
  std::optional<DistanceBias> bias{}; ///< where it is both_sides
};

/// Mamba's selective state space (Gu and Dao, 2023): in_proj gives x and gate z; after the
/// convolution x_proj gives dt, B and C; the state of a channel is `state` numbers, whose decay is
/// exp(dt * A); y = (C-readout + D x) silu(z).
struct Mamba1 {
  std::string module;
  std::string conv;     ///< module of the convolution
  std::string a, d;     ///< tensors
  bool a_is_log = true; ///< `a` holds log(-A); else A itself
  int64_t inner = 0;    ///< channels
  int64_t state = 0;
  int64_t rank = 0;   ///< of dt
  int64_t kernel = 0; ///< of the convolution
  bool conv_bias = false;
  Linear in_proj, x_proj, dt_proj, out_proj;
  Norm dt_norm{.kind = NormKind::None}, b_norm{.kind = NormKind::None},
      c_norm{.kind = NormKind::None};
  std::string activation = "silu"; ///< after the convolution, as quern.unary calls it
};

/// Multi-head latent attention (DeepSeek-AI, 2024), absorbed: the keys of all heads are the latent
/// of a token, normed, and one rotary key behind it; what would make each head's keys and values of
/// the latent multiplies queries and sums of latents instead. So a position keeps latent + rotary
/// numbers, and prompts and decoding have the same bits.
struct Mla {
  std::string module{};
  int64_t heads = 0;
  int64_t latent = 0;                  ///< of a key and value
  int64_t plain = 0, rotary = 0;       ///< columns of a head's query, the first not rotated
  int64_t values = 0;                  ///< columns of a head's value
  std::optional<Linear> q_latent{};    ///< queries are made of a latent, too
  std::optional<Norm> q_latent_norm{}; ///< of that
  Linear q{};                          ///< [heads (plain + rotary)]
  Linear kv{};                         ///< [latent + rotary]
  Norm kv_norm{};                      ///< of the latent
  Linear expand{};                     ///< [heads (plain + values), latent]; or, without a module:
  std::string key_module{}, value_module{}; ///< [heads, latent, plain] and [heads, values, latent]
  Linear o{};
  size_t rope = 0;              ///< index into Decoder::ropes, or kNoRope
  bool rope_interleaved = true; ///< pairs are (2i, 2i+1), not (i, i+n)
  double scale = 0;             ///< of the scores
};

/// Mamba-2's selective state space (Dao and Gu, 2024): in_proj gives gate z, [x B C] and dt; the
/// convolution runs over [x B C]; decay = exp(dt * A); y = C-readout + D x, gated by silu(z) and
/// then normed by groups, or the other way around.
struct Mamba2 {
  std::string module;
  std::string conv;          ///< module of the convolution
  std::string dt_bias, a, d; ///< tensors
  bool a_is_log = true;      ///< `a` holds log(-A); else A itself
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t state = 0;  ///< state_size: key dim of the recurrence
  int64_t groups = 0; ///< of B and C
  int64_t kernel = 0; ///< of the convolution
  bool conv_bias = false;
  Linear in_proj, out_proj;
  Norm norm;
  bool norm_first = false; ///< before the gate
  /// What z, x, B, C and dt are multiplied with as in_proj gives them.
  double z_scale = 1, x_scale = 1, b_scale = 1, c_scale = 1, dt_scale = 1;
  std::string activation = "silu"; ///< after the convolution, as quern.unary calls it
  double dt_min = 0;
  double dt_max = std::numeric_limits<double>::infinity();

  int64_t inner() const { return heads * head_dim; }
  int64_t conv_channels() const { return inner() + 2 * groups * state; }
};

/// Mamba-3's selective state space (2026): in_proj gives gate z, x, B, C, dt, A, a trapezoid's
/// share t and angles; B and C are normed, get a bias and are rotated by angles that sum up over
/// tokens. S = a S + (1 - t) dt a B' x'^T + t dt B x^T, where B' and x' are the token's before and
/// a = exp(-dt max(softplus(A), floor)); y = S^T C + D x, gated by silu(z). With a rank above 1, B
/// and C are as many, and x, z and y are multiplied by weights of each: y is summed up.
struct Mamba3 {
  std::string module{};
  int64_t heads = 0, head_dim = 0;
  int64_t state = 0, groups = 0; ///< of B and C
  int64_t rank = 1;
  bool ranked = false;    ///< x, z and y have weights by rank: mimo_x, mimo_z, mimo_o
  int64_t angles = 0;     ///< pairs of a head's numbers that rotate
  bool adjacent = true;   ///< pairs are (2i, 2i+1), not (i, i + state / 2)
  double decay_floor = 0; ///< of softplus(A)
  Linear in_proj{}, out_proj{};
  Norm b_norm{}, c_norm{};
  std::optional<Norm> norm{}; ///< of y's heads, before the gate

  int64_t inner() const { return heads * head_dim; }
  int64_t projected() const { return 2 * inner() + 2 * rank * groups * state + 3 * heads + angles; }
};

/// The gated delta rule (Yang et al., 2025): q, k and v are projected, convolved and activated; q
/// and k are normed by heads; S decays by exp(A softplus(a + dt_bias)), and k then holds v in it,
/// as far as beta = sigmoid(b) goes; y = norm(S q) act(z). In Kimi Linear (Moonshot AI, 2025) each
/// number of a key decays by itself. Without gates, the delta rule (Yang et al., 2024): nothing
/// decays.
struct DeltaNet {
  /// A depthwise convolution's module.
  struct Conv {
    std::string module{};
    int64_t channels = 0;
  };
  std::string module{};
  std::string dt_bias{}, a{}; ///< tensors
  bool a_is_log = true;       ///< `a` holds log(-A); else A itself
  int64_t key_heads = 0, value_heads = 0;
  int64_t key_dim = 0, value_dim = 0;
  /// Value head h reads key head h % key_heads, as llama.cpp has them; else those of a key head lie
  /// side by side.
  bool tiled = false;
  int64_t kernel = 0;                ///< of the convolutions; 0: there are none
  std::vector<Linear> projections{}; ///< of q, k and v: one, or three
  std::vector<Conv> convs{};         ///< of the channels of q, k and v, as the model cuts them
  /// Without a module: beta is 1, nothing decays, y is not gated.
  Linear b{}, decay{}, z{}, out{};
  std::optional<Linear> decay_latent{}, z_latent{}; ///< `decay` and `z` are made of these
  bool key_decay = false; ///< `decay` has a number for each of a key's, not one for a head
  bool a_padded = false;  ///< `a` is stored [1, 1, heads, 1]
  /// Below 0: the logarithm of a decay is this times sigmoid(exp(log(-A)) (a + dt_bias)).
  double decay_floor = 0;
  double beta_scale = 1;
  double l2_eps = 1e-6;
  bool sum_norm = false;           ///< q and k are divided by the sum of their numbers' sizes
  Norm norm{};                     ///< of each value head
  std::string activation = "silu"; ///< after the convolutions
  /// Of q and k, where it is another: as quern.unary calls it, or a feature map (Writer::feature).
  std::optional<std::string> qk_activation{};
  std::string gate_activation = "silu"; ///< of z

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
};

/// Attention without a softmax, whose sum of k v^T decays (Katharopoulos et al., 2020): in RetNet
/// (Sun et al., 2023) by 1 - 2^(-5-h) in head h, in GLA (Yang et al., 2024) number by number of a
/// key, by sigmoid(gate)^(1/gate_divisor). y = norm(S^T q) act(z).
struct LinearAttention {
  std::string module{};
  int64_t heads = 0, kv_heads = 0; ///< heads / kv_heads heads share keys, values and gates
  int64_t key_dim = 0, value_dim = 0;
  Linear q{}, k{}, v{}, out{};
  int64_t kernel = 0;               ///< of the convolutions
  std::vector<std::string> convs{}; ///< their modules, of q, k and v; empty: there are none
  std::string conv_activation = "silu";
  /// Of queries and keys: a name of Writer::feature, behind linears of a head's columns, one (whose
  /// result it is of) or two (whose product it is of) for each of q and k.
  std::string feature{};
  std::vector<Linear> q_maps{}, k_maps{};
  bool q_sum = false, k_sum = false;      ///< then divided by their sums
  size_t rope = kNoRope;                  ///< index into Decoder::ropes
  bool retains = false;                   ///< heads decay as RetNet's
  std::optional<Linear> latent{}, gate{}; ///< `gate` is made of `latent`
  double gate_divisor = 16;
  double gate_floor = -std::numeric_limits<double>::infinity(); ///< of a decay's logarithm
  bool normalize = false; ///< y is divided by what the same gives for values of 1
  Norm norm{};
  std::optional<Linear> z{};
  std::string gate_activation = "silu"; ///< of z
};

/// HGRN (Qin et al., 2023): a state of one number a channel, h = f h + (1 - f) silu(i), where f =
/// bound + (1 - bound) sigmoid(forget); y = norm(h) silu(z). In HGRN2 (Qin et al., 2024), which has
/// queries, 1 - f is a key of a state [keys, values], the values are i, and nothing gates y.
struct Hgrn {
  std::string module{};
  int64_t heads = 1;
  Linear forget{}, input{}, out{};
  std::optional<Linear> q{}, z{};
  int64_t kernel = 0; ///< of the convolutions
  std::vector<std::string>
      convs{}; ///< their modules, of forget, input and q; empty: there are none
  /// The tensor [layers, columns of forget] of which the softmax over layers, summed up from the
  /// second layer to this one, is the bound; empty: the bound is 0.
  std::string bounds{};
  int64_t layer = 0, layers = 0;
  Norm norm{};
};

/// out(C * conv(B * x)), where [B C x] is in(x) (LFM2).
struct ShortConv {
  std::string module{};
  std::string conv{}; ///< module of the convolution
  int64_t channels = 0;
  int64_t kernel = 0;
  bool conv_bias = false;
  Linear in{}, out{};
};

/// Hyena's operator of order 2 (Poli et al., 2023) with filters in modal form (Massaroli et al.,
/// 2023): out(x2 * long(x1 * v)), where [x2 x1 v] is a short convolution of in(x), and `long` is
/// quern.long_conv. Of the module are short_filter_weight, short_filter_bias, poles, residues, D.
struct Hyena {
  std::string module{};
  int64_t channels = 0;
  int64_t kernel = 0; ///< of the short convolution
  bool conv_bias = true;
  int64_t filters = 0; ///< different ones, each of as many neighbouring channels
  int64_t modes = 0;   ///< of a filter
  /// Runs of channels, of each of which x2, x1 and v lie together.
  int64_t runs = 1;
  Linear in{}, out{};
};

/// A block around a real-gated linear recurrent unit (De et al., 2024): out(lru(conv(input(x))) *
/// act(gate(x))). The unit's gates i and r are sigmoids of block-diagonal linears of its input u,
/// log a = -8 r softplus(p), and its state becomes a * state + sqrt(1 - a^2) i u, where a
/// sequence's first input is not scaled by the root.
struct Lru {
  std::string module{};
  std::string conv{}; ///< module of the convolution, which has a bias
  std::string
      unit{}; ///< of the gates `input_gate_weight` [blocks, in, out] ... and of recurrent_param
  int64_t width = 0;
  int64_t blocks = 0;
  int64_t kernel = 0; ///< of the convolution
  Linear input{}, gate{}, out{};
  std::string activation = "gelu_tanh"; ///< as quern.unary calls it
};

/// xLSTM's matrix memory (Beck et al., 2024): S = f S + i k v^T and n = f n + i k, where f =
/// sigmoid(forget gate) and i = exp(input gate), both kept as multiples of the exponential of a
/// running maximum m; y = S^T q / (max(|n^T q|, exp(-m)) + eps), normed head by head and gated.
struct Mlstm {
  std::string module{};
  int64_t heads = 0;
  int64_t key_dim = 0, value_dim = 0; ///< of a head
  Linear q{}, k{}, v{}, out_gate{}, input_gate{}, forget_gate{};
  Norm norm{};
  Linear out{};
  double gate_cap = 0; ///< of the input and forget gates: cap tanh(x / cap); 0: none
  double eps = 0;
};

/// RWKV-4's time mixing (Peng et al., 2023): keys, values and receptances of rows mixed with those
/// of the token before, by `module.time_mix_key` and so on; output(sigmoid(r) * y), where y is a
/// mean of values weighted by exp(k), which decay by exp(-exp(time_decay)) a token, the token's own
/// by exp(k + time_first).
struct Rwkv4 {
  std::string module{};
  int64_t hidden = 0;
  int64_t width = 0; ///< of keys and values
  Linear key{}, value{}, receptance{}, output{};
};

/// RWKV-5's and 6's time mixing (Peng et al., 2024): S = diag(w) S + k v^T, w = exp(-exp(decay)),
/// read with the token's own k v^T times a bonus; output(norm(S^T r) act(gate)). In RWKV-6 the
/// decay and the mixes with the token before are each a vector and a low-rank product of the row.
struct Rwkv6 {
  std::string module{};
  int64_t heads = 0;
  int64_t key_dim = 0, value_dim = 0; ///< of a head
  Vector mix_receptance{}, mix_decay{}, mix_key{}, mix_value{}, mix_gate{};
  bool from_before = false; ///< mixes lead from the token before to the token, not away from it
  /// What is added to the mixes: of each block of tanh(down(row mixed by `base`)) a product. The
  /// `up`s are stored [5, rank, out], [5, out, rank] or [out, 5 rank].
  struct Mixes {
    enum class Stored { Transposed, Blocks, Columns };
    Vector base{};
    Linear down{};
    std::string up{};
    Stored stored = Stored::Transposed;
    std::string order{}; ///< of the blocks: a permutation of "rwkvg"
  };
  std::optional<Mixes> mixes{};
  Linear receptance{}, key{}, value{}, gate{}, output{};
  Vector decay{};                                 ///< of all tokens; or, without a tensor:
  std::optional<Linear> decay_down{}, decay_up{}; ///< decay_up(tanh(decay_down(row)))
  std::string bonus{};                            ///< tensor [heads, key_dim]
  Norm norm{};                                    ///< of each head
  std::string activation = "silu";                ///< of the gate
};

/// RWKV-7's time mixing (Peng et al., 2025): rows mixed with those of the token before, one mix for
/// each of what follows; S = S diag(w) - kk^T (kk * a) S + k v^T as a correction of a decay, where
/// w = exp(-e^(-1/2) sigmoid(decay)), a = sigmoid(rate), kk is a key normed to 1 by heads and k is
/// scaled by 1 + (a - 1) k_a; output(gate * (norm(S^T r) + (sum of r k r_k) v)). Values are mixed
/// with the first layer's, as far as sigmoid(value_mix) goes.
struct Rwkv7 {
  /// up(act(down(x))), the up with a bias but for the gate's.
  struct LowRank {
    Linear down{}, up{};
  };
  std::string module{};
  int64_t heads = 0;
  int64_t key_dim = 0, value_dim = 0; ///< of a head
  Vector mix_receptance{}, mix_decay{}, mix_key{}, mix_value{}, mix_rate{}, mix_gate{};
  Linear receptance{}, key{}, value{}, output{};
  LowRank decay{}, rate{}, gate{};
  std::optional<LowRank> value_mix{}; ///< without one the layer is the first
  Vector k_k{}, k_a{}, r_k{};
  double l2_eps = 0; ///< added to the sum of squares
  Norm norm{};       ///< of each head
};

/// RWKV's channel mixing: value(max(key, 0)^2), times sigmoid(receptance) where there is one, both
/// of rows mixed with those of the token before.
struct RwkvMlp {
  std::string module{};
  Vector mix_key{}, mix_receptance{};
  bool from_before = false; ///< mixes lead from the token before to the token, not away from it
  Linear key{}, value{};
  std::optional<Linear> receptance{};
};

/// down(act(gate(x)) * up(x)), times sigmoid(row_gate(x)), one number a row, where there is one.
struct GatedMlp {
  std::string module{};
  Linear gate{}, up{}, down{};
  std::string activation = "silu"; ///< as quern.unary calls it
  double gate_scale = 1;           ///< of gate(x)
  std::optional<Linear> row_gate{};
};

/// down(act(up(x))).
struct Mlp {
  std::string module{};
  Linear up{}, down{};
  std::string activation = "gelu_erf"; ///< as quern.unary calls it
};

/// A product with a matrix for each expert, W [experts, out, in].
struct ExpertLinear {
  /// The tensor. `#` stands for the expert's number, where the files have one of each; else it has
  /// them all.
  std::string weight{};
  std::string bias{}; ///< likewise, [experts, out]; empty: none
  int64_t experts = 0;
  int64_t in = 0;
  int64_t out = 0;
  Rows rows{};             ///< where each expert's outputs lie, if its matrix holds others too
  bool transposed = false; ///< each is stored [in, out]
  bool flat = false;       ///< all experts' rows are one matrix's
};

enum class RouterScore { Softmax, Sigmoid, Chosen };

/// A mixture of experts (quern.route): each token goes to the top_k experts that the router scores
/// best, and the results of down(act(gate(x)) * up(x)), or of down(act(up(x))) without a gate, are
/// summed up by their weights.
struct Moe {
  std::string module{};
  Linear router{};
  std::string correction{};    ///< tensor that is added to scores for the choice alone; empty: none
  bool correction_row = false; ///< it is stored [1, experts]
  RouterScore score = RouterScore::Softmax;
  int64_t top_k = 0;
  int64_t groups = 1, top_groups = 1, group_top = 1;
  int64_t normalize = 0; ///< p of the norm that weights are divided by; 0: none
  double eps = 0;        ///< added to it
  double scale = 1;      ///< of the weights
  /// Experts work on latent_in(x), and latent_out takes their sum back; both or none.
  std::optional<Linear> latent_in{}, latent_out{};
  ExpertLinear gate{}; ///< of no weight: there is none
  ExpertLinear up{}, down{};
  std::string activation = "silu";        ///< as quern.unary calls it
  double limit = 0, alpha = 1, shift = 0; ///< as quern.gated_act has them; 0: no limit
};

using Block =
    std::variant<Attention, Mla, Mamba1, Mamba2, Mamba3, DeltaNet, LinearAttention, Hgrn, ShortConv,
                 Hyena, Lru, Mlstm, Rwkv4, Rwkv6, Rwkv7, RwkvMlp, GatedMlp, Mlp, Moe, Linear>;

/// What a sublayer's norm is given.
enum class Input {
  Stream,   ///< the stream as the sublayer before left it
  Layer,    ///< the layer's own input (parallel branches)
  Shared,   ///< nothing: the block takes the normed rows that the sublayer before took
  Embedded, ///< the stream, and after it in each row the embeddings
  Aside,    ///< what the sublayer before made and kept from the stream
  Joined,   ///< the sum of the stream and that
};

/// stream = after(stream + scale * post(block(input_scale * norm(input)))).
struct Sublayer {
  Norm norm{};
  Block block{};
  Norm post{.kind = NormKind::None};
  double scale = 1;
  Input input = Input::Stream;
  double input_scale = 1;
  bool aside = false; ///< its result is for the next sublayer, and not added to the stream
  Norm after{.kind = NormKind::None};
};

struct Layer {
  std::vector<Sublayer> sublayers;
};

/// Learned positions: row position + offset of the table is added to each token's embedding.
struct Positions {
  std::string module{};
  int64_t rows = 0;
  int64_t offset = 0;
};

/// Types of tokens: the row of the table that is a token's type is added to its embedding; of one
/// row there is but one type.
struct TokenTypes {
  std::string module{};
  int64_t rows = 0;
};

/// How rows of a sequence become one, as quern.pool has it.
enum class Pool { Mean, First, Last, Max, RootMean, WeightedMean };

/// What an encoder makes of a sequence: its rows pooled in some ways, side by side, and then taken
/// through stages.
struct Encoding {
  struct Stage {
    std::optional<Linear> linear{};
    std::string activation{}; ///< as quern.unary calls it; empty: none
    Norm norm{.kind = NormKind::None};
    bool unit = false; ///< the row is divided by its length
  };
  std::vector<Pool> pools{};
  std::vector<Stage> stages{};
  int64_t labels = 0; ///< the last stage gives as many scores; 0: what it gives is a vector
};

/// A causal language model, or, with an encoding, an encoder: it has no head then.
struct Decoder {
  std::string family;
  int64_t vocab = 0;
  int64_t hidden = 0;
  int64_t context = 0;   ///< the longest sequence the model's author says it can take
  std::string embedding; ///< module; its weight is [vocab, hidden]
  double embedding_scale = 1;
  int64_t embedding_width = 0; ///< its columns, where they are not `hidden`; then projected
  std::optional<Positions> positions{};
  std::optional<TokenTypes> types{};
  Norm embedding_norm{.kind = NormKind::None};
  std::optional<Linear> embedding_projection{};
  std::vector<Rope> ropes{};
  std::vector<Layer> layers{};
  Norm final_norm{};
  Linear head{}; ///< `head.module` equal to `embedding`: the head is the embedding's weight
  double logit_scale = 1;
  double logit_softcap = 0; ///< of the scaled logits; 0: none
  std::optional<Encoding> encoding{};

  bool tied() const { return head.module == embedding; }
  int64_t embedded() const { return embedding_width ? embedding_width : hidden; }
};

/// Module and tensor names with the layer's number in the place of `*`.
std::string layer_name(std::string_view name_template, int64_t layer);

/// Every tensor the model needs, each once, in the order the builder uses them.
std::vector<Tensor> tensors(const Decoder &decoder);

/// Adds what contradicts itself: heads that kv heads do not divide, an odd rotary dimension and the
/// like. Families check the keys they read; this is what holds of any of them.
void check(const Decoder &decoder, Problems &problems);

/// Changes what check() finds wrong, and can be changed without consequences for other parts, to
/// something sound: for looking at the rest. False where something stays wrong.
bool make_sound(Decoder &decoder);

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_RECIPE_H
