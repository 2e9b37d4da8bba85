// What sentence-transformers keeps beside a model: modules.json, which says what becomes of the
// rows (Pooling, Dense, LayerNorm, Normalize), where texts are cut, and prompts.
#ifndef QUERN_FRONTENDS_HF_SENTENCEMODULES_H
#define QUERN_FRONTENDS_HF_SENTENCEMODULES_H

#include "frontends/EncoderInfo.h"
#include "frontends/Problem.h"
#include "frontends/StoredTensors.h"
#include "frontends/hf/ConfigJson.h"
#include "frontends/recipe/Recipe.h"

#include <filesystem>
#include <string>
#include <vector>

namespace quern::hf {

/// Completes an encoder's recipe: where it gives no scores, with the modules that follow the
/// transformer, whose tensors are added to `tensors` (unless weights are made up) under the names
/// of their folders. Without modules.json rows are averaged, as sentence-transformers does, and a
/// note says so.
void read_sentence_modules(const std::filesystem::path &folder, bool made_up,
                           recipe::Decoder &decoder, StoredTensors &tensors, Problems &problems,
                           std::vector<std::string> &notes);

/// Makes an encoder of a language model that modules.json stands beside: its last rows become
/// vectors, and its head is passed over. A note says so, or that its layers cannot.
void adopt_language_model(const std::filesystem::path &folder, recipe::Decoder &decoder,
                          StoredTensors &tensors, std::vector<std::string> &notes);

/// Prompts, labels, and where texts are cut.
EncoderInfo read_encoder_info(const std::filesystem::path &folder, const ConfigJson &config,
                              const recipe::Decoder &decoder, Problems &problems);

/// Whether texts are made lower case before the tokenizer sees them (sentence_bert_config.json).
bool lowers_case(const std::filesystem::path &folder);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_SENTENCEMODULES_H
