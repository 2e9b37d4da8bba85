// A SentencePiece model: tokenizer.model.
#include "frontends/hf/SentencePieceModel.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseTokenizer.h"

void quern::fuzz::read(std::string_view bytes) {
  hf::TokenizerFiles files;
  files.sentence_piece_model = bytes;
  if (const auto spec = hf::tokenizer_from_sentence_piece(files); spec.ok())
    use_tokenizer(*spec, bytes);
}
