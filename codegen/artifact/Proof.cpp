#include "codegen/artifact/Proof.h"

#include "runtime/artifact/proof_generated.h"

namespace quern::artifact {

namespace {

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<CallTensor>>>
tensors(flatbuffers::FlatBufferBuilder &fbb, const std::vector<ProofContents::Tensor> &all) {
  std::vector<flatbuffers::Offset<CallTensor>> table;
  for (const ProofContents::Tensor &tensor : all)
    table.push_back(
        CreateCallTensor(fbb, fbb.CreateVector(tensor.shape), fbb.CreateVector(tensor.elements)));
  return fbb.CreateVector(table);
}

} // namespace

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
  std::vector<flatbuffers::Offset<CallVector>> calls;
  for (const auto &call : contents.calls)
    calls.push_back(CreateCallVector(fbb, fbb.CreateString(call.entry), tensors(fbb, call.inputs),
                                     tensors(fbb, call.outputs), call.tolerance));
  FinishProofBuffer(fbb, CreateProof(fbb, fbb.CreateVector(texts), fbb.CreateVector(logits),
                                     fbb.CreateVectorOfStrings(contents.notes),
                                     fbb.CreateVector(calls)));
  return std::string(reinterpret_cast<const char *>(fbb.GetBufferPointer()), fbb.GetSize());
}

} // namespace quern::artifact
