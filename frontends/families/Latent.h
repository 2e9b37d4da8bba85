// Latent attention as DeepSeek's configs and files have it, which families after it share.
#ifndef QUERN_FRONTENDS_FAMILIES_LATENT_H
#define QUERN_FRONTENDS_FAMILIES_LATENT_H

#include "frontends/families/Dense.h"
#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>

namespace quern {

/// What all layers have; modules are templates. `default_queries` is q_lora_rank where the key is
/// missing, 0: queries are made of the stream itself, as where it is null.
recipe::Mla latent_attention(ModelReader &model, const Dense &dense, int64_t default_queries);

/// The same of GGUF, where what expands latents is split in two; older files have it in one.
recipe::Mla latent_from_gguf(ModelReader &model, const Dense &dense);

/// The layer's own, of what has templates for names.
recipe::Mla latent_of_layer(recipe::Mla attention, int64_t layer);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_LATENT_H
