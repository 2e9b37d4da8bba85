// What models of several kinds of layers share: reading which layer is of which kind, and the keys
// of mixers that families have in common.
#ifndef QUERN_FRONTENDS_FAMILIES_HYBRIDS_H
#define QUERN_FRONTENDS_FAMILIES_HYBRIDS_H

#include "frontends/families/Dense.h"
#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A kind of layer, and what else files call it.
struct LayerKind {
  std::string_view name;
  std::string_view other = "";
};

/// `key`, which says for each layer which of `kinds` it is: indices into them. Where the key is
/// missing, `missing`.
std::vector<size_t> read_layer_kinds(ModelReader &model, int64_t layers,
                                     const std::vector<LayerKind> &kinds,
                                     const std::vector<size_t> &missing,
                                     std::string_view key = "layer_types");

/// layers_block_type likewise, for as many layers as it says; or else hybrid_override_pattern,
/// which has one of `letters` for each, in the order of `kinds`, and is `missing` where there is
/// none.
std::vector<size_t> read_layer_pattern(ModelReader &model, const std::vector<LayerKind> &kinds,
                                       std::string_view letters, const std::string &missing);

/// Attention (kind 1) in every `interval`th layer, kind 0 in the others.
std::vector<size_t> every(int64_t layers, int64_t interval);

/// The names of Bamba, Falcon-H1 and Jamba, but for their mixers'.
DenseNames feed_forward_names();

/// Through how many numbers a Mamba mixer's time step goes: the key's, or, where it is "auto" or
/// missing, one for each sixteen columns of the stream.
int64_t read_time_step_rank(ModelReader &model, std::string_view key, int64_t hidden);

/// Names tensors and makes projections of a Mamba mixer with its sizes, as transformers has them in
/// `module`. Its norms are left as they are.
void name_mamba1(recipe::Mamba1 &mixer, const std::string &module, int64_t hidden, bool bias);

/// The sizes of a Mamba-2 mixer from mamba_n_heads, mamba_d_head, mamba_n_groups, mamba_d_state,
/// mamba_d_conv, mamba_conv_bias and time_step_limit; `inner` is how wide the config says that it
/// is. Its names and projections are left empty.
recipe::Mamba2 read_mamba2(ModelReader &model, int64_t inner);

/// The limits of the time step, where `key` has them: two numbers from 0 up, in order.
void read_time_step_limit(ModelReader &model, recipe::Mamba2 &mixer,
                          std::string_view key = "time_step_limit");

/// Names tensors and makes projections, as transformers has them in `module`.
void name_mamba2(recipe::Mamba2 &mixer, const std::string &module, int64_t hidden, double eps,
                 bool in_bias, bool out_bias);

/// What the sizes of a Mamba-3 mixer are called, behind a prefix.
struct Mamba3Keys {
  const char *prefix = "", *head_dim = "head_dim", *state = "state_size", *groups = "n_groups";
};

/// The sizes of a Mamba-3 mixer, as wide as `expand` times `hidden`. Its names are left empty.
recipe::Mamba3 read_mamba3(ModelReader &model, int64_t hidden, const Mamba3Keys &keys = {});

/// Names tensors and makes projections, as its authors and fla have them in `module`. `normed`: y
/// is normed before its gate.
void name_mamba3(recipe::Mamba3 &mixer, const std::string &module, int64_t hidden, double eps,
                 bool bias, bool normed);

/// What a family's configuration class has where a key is missing.
struct DeltaDefaults {
  int64_t key_heads = 0, value_heads = 0;
  int64_t key_dim = 0;   ///< below 0: that many columns are shared among the key heads
  int64_t value_dim = 0; ///< 0: twice the width of keys
};
/// The sizes of a gated delta rule, from linear_num_key_heads and the like. Its names and
/// projections are left empty.
recipe::DeltaNet read_delta_net(ModelReader &model, const DeltaDefaults &defaults);

/// Makes projections of a stored one that has [q, k, v, z], or [b, a], of each key head in turn.
void project_qkvz_by_key_head(recipe::DeltaNet &mixer, int64_t hidden, const std::string &module);
void project_ba_by_key_head(recipe::DeltaNet &mixer, int64_t hidden, const std::string &module);

/// Queries lie beside the gates of their heads: [query, gate] in each.
void gate_attention(recipe::Attention &attention);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_HYBRIDS_H
