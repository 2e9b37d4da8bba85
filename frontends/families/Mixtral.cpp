// Mixtral (Jiang et al., 2024): Mistral with experts in the place of each MLP; and MiniMax-M2,
// whose router scores by sigmoids and corrects them, with norms of whole rows of queries and keys.
#include "frontends/families/ExpertsGguf.h"
#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

namespace quern {

recipe::Decoder mixtral_from_hf(ModelReader &model) {
  Dense d = dense_from_hf(
      model, {.default_eps = 1e-5, .default_kv_heads = 8, .rope = RopeKeys{.theta = 1'000'000}});
  d.family = "mixtral";
  read_window(model, d, /*missing=*/0);
  Experts e = experts_from_hf(
      model, d,
      {.count = "num_local_experts", .width = nullptr, .default_count = 8, .default_top_k = 2});
  e.normalize = 1;
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfMixtralNames);
  return decoder;
}

recipe::Decoder minimax_m2_from_hf(ModelReader &model) {
  RopeKeys rope{.theta = 5'000'000};
  // Published configs give the columns that rotate, not their part.
  const int64_t width = model.integer("head_dim", 1, recipe::kMaxHeadDim, 128);
  rope.partial = static_cast<double>(model.integer("rotary_dim", 1, recipe::kMaxHeadDim, width)) /
                 static_cast<double>(width);
  Dense d = dense_from_hf(model, {.default_head_dim = 128, .default_kv_heads = 8, .rope = rope});
  d.family = "minimax_m2";
  d.qk_norm = QkNorm::Row;
  // What published configs say of it, and of layers that guess further tokens.
  model.expect("use_qk_norm", true);
  model.expect_text("qk_norm_type", "per_layer");
  model.expect("use_routing_bias", true);
  model.expect_text("scoring_func", "sigmoid");
  model.expect_number("shared_intermediate_size", 0);
  for (const double kind : model.numbers("attn_type_list"))
    if (kind != 1)
      model.problem("attn_type_list", absl::StrCat(kind, " is no layer of this family"),
                    "Quern knows layers of softmax attention, 1");
  model.ignore({"use_mtp", "num_mtp_modules", "mtp_transformer_layers", "mlp_intermediate_size"});
  Experts e = experts_from_hf(
      model, d,
      {.count = "num_local_experts", .width = nullptr, .default_count = 256, .default_top_k = 8});
  e.score = recipe::RouterScore::Sigmoid;
  e.correction = true;
  e.normalize = 1;
  recipe::Decoder decoder = dense_decoder(model, d, kHfDenseNames);
  put_experts(decoder, d, e, kHfMixtralNames);
  return decoder;
}

recipe::Decoder minimax_m2_from_gguf(ModelReader &model) {
  Dense d = dense_from_gguf(model, {.experts = true});
  d.family = "minimax_m2";
  d.qk_norm = QkNorm::Row;
  return gguf_expert_decoder(model, d,
                             experts_from_gguf(model, d, {.score = recipe::RouterScore::Sigmoid}));
}

} // namespace quern
