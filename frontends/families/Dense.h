// What decoders in the manner of Llama share: grouped attention with rotary positions and a gated
// MLP, each behind its own RMS norm, all layers alike but for their windows. A family reads the
// common keys into `Dense`, sets what is its own, and makes a recipe of it.
#ifndef QUERN_FRONTENDS_FAMILIES_DENSE_H
#define QUERN_FRONTENDS_FAMILIES_DENSE_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Module names; `*` is the layer.
struct DenseNames {
  const char *embedding, *final_norm, *head;
  const char *attention_norm, *attention, *q, *k, *v, *o, *q_norm, *k_norm;
  const char *mlp_norm, *mlp, *gate, *up, *down;
};
extern const DenseNames kHfDenseNames;   ///< model.layers.*.self_attn.q_proj ...
extern const DenseNames kGgufDenseNames; ///< blk.*.attn_q ...

struct Dense {
  std::string family;
  int64_t vocab = 0, hidden = 0, layers = 0, mlp = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double eps = 0;
  recipe::Activation activation = recipe::Activation::Silu;
  recipe::Rope rope;
  bool rope_interleaved = false;
  bool tied = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;
  std::vector<int64_t> windows; ///< by layer, 0: none; empty: none anywhere
};

/// Reads the keys that every such family has in config.json. `default_head_dim`: where the family
/// has one; else hidden / heads.
Dense dense_from_hf(ModelReader &model, std::optional<int64_t> default_head_dim = std::nullopt);

/// Reads the keys that every such architecture has in GGUF. Biases are there if their tensors are.
Dense dense_from_gguf(ModelReader &model);

/// use_sliding_window, sliding_window, max_window_layers and layer_types as Qwen's configs have
/// them: fills `windows`.
void read_qwen_windows(ModelReader &model, Dense &dense);

/// The recipe. `model` says which of two tied weights the files have.
recipe::Decoder dense_decoder(const ModelReader &model, const Dense &dense,
                              const DenseNames &names);

/// hidden_act and the like. What is not known is a problem.
recipe::Activation read_activation(ModelReader &model, std::string_view key,
                                   std::string_view fallback);

/// The module whose weight the head uses, where `tied` is what the config says: the head's own if
/// the files have it (then the embedding's is, or should be, the same), else the embedding's.
std::string head_module(const ModelReader &model, bool tied, const std::string &embedding,
                        const std::string &head);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_DENSE_H
