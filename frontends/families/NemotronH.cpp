// Nemotron-H (NVIDIA, 2025): layers of one block each, which are Mamba-2, attention without
// positions, an MLP without a gate, or experts of that kind, who may work on a latent.
#include "frontends/families/Activations.h"
#include "frontends/families/Experts.h"
#include "frontends/families/Families.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <limits>

namespace quern {

using recipe::kMaxWidth;

namespace {

enum Kind : size_t { Mamba, Attention, Mlp, Moe };
const std::vector<LayerKind> kKinds = {
    {"linear_attention", "mamba"}, {"full_attention", "attention"}, {"mlp"}, {"moe"}};

recipe::Mamba2 read_mixer(ModelReader &model) {
  recipe::Mamba2 m;
  m.heads = model.integer("mamba_num_heads", 1, recipe::kMaxHeads, 128);
  m.head_dim = model.integer("mamba_head_dim", 1, recipe::kMaxHeadDim, 64);
  m.state = model.integer("ssm_state_size", 1, recipe::kMaxHeadDim, 128);
  m.groups = model.integer("n_groups", 1, recipe::kMaxHeads, 8);
  m.kernel = model.integer("conv_kernel", 1, recipe::kMaxKernel, 4);
  m.conv_bias = model.boolean("use_conv_bias", true);
  m.activation = read_activation(model, "mamba_hidden_act", "silu");
  if (m.heads % m.groups)
    model.problem("n_groups", absl::StrCat(m.groups, " groups do not divide ", m.heads, " heads"));
  if (model.has("time_step_limit") &&
      model.numbers("time_step_limit") !=
          std::vector<double>{0, std::numeric_limits<double>::infinity()})
    model.note("time_step_limit is passed over: transformers does not read it in this family");
  // time_step_min bounds the step from below in the prompts of some programs, and in no program's
  // decoding: it is what initial weights are made by. The last two no code of the family reads.
  model.ignore({"time_step_min", "time_step_max", "time_step_floor", "chunk_size", "expand",
                "mamba_proj_bias", "mamba_ssm_cache_dtype", "rescale_prenorm_residual",
                "residual_in_fp32", "num_logits_to_keep", "rms_norm_eps", "time_step_rank"});
  return m;
}

recipe::Attention read_attention(ModelReader &model) {
  recipe::Attention a{.rope = recipe::kNoRope};
  a.heads = model.integer("num_attention_heads", 1, recipe::kMaxHeads, 32);
  const int64_t missing = model.mentions("num_key_value_heads") ? a.heads : 8;
  a.kv_heads = model.integer("num_key_value_heads", 1, recipe::kMaxHeads, missing);
  a.head_dim = model.integer("head_dim", 1, recipe::kMaxHeadDim, 128);
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  // transformers has no biases here; the models' own code has them where the config says so.
  if (model.boolean("attention_bias", false))
    model.note("attention_bias is passed over: transformers does not read it in this family");
  return a;
}

void name_attention(recipe::Attention &a, const std::string &module, int64_t hidden) {
  a.module = module;
  a.q = {module + ".q_proj", hidden, a.heads * a.head_dim};
  a.k = {module + ".k_proj", hidden, a.kv_heads * a.head_dim};
  a.v = {module + ".v_proj", hidden, a.kv_heads * a.head_dim};
  a.o = {module + ".o_proj", a.heads * a.head_dim, hidden};
}

recipe::Moe plain_experts(const Experts &e, const std::string &module, int64_t hidden,
                          int64_t rows) {
  recipe::Moe m = routed(e);
  m.module = module;
  m.router = {module + ".gate", hidden, e.count};
  m.correction = module + ".gate.e_score_correction_bias";
  m.up = {module + ".experts.#.up_proj.weight", "", e.count, rows, e.width};
  m.down = {module + ".experts.#.down_proj.weight", "", e.count, e.width, rows};
  return m;
}

recipe::Mlp plain_mlp(const std::string &module, int64_t hidden, int64_t width, bool bias,
                      const std::string &activation) {
  return {.module = module,
          .up = {.module = module + ".up_proj", .in = hidden, .out = width, .bias = bias},
          .down = {.module = module + ".down_proj", .in = width, .out = hidden, .bias = bias},
          .activation = activation};
}

} // namespace

recipe::Decoder nemotron_h_from_hf(ModelReader &model) {
  recipe::Decoder decoder{.family = "nemotron_h",
                          .vocab = model.integer("vocab_size", 1, recipe::kMaxVocab, 131'072),
                          .hidden = model.integer("hidden_size", 1, kMaxWidth, 4096),
                          .context = model.context(model.integer("max_position_embeddings", 1,
                                                                 recipe::kMaxContext, 4096)),
                          .embedding = "backbone.embeddings"};
  const int64_t hidden = decoder.hidden;
  const double eps = model.number("layer_norm_epsilon", 0, 1, 1e-5);
  const std::vector<size_t> kinds = read_layer_pattern(model, kKinds, "M*-E", "ME*-");
  recipe::Mamba2 mixer = read_mixer(model);
  recipe::Attention attention = read_attention(model);
  const int64_t width = model.integer("intermediate_size", 1, kMaxWidth, 21'504);
  const std::string activation = read_activation(model, "mlp_hidden_act", "relu2");
  const bool bias = model.boolean("use_bias", false), mlp_bias = model.boolean("mlp_bias", false);
  Experts e = experts_from_hf(
      model, {},
      {.count = "n_routed_experts", .default_count = 8, .default_top_k = 2, .default_width = 7688});
  read_corrected_sigmoid(model, e, 1.0);
  const int64_t shared = model.integer("moe_shared_expert_intermediate_size", 1, kMaxWidth, 7688);
  const int64_t latent = model.integer("moe_latent_size", 1, kMaxWidth, hidden);
  // Layers that guess further tokens are not part of the model.
  model.ignore({"n_shared_experts", "moe_shared_expert_overlap", "num_nextn_predict_layers",
                "mtp_layers_block_type", "mtp_hybrid_override_pattern"});

  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string layer = absl::StrCat("backbone.layers.", i), m = layer + ".mixer";
    recipe::Layer &made = decoder.layers.emplace_back();
    recipe::Sublayer &only = made.sublayers.emplace_back();
    only.norm = {layer + ".norm", hidden, eps};
    if (kinds[i] == Mamba) {
      name_mamba2(mixer, m, hidden, eps, bias, bias);
      only.block = mixer;
    } else if (kinds[i] == Attention) {
      name_attention(attention, m, hidden);
      only.block = attention;
    } else if (kinds[i] == Mlp) {
      only.block = plain_mlp(m, hidden, width, mlp_bias, activation);
    } else {
      recipe::Moe moe = plain_experts(e, m, hidden, latent);
      moe.activation = activation;
      if (model.has("moe_latent_size")) {
        moe.latent_in = {m + ".fc1_latent_proj", hidden, latent, mlp_bias};
        moe.latent_out = {m + ".fc2_latent_proj", latent, hidden, mlp_bias};
      }
      only.block = std::move(moe);
      made.sublayers.push_back(
          {.norm = {.kind = recipe::NormKind::None},
           .block = plain_mlp(m + ".shared_experts", hidden, shared, mlp_bias, activation),
           .input = recipe::Input::Shared});
    }
  }
  decoder.final_norm = {"backbone.norm_f", hidden, eps};
  decoder.head = {"lm_head", hidden, decoder.vocab};
  model.expect("tie_word_embeddings", false);
  return decoder;
}

} // namespace quern
