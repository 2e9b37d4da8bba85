// ERNIE 4.5 (dense): Llama with neighbours rotated.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder ernie4_5_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(model, {.default_eps = 1e-5,
                                  .default_head_dim = 128,
                                  .default_kv_heads = 2,
                                  .default_tied = true,
                                  .rope = RopeKeys{.theta = 500'000}});
  d.family = "ernie4_5";
  d.rope_interleaved = true;
  d.qkv_bias = d.o_bias = d.mlp_bias = model.boolean("use_bias", false);
  return dense_decoder(model, d, kHfDenseNames);
}

recipe::Decoder ernie4_5_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model);
  d.family = "ernie4_5";
  d.rope_interleaved = true;
  return gguf_decoder(model, d);
}

} // namespace quern
