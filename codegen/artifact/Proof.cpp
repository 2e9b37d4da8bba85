#include "codegen/artifact/Proof.h"

#include "runtime/artifact/proof_generated.h"

namespace quern::artifact {

std::string build_proof(const ProofContents &contents) {
  flatbuffers::FlatBufferBuilder fbb;
  std::vector<flatbuffers::Offset<TokenizerVector>> texts;
  for (const auto &v : contents.tokenizer)
    texts.push_back(
        CreateTokenizerVector(fbb, fbb.CreateString(v.text), fbb.CreateVector(v.tokens)));
  std::vector<flatbuffers::Offset<LogitsVector>> logits;
  for (const auto &v : contents.logits)
    logits.push_back(CreateLogitsVector(fbb, fbb.CreateVector(v.tokens), fbb.CreateVector(v.rows),
                                        v.vocab, fbb.CreateVector(v.logits), v.tolerance));
  FinishProofBuffer(fbb, CreateProof(fbb, fbb.CreateVector(texts), fbb.CreateVector(logits),
                                     fbb.CreateVectorOfStrings(contents.notes)));
  return std::string(reinterpret_cast<const char *>(fbb.GetBufferPointer()), fbb.GetSize());
}

} // namespace quern::artifact
