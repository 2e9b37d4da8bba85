#include "frontends/families/Dense.h"

#include "frontends/families/Rotary.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <limits>
#include <map>

namespace quern {

using recipe::kMaxContext;
using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

const DenseNames kHfDenseNames = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.*.input_layernorm",
    .attention = "model.layers.*.self_attn",
    .q = "model.layers.*.self_attn.q_proj",
    .k = "model.layers.*.self_attn.k_proj",
    .v = "model.layers.*.self_attn.v_proj",
    .o = "model.layers.*.self_attn.o_proj",
    .q_norm = "model.layers.*.self_attn.q_norm",
    .k_norm = "model.layers.*.self_attn.k_norm",
    .mlp_norm = "model.layers.*.post_attention_layernorm",
    .mlp = "model.layers.*.mlp",
    .gate = "model.layers.*.mlp.gate_proj",
    .up = "model.layers.*.mlp.up_proj",
    .down = "model.layers.*.mlp.down_proj",
};

const DenseNames kGgufDenseNames = {
    .embedding = "token_embd",
    .final_norm = "output_norm",
    .head = "output",
    .attention_norm = "blk.*.attn_norm",
    .attention = "blk.*.attn",
    .q = "blk.*.attn_q",
    .k = "blk.*.attn_k",
    .v = "blk.*.attn_v",
    .o = "blk.*.attn_output",
    .q_norm = "blk.*.attn_q_norm",
    .k_norm = "blk.*.attn_k_norm",
    .mlp_norm = "blk.*.ffn_norm",
    .mlp = "blk.*.ffn",
    .gate = "blk.*.ffn_gate",
    .up = "blk.*.ffn_up",
    .down = "blk.*.ffn_down",
};

recipe::Activation read_activation(ModelReader &model, std::string_view key,
                                   std::string_view fallback) {
  using enum recipe::Activation;
  // The names of transformers' ACT2FN; several are one function under many names.
  static const std::map<std::string, recipe::Activation, std::less<>> kKnown = {
      {"silu", Silu},
      {"swish", Silu},
      {"sigmoid", Sigmoid},
      {"gelu", GeluErf},
      {"gelu_python", GeluErf},
      {"gelu_new", GeluTanh},
      {"gelu_fast", GeluTanh},
      {"gelu_accurate", GeluTanh},
      {"gelu_pytorch_tanh", GeluTanh},
      {"gelu_python_tanh", GeluTanh},
      {"relu", Relu},
      {"tanh", Tanh},
  };
  std::string name = model.text(key, std::string(fallback));
  if (auto it = kKnown.find(name); it != kKnown.end())
    return it->second;
  std::string known;
  for (const auto &entry : kKnown)
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.first);
  model.problem(key, absl::StrCat("the activation '", name, "' is not known"),
                absl::StrCat("Quern knows ", known));
  return Silu;
}

std::string head_module(const ModelReader &model, bool tied, const std::string &embedding,
                        const std::string &head) {
  return tied && !model.has_tensor(head + ".weight") ? embedding : head;
}

Dense dense_from_hf(ModelReader &model, std::optional<int64_t> default_head_dim) {
  Dense d;
  d.vocab = model.integer("vocab_size", 1, kMaxVocab);
  d.hidden = model.integer("hidden_size", 1, kMaxWidth);
  d.layers = model.integer("num_hidden_layers", 1, kMaxLayers);
  d.mlp = model.integer("intermediate_size", 1, kMaxWidth);
  int64_t max_positions = model.integer("max_position_embeddings", 1, kMaxContext);
  d.context = model.context(max_positions);
  d.heads = model.integer("num_attention_heads", 1, kMaxHeads);
  d.kv_heads = model.integer("num_key_value_heads", 1, kMaxHeads, d.heads);
  if (!default_head_dim && !model.has("head_dim") && d.hidden % d.heads)
    model.problem("num_attention_heads",
                  absl::StrCat(d.heads, " heads do not divide hidden_size ", d.hidden),
                  "a config with heads of another width says so in head_dim");
  d.head_dim =
      model.integer("head_dim", 1, kMaxHeadDim, default_head_dim.value_or(d.hidden / d.heads));
  d.eps = model.number("rms_norm_eps", 0, 1, 1e-6);
  d.activation = read_activation(model, "hidden_act", "silu");
  d.tied = model.boolean("tie_word_embeddings", false);
  d.rope = rope_from_hf(model, d.head_dim, max_positions, d.context);
  return d;
}

Dense dense_from_gguf(ModelReader &model) {
  Dense d;
  std::optional<std::vector<int64_t>> embedding = model.tensor_shape("token_embd.weight");
  std::optional<int64_t> rows;
  if (embedding && embedding->size() == 2)
    rows = embedding->front();
  d.vocab = model.integer("vocab_size", 1, kMaxVocab, rows);
  d.hidden = model.integer("embedding_length", 1, kMaxWidth);
  d.layers = model.integer("block_count", 1, kMaxLayers);
  d.mlp = model.integer("feed_forward_length", 1, kMaxWidth);
  int64_t max_positions = model.integer("context_length", 1, kMaxContext);
  d.context = model.context(max_positions);
  d.heads = model.integer("attention.head_count", 1, kMaxHeads);
  d.kv_heads = model.integer("attention.head_count_kv", 1, kMaxHeads, d.heads);
  d.head_dim = model.integer("attention.key_length", 2, kMaxHeadDim, d.hidden / d.heads);
  model.expect_number("attention.value_length", static_cast<double>(d.head_dim));
  d.eps = model.number("attention.layer_norm_rms_epsilon", 0, 1);
  int64_t rotary = model.integer("rope.dimension_count", 2, d.head_dim, d.head_dim);
  d.rope = rope_from_gguf(model, rotary, max_positions);
  // 0 is how files say "not a mixture of experts".
  model.expect_number("expert_count", 0);
  model.expect_number("expert_used_count", 0);
  // The order of Q's and K's rows in files from before GGUF; converters write what llama.cpp wants.
  model.ignore({"tensor_data_layout"});
  if (model.has("attention.sliding_window"))
    model.integer("attention.sliding_window", d.context, std::numeric_limits<int64_t>::max(),
                  d.context);
  d.tied = !model.has_tensor("output.weight");
  d.qkv_bias = model.has_tensor("blk.0.attn_q.bias");
  d.o_bias = model.has_tensor("blk.0.attn_output.bias");
  d.mlp_bias = model.has_tensor("blk.0.ffn_gate.bias");
  return d;
}

void read_qwen_windows(ModelReader &model, Dense &dense) {
  bool use = model.boolean("use_sliding_window", false);
  int64_t window = model.integer("sliding_window", 1, kMaxContext, 4096);
  int64_t first = model.integer("max_window_layers", 0, kMaxLayers, 28);
  std::vector<std::string> kinds = model.texts("layer_types");
  if (!kinds.empty() && static_cast<int64_t>(kinds.size()) != dense.layers) {
    model.problem("layer_types",
                  absl::StrCat(kinds.size(), " entries for ", dense.layers, " layers"));
    return;
  }
  dense.windows.assign(static_cast<size_t>(dense.layers), 0);
  for (int64_t i = 0; i < dense.layers; ++i) {
    bool slides = use && i >= first;
    if (!kinds.empty()) {
      const std::string &kind = kinds[static_cast<size_t>(i)];
      slides = kind == "sliding_attention";
      if (!slides && kind != "full_attention") {
        model.problem("layer_types", absl::StrCat("'", kind, "' is not a layer of this family"),
                      "Quern knows full_attention and sliding_attention");
        return;
      }
      if (slides && !use) {
        model.problem("layer_types", "a layer slides while use_sliding_window is false");
        return;
      }
    }
    if (slides)
      dense.windows[static_cast<size_t>(i)] = window;
  }
}

recipe::Decoder dense_decoder(const ModelReader &model, const Dense &d, const DenseNames &names) {
  recipe::Decoder decoder{.family = d.family,
                          .vocab = d.vocab,
                          .hidden = d.hidden,
                          .context = d.context,
                          .embedding = names.embedding};
  decoder.ropes = {d.rope};
  for (int64_t i = 0; i < d.layers; ++i) {
    auto name = [&](const char *name_template) { return recipe::layer_name(name_template, i); };
    auto norm = [&](const char *name_template, int64_t size, int64_t group = 0) {
      return recipe::Norm{name(name_template), size, d.eps, group};
    };
    auto linear = [&](const char *name_template, int64_t in, int64_t out, bool bias) {
      return recipe::Linear{name(name_template), in, out, bias};
    };
    const int64_t q_width = d.heads * d.head_dim, kv_width = d.kv_heads * d.head_dim;
    recipe::Attention a{.module = name(names.attention),
                        .heads = d.heads,
                        .kv_heads = d.kv_heads,
                        .head_dim = d.head_dim,
                        .q = linear(names.q, d.hidden, q_width, d.qkv_bias),
                        .k = linear(names.k, d.hidden, kv_width, d.qkv_bias),
                        .v = linear(names.v, d.hidden, kv_width, d.qkv_bias),
                        .o = linear(names.o, q_width, d.hidden, d.o_bias),
                        .rope_interleaved = d.rope_interleaved,
                        .scale = 1 / std::sqrt(static_cast<double>(d.head_dim))};
    if (d.qk_norm) {
      a.q_norm = norm(names.q_norm, d.head_dim, d.head_dim);
      a.k_norm = norm(names.k_norm, d.head_dim, d.head_dim);
    }
    if (!d.windows.empty())
      a.window = d.windows[static_cast<size_t>(i)];
    recipe::GatedMlp mlp{.module = name(names.mlp),
                         .gate = linear(names.gate, d.hidden, d.mlp, d.mlp_bias),
                         .up = linear(names.up, d.hidden, d.mlp, d.mlp_bias),
                         .down = linear(names.down, d.mlp, d.hidden, d.mlp_bias),
                         .activation = d.activation};
    decoder.layers.push_back({{{norm(names.attention_norm, d.hidden), std::move(a)},
                               {norm(names.mlp_norm, d.hidden), std::move(mlp)}}});
  }
  decoder.final_norm = {names.final_norm, d.hidden, d.eps};
  decoder.head = {head_module(model, d.tied, names.embedding, names.head), d.hidden, d.vocab};
  return decoder;
}

} // namespace quern
