// DistilBERT (Sanh et al., 2019): BERT's layers, half as many, and no types of tokens.
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

namespace quern {

recipe::Decoder distilbert_from_hf(ModelReader &model) {
  HfKeys keys = bert_keys();
  keys.hidden = "dim";
  keys.layers = "n_layers";
  keys.mlp = "hidden_dim";
  keys.heads = "n_heads";
  keys.eps = nullptr;
  keys.activation = "activation";
  Dense d = bert_layers(model, keys, /*offset=*/0);
  d.family = "distilbert";
  model.ignore({"sinusoidal_pos_embds"}); // the files have the table in any case
  recipe::Decoder decoder =
      dense_decoder(model, d,
                    {.embedding = "distilbert.embeddings.word_embeddings",
                     .attention = "distilbert.transformer.layer.*.attention",
                     .q = "distilbert.transformer.layer.*.attention.q_lin",
                     .k = "distilbert.transformer.layer.*.attention.k_lin",
                     .v = "distilbert.transformer.layer.*.attention.v_lin",
                     .o = "distilbert.transformer.layer.*.attention.out_lin",
                     .mlp = "distilbert.transformer.layer.*.ffn",
                     .up = "distilbert.transformer.layer.*.ffn.lin1",
                     .down = "distilbert.transformer.layer.*.ffn.lin2",
                     .attention_post = "distilbert.transformer.layer.*.sa_layer_norm",
                     .mlp_post = "distilbert.transformer.layer.*.output_layer_norm",
                     .positions = "distilbert.embeddings.position_embeddings",
                     .embedding_norm = "distilbert.embeddings.LayerNorm"});
  encode(model, decoder, {.dense = "pre_classifier", .out = "classifier", .activation = "relu"});
  for (const char *head : {"vocab_transform.", "vocab_layer_norm.", "vocab_projector."})
    model.pass_over_all(head, "it is a head that the model was trained with");
  return decoder;
}

} // namespace quern
