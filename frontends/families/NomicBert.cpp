// Nomic's BERT (Nussbaum et al., 2024): BERT's wiring with rotated positions, gated MLPs and no
// biases.
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder nomic_bert_from_hf(ModelReader &model) {
  HfKeys keys = bert_keys();
  keys.head_dim = "head_dim";
  keys.default_activation = "silu";
  keys.rope = RopeKeys{.theta = 1000};
  Dense d = dense_from_hf(model, keys);
  d.family = "nomic_bert";
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = true;
  d.wiring = Wiring::AfterSum;
  d.both_sides = true;
  d.fused = FusedQkv::Stacked;
  d.type_rows = model.integer("type_vocab_size", 1, 1 << 16, 2);
  const char *qkv = "encoder.layers.*.attn.Wqkv";
  recipe::Decoder decoder = dense_decoder(model, d,
                                          {.embedding = "embeddings.word_embeddings",
                                           .attention = "encoder.layers.*.attn",
                                           .q = qkv,
                                           .k = qkv,
                                           .v = qkv,
                                           .o = "encoder.layers.*.attn.out_proj",
                                           .mlp = "encoder.layers.*.mlp",
                                           .gate = "encoder.layers.*.mlp.fc12",
                                           .up = "encoder.layers.*.mlp.fc11",
                                           .down = "encoder.layers.*.mlp.fc2",
                                           .attention_post = "encoder.layers.*.norm1",
                                           .mlp_post = "encoder.layers.*.norm2",
                                           .embedding_norm = "emb_ln",
                                           .types = "embeddings.token_type_embeddings"});
  encode(model, decoder, {.dense = "pooler.dense", .out = "classifier"});
  if (decoder.encoding->labels == 0)
    model.pass_over_all("pooler.", "nothing that is asked for comes of it");
  model.pass_over_all("cls.", "it is a head that the model was trained with");
  return decoder;
}

} // namespace quern
