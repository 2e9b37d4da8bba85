// What tensors are called: files of one model name them in several ways, and families know one.
#ifndef QUERN_FRONTENDS_HF_TENSORNAMES_H
#define QUERN_FRONTENDS_HF_TENSORNAMES_H

#include "frontends/Problem.h"
#include "frontends/StoredTensors.h"
#include "frontends/recipe/Recipe.h"

#include <functional>
#include <string>
#include <vector>

namespace quern::hf {

/// What a family makes of a config, and of the tensors as they are named at the time.
struct NamedRecipe {
  recipe::Decoder decoder;
  bool sizes_are_real = true; ///< ModelReader's
};

/// Gives tensors the names that the family's recipe has for them:
///
/// - those of a language model inside another model (`is_part`, or by how they begin) lose what
///   stands before them, and the other model's other tensors go;
/// - those of a bare model (LlamaModel and the like) get what the whole one has before them, as in
///   transformers;
/// - those that transformers 5 has other names for in its classes, in which it saves them with
///   `save_original_format=False`, get their published names;
/// - matrices of experts that lie one behind the other in one tensor become one of each expert:
///   `experts.gate_up_proj` [experts, 2 width, hidden], each expert's gate and then its up, and
///   `experts.down_proj` [experts, hidden, width]. So transformers has them in all families that
///   are published with one tensor an expert; the shape is held against the config, and where it is
///   square, so that it could not show matrices the other way round, the class is what counts.
///
/// Nothing is copied. False, and a problem, where names are those of a wrapper of torch's.
bool name_tensors(const std::function<NamedRecipe()> &make, bool is_part, StoredTensors &tensors,
                  Problems &problems, std::vector<std::string> &notes);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TENSORNAMES_H
