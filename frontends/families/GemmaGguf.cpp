// Gemma 1 to 3 and EmbeddingGemma as GGUF has them: converters have added the 1 to the norms'
// weights.
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

namespace {

Dense gemma_gguf(ModelReader &model, const GgufKeys &keys) {
  Dense d = dense_from_gguf(model, keys);
  d.activation = "gelu_tanh";
  d.embedding_scale = std::sqrt(static_cast<double>(d.hidden));
  return d;
}

/// query_pre_attn_scalar is not in the files: llama.cpp knows the 27B models, where it is not the
/// heads' width, by their number of layers.
void scale_scores(Dense &d, int64_t layers_of_27b) {
  if (d.layers == layers_of_27b)
    d.attention_scale = 1 / std::sqrt(static_cast<double>(d.hidden / d.heads));
}

recipe::Decoder gemma3_gguf(ModelReader &model, bool encoder) {
  Dense d = gemma_gguf(model, {.windows = true, .encoder = encoder});
  d.family = encoder ? "gemma-embedding" : "gemma3_text";
  d.both_sides = encoder;
  d.wiring = Wiring::Sandwich;
  d.qk_norm = QkNorm::Head;
  d.logit_softcap = model.number("final_logit_softcapping", 0, 1e9, 0.0);
  const std::vector<bool> slides = read_gguf_windows(model, d, /*pattern=*/6);
  rotate_sliding_layers(model, d, slides, {.base_key = kSlidingRopeBase, .scaled = false});
  scale_scores(d, /*layers_of_27b=*/62);
  if (!encoder)
    return gguf_decoder(model, d);
  for (int64_t &window : d.windows) // half of it to each side
    window /= 2;
  DenseNames names = kGgufDenseNames;
  names.head = nullptr;
  recipe::Decoder decoder = gguf_decoder(model, d, names);
  encode_gguf(model, decoder);
  // sentence-transformers' two Dense modules, where the converter was told to take them.
  std::vector<recipe::Encoding::Stage> &stages = decoder.encoding->stages;
  int64_t width = decoder.hidden;
  for (const std::string dense : {"dense_2", "dense_3"}) {
    const auto shape = model.tensor_shape(dense + ".weight");
    if (!shape)
      continue;
    if (shape->size() != 2 || shape->back() != width)
      model.problem(dense + ".weight",
                    absl::StrCat("it does not take the ", width, " columns that it is given"));
    stages.insert(stages.end() - 1,
                  {.linear = recipe::Linear{.module = dense, .in = width, .out = shape->front()}});
    width = shape->front();
  }
  for (const char *part : {"2", "3"}) // which say what the tensors' shapes do
    for (const char *side : {"_feat_in", "_feat_out"})
      model.ignore({std::string("dense_") + part + side});
  return decoder;
}

} // namespace

recipe::Decoder gemma_from_gguf(ModelReader &model) {
  Dense d = gemma_gguf(model, {});
  d.family = "gemma";
  return gguf_decoder(model, d);
}

recipe::Decoder gemma2_from_gguf(ModelReader &model) {
  Dense d = gemma_gguf(model, {.windows = true});
  d.family = "gemma2";
  d.wiring = Wiring::Sandwich;
  d.softcap = model.number("attn_logit_softcapping", 1e-3, 1e9, 50.0);
  d.logit_softcap = model.number("final_logit_softcapping", 1e-3, 1e9, 30.0);
  const std::vector<bool> slides = read_gguf_windows(model, d, /*pattern=*/2, /*window=*/4096);
  rotate_sliding_layers(model, d, slides,
                        {.base_key = kSlidingRopeBase, .base = gguf_rope_base(model)});
  scale_scores(d, /*layers_of_27b=*/46);
  return gguf_decoder(model, d);
}

recipe::Decoder gemma3_from_gguf(ModelReader &model) { return gemma3_gguf(model, false); }
recipe::Decoder gemma_embedding_from_gguf(ModelReader &model) { return gemma3_gguf(model, true); }

} // namespace quern
