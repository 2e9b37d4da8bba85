// RWKV-6 (Peng et al., 2024), as the `rwkv` package, the published models' own code and
// flash-linear-attention's RWKV6ForCausalLM (Rwkv6Fla.cpp) compute it.
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Rwkv.h"

#include <absl/strings/str_cat.h>

#include <string>

namespace quern {

using recipe::kMaxWidth;

recipe::Decoder rwkv6_from_hf(ModelReader &model) {
  if (is_rwkv6_of_fla(model))
    return rwkv6_from_fla(model);
  RwkvNames names{};
  RwkvSizes s;
  recipe::Decoder decoder = read_rwkv(model, "rwkv6", names, s);
  const int64_t hidden = decoder.hidden;
  // No key says these; the published models have no others.
  const std::string first = recipe::layer_name(names.time, 0);
  const bool wide = hidden >= 4096;
  const int64_t mixes = *stored_size(model, first + ".time_maa_w2", 1, wide ? 64 : 32);
  const int64_t rank = *stored_size(model, first + ".time_decay_w1", 1, wide ? 128 : 64);
  for (int64_t i = 0; i < s.layers; ++i) {
    recipe::Rwkv6 time = rwkv_time_mixing(names, s, hidden, i);
    recipe::RwkvMlp channel = rwkv_channel_mixing(names, s, hidden, i);
    const auto mix = [&](const std::string &module, const char *name) {
      return recipe::Vector{module + ".time_maa_" + name, hidden};
    };
    const auto matrix = [&](const char *name, int64_t in, int64_t out) {
      recipe::Linear l{.module = time.module + name, .in = in, .out = out, .transposed = true};
      l.weight_tensor = l.module;
      return l;
    };
    time.mix_receptance = mix(time.module, "r");
    time.mix_decay = mix(time.module, "w");
    time.mix_key = mix(time.module, "k");
    time.mix_value = mix(time.module, "v");
    time.mix_gate = mix(time.module, "g");
    time.mixes = {.base = mix(time.module, "x"),
                  .down = matrix(".time_maa_w1", hidden, 5 * mixes),
                  .up = time.module + ".time_maa_w2",
                  .order = "wkvrg"};
    time.decay_down = matrix(".time_decay_w1", hidden, rank);
    time.decay_up = matrix(".time_decay_w2", rank, s.width);
    time.decay_up->bias = true;
    time.decay_up->bias_tensor = time.module + ".time_decay";
    channel.mix_key = mix(channel.module, "k");
    channel.mix_receptance = mix(channel.module, "r");
    add_rwkv_layer(decoder, names, s, std::move(time), std::move(channel));
  }
  return decoder;
}

recipe::Decoder rwkv6_from_gguf(ModelReader &model) {
  recipe::Decoder decoder{.family = "rwkv6",
                          .vocab = vocab_from_gguf(model),
                          .hidden = model.integer("embedding_length", 1, kMaxWidth),
                          .context = model.context(model.integer(
                              "context_length", 1, recipe::kMaxContext, recipe::kEndlessContext)),
                          .embedding = "token_embd"};
  const int64_t hidden = decoder.hidden;
  RwkvSizes s;
  s.layers = model.layers("block_count");
  s.mlp = model.integer("feed_forward_length", 1, kMaxWidth);
  s.head_dim = model.integer("wkv.head_size", 1, recipe::kMaxHeadDim);
  if (hidden % s.head_dim)
    model.wrong_size("wkv.head_size",
                     absl::StrCat("heads of ", s.head_dim, " do not divide ", hidden));
  s.eps = model.number("attention.layer_norm_epsilon", 0, 1);
  s.rescale_every = model.integer("rescale_every_n_layers", 0, recipe::kMaxLayers, int64_t{0});
  const int64_t mixes = model.integer("time_mix_extra_dim", 1, kMaxWidth);
  const int64_t rank = model.integer("time_decay_extra_dim", 1, kMaxWidth);
  model.expect_number("token_shift_count", 2);
  model.ignore({"attention.head_count"}); // written as 0
  const bool fused = model.has_tensor("blk.0.time_mix_lerp_fused.weight");
  decoder.embedding_norm = rwkv_norm("token_embd_norm", hidden, s.eps);
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string block = absl::StrCat("blk.", i, ".");
    const std::string time = block + "time_mix_", channel = block + "channel_mix_";
    const std::string order = "wkvrg";
    const auto mix = [&](char what) {
      return fused ? recipe::Vector{time + "lerp_fused.weight", hidden,
                                    static_cast<int64_t>(order.find(what)), 5}
                   : recipe::Vector{absl::StrCat(time, "lerp_", std::string(1, what), ".weight"),
                                    hidden};
    };
    const auto linear = [&](const char *name, int64_t in, int64_t out) {
      return recipe::Linear{time + name, in, out};
    };
    recipe::Rwkv6 m{.module = block + "time_mix",
                    .heads = hidden / s.head_dim,
                    .key_dim = s.head_dim,
                    .value_dim = s.head_dim,
                    .mix_receptance = mix('r'),
                    .mix_decay = mix('w'),
                    .mix_key = mix('k'),
                    .mix_value = mix('v'),
                    .mix_gate = mix('g'),
                    .receptance = linear("receptance", hidden, hidden),
                    .key = linear("key", hidden, hidden),
                    .value = linear("value", hidden, hidden),
                    .gate = linear("gate", hidden, hidden),
                    .output = linear("output", hidden, hidden),
                    .decay_down = linear("decay_w1", hidden, rank),
                    .decay_up = linear("decay_w2", rank, hidden),
                    .bonus = time + "first.weight",
                    .norm = rwkv_norm(time + "ln", hidden, s.group_eps, s.head_dim)};
    m.mixes = {.base = {time + "lerp_x.weight", hidden},
               .down = linear("w1", hidden, 5 * mixes),
               .up = time + "w2.weight",
               .stored = recipe::Rwkv6::Mixes::Stored::Blocks,
               .order = order};
    m.decay_up->bias = true;
    m.decay_up->bias_tensor = time + "decay.weight";
    recipe::RwkvMlp feed{.module = block + "channel_mix",
                         .mix_key = {channel + "lerp_k.weight", hidden},
                         .mix_receptance = {channel + "lerp_r.weight", hidden},
                         .key = {channel + "key", hidden, s.mlp},
                         .value = {channel + "value", s.mlp, hidden},
                         .receptance = recipe::Linear{channel + "receptance", hidden, hidden}};
    const auto norm = [&](const char *name) {
      return rwkv_norm(block + name, hidden, s.eps_at(i));
    };
    // Converters divide what is added to the stream by the stream's scale.
    const double scale = s.scale_at(i);
    recipe::Layer layer;
    layer.sublayers.push_back({.norm = norm("attn_norm"), .block = std::move(m), .scale = scale});
    layer.sublayers.push_back(
        {.norm = norm("attn_norm_2"), .block = std::move(feed), .scale = scale});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm = rwkv_norm("output_norm", hidden, s.eps_at(s.layers));
  decoder.head = {"output", hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
