// Qwen 2 and 2.5: Llama with biases on Q, K and V, and windows in some layers of some models.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder qwen2_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_kv_heads = 32});
  d.family = "qwen2";
  d.qkv_bias = true;
  read_qwen_windows(model, d);
  model.expect("use_mrope", false);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder qwen2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "qwen2";
  return gguf_decoder(model, d);
}

} // namespace quern
