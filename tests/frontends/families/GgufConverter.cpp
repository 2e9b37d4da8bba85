#include "tests/frontends/families/GgufConverter.h"

#include "ir/weights/SyntheticWeights.h"
#include "tests/frontends/families/GgufKeys.h"
#include "tests/frontends/families/GgufMixers.h"
#include "tests/frontends/families/GgufNames.h"
#include "tests/frontends/families/GgufWeights.h"

#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;

class Converter : ConfigSizes {
public:
  Converter(const json &golden, const std::string &architecture)
      : ConfigSizes(golden["config"]), tensors_(golden["tensors"]), from_(kArchitectures.at(type_)),
        arch_(architecture.empty() ? from_.name : architecture) {}

  GgufWriter convert(GgufForm form) {
    form_ = form;
    writer_.string("general.architecture", arch_).string("general.type", "model");
    std::map<std::string, Weights> tensors = write_gguf_keys(writer_, config_, arch_, form_);
    tensors.merge(changed());
    if (form.wide_layer)
      widen(tensors);
    if (form.fuse_qkv)
      fuse(tensors);
    for (auto &[name, weights] : tensors)
      write(name, std::move(weights));
    return std::move(writer_);
  }

private:
  // Weights.
  std::map<std::string, Weights> changed() const {
    std::map<std::string, Weights> all;
    for (const auto &[name, tensor] : tensors_.items()) {
      Weights w = generated(name, tensor);
      if (put_parts(all, config_, form_, name, w) || put_experts(all, name, w))
        continue;
      change(name, w);
      std::string to = absl::StrReplaceAll(name, from_.names);
      if (size_t at = to.find(".norms."); at != to.npos && from_.changes & kStackNorms) {
        stack(all[to.substr(0, at) + ".weight"], std::stoull(to.substr(at + 7)), w);
        continue;
      }
      all[to] = std::move(w);
    }
    return all;
  }

  /// Experts whose matrices are tensors of their own, and their gates and ups that are one.
  static bool put_experts(std::map<std::string, Weights> &all, const std::string &name,
                          Weights &w) {
    const auto put = [&](const std::string &part) -> Weights & {
      const std::string layer = name.substr(name.find(".layers.") + 8);
      return all["blk." + layer.substr(0, layer.find('.')) + ".ffn_" + part];
    };
    if (name.ends_with("input_linear.weight")) { // each expert's gate, then its up
      put("gate_exps.weight") = half_of_each(w, 0, 1);
      put("up_exps.weight") = half_of_each(w, w.shape[1] / 2, 1);
      return true;
    }
    if (name.find("experts.gate_up_proj") != name.npos) { // of which the rows alternate
      const char *suffix = name.ends_with("_bias") ? "_exps.bias" : "_exps.weight";
      if (w.shape.size() == 3)
        transpose_each(w);
      put(std::string("gate") + suffix) = half_of_each(w, 0, 2);
      put(std::string("up") + suffix) = half_of_each(w, 1, 2);
      return true;
    }
    const size_t at = name.find(".experts.");
    if (at == name.npos || name.find_first_of("0123456789", at) != at + 9)
      return false;
    const std::string part = name.substr(name.find('.', at + 9) + 1);
    stack(put(kExpertParts.at(part.substr(0, part.find('.'))) + "_exps.weight"),
          std::stoull(name.substr(at + 9)), w);
    return true;
  }

  void change(const std::string &name, Weights &w) const {
    const auto is = [&](const char *part) { return name.find(part) != name.npos; };
    if (from_.changes & kPairs && is("self_attn.q_proj"))
      pair_rows(w, heads());
    if (from_.changes & kPairs && is("self_attn.k_proj"))
      pair_rows(w, kv_heads());
    if (from_.changes & kAddOne && name.ends_with("norm.weight") && !is("linear_attn.norm"))
      for (float &value : w.values)
        value += 1;
    if (from_.changes & kUngroup && is("query_key_value"))
      ungroup(w);
    if (from_.changes & kTranspose && w.shape.size() == 2 && is(".h."))
      transpose(w);
    if (is("ffn.experts.mlp"))
      w.shape = {config_["ffn_config"]["moe_num_experts"], static_cast<uint64_t>(mlp()),
                 w.shape[1]};
    if (name.ends_with("ffn.experts.mlp.w2") || name.ends_with("mlp.experts.down_proj"))
      transpose_each(w);
    change_mixer(config_, from_.changes, name, w);
  }

  static void pair_rows(Weights &w, int64_t heads) {
    const uint64_t dim = w.shape[0] / static_cast<uint64_t>(heads);
    permute_rows(w, [dim](uint64_t row) {
      const uint64_t at = row % dim;
      return row - at + at % 2 * (dim / 2) + at / 2;
    });
  }
  void ungroup(Weights &w) const {
    const auto kv = static_cast<uint64_t>(kv_heads()), per = static_cast<uint64_t>(heads()) / kv;
    const uint64_t dim = static_cast<uint64_t>(hidden() / heads()), group = (per + 2) * dim;
    permute_rows(w, [=](uint64_t row) {
      if (row < kv * per * dim)
        return row / (per * dim) * group + row % (per * dim);
      row -= kv * per * dim;
      const uint64_t part = row / (kv * dim); // keys, then values
      row %= kv * dim;
      return row / dim * group + (per + part) * dim + row % dim;
    });
  }
  static void transpose(Weights &w) {
    const std::vector<float> old = w.values;
    const uint64_t rows = w.shape[0], cols = w.shape[1];
    for (uint64_t r = 0; r < rows; ++r)
      for (uint64_t c = 0; c < cols; ++c)
        w.values[c * rows + r] = old[r * cols + c];
    std::swap(w.shape[0], w.shape[1]);
  }
  /// Gives layer 1 what GgufForm::wide_layer says.
  void widen(std::map<std::string, Weights> &tensors) const {
    const uint64_t copies = static_cast<uint64_t>(heads() / kv_heads());
    for (const char *name : {"blk.1.attn_k.weight", "blk.1.attn_v.weight"}) {
      Weights &w = tensors.at(name);
      const uint64_t head = w.values.size() / static_cast<uint64_t>(kv_heads());
      std::vector<float> wide;
      for (uint64_t at = 0; at < w.values.size(); at += head)
        for (uint64_t i = 0; i < copies; ++i)
          wide.insert(wide.end(), w.values.begin() + static_cast<int64_t>(at),
                      w.values.begin() + static_cast<int64_t>(at + head));
      w.values = std::move(wide);
      w.shape[0] *= copies;
    }
    for (const char *name : {"blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"}) {
      Weights &w = tensors.at(name);
      w.shape[0] += kWider;
      w.values.resize(w.shape[0] * w.cols());
    }
    Weights &down = tensors.at("blk.1.ffn_down.weight");
    std::vector<float> wide;
    for (uint64_t row = 0; row < down.shape[0]; ++row) {
      const auto begin = down.values.begin() + static_cast<int64_t>(row * down.cols());
      wide.insert(wide.end(), begin, begin + static_cast<int64_t>(down.cols()));
      wide.resize(wide.size() + kWider);
    }
    down.values = std::move(wide);
    down.shape[1] += kWider;
  }

  static void fuse(std::map<std::string, Weights> &tensors) {
    std::map<std::string, Weights> fused;
    for (const char *part : {".attn_q.", ".attn_k.", ".attn_v."})
      std::erase_if(tensors, [&](const auto &tensor) {
        const auto &[name, w] = tensor;
        if (name.find(part) == name.npos)
          return false;
        Weights &all = fused[absl::StrReplaceAll(name, {{part, ".attn_qkv."}})];
        const uint64_t rows = all.shape.empty() ? 0 : all.shape[0];
        all.shape = w.shape;
        all.shape[0] += rows;
        all.values.insert(all.values.end(), w.values.begin(), w.values.end());
        return true;
      });
    tensors.merge(fused);
  }

  void write(const std::string &name, Weights w) {
    if (form_.drop_ones)
      while (w.shape.size() > 1 && w.shape.front() == 1)
        w.shape.erase(w.shape.begin());
    std::reverse(w.shape.begin(), w.shape.end());
    writer_.tensor(
        name, w.shape, 0,
        std::string(reinterpret_cast<const char *>(w.values.data()), w.values.size() * 4));
  }

  const json &tensors_;
  const Architecture &from_;
  const std::string arch_;
  GgufForm form_;
  GgufWriter writer_;
};

} // namespace

Weights generated(const std::string &name, const json &tensor) {
  Weights w{tensor["shape"].get<std::vector<uint64_t>>(), {}};
  uint64_t count = 1;
  for (const uint64_t n : w.shape)
    count *= n;
  w.values.resize(count);
  weights::generate({.seed = 1,
                     .name = name,
                     .scale = tensor["spread"].get<float>(),
                     .offset = tensor["mean"].get<float>()},
                    0, static_cast<int64_t>(count), w.values.data());
  return w;
}

std::string gguf_architecture(const std::string &model_type) {
  const auto found = kArchitectures.find(model_type);
  return found == kArchitectures.end() ? "" : found->second.name;
}

gguf::GgufWriter to_gguf(const json &golden, const std::string &architecture, GgufForm form) {
  return Converter(golden, architecture).convert(form);
}

} // namespace quern
