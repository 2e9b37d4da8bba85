// Rotary positions as model files describe them, turned into frequencies: the published scalings
// (linear, dynamic NTK, llama3, YaRN) are applied here, and no other part of Quern knows of them.
#ifndef QUERN_FRONTENDS_FAMILIES_ROTARY_H
#define QUERN_FRONTENDS_FAMILIES_ROTARY_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// Where a family's config.json says how positions are rotated, and what it means where it does
/// not.
struct RopeKeys {
  double theta = 10'000;
  const char *theta_key = "rope_theta";
  /// The part of a head's columns that rotate; nullopt: the family knows no part, all rotate.
  std::optional<double> partial = std::nullopt;
  const char *partial_key = "partial_rotary_factor";
  /// The object of rope_parameters that holds one kind of layer's, where the family has kinds.
  std::string section = "";
  bool scaled = true; ///< rope_scaling, which has no sections, is of this kind
  /// original_max_position_embeddings outside of the object, where it is missing.
  std::optional<int64_t> original = std::nullopt;
  bool yarn_is_longrope = false; ///< "yarn" is an old name for it in this family
};

/// Frequencies theta^(-2i/dim). `key` is what a problem names.
recipe::Rope plain_rope(ModelReader &model, std::string_view key, double theta, int64_t dim);

/// From config.json: `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta`, with
/// the meaning of transformers' modeling_rope_utils.
/// `max_positions`: max_position_embeddings. `context`: the longest sequence. Dynamic NTK scaling,
/// which changes with the length of the sequence, is refused where sequences may grow beyond that.
/// LongRoPE has two sets of factors, for short and for long sequences, between which transformers
/// changes as a sequence grows: `context` says which is taken for all of them, and a note which
/// that is where sequences may be long.
recipe::Rope rope_from_hf(ModelReader &model, int64_t head_dim, int64_t max_positions,
                          int64_t context, const RopeKeys &keys = {});

/// How a GGUF architecture rotates positions.
struct GgufRopeKeys {
  const char *base_key = "rope.freq_base";
  double base = 10'000;   ///< where the key is not there
  bool scaled = true;     ///< rope.scaling.* and the tensors of factors are of this rope
  bool yarn_keys = false; ///< rope.scaling.yarn_* are read
  bool alpha = false;     ///< rope.scaling.alpha stretches the base
  /// Where rope.scaling.yarn_log_multiplier is there, YaRN's temperature is the scores' alone.
  bool yarn_of_scores = false;
};
/// The base of layers that slide, where they have their own.
inline constexpr const char *kSlidingRopeBase = "rope.freq_base_swa";
double gguf_rope_base(ModelReader &model);

/// From GGUF metadata: rope.freq_base, rope.scaling.* and the tensors rope_freqs.weight,
/// rope_factors_long.weight and rope_factors_short.weight, with the meaning of llama.cpp. `context`
/// says which of the last two is meant, as in rope_from_hf.
recipe::Rope rope_from_gguf(ModelReader &model, int64_t dim, int64_t max_positions, int64_t context,
                            const GgufRopeKeys &keys = {});

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ROTARY_H
