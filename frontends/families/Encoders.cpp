#include "frontends/families/Encoders.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>

#include <algorithm>

namespace quern {

HfKeys bert_keys() {
  return {.kv_heads = nullptr,
          .head_dim = nullptr,
          .eps = "layer_norm_eps",
          .default_eps = 1e-12,
          .default_activation = "gelu",
          .rope = std::nullopt};
}

Dense bert_layers(ModelReader &model, const HfKeys &keys, int64_t offset) {
  Dense d = dense_from_hf(model, keys);
  d.norm = recipe::NormKind::Layer;
  d.norm_bias = d.qkv_bias = d.o_bias = d.mlp_bias = true;
  d.gated = false;
  d.wiring = Wiring::AfterSum;
  d.both_sides = true;
  d.position_rows = d.max_positions;
  d.position_offset = offset;
  if (offset)
    d.context = model.context(std::max<int64_t>(1, d.max_positions - offset));
  model.expect_text("position_embedding_type", "absolute");
  return d;
}

bool scores_texts(ModelReader &model) {
  const std::vector<std::string> names = model.is_text("architectures")
                                             ? std::vector{model.text("architectures", "")}
                                             : model.texts("architectures");
  return std::any_of(names.begin(), names.end(), [](const std::string &name) {
    return absl::StrContains(absl::AsciiStrToLower(name), "forsequenceclassification");
  });
}

namespace {

/// Labels that the class gives scores to: the tensor has the last word.
int64_t count_labels(ModelReader &model, const std::string &out) {
  const int64_t said = model.integer("num_labels", 1, recipe::kMaxWidth, 2);
  const auto shape = model.tensor_shape(out + ".weight");
  return shape && shape->size() == 2 && shape->front() >= 1 ? shape->front() : said;
}

} // namespace

void encode(ModelReader &model, recipe::Decoder &decoder, const ScoringHead &head) {
  decoder.encoding.emplace();
  if (!scores_texts(model))
    return;
  const int64_t labels = count_labels(model, head.out);
  decoder.encoding->pools = {head.pool};
  decoder.encoding->labels = labels;
  decoder.encoding->stages = {
      {.linear = recipe::Linear{.module = head.dense,
                                .in = decoder.hidden,
                                .out = decoder.hidden,
                                .bias = head.dense_bias},
       .activation = head.activation,
       .norm = head.norm},
      {.linear =
           recipe::Linear{.module = head.out, .in = decoder.hidden, .out = labels, .bias = true}}};
}

void encode_gguf(ModelReader &model, recipe::Decoder &decoder) {
  decoder.encoding.emplace();
  const int64_t type = model.integer("pooling_type", -1, 4, 1);
  switch (type) {
  case 1:
    decoder.encoding->pools = {recipe::Pool::Mean};
    break;
  case 2:
    decoder.encoding->pools = {recipe::Pool::First};
    break;
  case 3:
    decoder.encoding->pools = {recipe::Pool::Last};
    break;
  case 4:
    decoder.encoding->pools = {recipe::Pool::First};
    model.problem("pooling_type", "the model ranks texts, and Quern reads such heads from Hugging "
                                  "Face's files alone");
    break;
  default:
    decoder.encoding->pools = {recipe::Pool::Mean};
    model.note("the file pools no rows: their mean is taken");
  }
  decoder.encoding->stages = {{.unit = true}}; // as llama.cpp's clients have it
}

} // namespace quern
