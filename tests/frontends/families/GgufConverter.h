// A golden's model as the GGUF file that llama.cpp's converters would make of it: the test's own
// table of keys, names and transformed weights, to hold the importer's against.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFCONVERTER_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFCONVERTER_H

#include "tests/frontends/gguf/GgufWriter.h"

#include <nlohmann/json.hpp>

#include <string>

namespace quern {

/// Other files that are the same model.
struct GgufForm {
  bool fuse_qkv = false;   ///< queries, keys and values in one tensor
  bool lists = false;      ///< numbers of heads and widths as lists, with an entry a layer
  bool wide_layer = false; ///< layer 1 has a kv head for each head, copies, and a wider MLP, zeros
  bool unsplit_latent = false; ///< what expands latents in one tensor, as converters of 2024 had it
  bool fused_qkvz = false;     ///< Qwen3-Next's rows as Hugging Face's files have them
  bool drop_ones = false;      ///< leading dimensions of 1, as llama.cpp's quantizer does
  bool no_expert_width = false; ///< no expert_feed_forward_length, as converters of 2024 had it
};

/// `architecture`: what the file says it is, where that is not what the golden's model_type
/// becomes.
gguf::GgufWriter to_gguf(const nlohmann::json &golden, const std::string &architecture = "",
                         GgufForm form = {});

/// What a model_type is called in GGUF; "" where llama.cpp has no such architecture.
std::string gguf_architecture(const std::string &model_type);

gguf::GgufWriter &add_f32(gguf::GgufWriter &writer, const std::string &key, double value);

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFCONVERTER_H
