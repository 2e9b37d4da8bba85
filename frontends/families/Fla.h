// What models of flash-linear-attention (`fla`; Yang and Zhang, 2024) share: layers of a mixer and
// a gated MLP behind norms, where chosen layers have softmax attention in the mixer's place.
#ifndef QUERN_FRONTENDS_FAMILIES_FLA_H
#define QUERN_FRONTENDS_FAMILIES_FLA_H

#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// What a class has in a way of its own.
struct FlaClass {
  double hidden_ratio = 4, eps = 1e-6; ///< where the keys are missing
  bool attends = false;                ///< layers have softmax attention whatever `attn` says
  bool sized = true;                   ///< intermediate_size is the MLP's
  /// Modules; the last two are a layer's.
  const char *model = "model", *final_norm = "norm", *norm = "attn_norm", *mixer = "attn";
};

/// What a family's models have beside its mixers.
struct Fla {
  FlaClass names{};
  int64_t hidden = 0, layers = 0, mlp = 0;
  double eps = 0;
  /// Attention of layers that have it, as `attn` says; of no heads: the layer has a mixer.
  std::vector<recipe::Attention> attention{};
  recipe::Decoder decoder{}; ///< without layers

  /// A linear of the mixer in `module`.
  static recipe::Linear linear(const std::string &module, const char *name, int64_t in, int64_t out,
                               bool bias = false) {
    return {.module = module + name, .in = in, .out = out, .bias = bias};
  }
};

/// Reads the keys that all have.
Fla read_fla(ModelReader &model, const char *family, const FlaClass &own = {});

/// The recipe; `mixer` makes the mixer of a layer in a module.
recipe::Decoder
fla_decoder(Fla fla,
            const std::function<recipe::Block(const std::string &module, int64_t layer)> &mixer);

/// Softmax attention of every layer, from the keys `prefix`num_heads, num_kv_heads, qkv_bias,
/// window_size and rope_theta. Its module is left empty.
recipe::Attention read_fla_attention(ModelReader &model, Fla &fla, const std::string &prefix);

/// `fla.hidden` times the key's value, which is to be a whole number that `heads` divide: the
/// columns of a head.
int64_t read_fla_expansion(ModelReader &model, const Fla &fla, std::string_view key, double missing,
                           int64_t heads);

/// conv_size where use_short_conv (`missing`, where the key is) says that there are convolutions,
/// else 0.
int64_t read_fla_kernel(ModelReader &model, bool missing);

/// "q", "k", "v" to the modules of their convolutions.
std::vector<std::string> fla_convolutions(const std::string &module, std::string_view letters);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_FLA_H
