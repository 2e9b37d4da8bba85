// The encoders of GGUF: BERT (RoBERTa and XLM-R too, whose unused positions converters cut off) and
// Nomic's, which rotates positions and gates its MLPs.
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"

namespace quern {

namespace {

DenseNames encoder_names() {
  DenseNames names = kGgufDenseNames;
  names.final_norm = names.head = names.attention_norm = names.mlp_norm = nullptr;
  names.attention_post = "blk.*.attn_output_norm";
  names.mlp_post = "blk.*.layer_output_norm";
  names.positions = "position_embd";
  names.embedding_norm = "token_embd_norm";
  names.types = "token_types";
  return names;
}

recipe::Decoder encoder(ModelReader &model, Dense d, const char *family) {
  d.family = family;
  d.wiring = Wiring::AfterSum;
  d.both_sides = true;
  d.norm_bias = true;
  if (const auto shape = model.tensor_shape("token_types.weight"); shape && !shape->empty())
    d.type_rows = shape->front();
  recipe::Decoder decoder = gguf_decoder(model, d, encoder_names());
  encode_gguf(model, decoder);
  model.pass_over_all("cls.", "nothing that is asked for comes of it");
  return decoder;
}

} // namespace

recipe::Decoder bert_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(
      model,
      {.norm = recipe::NormKind::Layer, .gated = false, .rope = std::nullopt, .encoder = true});
  d.activation = "gelu_erf";
  d.position_rows = d.max_positions;
  if (const auto shape = model.tensor_shape("position_embd.weight"); shape && !shape->empty())
    d.position_rows = shape->front();
  return encoder(model, d, "bert");
}

recipe::Decoder nomic_bert_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.norm = recipe::NormKind::Layer, .encoder = true});
  return encoder(model, d, "nomic_bert");
}

} // namespace quern
