// Zamba2 (Glorioso et al., 2024): Mamba-2 in every layer. Some layers first pass the stream, beside
// the embeddings, through attention and an MLP whose weights they share with others, but for
// adapters of low rank; what comes of it is added to what that layer's Mamba-2 sees, and no more.
#include "frontends/families/Activations.h"
#include "frontends/families/Dense.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"
#include "frontends/families/Zamba2Shared.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern {

using recipe::Input;
using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxWidth;

namespace {

enum Kind : size_t { Mamba, Hybrid };

/// Which layers are of which kind. What is meant where the config does not say are 54 layers.
std::vector<size_t> read_kinds(ModelReader &model) {
  constexpr const char *kKey = "layers_block_type";
  std::vector<size_t> missing;
  for (int64_t i = 0; i < 54; ++i)
    missing.push_back((i % 6 == 0 && i > 0 && i < 43) || i == 47 || i == 51 ? Hybrid : Mamba);
  const int64_t layers = model.integer("num_hidden_layers", 1, kMaxLayers, 54);
  if (model.has(kKey))
    return read_layer_kinds(model, layers, {{"linear_attention", "mamba"}, {"hybrid"}}, missing,
                            kKey);
  model.expect_number("num_hidden_layers", 54);
  return missing;
}

recipe::Mamba2 read_mixer(ModelReader &model, int64_t hidden) {
  recipe::Mamba2 m;
  const int64_t inner = hidden * model.integer("mamba_expand", 1, kMaxHeadDim, 2);
  m.heads = model.integer("n_mamba_heads", 1, kMaxHeads, 8);
  m.head_dim = inner / m.heads;
  if (m.inner() != inner)
    model.wrong_size("n_mamba_heads", absl::StrCat(m.heads, " heads do not divide ", inner));
  m.groups = model.integer("mamba_ngroups", 1, kMaxHeads, 1);
  m.state = model.integer("mamba_d_state", 1, kMaxHeadDim, 64);
  m.kernel = model.integer("mamba_d_conv", 1, recipe::kMaxKernel, 4);
  m.conv_bias = true; // use_conv_bias has no effect
  if (m.heads % m.groups)
    model.problem("mamba_ngroups",
                  absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  // time_step_min bounds the step from below in the prompts of some programs, and in no program's
  // decoding: it is what initial weights are made by.
  model.expect("ft_lora", false);
  model.ignore({"lora_rank", "use_conv_bias", "time_step_min", "time_step_max", "time_step_floor",
                "time_step_limit", "chunk_size", "use_mem_eff_path"});
  return m;
}

} // namespace

recipe::Decoder zamba2_from_hf(ModelReader &model) {
  Dense d{.family = "zamba2",
          .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab, 32'000),
          .hidden = model.integer("hidden_size", 1, kMaxWidth, 2560)};
  d.mlp = model.integer("intermediate_size", 1, kMaxWidth, 4 * d.hidden);
  const bool longer = model.boolean("use_long_context", false);
  d.max_positions = model.integer("max_position_embeddings", 1, recipe::kMaxContext, 4096);
  d.max_positions = longer ? 16'384 : d.max_positions;
  d.context = model.context(d.max_positions);
  d.heads = model.integer("num_attention_heads", 1, kMaxHeads, 32);
  d.kv_heads = model.integer("num_key_value_heads", 1, kMaxHeads, d.heads);
  d.head_dim = 2 * d.hidden / d.heads;
  d.eps = model.number("rms_norm_eps", 0, 1, 1e-5);
  d.activation = read_activation(model, "hidden_act", "gelu");
  if (model.boolean("use_mem_rope", false))
    d.ropes = {rope_from_hf(model, d.head_dim, d.max_positions, d.context)};
  // Without positions, how they would be rotated; and what follows from other keys.
  model.ignore({"rope_parameters", "rope_theta", "rope_scaling", "attention_head_dim",
                "attention_hidden_size", "mamba_headdim", "kv_channels", "num_query_groups",
                "hybrid_layer_ids", "ffn_hidden_size", "num_logits_to_keep"});
  d.mlp_bias = model.boolean("add_bias_linear", false);
  d.attention_scale = 1 / std::sqrt(static_cast<double>(d.head_dim) / 2);
  const bool adapts = model.boolean("use_shared_attention_adapter", false);
  const int64_t rank = model.integer("adapter_rank", 1, kMaxWidth, 128);
  if (adapts && d.kv_heads * d.head_dim != 2 * d.hidden)
    model.problem("use_shared_attention_adapter",
                  "adapters are twice as wide as the model, and keys are not");
  recipe::Mamba2 mixer = read_mixer(model, d.hidden);
  const std::vector<size_t> kinds = read_kinds(model);
  const auto blocks = static_cast<size_t>(model.integer("num_mem_blocks", 1, kMaxLayers, 1));

  recipe::Decoder decoder{.family = d.family,
                          .vocab = d.vocab,
                          .hidden = d.hidden,
                          .context = d.context,
                          .embedding = "model.embed_tokens",
                          .ropes = d.ropes};
  const bool tied = model.boolean("tie_word_embeddings", true);
  std::vector<std::string> hybrids; // the layers
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string layer = absl::StrCat("model.layers.", i);
    recipe::Layer &made = decoder.layers.emplace_back();
    std::string own = layer;
    if (kinds[i] == Hybrid) {
      const size_t use = hybrids.size();
      hybrids.push_back(layer);
      std::string module = hybrids[use % blocks] + ".shared_transformer";
      const auto has = [&](const std::string &block) {
        return model.has_tensor(block + ".input_layernorm.weight");
      };
      // transformers shares weights only where it ties all that may be.
      const std::string its = layer + ".shared_transformer";
      if (!tied && (has(its) || !has(module))) {
        module = its;
        pass_over_adapters(model, module, use, kinds.size());
      }
      made.sublayers = shared_sublayers(
          d, layer, module, {.rank = rank, .attention = adapts, .use = static_cast<int64_t>(use)});
      own += ".mamba_decoder";
    }
    name_mamba2(mixer, own + ".mamba", d.hidden, 1e-5, d.mlp_bias, d.mlp_bias);
    made.sublayers.push_back({.norm = {own + ".input_layernorm", d.hidden, d.eps},
                              .block = mixer,
                              .input = kinds[i] == Hybrid ? Input::Joined : Input::Stream});
  }
  decoder.final_norm = {"model.final_layernorm", d.hidden, d.eps};
  decoder.head = {head_module(model, tied, decoder.embedding, "lm_head"), d.hidden, d.vocab};
  return decoder;
}

} // namespace quern
