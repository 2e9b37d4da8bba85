// BERT (Devlin et al., 2019) and what has its layers under other names: RoBERTa (Liu et al., 2019)
// and XLM-R (Conneau et al., 2020), whose tables of positions begin with two rows that no position
// uses; Electra (Clark et al., 2020), whose embeddings may be narrower than its layers.
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

namespace quern {

namespace {

#define QUERN_BERT_NAMES(MODEL)                                                                    \
  {.embedding = MODEL ".embeddings.word_embeddings",                                               \
   .attention = MODEL ".encoder.layer.*.attention.self",                                           \
   .q = MODEL ".encoder.layer.*.attention.self.query",                                             \
   .k = MODEL ".encoder.layer.*.attention.self.key",                                               \
   .v = MODEL ".encoder.layer.*.attention.self.value",                                             \
   .o = MODEL ".encoder.layer.*.attention.output.dense",                                           \
   .mlp = MODEL ".encoder.layer.*.intermediate",                                                   \
   .up = MODEL ".encoder.layer.*.intermediate.dense",                                              \
   .down = MODEL ".encoder.layer.*.output.dense",                                                  \
   .attention_post = MODEL ".encoder.layer.*.attention.output.LayerNorm",                          \
   .mlp_post = MODEL ".encoder.layer.*.output.LayerNorm",                                          \
   .positions = MODEL ".embeddings.position_embeddings",                                           \
   .embedding_norm = MODEL ".embeddings.LayerNorm",                                                \
   .types = MODEL ".embeddings.token_type_embeddings",                                             \
   .embedding_projection = MODEL ".embeddings_project"}
constexpr DenseNames kBert = QUERN_BERT_NAMES("bert"), kRoberta = QUERN_BERT_NAMES("roberta"),
                     kElectra = QUERN_BERT_NAMES("electra");
#undef QUERN_BERT_NAMES

Dense typed_layers(ModelReader &model, const char *family, int64_t offset) {
  Dense d = bert_layers(model, bert_keys(), offset);
  d.family = family;
  d.type_rows = model.integer("type_vocab_size", 1, 1 << 16, 2);
  return d;
}

void pass_over_heads(ModelReader &model, const std::string &stem, bool uses_pooler) {
  model.pass_over(stem + ".embeddings.position_ids");
  model.pass_over(stem + ".embeddings.token_type_ids");
  if (!uses_pooler)
    model.pass_over_all(stem + ".pooler.", "nothing that is asked for comes of it");
  for (const char *head : {"cls.", "lm_head.", "discriminator_predictions.",
                           "generator_predictions.", "generator_lm_head."})
    model.pass_over_all(head, "it is a head that the model was trained with");
}

recipe::Decoder roberta_like(ModelReader &model, const char *family) {
  const Dense d = typed_layers(model, family, /*offset=*/2);
  recipe::Decoder decoder = dense_decoder(model, d, kRoberta);
  encode(model, decoder, {.dense = "classifier.dense", .out = "classifier.out_proj"});
  pass_over_heads(model, "roberta", false);
  return decoder;
}

} // namespace

recipe::Decoder bert_from_hf(ModelReader &model) {
  const Dense d = typed_layers(model, "bert", /*offset=*/0);
  recipe::Decoder decoder = dense_decoder(model, d, kBert);
  encode(model, decoder, {.dense = "bert.pooler.dense", .out = "classifier"});
  pass_over_heads(model, "bert", decoder.encoding->labels > 0);
  return decoder;
}

recipe::Decoder roberta_from_hf(ModelReader &model) { return roberta_like(model, "roberta"); }
recipe::Decoder xlm_roberta_from_hf(ModelReader &model) {
  return roberta_like(model, "xlm-roberta");
}

recipe::Decoder electra_from_hf(ModelReader &model) {
  Dense d = typed_layers(model, "electra", /*offset=*/0);
  const int64_t width = model.integer("embedding_size", 1, recipe::kMaxWidth, 128);
  d.embedding_width = width == d.hidden ? 0 : width;
  recipe::Decoder decoder = dense_decoder(model, d, kElectra);
  encode(model, decoder,
         {.dense = "classifier.dense", .out = "classifier.out_proj", .activation = "gelu_erf"});
  model.ignore({"summary_last_dropout"});
  pass_over_heads(model, "electra", false);
  return decoder;
}

} // namespace quern
