// A GGUF file's tokenizer metadata spelled as JSON, as the scripts here write it.
#ifndef QUERN_TESTS_FRONTENDS_TEXT_METADATAJSON_H
#define QUERN_TESTS_FRONTENDS_TEXT_METADATAJSON_H

#include "frontends/gguf/TokenizerMetadata.h"

#include <nlohmann/json.hpp>

namespace quern::gguf {

inline TokenizerMetadata metadata_of(const nlohmann::json &from) {
  TokenizerMetadata metadata;
  metadata.model = from.value("model", "");
  metadata.pre = from.value("pre", "");
  metadata.name = from.value("name", "");
  metadata.tokens = from["tokens"].get<std::vector<std::string>>();
  metadata.token_types = from["types"].get<std::vector<int32_t>>();
  metadata.scores = from.value("scores", std::vector<float>());
  metadata.merges = from.value("merges", std::vector<std::string>());
  for (const auto &[key, id] : {std::pair{"bos", &metadata.bos_id},
                                {"eos", &metadata.eos_id},
                                {"eot", &metadata.eot_id},
                                {"eom", &metadata.eom_id},
                                {"unk", &metadata.unk_id},
                                {"sep", &metadata.sep_id}})
    if (from.contains(key))
      *id = from[key].get<int64_t>();
  for (const auto &[key, flag] : {std::pair{"add_bos_token", &metadata.add_bos},
                                  {"add_eos_token", &metadata.add_eos},
                                  {"add_space_prefix", &metadata.add_space_prefix},
                                  {"remove_extra_whitespaces", &metadata.remove_extra_whitespaces},
                                  {"lowercase", &metadata.lowercase},
                                  {"strip_accents", &metadata.strip_accents}})
    if (from.contains(key))
      *flag = from[key].get<bool>();
  const std::string hex = from.value("charsmap", "");
  for (size_t i = 0; i < hex.size(); i += 2)
    metadata.precompiled_charsmap += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return metadata;
}

} // namespace quern::gguf

#endif // QUERN_TESTS_FRONTENDS_TEXT_METADATAJSON_H
