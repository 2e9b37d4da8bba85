#include "frontends/families/Fla.h"

#include "frontends/families/Dense.h"
#include "frontends/families/Rotary.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace quern {

using recipe::kMaxContext;
using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {

/// The layers of one object of `attn`.
void read_attention_layers(ModelReader &model, Fla &fla, const std::string &object) {
  const std::string key = object + ".layers";
  model.expect(object + ".qk_norm", false);
  recipe::Attention attention = read_fla_attention(model, fla, object + ".");
  for (const double layer : model.numbers(key)) {
    if (!(layer >= 0 && layer < static_cast<double>(fla.layers)) || layer != std::floor(layer)) {
      model.problem(key, absl::StrCat(layer, " is no layer of 0 to ", fla.layers - 1));
      continue;
    }
    recipe::Attention &place = fla.attention[static_cast<size_t>(layer)];
    if (place.heads > 0)
      model.problem(key, absl::StrCat("layer ", layer, " has attention already"));
    place = attention;
  }
}

void read_attention(ModelReader &model, Fla &fla) {
  fla.attention.resize(static_cast<size_t>(fla.layers));
  if (!model.has("attn"))
    return;
  if (!model.is_list("attn")) {
    if (!model.has("attn.layers"))
      model.problem("attn.layers", "this key is missing",
                    "`attn` names the layers that have softmax attention");
    return read_attention_layers(model, fla, "attn");
  }
  for (int64_t i = 0; model.has(absl::StrCat("attn[", i, "].layers")); ++i)
    read_attention_layers(model, fla, absl::StrCat("attn[", i, "]"));
}
} // namespace

recipe::Attention read_fla_attention(ModelReader &model, Fla &fla, const std::string &prefix) {
  recipe::Attention a;
  a.heads = model.integer(prefix + "num_heads", 1, kMaxHeads);
  a.kv_heads = model.integer(prefix + "num_kv_heads", 1, kMaxHeads, a.heads);
  if (fla.hidden % a.heads)
    model.wrong_size(prefix + "num_heads",
                     absl::StrCat(a.heads, " heads do not divide hidden_size ", fla.hidden));
  else if (a.heads % a.kv_heads)
    model.wrong_size(prefix + "num_kv_heads",
                     absl::StrCat(a.heads, " heads cannot share ", a.kv_heads, " kv heads evenly"));
  a.head_dim = std::max<int64_t>(1, fla.hidden / a.heads);
  const bool bias = model.boolean(prefix + "qkv_bias", false);
  a.q = {.in = fla.hidden, .out = a.heads * a.head_dim, .bias = bias};
  a.k = a.v = {.in = fla.hidden, .out = a.kv_heads * a.head_dim, .bias = bias};
  a.o = {.in = a.heads * a.head_dim, .out = fla.hidden};
  a.window = model.integer(prefix + "window_size", 1, kMaxContext, 0);
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  const std::string theta = prefix + "rope_theta";
  const recipe::Rope rope =
      plain_rope(model, theta, model.number(theta, 1e-6, 1e12, 10'000.0), a.head_dim);
  std::vector<recipe::Rope> &ropes = fla.decoder.ropes;
  a.rope = static_cast<size_t>(std::find(ropes.begin(), ropes.end(), rope) - ropes.begin());
  if (a.rope == ropes.size())
    ropes.push_back(rope);
  return a;
}

Fla read_fla(ModelReader &model, const char *family, const FlaClass &own) {
  const auto module = [&](const char *name) { return absl::StrCat(own.model, ".", name); };
  Fla fla{.names = own,
          .hidden = model.integer("hidden_size", 1, kMaxWidth),
          .layers = model.layers("num_hidden_layers"),
          .eps = model.number("norm_eps", 0, 1, own.eps)};
  fla.decoder = {.family = family,
                 .vocab = model.integer("vocab_size", 1, kMaxVocab),
                 .hidden = fla.hidden,
                 .embedding = module("embeddings")};
  // As GatedMLP rounds it: two thirds of the ratio, and up to the next multiple of 256.
  const double ratio = model.number("hidden_ratio", 1e-3, 1e3, own.hidden_ratio);
  const auto thirds = static_cast<int64_t>(static_cast<double>(fla.hidden) * ratio * 2 / 3);
  fla.mlp = std::min(kMaxWidth, (thirds + 255) / 256 * 256);
  if (own.sized)
    fla.mlp = model.integer("intermediate_size", 1, kMaxWidth, fla.mlp);
  if (const std::string act = model.text("hidden_act", "swish"); act != "swish")
    model.problem("hidden_act", absl::StrCat("the activation '", act, "' is not known"),
                  "Quern knows fla's swish");
  if (model.has("attnres_block_size"))
    model.problem("attnres_block_size", "layers attend to what earlier layers left",
                  "Quern knows fla's models with a plain residual stream, where it is null");
  read_attention(model, fla);
  bool attends = own.attends;
  const int64_t positions = model.integer("max_position_embeddings", 1, kMaxContext, 2048);
  for (const recipe::Attention &attention : fla.attention)
    attends |= attention.heads > 0;
  fla.decoder.context =
      model.context(attends ? positions : std::max(positions, recipe::kEndlessContext));
  // How programs run it and split the work, and training.
  model.ignore({"attn_mode", "fuse_swiglu", "fuse_linear_cross_entropy", "use_l2warp",
                "attnres_block_size"});
  fla.decoder.final_norm = {module(own.final_norm), fla.hidden, fla.eps};
  fla.decoder.head = {head_module(model, model.boolean("tie_word_embeddings", false),
                                  fla.decoder.embedding, "lm_head"),
                      fla.hidden, fla.decoder.vocab};
  return fla;
}

recipe::Decoder
fla_decoder(Fla fla,
            const std::function<recipe::Block(const std::string &module, int64_t layer)> &mixer) {
  for (int64_t i = 0; i < fla.layers; ++i) {
    const std::string layer = absl::StrCat(fla.names.model, ".layers.", i, ".");
    const std::string mix = layer + fla.names.mixer, feed = layer + "mlp";
    recipe::Sublayer first{.norm = {layer + fla.names.norm, fla.hidden, fla.eps}};
    if (recipe::Attention &a = fla.attention[static_cast<size_t>(i)]; a.heads > 0) {
      a.module = mix;
      a.q.module = mix + ".q_proj";
      a.k.module = mix + ".k_proj";
      a.v.module = mix + ".v_proj";
      a.o.module = mix + ".o_proj";
      for (const auto &[norm, name] : {std::pair(&a.q_norm, ".q_norm"), {&a.k_norm, ".k_norm"}})
        if (*norm)
          (*norm)->module = mix + name;
      first.block = a;
    } else {
      first.block = mixer(mix, i);
    }
    recipe::Sublayer second{
        .norm = {layer + "mlp_norm", fla.hidden, fla.eps},
        .block = recipe::GatedMlp{.module = feed,
                                  .gate = Fla::linear(feed, ".gate_proj", fla.hidden, fla.mlp),
                                  .up = Fla::linear(feed, ".up_proj", fla.hidden, fla.mlp),
                                  .down = Fla::linear(feed, ".down_proj", fla.mlp, fla.hidden)}};
    fla.decoder.layers.push_back({{std::move(first), std::move(second)}});
  }
  return std::move(fla.decoder);
}

int64_t read_fla_expansion(ModelReader &model, const Fla &fla, std::string_view key, double missing,
                           int64_t heads) {
  const double wide = static_cast<double>(fla.hidden) *
                      model.number(key, 1e-6, static_cast<double>(kMaxWidth), missing);
  const double cols = std::round(wide);
  if (std::abs(wide - cols) > 1e-9 * wide || cols < static_cast<double>(heads) ||
      cols > static_cast<double>(heads * kMaxHeadDim) || static_cast<int64_t>(cols) % heads) {
    model.wrong_size(key, absl::StrCat("hidden_size times it is ", wide, ", which ", heads,
                                       " heads cannot share evenly"));
    return 1;
  }
  return static_cast<int64_t>(cols) / heads;
}

int64_t read_fla_kernel(ModelReader &model, bool missing) {
  const bool convolved = model.boolean("use_short_conv", missing);
  const int64_t size = model.integer("conv_size", 2, recipe::kMaxKernel, 4);
  // Layers have it; no class passes it on.
  model.expect("conv_bias", false);
  return convolved ? size : 0;
}

std::vector<std::string> fla_convolutions(const std::string &module, std::string_view letters) {
  std::vector<std::string> modules;
  for (const char letter : letters)
    modules.push_back(absl::StrCat(module, ".", std::string(1, letter), "_conv1d"));
  return modules;
}

} // namespace quern
