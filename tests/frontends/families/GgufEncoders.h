// Encoders' goldens as the GGUF files that llama.cpp's converters would make of them.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFENCODERS_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFENCODERS_H

#include "tests/frontends/gguf/GgufWriter.h"

#include <nlohmann/json.hpp>

namespace quern {

/// Of a bert, nomic_bert or (EmbeddingGemma) gemma3_text that gives the mean of its rows.
gguf::GgufWriter encoder_to_gguf(const nlohmann::json &golden);

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFENCODERS_H
