#include "tests/frontends/families/GgufRwkv.h"

#include "ir/weights/SyntheticWeights.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GgufWeights.h"

#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;

using Names = std::vector<std::pair<std::string, std::string>>;
const Names kNames[] = {{{"rwkv.blocks.0.pre_ln", "token_embd_norm"},
                         {"rwkv.embeddings", "token_embd"},
                         {"rwkv.ln_out", "output_norm"},
                         {"rwkv.blocks.", "blk."},
                         {"head.weight", "output.weight"},
                         {".ln1.", ".attn_norm."},
                         {".ln2.", ".attn_norm_2."},
                         {".attention.ln_x", ".time_mix_ln"},
                         {".attention.time_faaaa", ".time_mix_first"},
                         {".attention.time_decay", ".time_mix_decay"},
                         {".attention.time_maa_w1", ".time_mix_w1"},
                         {".attention.time_maa_w2", ".time_mix_w2"},
                         {".attention.time_maa_", ".time_mix_lerp_"},
                         {".attention.", ".time_mix_"},
                         {".feed_forward.time_maa_", ".channel_mix_lerp_"},
                         {".feed_forward.", ".channel_mix_"}},
                        {{"blocks.0.ln0", "token_embd_norm"},
                         {"emb.weight", "token_embd.weight"},
                         {"ln_out", "output_norm"},
                         {"blocks.", "blk."},
                         {"head.weight", "output.weight"},
                         {".ln1.", ".attn_norm."},
                         {".ln2.", ".attn_norm_2."},
                         {".att.ln_x", ".time_mix_ln"},
                         {".att.x_", ".time_mix_lerp_"},
                         {".att.", ".time_mix_"},
                         {".ffn.x_", ".channel_mix_lerp_"},
                         {".ffn.", ".channel_mix_"}}};

bool holds(const std::string &text, const char *part) { return text.find(part) != text.npos; }

/// Whether it is a matrix of a low-rank product: time_mix_w1, time_mix_decay_w2 ...
bool is_low_rank(const std::string &name) {
  const char last = name.back();
  return holds(name, ".time_mix_") && (last == '1' || last == '2');
}

} // namespace

GgufWriter rwkv_to_gguf(const json &golden) {
  const json &config = golden["config"], &shapes = golden["tensors"];
  const std::string arch = config["model_type"];
  const bool six = arch == "rwkv6";
  const std::string order = six ? "wkvrg" : "rwkvag";
  const auto shape = [&](const char *name) { return shapes[name]["shape"]; };
  GgufWriter writer;
  writer.string("general.architecture", arch).string("general.type", "model");
  const auto u32 = [&](const std::string &key, uint64_t value) {
    writer.u32(arch + "." + key, static_cast<uint32_t>(value));
  };
  u32("context_length", 1 << 20);
  u32("block_count", 3);
  u32("attention.head_count", 0);
  add_f32(writer, arch + ".attention.layer_norm_epsilon", 1e-5);
  uint64_t every = 0;
  if (six) {
    every = config["rescale_every"];
    u32("embedding_length", config["hidden_size"]);
    u32("feed_forward_length", config["intermediate_size"]);
    u32("wkv.head_size", config["head_size"]);
    u32("rescale_every_n_layers", every);
    u32("time_mix_extra_dim", shape("rwkv.blocks.0.attention.time_maa_w2")[1]);
    u32("time_decay_extra_dim", shape("rwkv.blocks.0.attention.time_decay_w1")[1]);
  } else {
    u32("embedding_length", shape("emb.weight")[1]);
    u32("feed_forward_length", shape("blocks.0.ffn.key.weight")[0]);
    u32("wkv.head_size", shape("blocks.0.att.r_k")[1]);
    u32("attention.decay_lora_rank", shape("blocks.0.att.w1")[1]);
    u32("attention.iclr_lora_rank", shape("blocks.0.att.a1")[1]);
    u32("attention.value_residual_mix_lora_rank", shape("blocks.1.att.v1")[1]);
    u32("attention.gate_lora_rank", shape("blocks.0.att.g1")[1]);
  }

  std::map<std::string, Weights> all;
  for (const auto &[name, tensor] : shapes.items()) {
    std::string to = name;
    for (const auto &[from, ours] : kNames[six ? 0 : 1])
      to = absl::StrReplaceAll(to, {{from, ours}});
    Weights w = generated(name, tensor);
    const size_t lerp = to.find(".time_mix_lerp_");
    if (lerp != to.npos && to.back() != 'x') {
      stack(all[to.substr(0, lerp) + ".time_mix_lerp_fused.weight"], order.find(to.back()), w);
      continue;
    }
    if (is_low_rank(to)) {
      if (w.shape.size() == 2)
        w.shape.insert(w.shape.begin(), 1);
      transpose_each(w);
    }
    std::erase(w.shape, 1);
    if (holds(to, "r_k"))
      w.shape = {w.values.size()};
    if (every > 0 && (holds(to, "time_mix_output") || holds(to, "channel_mix_value")))
      for (float &value : w.values)
        value /= static_cast<float>(std::exp2((to[4] - '0') / static_cast<int>(every)));
    if (!to.ends_with(".weight") && !to.ends_with(".bias"))
      to += ".weight";
    // The first layer's mix of values is not used; llama.cpp wants one, and it is a copy.
    if (!six && holds(to, "blk.0.time_mix_v") && !holds(to, "value"))
      continue;
    if (!six && holds(to, "blk.0.time_mix_a"))
      all[absl::StrReplaceAll(to, {{"time_mix_a", "time_mix_v"}})] = w;
    all[to] = std::move(w);
  }
  for (auto &[name, w] : all) {
    std::reverse(w.shape.begin(), w.shape.end());
    writer.tensor(
        name, w.shape, 0,
        std::string(reinterpret_cast<const char *>(w.values.data()), w.values.size() * 4));
  }
  return writer;
}

} // namespace quern
