// What the families of RWKV share: files of the `rwkv` package's names, which come without a
// config, so that sizes are what the tensors' shapes say.
#ifndef QUERN_FRONTENDS_FAMILIES_RWKV_H
#define QUERN_FRONTENDS_FAMILIES_RWKV_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <string>

namespace quern {

/// The size of a dimension of a tensor, or `missing` where the files do not have one of it.
std::optional<int64_t> stored_size(const ModelReader &model, const std::string &tensor,
                                   size_t dimension, std::optional<int64_t> missing = std::nullopt);

/// The number of layers: the key's, or that of the tensors that the template, with `*` for the
/// layer, names.
int64_t rwkv_layers(ModelReader &model, const char *key, const std::string &name_template);

/// Where the package's files are: they have the tensor `emb.weight`.
bool is_rwkv_package(const ModelReader &model);

/// What the tensors of RWKV-5 and 6 are called; `*` is the layer.
struct RwkvNames {
  const char *embedding, *pre_norm, *block, *time, *channel, *final_norm, *head;
};

/// Sizes of RWKV-5 and 6, in the words of their published configs.
struct RwkvSizes {
  int64_t layers = 0, mlp = 0, head_dim = 0;
  int64_t width = 0; ///< of keys, values, receptances and gates
  double eps = 1e-5;
  double group_eps = 64e-5;  ///< of the norms of heads
  int64_t rescale_every = 0; ///< layers after which the stream is halved; 0: never

  /// The stream's scale at a layer, which norms do not see but for eps.
  double scale_at(int64_t layer) const;
  double eps_at(int64_t layer) const { return eps * scale_at(layer) * scale_at(layer); }
  int64_t heads() const { return width / head_dim; }
};

/// What a model of RWKV-5 or 6 with the package's names, or the published models', is but for
/// its layers.
recipe::Decoder read_rwkv(ModelReader &model, const char *family, RwkvNames &names,
                          RwkvSizes &sizes);

/// Those parts of a block that RWKV-5 and 6 have in common, as both name them.
recipe::Rwkv6 rwkv_time_mixing(const RwkvNames &names, const RwkvSizes &sizes, int64_t hidden,
                               int64_t layer);
recipe::RwkvMlp rwkv_channel_mixing(const RwkvNames &names, const RwkvSizes &sizes, int64_t hidden,
                                    int64_t layer);

/// Adds the next layer.
void add_rwkv_layer(recipe::Decoder &decoder, const RwkvNames &names, const RwkvSizes &sizes,
                    recipe::Rwkv6 time, recipe::RwkvMlp channel);

/// Whether a model is flash-linear-attention's RWKV-6, whose config has other words, and the model.
bool is_rwkv6_of_fla(const ModelReader &model);
recipe::Decoder rwkv6_from_fla(ModelReader &model);

/// A layer norm with a bias.
recipe::Norm rwkv_norm(std::string module, int64_t size, double eps, int64_t group = 0);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_RWKV_H
