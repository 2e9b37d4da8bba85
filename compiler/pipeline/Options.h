// What a compilation asks of the pipeline: the flags of `quern compile` that change the IR.
#ifndef QUERN_COMPILER_PIPELINE_OPTIONS_H
#define QUERN_COMPILER_PIPELINE_OPTIONS_H

#include <cstdint>
#include <string>

namespace quern {

struct PipelineOptions {
  std::string quant = "keep"; ///< --quant: keep, or the format of matrices
  std::string kv = "auto";    ///< --kv: the format of kv state, auto, f32, f16, bf16 or int8
  int64_t max_tokens = 512;   ///< --max-tokens: the largest step, in tokens of all sequences
  int64_t max_seqs = 16;      ///< --max-seqs: the most sequences of a step
  std::string without;        ///< --without: of fusions(), those switched off; commas between
};

} // namespace quern

#endif // QUERN_COMPILER_PIPELINE_OPTIONS_H
