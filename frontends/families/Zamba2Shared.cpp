#include "frontends/families/Zamba2Shared.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::Input;

std::vector<recipe::Sublayer> shared_sublayers(const Dense &d, const std::string &layer,
                                               const std::string &module,
                                               const ZambaAdapters &adapters) {
  const auto adapted = [&](recipe::Linear linear, const std::string &list) {
    const std::string both = absl::StrCat(list, ".", adapters.use);
    linear.adapter = recipe::Adapter{both + ".0", both + ".1", adapters.rank};
    return linear;
  };
  const std::string self = module + ".self_attn", feed = module + ".feed_forward";
  const int64_t q = d.heads * d.head_dim, kv = d.kv_heads * d.head_dim;
  recipe::Attention attention{.module = self,
                              .state = layer + ".shared_transformer.self_attn",
                              .heads = d.heads,
                              .kv_heads = d.kv_heads,
                              .head_dim = d.head_dim,
                              .q = {self + ".q_proj", 2 * d.hidden, q},
                              .k = {self + ".k_proj", 2 * d.hidden, kv},
                              .v = {self + ".v_proj", 2 * d.hidden, kv},
                              .o = {self + ".o_proj", q, d.hidden},
                              .rope = d.ropes.empty() ? recipe::kNoRope : 0,
                              .scale = d.attention_scale};
  if (adapters.attention) {
    attention.q = adapted(attention.q, self + ".linear_q_adapter_list");
    attention.k = adapted(attention.k, self + ".linear_k_adapter_list");
    attention.v = adapted(attention.v, self + ".linear_v_adapter_list");
  }
  recipe::Linear gate{feed + ".gate_up_proj", d.hidden, d.mlp, d.mlp_bias};
  gate.rows = {.stored = 2 * d.mlp, .block = d.mlp, .stride = d.mlp};
  gate = adapted(gate, feed + ".gate_up_proj_adapter_list");
  recipe::Linear up = gate;
  up.rows.offset = d.mlp;
  recipe::GatedMlp mlp{.module = feed,
                       .gate = gate,
                       .up = up,
                       .down = {feed + ".down_proj", d.mlp, d.hidden, d.mlp_bias},
                       .activation = d.activation};
  const recipe::Norm none{.kind = recipe::NormKind::None};
  return {{.norm = {module + ".input_layernorm", 2 * d.hidden, d.eps},
           .block = attention,
           .input = Input::Embedded,
           .aside = true},
          {.norm = {module + ".pre_ff_layernorm", d.hidden, d.eps},
           .block = mlp,
           .input = Input::Aside,
           .aside = true},
          {.norm = none,
           .block = recipe::Linear{layer + ".linear", d.hidden, d.hidden},
           .input = Input::Aside,
           .aside = true}};
}

void pass_over_adapters(ModelReader &model, const std::string &module, size_t use, size_t uses) {
  for (const char *list :
       {".feed_forward.gate_up_proj_adapter_list.", ".self_attn.linear_q_adapter_list.",
        ".self_attn.linear_k_adapter_list.", ".self_attn.linear_v_adapter_list."})
    for (size_t other = 0; other < uses; ++other)
      for (const char *half : {".0.weight", ".1.weight"})
        if (const std::string name = absl::StrCat(module, list, other, half);
            other != use && model.has_tensor(name))
          (void)model.tensor_values(name); // it has its place, and is not used
}

} // namespace quern
