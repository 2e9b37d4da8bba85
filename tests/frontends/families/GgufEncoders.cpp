#include "tests/frontends/families/GgufEncoders.h"

#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GgufWeights.h"

#include <absl/strings/match.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;

// Longer names before those that they begin with.
const std::vector<std::pair<std::string, std::string>> kNames = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"emb_ln", "token_embd_norm"},
    {"encoder.layers.", "blk."},
    {"encoder.layer.", "blk."},
    {"attention.self.query", "attn_q"},
    {"attention.self.key", "attn_k"},
    {"attention.self.value", "attn_v"},
    {"attention.output.dense", "attn_output"},
    {"attention.output.LayerNorm", "attn_output_norm"},
    {"intermediate.dense", "ffn_up"},
    {"output.dense", "ffn_down"},
    {"output.LayerNorm", "layer_output_norm"},
    {"attn.Wqkv", "attn_qkv"},
    {"attn.out_proj", "attn_output"},
    {"mlp.fc11", "ffn_up"},
    {"mlp.fc12", "ffn_gate"},
    {"mlp.fc2", "ffn_down"},
    {"norm1", "attn_output_norm"},
    {"norm2", "layer_output_norm"},
    {"pooler.dense", "cls"}};
const std::vector<std::pair<std::string, std::string>> kGemma = {
    {"embed_tokens", "token_embd"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"post_attention_layernorm", "post_attention_norm"},
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"}};

} // namespace

GgufWriter encoder_to_gguf(const json &golden) {
  const json &config = golden["config"];
  const std::string type = config["model_type"];
  const bool gemma = type == "gemma3_text";
  const std::string arch = gemma ? "gemma-embedding" : absl::StrReplaceAll(type, {{"_", "-"}});
  GgufWriter writer;
  writer.string("general.architecture", arch).string("general.type", "model");
  const auto u32 = [&](const std::string &key, const json &value) {
    writer.u32(arch + "." + key, value.get<uint32_t>());
  };
  u32("context_length", config["max_position_embeddings"]);
  u32("block_count", config["num_hidden_layers"]);
  u32("embedding_length", config["hidden_size"]);
  u32("feed_forward_length", config["intermediate_size"]);
  u32("attention.head_count", config["num_attention_heads"]);
  u32("pooling_type", 1);
  if (gemma) {
    u32("attention.head_count_kv", config["num_key_value_heads"]);
    u32("attention.key_length", config["head_dim"]);
    u32("attention.value_length", config["head_dim"]);
    u32("attention.sliding_window", config["sliding_window"]);
    u32("attention.sliding_window_pattern", 2);
    add_f32(writer, arch + ".attention.layer_norm_rms_epsilon", config["rms_norm_eps"]);
    add_f32(writer, arch + ".rope.freq_base", 1e6);
    add_f32(writer, arch + ".rope.freq_base_swa", 1e4);
  } else {
    add_f32(writer, arch + ".attention.layer_norm_epsilon", config["layer_norm_eps"]);
    if (type == "nomic_bert")
      add_f32(writer, arch + ".rope.freq_base", 1000);
  }
  for (const auto &[name, tensor] : golden["tensors"].items()) {
    std::string to = name;
    for (const auto &[from, ours] : gemma ? kGemma : kNames)
      to = absl::StrReplaceAll(to, {{from, ours}});
    if (gemma) {
      to = absl::StrReplaceAll(to, {{"layers.", "blk."}});
      if (to == "norm.weight")
        to = "output_norm.weight";
    }
    Weights w = generated(name, tensor);
    if (gemma && absl::StrContains(to, "norm"))
      for (float &value : w.values)
        value += 1;
    std::vector<uint64_t> dimensions(w.shape.rbegin(), w.shape.rend());
    std::string bytes(reinterpret_cast<const char *>(w.values.data()), w.values.size() * 4);
    writer.tensor(to, dimensions, /*F32*/ 0, bytes);
  }
  return writer;
}

} // namespace quern
