// Where the values of a recipe's tensors come from.
#ifndef QUERN_FRONTENDS_RECIPE_SOURCE_H
#define QUERN_FRONTENDS_RECIPE_SOURCE_H

#include "frontends/recipe/Recipe.h"
#include "ir/weights/CodedWeight.h"

#include <cstdint>
#include <functional>
#include <map>
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
  /// Of a tensor of several parts, where each of them is; the rest is then the first one's.
  std::vector<Place> parts{};
  /// Of no values and known by its format alone: a linear's weight is [out, in] as if it were
  /// coded.
  bool upright = false;
};

/// Where the model's values come from.
struct Source {
  std::vector<std::string> files;
  std::vector<Place> places; ///< one for each of tensors(decoder), in that order
  std::optional<uint64_t> synthetic_seed;
};

/// Formats by tensor: a name in ir/formats, and the shape as stored.
struct StoredFormat {
  std::string format;
  std::vector<int64_t> shape;
  bool upright = false; ///< as Place has it
};
using StoredFormats = std::map<std::string, StoredFormat, std::less<>>;

/// All of `wanted` made up, of the formats that the files have them in where the shapes are right,
/// and else of floats: what a model with problems is looked at by.
Source made_up_like(const std::vector<Tensor> &wanted, const StoredFormats &formats);

/// All of `wanted` made up from the seed, in one format.
Source synthetic_source(const std::vector<Tensor> &wanted, const std::string &format,
                        uint64_t seed);

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_SOURCE_H
