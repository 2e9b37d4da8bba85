// The proof section: what the artifact carries so that it can check itself where it runs.
#ifndef QUERN_CODEGEN_ARTIFACT_PROOF_H
#define QUERN_CODEGEN_ARTIFACT_PROOF_H

#include <cstdint>
#include <string>
#include <vector>

namespace quern::artifact {

struct ProofContents {
  struct Text {
    std::string text;
    std::vector<int32_t> tokens;
  };
  struct Logits {
    std::vector<int32_t> tokens;
    std::vector<int32_t> rows; ///< ascending positions in `tokens`
    uint32_t vocab = 0;
    std::vector<float> logits; ///< [rows, vocab]
    float tolerance = 0;       ///< in standard deviations of `logits`
  };
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<uint8_t> elements;
  };
  struct Call {
    std::string entry;
    std::vector<Tensor> inputs;
    std::vector<Tensor> outputs;
    float tolerance = 0; ///< in standard deviations of an output
  };
  std::vector<Text> tokenizer;
  std::vector<Logits> logits;
  /// What the compiler found in the model that no machine is to blame for, a sentence each.
  std::vector<std::string> notes;
  std::vector<Call> calls;
};

/// The FlatBuffer (runtime/artifact/proof.fbs).
std::string build_proof(const ProofContents &contents);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_PROOF_H
