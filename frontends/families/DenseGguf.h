// What the dense architectures of GGUF share. What a file means is what llama.cpp computes of it:
// where that is not what the model's published code computes, a family says so.
#ifndef QUERN_FRONTENDS_FAMILIES_DENSEGGUF_H
#define QUERN_FRONTENDS_FAMILIES_DENSEGGUF_H

#include "frontends/families/Dense.h"
#include "frontends/families/ModelReader.h"
#include "frontends/families/Rotary.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace quern {

/// blk.*.attn_q and the like, as llama.cpp's tables have them.
extern const DenseNames kGgufDenseNames;

/// What an architecture has that its files do not say.
struct GgufKeys {
  recipe::NormKind norm = recipe::NormKind::Rms;
  bool gated = true;
  bool fused_gate_up = false;                        ///< as the gate's rows, then up's
  std::optional<GgufRopeKeys> rope = GgufRopeKeys{}; ///< nullopt: positions are not rotated
  bool windows = false; ///< some layers slide: the family calls read_gguf_windows
  bool experts = false; ///< the family calls experts_from_gguf
  bool further = false; ///< the family calls leave_out_further_layers
  bool encoder = false; ///< every token sees all others
  bool latent = false;  ///< the family calls latent_from_gguf, which says how wide heads are
  /// Layers without attention, for which lists of heads and widths may say 0; empty: none.
  std::vector<bool> recurrent{};
};

/// Reads the keys that every such architecture has. Biases, and projections stored fused, are there
/// if their tensors are.
Dense dense_from_gguf(ModelReader &model, const GgufKeys &keys = {});

/// The rows of the embedding, which are how many tokens there are; vocab_size, which files need not
/// have, and in fine-tunes may have kept from the model they began with, where there is none.
int64_t vocab_from_gguf(ModelReader &model);

/// block_count counts layers behind the last, too, which guess further tokens: they are left out.
/// `recurrent`, where it has an entry a layer, loses theirs.
void leave_out_further_layers(ModelReader &model, Dense &dense,
                              std::vector<bool> *recurrent = nullptr);

/// attention.sliding_window (`window` where it is not there) and attention.sliding_window_pattern,
/// which is a flag a layer or a number n: all but every nth layer slide, all of them if it is 0.
/// Fills `windows` and returns which layers slide; none if the window is 0.
std::vector<bool> read_gguf_windows(ModelReader &model, Dense &dense, int64_t pattern,
                                    int64_t window = 0);

/// Layers that slide rotate by a rope of their own, of which `rope` is as in GgufKeys.
void rotate_sliding_layers(ModelReader &model, Dense &dense, const std::vector<bool> &slides,
                           const GgufRopeKeys &rope);
/// Layers that do not slide are not rotated.
void rotate_only_sliding_layers(Dense &dense, const std::vector<bool> &slides);

/// Granite's embedding_scale, residual_scale, attention.scale and logit_scale, of which 0 is none.
void read_gguf_multipliers(ModelReader &model, Dense &dense);

/// The recipe.
recipe::Decoder gguf_decoder(ModelReader &model, const Dense &dense,
                             DenseNames names = kGgufDenseNames);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_DENSEGGUF_H
