// An .onnx file as people keep it: with the tokenizer and the settings of the model that it is an
// export of, beside it or one folder up.
#ifndef QUERN_FRONTENDS_HF_GRAPHENCODER_H
#define QUERN_FRONTENDS_HF_GRAPHENCODER_H

#include "frontends/LoadedModel.h"

#include <string>

namespace quern::hf {

/// What exporters call the inputs of an encoder of text.
inline constexpr const char *kTokensInput = "input_ids";
inline constexpr const char *kMaskInput = "attention_mask";
inline constexpr const char *kTypesInput = "token_type_ids";

/// Where `model.graph` takes ids of tokens and gives rows, a vector or scores of each sequence, and
/// a tokenizer is there to make ids of texts: completes `model` with it, with what becomes of the
/// rows (modules.json), and with what is to be known of texts. Where something of that is missing
/// or wrong a note says so, and the graph is as any other.
void read_graph_encoder(const std::string &path, LoadedModel &model);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_GRAPHENCODER_H
