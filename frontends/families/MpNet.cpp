// MPNet (Song et al., 2020): BERT's layers without types of tokens, whose scores have a bias by how
// far a key is from its query, in buckets that grow with the distance (Raffel et al., 2020), the
// same in all layers.
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

#include <cmath>

namespace quern {

namespace {

/// Half of the buckets are for keys behind the query; half of each side's hold one distance, the
/// others as much as logarithms have it, up to `farthest`. In float32, as transformers computes it.
std::vector<int32_t> distance_buckets(int64_t count, int64_t farthest) {
  const auto half = static_cast<int32_t>(count / 2), exact = half / 2;
  const auto step = static_cast<float>(std::log(double(farthest) / double(exact)));
  std::vector<int32_t> buckets;
  for (int64_t distance = -farthest; distance <= farthest; ++distance) {
    const auto far = static_cast<int32_t>(std::abs(distance));
    int32_t bucket = far;
    if (far >= exact) {
      const float steps =
          std::log(float(far) / float(exact)) / step * static_cast<float>(half - exact);
      bucket = std::min(exact + static_cast<int32_t>(steps), half - 1);
    }
    buckets.push_back(bucket + (distance > 0 ? half : 0));
  }
  return buckets;
}

constexpr int64_t kBuckets = 32, kFarthest = 128;

} // namespace

recipe::Decoder mpnet_from_hf(ModelReader &model) {
  Dense d = bert_layers(model, bert_keys(), /*offset=*/2);
  d.family = "mpnet";
  // transformers' code counts on 32, whatever the config says.
  model.expect_number("relative_attention_num_buckets", kBuckets);
  d.distance_bias = recipe::DistanceBias{.tensor = "mpnet.encoder.relative_attention_bias.weight",
                                         .count = kBuckets,
                                         .buckets = distance_buckets(kBuckets, kFarthest)};
  recipe::Decoder decoder =
      dense_decoder(model, d,
                    {.embedding = "mpnet.embeddings.word_embeddings",
                     .attention = "mpnet.encoder.layer.*.attention.attn",
                     .q = "mpnet.encoder.layer.*.attention.attn.q",
                     .k = "mpnet.encoder.layer.*.attention.attn.k",
                     .v = "mpnet.encoder.layer.*.attention.attn.v",
                     .o = "mpnet.encoder.layer.*.attention.attn.o",
                     .mlp = "mpnet.encoder.layer.*.intermediate",
                     .up = "mpnet.encoder.layer.*.intermediate.dense",
                     .down = "mpnet.encoder.layer.*.output.dense",
                     .attention_post = "mpnet.encoder.layer.*.attention.LayerNorm",
                     .mlp_post = "mpnet.encoder.layer.*.output.LayerNorm",
                     .positions = "mpnet.embeddings.position_embeddings",
                     .embedding_norm = "mpnet.embeddings.LayerNorm"});
  encode(model, decoder, {.dense = "classifier.dense", .out = "classifier.out_proj"});
  model.pass_over("mpnet.embeddings.position_ids");
  model.pass_over_all("mpnet.pooler.", "nothing that is asked for comes of it");
  model.pass_over_all("lm_head.", "it is a head that the model was trained with");
  return decoder;
}

} // namespace quern
