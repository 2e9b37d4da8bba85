// RWKV-7 (Peng et al., 2025), as the `rwkv` package and flash-linear-attention's RWKV7ForCausalLM
// compute it.
#include "frontends/families/Dense.h"
#include "frontends/families/DenseGguf.h"
#include "frontends/families/Families.h"
#include "frontends/families/Rwkv.h"
#include "frontends/families/Rwkv7Layers.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

namespace {
/// A rank: the key's, or what the tensors have, or the class's; null is what its layers work out of
/// their width.
int64_t read_rank(ModelReader &model, const char *key, std::optional<int64_t> stored,
                  int64_t missing, double worked_out) {
  const bool null = model.mentions(key) && !model.has(key);
  const auto own = std::max<int64_t>(32, 32 * std::llrint(worked_out / 32));
  return model.integer(key, 1, kMaxWidth, stored.value_or(null ? own : missing));
}

/// The tensors of a mix that the first layer has no use for.
void pass_over_first_values(ModelReader &model, const std::string &prefix, const char *suffix) {
  for (const char *name : {"v0", "v1", "v2"})
    model.pass_over(absl::StrCat(prefix, name, suffix));
}

void check_heads(ModelReader &model, const char *key, int64_t hidden, int64_t head_dim) {
  if (hidden % head_dim)
    model.wrong_size(key, absl::StrCat("heads of ", head_dim, " do not divide ", hidden));
}
} // namespace

recipe::Decoder rwkv7_from_hf(ModelReader &model) {
  const bool package = is_rwkv_package(model);
  const Rwkv7Names &names = package ? kRwkv7PackageNames : kRwkv7FlaNames;
  const std::string embedding = absl::StrCat(names.embedding, ".weight");
  recipe::Decoder decoder{
      .family = "rwkv7",
      .vocab = model.integer("vocab_size", 1, kMaxVocab, stored_size(model, embedding, 0, 32000)),
      .hidden = model.integer("hidden_size", 1, kMaxWidth, stored_size(model, embedding, 1, 2048)),
      .context = model.context(recipe::kEndlessContext),
      .embedding = names.embedding};
  const int64_t hidden = decoder.hidden;
  Rwkv7Sizes s;
  s.layers = rwkv_layers(model, "num_hidden_layers", absl::StrCat(names.norm1, ".weight"));
  const std::string time = recipe::layer_name(names.time, 0);
  std::optional<int64_t> head_dim = stored_size(model, time + "r_k", 1, 64);
  if (model.mentions("head_dim") && !model.has("head_dim")) // null: heads share the width
    head_dim = std::max<int64_t>(1, hidden / model.integer("num_heads", 1, kMaxHeads));
  s.head_dim = model.integer("head_dim", 1, kMaxHeadDim, head_dim);
  check_heads(model, "head_dim", hidden, s.head_dim);
  const double ratio = model.number("hidden_ratio", 0.01, 1e6, 4.0);
  const auto wide = static_cast<int64_t>(static_cast<double>(hidden) * ratio);
  s.mlp = model.integer("intermediate_size", 1, kMaxWidth,
                        stored_size(model, recipe::layer_name(names.channel, 0) + "key.weight", 0,
                                    (wide + 31) / 32 * 32));
  s.values = model.integers_by_layer("value_dim", s.layers, 1, kMaxWidth, hidden);
  const double root = std::sqrt(static_cast<double>(hidden));
  const double by_head = root * static_cast<double>(s.head_dim) / 64;
  const auto rank = [&](const char *key, char what, int64_t missing, double worked_out) {
    return read_rank(model, key, stored_rank(model, names, what), missing, worked_out);
  };
  s.decay = rank("decay_low_rank_dim", 'w', 64, 2.5 * by_head);
  s.gate = rank("gate_low_rank_dim", 'g', 128, 5 * root);
  s.rate = rank("a_low_rank_dim", 'a', 64, 2.5 * by_head);
  s.value = rank("v_low_rank_dim", 'v', 16, 1.7 * by_head);
  s.eps = model.number("norm_eps", 0, 1, 1e-5);
  s.pre_norm = model.boolean("norm_first", true);
  s.norm_bias = model.boolean("norm_bias", true);
  if (!package) {
    // The package's norm of heads has the eps of heads of 64, whatever heads there are.
    s.group_eps = static_cast<double>(s.head_dim) * s.eps;
    // Its fused norm of keys adds more to the squares than the one of torch holds the root to.
    s.l2_eps = model.boolean("fuse_norm", true) ? 1e-6 : 1e-24;
  }
  if (const std::string act = model.text("hidden_act", "sqrelu"); act != "sqrelu")
    model.problem("hidden_act", absl::StrCat("the activation '", act, "' is not known"),
                  "RWKV-7 is known with sqrelu");
  if (model.has("attn"))
    model.problem("attn", "some layers are attention", "RWKV-7 is known without such layers");
  // How programs train it and split the work; nothing ends at a position.
  model.ignore({"attn", "attn_mode", "num_heads", "max_position_embeddings",
                "fuse_linear_cross_entropy", "use_l2warp"});
  pass_over_first_values(model, time, "");
  add_rwkv7_layers(decoder, s, names);
  const bool tied = model.boolean("tie_word_embeddings", false);
  decoder.head = {head_module(model, tied, decoder.embedding, names.head), hidden, decoder.vocab};
  return decoder;
}

recipe::Decoder rwkv7_from_gguf(ModelReader &model) {
  recipe::Decoder decoder{.family = "rwkv7",
                          .vocab = vocab_from_gguf(model),
                          .hidden = model.integer("embedding_length", 1, kMaxWidth),
                          .context = model.context(model.integer(
                              "context_length", 1, recipe::kMaxContext, recipe::kEndlessContext)),
                          .embedding = kRwkv7GgufNames.embedding};
  Rwkv7Sizes s;
  s.layers = model.layers("block_count");
  s.mlp = model.integer("feed_forward_length", 1, kMaxWidth);
  s.head_dim = model.integer("wkv.head_size", 1, kMaxHeadDim);
  check_heads(model, "wkv.head_size", decoder.hidden, s.head_dim);
  s.decay = model.integer("attention.decay_lora_rank", 1, kMaxWidth);
  s.rate = model.integer("attention.iclr_lora_rank", 1, kMaxWidth);
  s.value = model.integer("attention.value_residual_mix_lora_rank", 1, kMaxWidth);
  s.gate = model.integer("attention.gate_lora_rank", 1, kMaxWidth);
  s.eps = model.number("attention.layer_norm_epsilon", 0, 1);
  model.expect_number("token_shift_count", 2);
  model.ignore({"attention.head_count"}); // written as 0
  pass_over_first_values(model, "blk.0.time_mix_", ".weight");
  add_rwkv7_layers(decoder, s, kRwkv7GgufNames);
  decoder.head = {kRwkv7GgufNames.head, decoder.hidden, decoder.vocab};
  return decoder;
}

} // namespace quern
