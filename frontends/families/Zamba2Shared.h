// The attention and MLP of Zamba2, whose weights some layers share.
#ifndef QUERN_FRONTENDS_FAMILIES_ZAMBA2SHARED_H
#define QUERN_FRONTENDS_FAMILIES_ZAMBA2SHARED_H

#include "frontends/families/Dense.h"
#include "frontends/recipe/Recipe.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// What one of the layers that share weights has for itself.
struct ZambaAdapters {
  int64_t rank = 0;
  bool attention = false; ///< queries, keys and values are adapted, too
  int64_t use = 0;        ///< which of all such layers it is
};

/// What comes before a hybrid layer's Mamba-2, and is for that alone. Weights are those of
/// `module`, keys and values `layer`'s own.
std::vector<recipe::Sublayer> shared_sublayers(const Dense &d, const std::string &layer,
                                               const std::string &module,
                                               const ZambaAdapters &adapters);

/// Lets `module` have the adapters of other layers than the one that it is for, which nothing uses:
/// each copy of weights that could be shared has them all.
void pass_over_adapters(ModelReader &model, const std::string &module, size_t use, size_t uses);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ZAMBA2SHARED_H
