// Rotary positions as model files describe them, turned into frequencies: the published scalings
// (linear, dynamic NTK, llama3, YaRN) are applied here, and no other part of Quern knows of them.
#ifndef QUERN_FRONTENDS_FAMILIES_ROTARY_H
#define QUERN_FRONTENDS_FAMILIES_ROTARY_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>

namespace quern {

/// From config.json: `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta`, with
/// the meaning of transformers' modeling_rope_utils. `dim`: columns of a head that rotate.
/// `max_positions`: max_position_embeddings. `context`: the longest sequence. Dynamic NTK scaling,
/// which changes with the length of the sequence, is refused where sequences may grow beyond that.
recipe::Rope rope_from_hf(ModelReader &model, int64_t dim, int64_t max_positions, int64_t context);

/// From GGUF metadata: rope.freq_base, rope.scaling.* and the tensor rope_freqs.weight, with the
/// meaning of llama.cpp.
recipe::Rope rope_from_gguf(ModelReader &model, int64_t dim, int64_t max_positions);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ROTARY_H
