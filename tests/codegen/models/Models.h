// The models that generated code is tried on: every architecture's ops, every kind of format.
#ifndef QUERN_TESTS_CODEGEN_MODELS_MODELS_H
#define QUERN_TESTS_CODEGEN_MODELS_MODELS_H

namespace quern::test {

// Dimensions are odd on purpose: widths that are no multiple of 16 or 32, a vocabulary that is
// prime.
inline constexpr const char *kLlama =
    R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 4,
  "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true})";
inline constexpr const char *kOdd =
    R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 101, "hidden_size": 60, "intermediate_size": 70, "num_hidden_layers": 2,
  "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 12, "rms_norm_eps": 1e-5,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "tie_word_embeddings": false})";
inline constexpr const char *kQwen3 =
    R"({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
  "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 24, "rms_norm_eps": 1e-6,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "tie_word_embeddings": false})";
inline constexpr const char *kMamba2 =
    R"({"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "state_size": 24, "num_hidden_layers": 2, "expand": 2,
  "conv_kernel": 4, "num_heads": 12, "head_dim": 16, "n_groups": 2, "chunk_size": 8,
  "hidden_act": "silu", "tie_word_embeddings": false})";
// A row's blocks that are panels and that are not, biases, a shared expert, windows.
inline constexpr const char *kMixtral =
    R"({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 48, "num_hidden_layers": 2,
  "num_attention_heads": 6, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "num_local_experts": 5,
  "num_experts_per_tok": 3, "max_position_embeddings": 256, "hidden_act": "silu",
  "tie_word_embeddings": false})";
inline constexpr const char *kQwen2Moe =
    R"({"model_type": "qwen2_moe", "architectures": ["Qwen2MoeForCausalLM"],
  "vocab_size": 101, "hidden_size": 60, "intermediate_size": 70, "num_hidden_layers": 2,
  "num_attention_heads": 5, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "num_experts": 6,
  "num_experts_per_tok": 2, "moe_intermediate_size": 40, "shared_expert_intermediate_size": 70,
  "mlp_only_layers": [0], "max_position_embeddings": 256, "hidden_act": "silu",
  "tie_word_embeddings": false})";
inline constexpr const char *kGptOss =
    R"({"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"],
  "vocab_size": 101, "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5,
  "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8, "swiglu_limit": 0.7,
  "max_position_embeddings": 256, "hidden_act": "silu",
  "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
  "tie_word_embeddings": false})";

inline constexpr const char *kMamba =
    R"({"model_type": "mamba", "architectures": ["MambaForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "state_size": 16, "num_hidden_layers": 2, "expand": 2,
  "conv_kernel": 4, "time_step_rank": 7, "hidden_act": "silu", "tie_word_embeddings": true})";
inline constexpr const char *kQwen35 =
    R"({"model_type": "qwen3_5_text", "architectures": ["Qwen3_5ForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
  "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
  "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2,
  "linear_num_value_heads": 4, "linear_key_head_dim": 24, "linear_value_head_dim": 16,
  "max_position_embeddings": 256, "hidden_act": "silu", "tie_word_embeddings": false})";

// Its window is longer than a page of kv state and ends inside one.
inline constexpr const char *kGemma2 =
    R"({"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"],
  "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 5,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
  "max_position_embeddings": 640, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10000.0,
  "query_pre_attn_scalar": 16, "attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0,
  "layer_types": ["sliding_attention", "full_attention", "sliding_attention",
    "full_attention", "sliding_attention"],
  "sliding_window": 75, "tie_word_embeddings": true})";

struct ModelCase {
  const char *name;
  const char *model; ///< as CompiledModel::create takes it
  const char *quant;
  bool exact; ///< integer matrix products: bits do not depend on the steps
  const char *kv = "f32";
};
inline constexpr ModelCase kModelCases[] = {
    {"llama_f32", kLlama, "f32", false},
    {"llama_int4", kLlama, "int4", true},
    {"llama_kv_bf16", kLlama, "int8", true, "bf16"},
    {"odd_kv_f16", kOdd, "int8", true, "f16"},
    {"llama_kv_int8", kLlama, "int4", true, "int8"},
    {"odd_kv_int8", kOdd, "int8", true, "int8"},
    {"odd_f32", kOdd, "f32", false},
    {"odd_int8", kOdd, "int8", true},
    {"odd_int4_asym", kOdd, "int4,asym", true},
    {"qwen3_bf16", kQwen3, "bf16", false},
    {"qwen3_int8", kQwen3, "int8", true},
    {"mamba2_f32", kMamba2, "f32", false},
    {"mamba2_int4", kMamba2, "int4", true},
    {"mamba_f32", kMamba, "f32", false},
    {"mamba_int4", kMamba, "int4", true},
    {"qwen35_f32", kQwen35, "f32", false},
    {"qwen35_int8", kQwen35, "int8", true},
    {"recurrences_f32", "recurrences.mlir", "f32", false},
    {"recurrences_int8", "recurrences.mlir", "int8", true},
    {"mixtral_f32", kMixtral, "f32", false},
    {"mixtral_int4", kMixtral, "int4", true},
    {"qwen2_moe_f32", kQwen2Moe, "f32", false},
    {"qwen2_moe_int8", kQwen2Moe, "int8", true},
    {"gpt_oss_f32", kGptOss, "f32", false},
    {"gpt_oss_int4", kGptOss, "int4", true},
    {"gpt2_f32", "gpt2.mlir", "f32", false},
    {"gpt2_keep", "gpt2.mlir", "keep", false},
    {"gpt2_int8", "gpt2.mlir", "int8", true},
    {"bloom_f32", "bloom.mlir", "f32", false},
    {"bloom_int4", "bloom.mlir", "int4", true},
    {"cohere_f32", "cohere.mlir", "f32", false},
    {"cohere_int8", "cohere.mlir", "int8", true},
    {"falcon_f32", "falcon.mlir", "f32", false},
    {"falcon_int4", "falcon.mlir", "int4", true},
    {"olmo_f32", "olmo.mlir", "f32", false},
    {"olmo_int8", "olmo.mlir", "int8", true},
    {"residual_f32", "residual.mlir", "f32", false},
    {"residual_int4", "residual.mlir", "int4", true},
    {"latent_f32", "latent.mlir", "f32", false},
    {"latent_int8", "latent.mlir", "int8", true, "int8"},
    {"latent_kv_bf16", "latent.mlir", "int4", true, "bf16"},
    {"shift_f32", "shift.mlir", "f32", false},
    {"shift_int4", "shift.mlir", "int4", true},
    {"hyena_f32", "hyena.mlir", "f32", false},
    {"hyena_int4", "hyena.mlir", "int4", true},
};

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_MODELS_MODELS_H
