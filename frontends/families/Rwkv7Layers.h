// The layers of RWKV-7 by each way of naming their tensors.
#ifndef QUERN_FRONTENDS_FAMILIES_RWKV7LAYERS_H
#define QUERN_FRONTENDS_FAMILIES_RWKV7LAYERS_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// What tensors are called; `*` is the layer, and `%` what a mix or a low-rank product is for: r, w
/// (the decay), k, v, a (the rate) or g.
struct Rwkv7Names {
  const char *embedding, *pre_norm, *norm1, *norm2, *time, *channel, *final_norm, *head;
  const char *r, *k, *v, *o, *norm;
  const char *down, *up, *bias; ///< of the low-rank products
  bool transposed = false;      ///< whose matrices are stored [in, out]
  const char *fused = nullptr;  ///< one tensor of all mixes
  const char *suffix = "";      ///< of vectors' names
};
extern const Rwkv7Names kRwkv7PackageNames, kRwkv7FlaNames, kRwkv7GgufNames;

struct Rwkv7Sizes {
  int64_t layers = 0, mlp = 0, head_dim = 0;
  int64_t decay = 0, rate = 0, value = 0, gate = 0; ///< ranks
  std::vector<int64_t> values{};                    ///< columns of values, by layer
  double eps = 1e-5;
  double group_eps = 64e-5; ///< of the norms of heads
  double l2_eps = 1e-24;
  bool pre_norm = true, norm_bias = true;
};

/// The width between a low-rank product's two matrices, as they are stored.
std::optional<int64_t> stored_rank(const ModelReader &model, const Rwkv7Names &names, char what);

/// All of the decoder but its sizes and its head.
void add_rwkv7_layers(recipe::Decoder &decoder, const Rwkv7Sizes &sizes, const Rwkv7Names &names);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_RWKV7LAYERS_H
