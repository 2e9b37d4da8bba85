// What encoders of text share: layers as Dense has them, in which every token sees all others, and
// what is made of a sequence's rows. How they are pooled is not in a model's config but beside it
// (frontends/hf/SentenceModules.h), unless the class scores whole texts.
#ifndef QUERN_FRONTENDS_FAMILIES_ENCODERS_H
#define QUERN_FRONTENDS_FAMILIES_ENCODERS_H

#include "frontends/families/Dense.h"
#include "frontends/families/ModelReader.h"
#include "frontends/recipe/Recipe.h"

#include <string>

namespace quern {

/// Where BERT-like configs say what; learned positions begin behind `offset` rows of their table.
HfKeys bert_keys();
Dense bert_layers(ModelReader &model, const HfKeys &keys, int64_t offset);

/// A class's head of scores: a row pooled, a linear of the model's width with an activation, and
/// one that gives a score for each label.
struct ScoringHead {
  std::string dense{}, out{};
  std::string activation = "tanh";
  recipe::Pool pool = recipe::Pool::First;
  bool dense_bias = true;
  recipe::Norm norm{.kind = recipe::NormKind::None}; ///< between the two
};

/// Whether `architectures` names a class that scores whole texts.
bool scores_texts(ModelReader &model);

/// What the recipe's rows become: scores where the class gives them, else vectors, of which nothing
/// is said yet.
void encode(ModelReader &model, recipe::Decoder &decoder, const ScoringHead &head);

/// The same of a GGUF file: pooling_type says how rows are pooled, as llama.cpp numbers it, and
/// vectors are of length 1, as its programs make them.
void encode_gguf(ModelReader &model, recipe::Decoder &decoder);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ENCODERS_H
