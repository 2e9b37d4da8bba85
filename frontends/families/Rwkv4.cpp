// RWKV-4 (Peng et al., 2023), as transformers' RwkvForCausalLM computes it.
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"

#include <cmath>

namespace quern {

using recipe::kMaxLayers;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

recipe::Decoder rwkv_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "rwkv",
                          .vocab = model.integer("vocab_size", 1, kMaxVocab),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth),
                          .context = model.context(recipe::kEndlessContext),
                          .embedding = "rwkv.embeddings"};
  model.ignore({"context_length"}); // what it was trained with
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("layer_norm_epsilon", 0, 1, 1e-5);
  const int64_t layers = model.layers("num_hidden_layers");
  const int64_t width = model.integer("attention_hidden_size", 1, kMaxWidth, hidden);
  const int64_t mlp = model.integer("intermediate_size", 1, kMaxWidth, 4 * hidden);
  // transformers halves the stream after every so many layers, and what is added to it, so that 16
  // bits hold it. Norms do not see that but for eps: it is that much larger beside the whole
  // stream.
  const int64_t every = model.integer("rescale_every", -kMaxLayers, kMaxLayers, 6);
  const auto eps_at = [&](int64_t layer) {
    return every > 0 ? eps * std::pow(4.0, static_cast<double>(layer / every)) : eps;
  };
  const auto norm = [&](std::string module, double of) {
    return recipe::Norm{.module = std::move(module),
                        .size = hidden,
                        .eps = of,
                        .kind = recipe::NormKind::Layer,
                        .bias = true};
  };
  decoder.embedding_norm = norm("rwkv.blocks.0.pre_ln", eps);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = recipe::layer_name("rwkv.blocks.*", i);
    const std::string time = block + ".attention", channel = block + ".feed_forward";
    recipe::Rwkv4 mix{.module = time,
                      .hidden = hidden,
                      .width = width,
                      .key = {time + ".key", hidden, width},
                      .value = {time + ".value", hidden, width},
                      .receptance = {time + ".receptance", hidden, width},
                      .output = {time + ".output", width, hidden}};
    recipe::RwkvMlp feed{.module = channel,
                         .mix_key = {channel + ".time_mix_key", hidden},
                         .mix_receptance = {channel + ".time_mix_receptance", hidden},
                         .from_before = true,
                         .key = {channel + ".key", hidden, mlp},
                         .value = {channel + ".value", mlp, hidden},
                         .receptance = recipe::Linear{channel + ".receptance", hidden, hidden}};
    recipe::Layer layer;
    layer.sublayers.push_back({.norm = norm(block + ".ln1", eps_at(i)), .block = mix});
    layer.sublayers.push_back({.norm = norm(block + ".ln2", eps_at(i)), .block = feed});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm = norm("rwkv.ln_out", eps_at(layers));
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, "head"), hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
