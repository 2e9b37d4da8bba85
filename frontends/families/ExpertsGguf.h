// What the GGUF architectures with experts share.
#ifndef QUERN_FRONTENDS_FAMILIES_EXPERTSGGUF_H
#define QUERN_FRONTENDS_FAMILIES_EXPERTSGGUF_H

#include "frontends/families/DenseGguf.h"
#include "frontends/families/Experts.h"

namespace quern {

/// blk.*.ffn_gate_exps and the like: all experts of a layer are one tensor.
extern const ExpertNames kGgufExpertNames;

/// What llama.cpp's graph of an architecture does where its files do not say.
struct GgufExpertKeys {
  bool normalize = true;                                    ///< weights over their sum
  recipe::RouterScore score = recipe::RouterScore::Softmax; ///< without expert_gating_func
  bool row_gate = false;                                    ///< of the shared expert
};

/// Reads expert_count and its like; shared experts, corrections and which layers have experts are
/// what the tensors say.
Experts experts_from_gguf(ModelReader &model, const Dense &dense, const GgufExpertKeys &keys = {});

/// The recipe.
recipe::Decoder gguf_expert_decoder(ModelReader &model, const Dense &dense, const Experts &experts,
                                    const DenseNames &names = kGgufDenseNames);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_EXPERTSGGUF_H
