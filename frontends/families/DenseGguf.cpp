#include "frontends/families/DenseGguf.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace quern {

using recipe::kMaxContext;
using recipe::kMaxHeadDim;
using recipe::kMaxHeads;
using recipe::kMaxLayers;
using recipe::kMaxVocab;
using recipe::kMaxWidth;

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
    .attention_post = "blk.*.post_attention_norm",
    .mlp_post = "blk.*.post_ffw_norm",
    .positions = "position_embd",
};

namespace {
constexpr const char *kRmsEps = "attention.layer_norm_rms_epsilon";
constexpr const char *kLayerEps = "attention.layer_norm_epsilon";
constexpr const char *kWindow = "attention.sliding_window";

/// The first layer's number, which is all layers' where they are the same: then `by_layer` says
/// nothing more, and is emptied.
int64_t fold(std::vector<int64_t> &by_layer) {
  const int64_t first = by_layer.front();
  if (std::adjacent_find(by_layer.begin(), by_layer.end(), std::not_equal_to<>()) == by_layer.end())
    by_layer.clear();
  return first;
}

/// A number of each layer. Where some may say 0, as they have none, they are given what others
/// have: nobody asks them.
std::vector<int64_t> read_by_layer(ModelReader &model, const char *key, int64_t layers,
                                   int64_t high, bool zeros) {
  std::vector<int64_t> list = model.integers_by_layer(key, layers, zeros ? 0 : 1, high);
  const auto other = std::ranges::find_if(list, [](int64_t n) { return n != 0; });
  std::ranges::replace(list, 0, other == list.end() ? 1 : *other);
  return list;
}
} // namespace

int64_t vocab_from_gguf(ModelReader &model) {
  const std::optional<std::vector<int64_t>> embedding = model.tensor_shape("token_embd.weight");
  std::optional<int64_t> rows;
  if (embedding && embedding->size() == 2)
    rows = embedding->front();
  const int64_t vocab = model.integer("vocab_size", 1, kMaxVocab, rows);
  if (!rows || *rows == vocab || *rows < 1 || *rows > kMaxVocab)
    return vocab;
  model.note(absl::StrCat("the file's key vocab_size says ", vocab, " tokens, and token_embd has ",
                          *rows, ", which are read, as in llama.cpp"));
  return *rows;
}

Dense dense_from_gguf(ModelReader &model, const GgufKeys &keys) {
  Dense d;
  d.vocab = vocab_from_gguf(model);
  d.hidden = model.integer("embedding_length", 1, kMaxWidth);
  d.layers = model.layers("block_count");
  const bool zeros = !keys.recurrent.empty();
  d.layer_mlp = read_by_layer(model, "feed_forward_length", d.layers, kMaxWidth, zeros);
  d.mlp = fold(d.layer_mlp);
  d.max_positions = model.integer("context_length", 1, kMaxContext);
  d.context = model.context(d.max_positions);
  d.layer_heads = read_by_layer(model, "attention.head_count", d.layers, kMaxHeads, zeros);
  d.heads = fold(d.layer_heads);
  if (model.has("attention.head_count_kv") && !keys.latent) {
    d.layer_kv_heads = read_by_layer(model, "attention.head_count_kv", d.layers, kMaxHeads, zeros);
    d.kv_heads = fold(d.layer_kv_heads);
  } else { // each head has its own
    d.layer_kv_heads = d.layer_heads;
    d.kv_heads = d.heads;
  }
  if (keys.latent) {
    d.head_dim = model.integer("rope.dimension_count", 2, kMaxHeadDim);
  } else {
    d.head_dim = model.integer("attention.key_length", 1, kMaxHeadDim, d.hidden / d.heads);
    model.expect_number("attention.value_length", static_cast<double>(d.head_dim));
  }
  // Converters that know one of the two keys from config.json write it whatever the norm's kind is.
  d.norm = keys.norm;
  d.eps = model.number(d.norm == recipe::NormKind::Rms ? kRmsEps : kLayerEps, 0, 1);
  model.ignore({kRmsEps, kLayerEps});
  if (keys.rope) {
    const int64_t rotary = model.integer("rope.dimension_count", 2, d.head_dim, d.head_dim);
    d.ropes = {rope_from_gguf(model, rotary, d.max_positions, d.context, *keys.rope)};
  }
  // 0 is how files say "not a mixture of experts" and "no layers that predict further tokens".
  for (const char *key : {"expert_count", "expert_used_count"})
    if (!keys.experts)
      model.expect_number(key, 0);
  if (!keys.further)
    model.expect_number("nextn_predict_layers", 0);
  if (keys.encoder)
    model.ignore({"attention.causal"}); // which old files do not say
  else
    model.expect("attention.causal", true);
  // The order of Q's and K's rows in files from before GGUF, which converters no longer write; and
  // how sentence vectors are made, which is asked of no decoder here.
  model.ignore({"tensor_data_layout"});
  if (!keys.encoder)
    model.ignore({"pooling_type"});
  if (!keys.windows && model.has(kWindow)) {
    const int64_t window =
        model.integer(kWindow, 0, std::numeric_limits<int64_t>::max(), int64_t{0});
    if (window != 0 && window < d.context)
      model.note(absl::StrCat("the file speaks of windows of ", window,
                              " tokens, which llama.cpp does not have in this architecture: every "
                              "layer sees the whole sequence, as there"));
  }

  d.gated = keys.gated;
  d.fused_gate_up = keys.fused_gate_up;
  const auto attends = std::ranges::find(keys.recurrent, false);
  const std::string attention = recipe::layer_name(
      "blk.*.attn_", attends == keys.recurrent.end() ? 0 : attends - keys.recurrent.begin());
  const bool fused = model.has_tensor(attention + "qkv.weight");
  if (fused)
    d.fused = FusedQkv::Stacked;
  d.tied = !model.has_tensor("output.weight");
  d.qkv_bias = model.has_tensor(attention + (fused ? "qkv.bias" : "q.bias"));
  d.o_bias = model.has_tensor(attention + "output.bias");
  d.mlp_bias = model.has_tensor("blk.0.ffn_up.bias");
  d.head_bias = model.has_tensor("output.bias");
  d.norm_bias = d.norm == recipe::NormKind::Layer && model.has_tensor("output_norm.bias");
  return d;
}

void leave_out_further_layers(ModelReader &model, Dense &dense, std::vector<bool> *recurrent) {
  const int64_t further = model.integer("nextn_predict_layers", 0, dense.layers - 1, 0);
  dense.layers -= further;
  const auto layers = static_cast<size_t>(dense.layers);
  for (std::vector<int64_t> *each : {&dense.layer_mlp, &dense.layer_heads, &dense.layer_kv_heads})
    if (!each->empty())
      each->resize(layers);
  if (recurrent)
    recurrent->resize(layers);
  model.leave_out_layers("blk.", dense.layers, further);
}

std::vector<bool> read_gguf_windows(ModelReader &model, Dense &dense, int64_t pattern,
                                    int64_t window) {
  static constexpr const char *kPattern = "attention.sliding_window_pattern";
  window = model.integer(kWindow, 0, std::numeric_limits<int64_t>::max(), window);
  std::vector<bool> slides;
  if (model.is_list(kPattern)) {
    for (double flag : model.numbers(kPattern))
      slides.push_back(flag != 0);
    if (static_cast<int64_t>(slides.size()) != dense.layers) {
      model.problem(kPattern,
                    absl::StrCat(slides.size(), " entries for ", dense.layers, " layers"));
      slides.resize(static_cast<size_t>(dense.layers));
    }
  } else {
    pattern = model.integer(kPattern, 0, kMaxLayers, pattern);
    for (int64_t i = 0; i < dense.layers; ++i)
      slides.push_back(pattern == 0 || (i + 1) % pattern != 0);
  }
  if (window == 0)
    slides.assign(slides.size(), false);
  dense.slide(slides, std::min(window, kMaxContext));
  return slides;
}

void rotate_sliding_layers(ModelReader &model, Dense &dense, const std::vector<bool> &slides,
                           const GgufRopeKeys &rope) {
  const int64_t dim = 2 * static_cast<int64_t>(dense.ropes.front().inv_freq.size());
  recipe::Rope own = rope_from_gguf(model, dim, dense.max_positions, dense.context, rope);
  const bool any = std::find(slides.begin(), slides.end(), true) != slides.end();
  if (!any || own == dense.ropes.front())
    return;
  dense.ropes.push_back(std::move(own));
  dense.layer_ropes.assign(slides.begin(), slides.end()); // rope 1 where a layer slides
}

void rotate_only_sliding_layers(Dense &dense, const std::vector<bool> &slides) {
  for (bool rotates : slides)
    dense.layer_ropes.push_back(rotates ? 0 : recipe::kNoRope);
}

void read_gguf_multipliers(ModelReader &model, Dense &dense) {
  const auto scale = [&](const char *key) {
    const double value = model.number(key, -1e9, 1e9, 0.0);
    return value == 0 ? 1 : value;
  };
  dense.embedding_scale = scale("embedding_scale");
  dense.residual_scale = scale("residual_scale");
  dense.attention_scale = model.number("attention.scale", 0, 1e9, 0.0);
  dense.logit_scale = 1 / scale("logit_scale");
}

recipe::Decoder gguf_decoder(ModelReader &model, const Dense &dense, DenseNames names) {
  if (!dense.alibi.empty() && !dense.layer_heads.empty())
    model.wrong_size("attention.head_count",
                     differs_by_layer({dense.layer_heads.begin(), dense.layer_heads.end()}),
                     "in this family Quern has it only the same in all layers");
  if (dense.fused != FusedQkv::None)
    names.q = names.k = names.v = "blk.*.attn_qkv";
  if (dense.fused_gate_up)
    names.gate = names.up;
  return dense_decoder(model, dense, names);
}

} // namespace quern
