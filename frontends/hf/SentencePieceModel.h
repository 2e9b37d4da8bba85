// A SentencePiece model (tokenizer.model, spiece.model) as a TokenizerSpec, for folders without a
// tokenizer.json.
//
// The file is one Protocol Buffers message, ModelProto; its field numbers are from SentencePiece's
// sentencepiece_model.proto. Ids, pieces and normalization are the model's own; control tokens are
// found in text as `tokenizers` finds special tokens. tokenizer_config.json's add_bos_token and
// add_eos_token say what goes around a text; without them a BPE model adds BOS and a unigram model
// EOS, as llama.cpp has it. Its add_prefix_space and legacy say where a space goes before a text,
// as in transformers' Llama tokenizer; without them the model does.
#ifndef QUERN_FRONTENDS_HF_SENTENCEPIECEMODEL_H
#define QUERN_FRONTENDS_HF_SENTENCEPIECEMODEL_H

#include "frontends/hf/TokenizerJson.h"

namespace quern::hf {

/// The spec of files.sentence_piece_model and the configs beside it. Any bytes are safe. Errors
/// name the file and the part of it; model types other than BPE and unigram are refused. `notes`
/// may be null.
absl::StatusOr<text::TokenizerSpec> tokenizer_from_sentence_piece(const TokenizerFiles &files,
                                                                  Notes *notes = nullptr);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_SENTENCEPIECEMODEL_H
