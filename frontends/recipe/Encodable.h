// Which language models can be run over whole sequences, as models that make vectors of texts are.
#ifndef QUERN_FRONTENDS_RECIPE_ENCODABLE_H
#define QUERN_FRONTENDS_RECIPE_ENCODABLE_H

#include "frontends/recipe/Recipe.h"

namespace quern::recipe {

/// Whether every layer can see a sequence as a whole, without state: attention, causal or not, of
/// the kinds that quern.attention_rows has, and MLPs. With an `encoding` the recipe is then an
/// encoder's.
bool can_encode(const Decoder &decoder);

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_ENCODABLE_H
