// Kimi's delta attention: a delta rule whose keys decay number by number, by gates of low rank.
#ifndef QUERN_FRONTENDS_FAMILIES_KIMIDELTA_H
#define QUERN_FRONTENDS_FAMILIES_KIMIDELTA_H

#include "frontends/families/Dense.h"
#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>

namespace quern {

/// Sizes, from linear_attn_config or the class's own keys. Names and projections are left empty.
recipe::DeltaNet read_kimi_delta(ModelReader &model, const Dense &dense);

/// The layer's own.
recipe::DeltaNet kimi_delta_of_layer(recipe::DeltaNet mixer, const Dense &dense, int64_t layer);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_KIMIDELTA_H
