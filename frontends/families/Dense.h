// What dense transformers share: attention and an MLP in every layer, all layers alike but for
// their windows and positions. A family reads the common keys into `Dense`, whose defaults are
// Llama's, sets what is its own, and makes a recipe of it.
#ifndef QUERN_FRONTENDS_FAMILIES_DENSE_H
#define QUERN_FRONTENDS_FAMILIES_DENSE_H

#include "frontends/families/ModelReader.h"
#include "frontends/families/Rotary.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Module names; `*` is the layer. Where a projection is stored fused, all its parts have its name.
struct DenseNames {
  const char *embedding = nullptr, *final_norm = nullptr, *head = nullptr;
  const char *attention_norm = nullptr, *attention = nullptr;
  const char *q = nullptr, *k = nullptr, *v = nullptr, *o = nullptr;
  const char *q_norm = nullptr, *k_norm = nullptr;
  const char *mlp_norm = nullptr, *mlp = nullptr;
  const char *gate = nullptr, *up = nullptr, *down = nullptr;
  const char *attention_post = nullptr, *mlp_post = nullptr;
  const char *positions = nullptr, *embedding_norm = nullptr;
  const char *sinks = nullptr; ///< the tensor; null: there are none
  // Of encoders, which have no head and need have no last norm.
  const char *types = nullptr, *embedding_projection = nullptr;
  const char *distance_bias = nullptr; ///< the tensor
};
extern const DenseNames kHfDenseNames; ///< model.layers.*.self_attn.q_proj ...

/// Which norms a layer has, and what its MLP works on.
enum class Wiring {
  PreNorm,  ///< a norm before each sublayer
  PostNorm, ///< a norm after each sublayer (attention_post, mlp_post), none before
  Sandwich, ///< both
  Parallel, ///< attention and MLP work on the layer's input, each behind its own norm
  OneNorm,  ///< the same behind one norm
  AfterSum, ///< a norm of each sum (attention_post, mlp_post), none before: BERT's
};
enum class QkNorm {
  None,
  Head, ///< one weight for all heads
  Each, ///< each head has its weight
  Row,  ///< all heads are one row
};
/// How queries, keys and values lie in one weight.
enum class FusedQkv {
  None,
  Stacked, ///< all queries, all keys, all values
  Groups,  ///< for each kv head its queries, its key and its value
};

struct Dense {
  std::string family{};
  int64_t vocab = 0, hidden = 0, layers = 0, mlp = 0, context = 0;
  int64_t max_positions = 0; ///< what the config says of the context
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double eps = 0;
  std::string activation = "silu"; ///< as quern.unary calls it
  bool gated = true;
  std::vector<recipe::Rope> ropes{};
  std::vector<size_t> layer_ropes{}; ///< index into ropes, or kNoRope; empty: the first
  bool rope_interleaved = false;
  bool tied = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false, head_bias = false;
  recipe::NormKind norm = recipe::NormKind::Rms;
  bool norm_weight = true, norm_bias = false, norm_add_one = false;
  QkNorm qk_norm = QkNorm::None; ///< of the kind `norm`
  bool qk_norm_after_rope = false, qk_norm_bias = false, qk_norm_apart = false;
  Wiring wiring = Wiring::PreNorm;
  FusedQkv fused = FusedQkv::None;
  bool fused_gate_up = false;     ///< the gate's rows, then up's
  bool transposed = false;        ///< the layers' weights are stored [in, out]
  std::vector<int64_t> windows{}; ///< by layer, 0: none; empty: none anywhere
  /// By layer, where layers differ in them; empty: `heads`, `kv_heads`, `mlp` of all.
  std::vector<int64_t> layer_heads{}, layer_kv_heads{}, layer_mlp{};
  double attention_scale = 0;   ///< 0: 1 / sqrt(head_dim)
  double softcap = 0, clip = 0; ///< as in recipe::Attention
  bool clip_after_norm = false;
  std::vector<float> alibi{};
  bool alibi_bf16 = false;
  double residual_scale = 1, embedding_scale = 1, logit_scale = 1, logit_softcap = 0;
  int64_t position_rows = 0, position_offset = 0; ///< of learned positions; 0: none
  bool both_sides = false;     ///< an encoder's layers; windows are then those to either side
  int64_t type_rows = 0;       ///< of tokens' types; 0: they have none
  int64_t embedding_width = 0; ///< where it is not `hidden`; then projected
  std::optional<recipe::DistanceBias> distance_bias{}; ///< of all layers; both_sides

  void slide(const std::vector<bool> &layers_that_do, int64_t window);
};

/// Where config.json says what; null: it does not say, the default is meant.
struct HfKeys {
  const char *hidden = "hidden_size", *layers = "num_hidden_layers", *mlp = "intermediate_size";
  const char *context = "max_position_embeddings", *heads = "num_attention_heads";
  const char *kv_heads = "num_key_value_heads", *head_dim = "head_dim";
  const char *eps = "rms_norm_eps", *activation = "hidden_act";
  double default_eps = 1e-6;
  const char *default_activation = "silu";
  std::optional<int64_t> default_head_dim = std::nullopt; ///< where the key is missing
  std::optional<int64_t> default_kv_heads = std::nullopt; ///< where the key is missing, not null
  std::optional<int64_t> default_mlp_factor = std::nullopt;
  std::optional<int64_t> default_context = std::nullopt;
  bool default_tied = false;
  std::optional<RopeKeys> rope = RopeKeys{}; ///< nullopt: positions are not rotated
};

/// Reads the keys that every such family has in config.json.
Dense dense_from_hf(ModelReader &model, const HfKeys &keys = {});

/// Which layers slide: those that layer_types says; if it is not there, all but every `pattern`th
/// (0: none, 1: all).
std::vector<bool> read_sliding_layers(ModelReader &model, int64_t layers, int64_t pattern);

/// sliding_window, 0: there is none. null is none too, and a missing key is `missing`.
int64_t read_sliding_window(ModelReader &model, int64_t missing);

/// sliding_window of all layers, where there is one.
void read_window(ModelReader &model, Dense &dense, int64_t missing);

/// The slopes of ALiBi's published code, 2^(-steepest * i/n) for n heads; heads beyond a power of
/// two take those between.
std::vector<float> alibi_slopes(int64_t heads, double steepest = 8);

/// use_sliding_window, sliding_window, max_window_layers and layer_types as Qwen's configs have
/// them: fills `windows`.
void read_qwen_windows(ModelReader &model, Dense &dense);

/// The recipe. `model` says which of two tied weights the files have.
recipe::Decoder dense_decoder(const ModelReader &model, const Dense &dense,
                              const DenseNames &names);

/// The module whose weight the head uses, where `tied` is what the config says: the head's own if
/// the files have it (then the embedding's is, or should be, the same), else the embedding's.
std::string head_module(const ModelReader &model, bool tied, const std::string &embedding,
                        const std::string &head);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_DENSE_H
