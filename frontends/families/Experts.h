// Mixtures of experts in the place of an MLP: what families of them share. A family reads its keys
// into `Experts` and puts them into the layers of a dense transformer's recipe.
#ifndef QUERN_FRONTENDS_FAMILIES_EXPERTS_H
#define QUERN_FRONTENDS_FAMILIES_EXPERTS_H

#include "frontends/families/Dense.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace quern {

/// Names of a layer's modules and tensors; `*` is the layer, `#` the expert.
struct ExpertNames {
  const char *module = nullptr; ///< of the whole mixture
  const char *router = nullptr; ///< module
  const char *correction = nullptr;
  const char *gate = nullptr, *up = nullptr, *down = nullptr; ///< tensors
  const char *shared = nullptr;                               ///< the shared expert's modules
  const char *shared_gate = nullptr, *shared_up = nullptr, *shared_down = nullptr;
  const char *row_gate = nullptr; ///< module
};
/// model.layers.*.mlp.experts.#.gate_proj ..., with a shared expert `shared_experts`.
extern const ExpertNames kHfExpertNames;
/// Likewise, with a shared expert `shared_expert` and its gate.
extern const ExpertNames kHfQwenExpertNames;
/// model.layers.*.block_sparse_moe.experts.#.w1 ...
extern const ExpertNames kHfMixtralNames;

struct Experts {
  int64_t count = 0, width = 0, top_k = 0;
  /// Router, as recipe::Moe has it.
  recipe::RouterScore score = recipe::RouterScore::Softmax;
  bool correction = false, correction_row = false, router_bias = false;
  int64_t groups = 1, top_groups = 1, group_top = 1, normalize = 0;
  double eps = 0, scale = 1;
  bool fused_gate_up = false; ///< each expert's gate, then its up, in one tensor
  int64_t shared = 0;         ///< width of the shared expert; 0: there is none
  bool row_gate = false;      ///< which a gate opens by the row
  std::vector<bool> layers{}; ///< that have experts; empty: all
};

/// Where config.json says what.
struct ExpertKeys {
  const char *count = "num_experts", *top_k = "num_experts_per_tok";
  const char *width = "moe_intermediate_size"; ///< null: the width of `Dense`
  std::optional<int64_t> default_count = std::nullopt, default_top_k = std::nullopt;
  std::optional<int64_t> default_width = std::nullopt;
  int64_t least = 1; ///< 0: a model of the family may have no experts
};

/// Reads how many experts there are, how wide, and how many a token goes to.
Experts experts_from_hf(ModelReader &model, const Dense &dense, const ExpertKeys &keys = {});

/// norm_topk_prob: whether the weights are divided by their sum.
void read_norm_topk(ModelReader &model, Experts &experts, bool missing);

/// decoder_sparse_step and mlp_only_layers, as Qwen's configs have them; no layer where there are
/// no experts.
void read_sparse_layers(ModelReader &model, const Dense &dense, Experts &experts);

/// first_k_dense_replace: layers from that one on have experts.
void read_first_dense_layers(ModelReader &model, const Dense &dense, Experts &experts,
                             int64_t missing);

/// What a family calls the number of groups, and whether weights are divided by their sum; and how
/// many groups there are, and are chosen, where the config does not say.
struct GroupKeys {
  const char *groups = "n_group", *normalize = "norm_topk_prob";
  int64_t default_groups = 1, default_top_groups = 1;
};
/// Sigmoid scores, corrected for the choice, in groups that count their two best; weights over
/// their sum, scaled (DeepSeek-V3; GLM-4-MoE and others after it).
void read_corrected_sigmoid(ModelReader &model, Experts &experts, double scale_missing,
                            const GroupKeys &keys = {});

/// Softmax scores that are the weights, scaled; of the best groups by their best expert where
/// topk_method says so (DeepSeek-V2).
void read_grouped_softmax(ModelReader &model, Experts &experts, double scale_missing);

/// A mixture of which the router's choice is set, and nothing else.
recipe::Moe routed(const Experts &experts);

/// Puts experts into the layers in the place of their MLPs.
void put_experts(recipe::Decoder &decoder, const Dense &dense, const Experts &experts,
                 const ExpertNames &names);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_EXPERTS_H
