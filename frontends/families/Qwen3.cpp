// Qwen 3 (dense): Llama with RMS norms on each head of the queries and keys, and a head width of
// its own.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder qwen3_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_head_dim = 128, .default_kv_heads = 32});
  d.family = "qwen3";
  d.qk_norm = QkNorm::Head;
  d.qkv_bias = d.o_bias = model.boolean("attention_bias", false);
  read_qwen_windows(model, d);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder qwen3_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "qwen3";
  d.qk_norm = QkNorm::Head;
  return gguf_decoder(model, d);
}

} // namespace quern
