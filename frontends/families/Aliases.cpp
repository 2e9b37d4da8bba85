#include "frontends/families/Aliases.h"

namespace quern {

namespace {
constexpr Alias kBloom[] = {{"num_hidden_layers", "n_layer"},
                            {"num_attention_heads", "n_head"},
                            {"n_embed", "hidden_size"}}; // which its __post_init__ reads
// n_embed as above; the others are RWConfig's, of the models' own first code.
constexpr Alias kFalcon[] = {{"n_layer", "num_hidden_layers"},
                             {"n_head", "num_attention_heads"},
                             {"n_head_kv", "num_kv_heads"},
                             {"n_embed", "hidden_size"}};
// GPT-J's too.
constexpr Alias kGpt2[] = {{"hidden_size", "n_embd"},
                           {"max_position_embeddings", "n_positions"},
                           {"num_attention_heads", "n_head"},
                           {"num_hidden_layers", "n_layer"}};
constexpr Alias kMpt[] = {{"num_attention_heads", "n_heads"},
                          {"hidden_size", "d_model"},
                          {"num_hidden_layers", "n_layers"}};
// StableLMEpochConfig's, of the models' own code.
constexpr Alias kStableLm[] = {{"rope_pct", "partial_rotary_factor"},
                               {"norm_eps", "layer_norm_eps"}};
} // namespace

std::span<const Alias> hf_aliases(std::string_view family) {
  if (family == "bloom")
    return kBloom;
  if (family == "falcon")
    return kFalcon;
  if (family == "gpt2" || family == "gptj")
    return kGpt2;
  if (family == "mpt")
    return kMpt;
  if (family == "stablelm")
    return kStableLm;
  return {};
}

} // namespace quern
