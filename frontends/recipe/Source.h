// Where the values of a recipe's tensors come from.
#ifndef QUERN_FRONTENDS_RECIPE_SOURCE_H
#define QUERN_FRONTENDS_RECIPE_SOURCE_H

#include "frontends/recipe/Recipe.h"
#include "ir/weights/CodedWeight.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern::recipe {

/// Where a tensor's values are.
struct Place {
  int32_t file = -1; ///< index into Source::files; -1: made up from the seed
  int64_t offset = 0;
  std::string format; ///< a name in ir/formats
  /// Made of several tensors; a linear's weight is then [out, in] even where the recipe has it
  /// transposed.
  std::shared_ptr<const weights::Coded> coded{};
};

/// Where the model's values come from.
struct Source {
  std::vector<std::string> files;
  std::vector<Place> places; ///< one for each of tensors(decoder), in that order
  std::optional<uint64_t> synthetic_seed;
};

/// All of `wanted` made up from the seed, in one format.
Source synthetic_source(const std::vector<Tensor> &wanted, const std::string &format,
                        uint64_t seed);

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_SOURCE_H
