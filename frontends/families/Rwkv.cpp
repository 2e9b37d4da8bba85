#include "frontends/families/Rwkv.h"

#include "frontends/families/Dense.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern {

std::optional<int64_t> stored_size(const ModelReader &model, const std::string &tensor,
                                   size_t dimension, std::optional<int64_t> missing) {
  const std::optional<std::vector<int64_t>> shape = model.tensor_shape(tensor);
  return shape && dimension < shape->size() && (*shape)[dimension] > 0
             ? std::optional((*shape)[dimension])
             : missing;
}

int64_t rwkv_layers(ModelReader &model, const char *key, const std::string &name_template) {
  int64_t stored = 0;
  while (stored < recipe::kMaxLayers && model.has_tensor(recipe::layer_name(name_template, stored)))
    ++stored;
  if (stored > 0 && !model.has(key)) {
    model.ignore({key});
    return stored;
  }
  return model.layers(key);
}

bool is_rwkv_package(const ModelReader &model) { return model.has_tensor("emb.weight"); }

recipe::Norm rwkv_norm(std::string module, int64_t size, double eps, int64_t group) {
  return {.module = std::move(module),
          .size = size,
          .eps = eps,
          .group = group,
          .kind = recipe::NormKind::Layer,
          .bias = true};
}

double RwkvSizes::scale_at(int64_t layer) const {
  return rescale_every > 0 ? std::pow(2.0, static_cast<double>(layer / rescale_every)) : 1;
}

recipe::Decoder read_rwkv(ModelReader &model, const char *family, RwkvNames &names, RwkvSizes &s) {
  using recipe::kMaxWidth;
  const bool package = is_rwkv_package(model);
  names = package ? RwkvNames{"emb",          "blocks.0.ln0", "blocks.*", "blocks.*.att",
                              "blocks.*.ffn", "ln_out",       "head"}
                  : RwkvNames{"rwkv.embeddings",
                              "rwkv.blocks.0.pre_ln",
                              "rwkv.blocks.*",
                              "rwkv.blocks.*.attention",
                              "rwkv.blocks.*.feed_forward",
                              "rwkv.ln_out",
                              "head"};
  const std::string embedding = absl::StrCat(names.embedding, ".weight");
  recipe::Decoder decoder{
      .family = family,
      .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab,
                             stored_size(model, embedding, 0, 65536)),
      .hidden = model.integer("hidden_size", 1, kMaxWidth, stored_size(model, embedding, 1, 768)),
      .context = model.context(recipe::kEndlessContext),
      .embedding = names.embedding};
  s.layers = rwkv_layers(model, "num_hidden_layers", absl::StrCat(names.block, ".ln1.weight"));
  const std::string time = recipe::layer_name(names.time, 0);
  const std::string channel = recipe::layer_name(names.channel, 0);
  s.width = model.integer("attention_hidden_size", 1, kMaxWidth,
                          stored_size(model, time + ".key.weight", 0, decoder.hidden));
  s.head_dim = model.integer("head_size", 1, recipe::kMaxHeadDim,
                             stored_size(model, time + ".time_faaaa", 1, 64));
  if (s.width % s.head_dim)
    model.wrong_size("head_size",
                     absl::StrCat("heads of ", s.head_dim, " do not divide ", s.width));
  s.mlp = model.integer(
      "intermediate_size", 1, kMaxWidth,
      stored_size(model, channel + ".key.weight", 0, decoder.hidden * 7 / 2 / 32 * 32));
  s.eps = model.number("layer_norm_epsilon", 0, 1, 1e-5);
  const double divisor = model.number("head_size_divisor", 1e-3, 1e6, 8.0);
  s.group_eps = 1e-5 * divisor * divisor; // what is normed is divided by it first
  // The package halves the stream in 16 bits alone.
  s.rescale_every = model.integer("rescale_every", -recipe::kMaxLayers, recipe::kMaxLayers,
                                  int64_t{package ? 0 : 6});
  // What is written beside head_size, the other way round, and of which generation the model is.
  model.ignore({"num_attention_heads", "model_version"});
  decoder.embedding_norm = rwkv_norm(names.pre_norm, decoder.hidden, s.eps);
  decoder.final_norm = rwkv_norm(names.final_norm, decoder.hidden, s.eps_at(s.layers));
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, names.head), decoder.hidden,
                  decoder.vocab};
  return decoder;
}

recipe::Rwkv6 rwkv_time_mixing(const RwkvNames &names, const RwkvSizes &s, int64_t hidden,
                               int64_t layer) {
  const std::string time = recipe::layer_name(names.time, layer);
  return {.module = time,
          .heads = s.heads(),
          .key_dim = s.head_dim,
          .value_dim = s.head_dim,
          .receptance = {time + ".receptance", hidden, s.width},
          .key = {time + ".key", hidden, s.width},
          .value = {time + ".value", hidden, s.width},
          .gate = {time + ".gate", hidden, s.width},
          .output = {time + ".output", s.width, hidden},
          .bonus = time + ".time_faaaa",
          .norm = rwkv_norm(time + ".ln_x", s.width, s.group_eps, s.head_dim)};
}

recipe::RwkvMlp rwkv_channel_mixing(const RwkvNames &names, const RwkvSizes &s, int64_t hidden,
                                    int64_t layer) {
  const std::string channel = recipe::layer_name(names.channel, layer);
  return {.module = channel,
          .key = {channel + ".key", hidden, s.mlp},
          .value = {channel + ".value", s.mlp, hidden},
          .receptance = recipe::Linear{channel + ".receptance", hidden, hidden}};
}

void add_rwkv_layer(recipe::Decoder &decoder, const RwkvNames &names, const RwkvSizes &s,
                    recipe::Rwkv6 time, recipe::RwkvMlp channel) {
  const auto i = static_cast<int64_t>(decoder.layers.size());
  const std::string block = recipe::layer_name(names.block, i);
  const auto norm = [&](const char *name) {
    return rwkv_norm(block + name, decoder.hidden, s.eps_at(i));
  };
  recipe::Layer layer;
  layer.sublayers.push_back({.norm = norm(".ln1"), .block = std::move(time)});
  layer.sublayers.push_back({.norm = norm(".ln2"), .block = std::move(channel)});
  decoder.layers.push_back(std::move(layer));
}

} // namespace quern
