// What the GGUF architectures with recurrent layers share.
#ifndef QUERN_FRONTENDS_FAMILIES_HYBRIDSGGUF_H
#define QUERN_FRONTENDS_FAMILIES_HYBRIDSGGUF_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace quern {

/// Which layers are without attention: those that attention.head_count_kv gives no heads.
std::vector<bool> layers_without_kv_heads(ModelReader &model);

/// The same where attention.recurrent_layers says it, a flag a layer, or else
/// full_attention_interval, of which every such layer has attention.
std::vector<bool> flagged_recurrent_layers(ModelReader &model);

/// The sizes of a Mamba mixer, from ssm.*. Its names and projections are left empty.
recipe::Mamba1 mamba1_from_gguf(ModelReader &model);
/// Names tensors and makes projections, as llama.cpp has them in a layer. Norms of dt, B and C are
/// there if their tensors are.
void name_gguf_mamba1(const ModelReader &model, recipe::Mamba1 &mixer, int64_t layer,
                      int64_t hidden, double eps);

/// Likewise of Mamba-2, whose result is normed by groups unless the tensor is not there where
/// `may_lack_norm`.
recipe::Mamba2 mamba2_sizes_from_gguf(ModelReader &model);
void name_gguf_mamba2(const ModelReader &model, recipe::Mamba2 &mixer, int64_t layer,
                      int64_t hidden, double eps, bool may_lack_norm = false);

/// The sizes of a gated delta rule, from ssm.* as Qwen's architectures have them, and what its
/// layers have in common; projections of rows are the family's.
recipe::DeltaNet delta_net_from_gguf(ModelReader &model);
recipe::DeltaNet gguf_delta_net_of_layer(recipe::DeltaNet mixer, int64_t layer, int64_t hidden,
                                         double eps);

/// Puts what `make` makes for a layer in the place of attention.
void put_recurrent(recipe::Decoder &decoder, const std::vector<bool> &recurrent,
                   const std::function<recipe::Block(int64_t layer)> &make);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_HYBRIDSGGUF_H
