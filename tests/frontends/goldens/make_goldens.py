"""Writes the goldens beside it: tiny models of every family, and their logits by transformers in float64.

usage: make_goldens.py        needs: torch, transformers, safetensors

A golden is a JSON object: `config`, as config.json has it; `tensors`, by name, with their shapes, and
the mean and spread by which the generator of ir/weights/SyntheticWeights.h makes them (seed 1); `tokens`;
`logits`, one row a token. The test writes the model's files from it, imports them, and runs the module
in the interpreter, in float64 too. What is left between the two are the angles of rotary positions and the cosines, which
transformers has in float32: errors below 1e-5 of the logits' deviation. The test allows 1e-4.
"""
import json
import os
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 1
MASK = (1 << 64) - 1
DENSE = dict(vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MAMBA2 = dict(vocab_size=23, hidden_size=24, state_size=10, num_hidden_layers=3, expand=2, conv_kernel=4, num_heads=6,
              head_dim=8, n_groups=2, chunk_size=4)
MAMBA = dict(vocab_size=23, hidden_size=24, state_size=5, num_hidden_layers=3, expand=2, conv_kernel=4)
JAMBA = dict(attn_layer_period=3, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1, num_hidden_layers=4,
             num_experts=4, num_experts_per_tok=2, mamba_d_state=5, mamba_dt_rank=3)
NEMOTRON_H = dict({k: v for k, v in DENSE.items() if k != "num_hidden_layers"}, model_type="nemotron_h", head_dim=4,
                  layers_block_type=["mamba", "attention", "mlp", "moe", "mamba"], mamba_num_heads=6, mamba_head_dim=8,
                  n_groups=2, ssm_state_size=10, chunk_size=4, n_routed_experts=4, num_experts_per_tok=2,
                  moe_intermediate_size=12, moe_shared_expert_intermediate_size=20)
MIXERS = dict(mamba_n_heads=6, mamba_d_head=8, mamba_n_groups=2, mamba_d_state=10, mamba_chunk_size=4)
DELTA = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=6, linear_value_head_dim=8)

GPT2 = dict(vocab_size=23, n_embd=24, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2)
OPT = dict(model_type="opt", vocab_size=23, hidden_size=24, ffn_dim=20, num_hidden_layers=2, num_attention_heads=4,
           max_position_embeddings=32, word_embed_proj_dim=24, bos_token_id=1, eos_token_id=2, pad_token_id=0)
BLOOM = dict(model_type="bloom", vocab_size=23, hidden_size=24, n_layer=2, n_head=6, bos_token_id=1, eos_token_id=2)
MPT = dict(model_type="mpt", vocab_size=23, d_model=24, n_layers=2, n_heads=3, max_seq_len=32)
FALCON = dict(model_type="falcon", vocab_size=23, hidden_size=24, num_hidden_layers=2, num_attention_heads=6,
              ffn_hidden_size=40, bos_token_id=1, eos_token_id=2)


# Latent attention, with dense MLPs in all layers.
LATENT = dict(num_key_value_heads=6, q_lora_rank=10, kv_lora_rank=12, qk_rope_head_dim=4, qk_nope_head_dim=6, v_head_dim=5,
              first_k_dense_replace=3, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, n_group=1,
              topk_group=1)
RWKV = dict(model_type="rwkv", vocab_size=23, hidden_size=24, num_hidden_layers=3, context_length=64)
XLSTM = dict(model_type="xlstm", vocab_size=23, hidden_size=24, num_heads=3, num_hidden_layers=3, chunk_size=4,
             ffn_round_up_to_multiple_of=8)
KIMI = dict(num_key_value_heads=6, kv_lora_rank=12, qk_rope_head_dim=4, qk_nope_head_dim=6, v_head_dim=5,
            linear_head_dim=8, linear_num_heads=3, num_experts=4, num_experts_per_token=2, moe_intermediate_size=16)


def dense(model_type, **changes):
    return dict(DENSE, model_type=model_type) | changes


def rope(**parameters):
    return dict(rope_parameters=dict(rope_theta=10000.0, **parameters))


def experts(model_type, **changes):
    chosen = {} if model_type in ("ernie4_5_moe", "hunyuan_v1_moe") else dict(num_experts_per_tok=2)
    return dense(model_type, **(dict(chosen, num_hidden_layers=2) | changes))


DBRX = dict(model_type="dbrx", vocab_size=23, d_model=24, n_heads=6, n_layers=2, max_seq_len=32,
            attn_config=dict(kv_n_heads=2, rope_theta=10000.0, clip_qkv=0.8),
            ffn_config=dict(ffn_hidden_size=20, moe_num_experts=4, moe_top_k=2))


# The second element is what the written config.json has in other words than transformers 5 writes, the third
# is written in its place: another program's.
CASES = {
    "llama": (dense("llama"), {}),
    "llama-head-dim": (dense("llama", head_dim=10, num_attention_heads=3, num_key_value_heads=1, hidden_act="gelu"), {}),
    "llama-tied-bias": (dense("llama", tie_word_embeddings=True, attention_bias=True, mlp_bias=True), {}),
    "llama-llama3": (dense("llama", **rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                           original_max_position_embeddings=16)), {}),
    "llama-old-keys": (dense("llama", **rope(rope_type="linear", factor=2.5)),
                       dict(rope_parameters=None, rope_theta=10000.0, rope_scaling=dict(type="linear", factor=2.5))),
    "llama-dynamic": (dense("llama", **rope(rope_type="dynamic", factor=4.0)), {}),
    "llama-yarn": (dense("llama", head_dim=16, **rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)), {}),
    "llama-yarn-mscale": (dense("llama", head_dim=16, **rope(rope_type="yarn", factor=8.0, original_max_position_embeddings=8,
                                                             beta_fast=4.0, beta_slow=0.5, mscale=0.7, mscale_all_dim=1.3,
                                                             truncate=False)), {}),
    "llama-yarn-mscale-one": (dense("llama", head_dim=16, **rope(rope_type="yarn", factor=8.0, original_max_position_embeddings=8,
                                                                 beta_fast=4.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=1.3)), {}),
    "llama-yarn-attention": (dense("llama", head_dim=16, **rope(rope_type="yarn", factor=4.0, attention_factor=1.3,
                                                                original_max_position_embeddings=16)), {}),
    "qwen2": (dense("qwen2"), {}),
    "qwen2-windows": (dense("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1,
                            hidden_act="gelu_pytorch_tanh"), {}),
    "qwen3": (dense("qwen3", head_dim=12), {}),
    "qwen3-bias-tied": (dense("qwen3", head_dim=6, attention_bias=True, tie_word_embeddings=True,
                              layer_types=["full_attention", "sliding_attention", "full_attention"],
                              use_sliding_window=True, sliding_window=3), {}),
    "mistral": (dense("mistral", sliding_window=4), {}),
    "mistral-no-window": (dense("mistral", sliding_window=None, head_dim=10), {}),
    "ministral": (dense("ministral", sliding_window=4, head_dim=8, layer_types=["sliding_attention", "full_attention",
                                                                               "sliding_attention"]), {}),
    "gemma": (dense("gemma", head_dim=10), {}),
    "gemma2": (dense("gemma2", head_dim=8, sliding_window=4, query_pre_attn_scalar=5, attn_logit_softcapping=1.5,
                     final_logit_softcapping=2.0), {}),
    "gemma2-scaled-by-width": (dense("gemma2", head_dim=8, sliding_window=4, query_pre_attn_scalar=8, attn_logit_softcapping=1.5,
                                     final_logit_softcapping=2.0), {}),
    "gemma3": (dense("gemma3_text", head_dim=8, sliding_window=4, query_pre_attn_scalar=5, sliding_window_pattern=3), {}),
    "gemma3-old-keys": (dense("gemma3_text", head_dim=8, sliding_window=4, sliding_window_pattern=2, query_pre_attn_scalar=8,
                              rope_parameters=dict(full_attention=dict(rope_type="linear", factor=4.0, rope_theta=5e4),
                                                   sliding_attention=dict(rope_type="default", rope_theta=500.0))),
                        dict(rope_parameters=None, layer_types=None, rope_theta=5e4, rope_local_base_freq=500.0,
                             rope_scaling=dict(rope_type="linear", factor=4.0))),
    "phi": (dense("phi"), {}),
    "phi-norms": (dense("phi", qk_layernorm=True, num_key_value_heads=6), {}),
    "phi3": (dense("phi3", sliding_window=5), {}),
    "phi3-longrope": (dense("phi3", original_max_position_embeddings=64, max_position_embeddings=64, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.5], long_factor=[2.0, 4.0],
        original_max_position_embeddings=64)), {}),
    "phi3-longrope-long": (dense("phi3", original_max_position_embeddings=8, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.5], long_factor=[2.0, 4.0],
        original_max_position_embeddings=8)), {}),
    "gpt2": (dict(GPT2, model_type="gpt2"), {}),
    "gpt2-unscaled": (dict(GPT2, model_type="gpt2", scale_attn_weights=False, n_inner=20, activation_function="relu"), {}),
    "gpt_neox": (dense("gpt_neox", num_key_value_heads=None, num_attention_heads=3, rotary_pct=0.5), {}),
    "gpt_neox-sequential": (dense("gpt_neox", num_key_value_heads=None, rotary_pct=1.0, use_parallel_residual=False,
                                  attention_bias=False), dict(rope_parameters=None, rotary_pct=1.0, rotary_emb_base=10000)),
    "gptj": (dict(GPT2, model_type="gptj", n_head=3, rotary_dim=4), {}),
    "opt": (dict(OPT), {}),
    "opt-no-bias": (dict(OPT, enable_bias=False, activation_function="gelu", tie_word_embeddings=False), {}),
    "bloom": (dict(BLOOM), {}),
    "mpt": (dict(MPT), {}),
    "mpt-clip": (dict(MPT, n_heads=4, attn_config=dict(clip_qkv=0.7, softmax_scale=0.4)), {}),
    "mpt-clip-scaled-by-width": (dict(MPT, n_heads=4, attn_config=dict(clip_qkv=0.7)), {}),
    "falcon": (dict(FALCON), {}),
    "falcon-new-decoder": (dict(FALCON, new_decoder_architecture=True, num_kv_heads=2, bias=True), {}),
    "falcon-new-decoder-no-bias": (dict(FALCON, new_decoder_architecture=True, num_kv_heads=2), {}),
    "falcon-new-decoder-one-norm": (dict(FALCON, new_decoder_architecture=True, num_kv_heads=3, num_ln_in_parallel_attn=1), {}),
    "falcon-alibi": (dict(FALCON, multi_query=False, alibi=True, parallel_attn=False, bias=True), {}),
    "stablelm": (dense("stablelm", partial_rotary_factor=0.5), {}),
    "stablelm-parallel-norms": (dense("stablelm", use_parallel_residual=True, qk_layernorm=True, use_qkv_bias=True,
                                      partial_rotary_factor=1.0), {}),
    "olmo": (dense("olmo"), {}),
    "olmo-clip": (dense("olmo", clip_qkv=0.8, attention_bias=True), {}),
    "olmo2": (dense("olmo2"), {}),
    "olmo3": (dense("olmo3", num_hidden_layers=4, sliding_window=4), {}),
    "olmo3-yarn": (dense("olmo3", num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3, sliding_window=4, rope_parameters=dict(
        full_attention=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0))), {}),
    "smollm3": (dense("smollm3", no_rope_layer_interval=2), {}),
    "smollm3-four-layers": (dense("smollm3", num_hidden_layers=4), {}),
    "smollm3-windows": (dense("smollm3", use_sliding_window=True, sliding_window=4, no_rope_layers=[0, 1, 1],
                              layer_types=["full_attention", "sliding_attention", "full_attention"], mlp_bias=True), {}),
    "granite": (dense("granite", embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.7,
                      logits_scaling=1.7), {}),
    "cohere": (dense("cohere"), {}),
    "cohere-norms": (dense("cohere", use_qk_norm=True, attention_bias=True, logit_scale=0.3), {}),
    "cohere2": (dense("cohere2", sliding_window=4, num_hidden_layers=4), {}),
    "starcoder2": (dense("starcoder2", sliding_window=5), {}),
    "starcoder2-no-window": (dense("starcoder2", sliding_window=None), {}),
    "starcoder2-no-bias": (dense("starcoder2", use_bias=False, sliding_window=None, tie_word_embeddings=False), {}),
    "glm": (dense("glm", head_dim=8, attention_bias=True), {}),
    "glm4": (dense("glm4", head_dim=8), {}),
    "nemotron": (dense("nemotron", head_dim=8, attention_bias=True), {}),
    "exaone4": (dense("exaone4", num_hidden_layers=4, sliding_window=4), {}),
    "exaone4-no-windows": (dense("exaone4", sliding_window=None,
                                 layer_types=["full_attention"] * 3, tie_word_embeddings=True), {}),
    "ernie4_5": (dense("ernie4_5", head_dim=8), {}),
    "ernie4_5-bias": (dense("ernie4_5", head_dim=6, use_bias=True), {}),
    "hunyuan_v1_dense": (dense("hunyuan_v1_dense", head_dim=8), {}),
    "hunyuan_v1_dense-alpha": (dense("hunyuan_v1_dense", head_dim=8, attention_bias=True,
                                     **rope(rope_type="dynamic", alpha=50.0, factor=1.0)), {}),
    "deepseek_v3-dense": (dense("deepseek_v3", **LATENT), {}),
    "deepseek_v3-dense-yarn": (dense("deepseek_v3", **LATENT, attention_bias=True, rope_interleave=False, **rope(
        rope_type="yarn", factor=8.0, original_max_position_embeddings=8, beta_fast=4.0, beta_slow=0.5, mscale=0.7,
        mscale_all_dim=1.3)), {}),
    "deepseek_v3-null-groups": (dense("deepseek_v3", num_hidden_layers=2, n_shared_experts=2,
                                 **dict(LATENT, first_k_dense_replace=1, n_routed_experts=16, num_experts_per_tok=3,
                                        n_group=8, topk_group=4)),
                           dict(n_group=None, topk_group=None)),
    "deepseek_v3-groups": (dense("deepseek_v3", **dict(LATENT, first_k_dense_replace=1, n_routed_experts=8, n_group=4,
                                                       topk_group=2, num_hidden_layers=2)), {}),
    "deepseek_v2-yarn": (dense("deepseek_v2", **dict(LATENT, q_lora_rank=None, first_k_dense_replace=1, num_hidden_layers=2),
                               **rope(rope_type="yarn", factor=8.0, original_max_position_embeddings=8, beta_fast=4.0, beta_slow=0.5,
                                      mscale=0.707, mscale_all_dim=0.707)), {}),
    "deepseek_v2-groups": (dense("deepseek_v2", **dict(LATENT, first_k_dense_replace=0, num_hidden_layers=1, n_routed_experts=8,
                                                       n_group=4, topk_group=2, topk_method="group_limited_greedy",
                                                       routed_scaling_factor=3.0)), {}),
    "deepseek_v2-dense": (dense("deepseek_v2", **dict(LATENT, q_lora_rank=None)), {}),
    "recurrent_gemma": (dict(model_type="recurrent_gemma", vocab_size=23, hidden_size=24, intermediate_size=72, num_hidden_layers=4,
                             num_attention_heads=3, num_key_value_heads=1, lru_width=36, attention_window_size=4), {}),
    "recurrent_gemma-wide-heads": (dict(model_type="recurrent_gemma", vocab_size=23, hidden_size=24, intermediate_size=72,
                                        num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, lru_width=36, head_dim=12,
                                        attention_window_size=4, block_types=["attention", "recurrent"]), {}),
    "rwkv": (dict(RWKV), {}),
    "rwkv-rescaled": (dict(RWKV, num_hidden_layers=5, attention_hidden_size=20, intermediate_size=36, rescale_every=2), {}),
    "xlstm": (dict(XLSTM), {}),
    "xlstm-bias": (dict(XLSTM, use_bias=True, tie_word_embeddings=True, gate_soft_cap=2.0, output_logit_soft_cap=3.0), {}),
    "mamba2": (dict(MAMBA2, model_type="mamba2"), {}),
    "mamba2-bias-limits": (dict(MAMBA2, model_type="mamba2", use_bias=True, use_conv_bias=False, n_groups=1, conv_kernel=3,
                                time_step_limit=(0.3, 0.9), tie_word_embeddings=True, hidden_act="gelu"), {}),
    "mamba": (dict(MAMBA, model_type="mamba"), {}),
    "mamba2-kernel-one": (dict(MAMBA2, model_type="mamba2", conv_kernel=1, num_hidden_layers=2), {}),
    "mamba-bias": (dict(MAMBA, model_type="mamba", use_bias=True, use_conv_bias=False, time_step_rank=3, conv_kernel=3,
                        tie_word_embeddings=False, hidden_act="gelu"), {}),
    "mamba_ssm": (dict(MAMBA, model_type="mamba", vocab_size=24), {}, dict(
        d_model=24, n_layer=3, vocab_size=23, ssm_cfg=dict(d_state=5), rms_norm=True, residual_in_fp32=True,
        fused_add_norm=True, pad_vocab_size_multiple=8)),
    "mamba_ssm-2": (dict(MAMBA2, model_type="mamba2", vocab_size=32, tie_word_embeddings=True, use_bias=True,
                         use_conv_bias=False, time_step_limit=(0.3, 0.9)), {}, dict(
        d_model=24, d_intermediate=0, n_layer=3, vocab_size=23, attn_layer_idx=[], attn_cfg={}, rms_norm=True,
        ssm_cfg=dict(layer="Mamba2", d_state=10, headdim=8, ngroups=2, bias=True, conv_bias=False, dt_limit=[0.3, 0.9]),
        residual_in_fp32=True, fused_add_norm=True, pad_vocab_size_multiple=16, tie_embeddings=True)),
    "falcon_mamba": (dict(MAMBA, model_type="falcon_mamba", mixer_rms_eps=0.1), {}),
    "falcon_mamba-one-eps": (dict(MAMBA, model_type="falcon_mamba", layer_norm_epsilon=0.01, mixer_rms_eps=0.01), {}),
    "bamba": (dense("bamba", attn_layer_indices=[1], **MIXERS), {}),
    "bamba-bias": (dense("bamba", attn_layer_indices=[0, 2], mamba_proj_bias=True, mamba_conv_bias=False, attention_bias=True,
                         mlp_bias=True, time_step_limit=(0.3, 0.9), **MIXERS), {}),
    "falcon_h1": (dense("falcon_h1", mamba_d_ssm=48, **MIXERS), {}),
    "falcon_h1-multipliers": (dense("falcon_h1", mamba_d_ssm=48, mamba_rms_norm=True, mamba_norm_before_gate=False,
                                    projectors_bias=True, ssm_multipliers=[0.7, 1.3, 0.6, 1.2, 0.9], ssm_in_multiplier=1.4,
                                    ssm_out_multiplier=0.8, attention_in_multiplier=1.2, attention_out_multiplier=0.7,
                                    key_multiplier=0.5, mlp_multipliers=[1.3, 0.6], embedding_multiplier=2.0,
                                    lm_head_multiplier=0.3, **MIXERS), {}),
    "falcon_h1-multipliers-no-bias": (dense("falcon_h1", num_hidden_layers=1, mamba_d_ssm=48, mamba_rms_norm=True,
                                            mamba_norm_before_gate=False, ssm_multipliers=[0.7, 1.3, 0.6, 1.2, 0.9],
                                            ssm_in_multiplier=1.4, ssm_out_multiplier=0.8, attention_in_multiplier=1.2,
                                            attention_out_multiplier=0.7, key_multiplier=0.5, mlp_multipliers=[1.3, 0.6],
                                            embedding_multiplier=2.0, lm_head_multiplier=0.3, **MIXERS), {}),
    "falcon_h1-norm-first": (dense("falcon_h1", mamba_d_ssm=48, mamba_rms_norm=True, **MIXERS), {}),
    "granitemoehybrid": (dense("granitemoehybrid", num_local_experts=0, shared_intermediate_size=28,
                               layer_types=["mamba", "attention", "mamba"], **MIXERS), {}),
    "granitemoehybrid-rope": (dense("granitemoehybrid", num_local_experts=0, shared_intermediate_size=28,
                                    layer_types=["mamba", "attention", "mamba"], position_embedding_type="rope",
                                    residual_multiplier=0.6, attention_multiplier=0.2, embedding_multiplier=3.0,
                                    logits_scaling=1.7, **MIXERS), {}),
    "granitemoehybrid-experts": (dense("granitemoehybrid", num_local_experts=4, num_experts_per_tok=2,
                                       shared_intermediate_size=28, layer_types=["mamba", "attention", "mamba"],
                                       residual_multiplier=0.6, attention_multiplier=0.2, **MIXERS), {}),
    "jamba": (dense("jamba", **JAMBA), {}),
    "jamba-dense": (dense("jamba", **dict(JAMBA, num_experts=1, attn_layer_period=2, attn_layer_offset=0, mamba_dt_rank="auto",
                                          mamba_proj_bias=True, mamba_conv_bias=False, tie_word_embeddings=True,
                                          rms_norm_eps=0.01)), {}),
    "nemotron_h": (dict(NEMOTRON_H), dict(layers_block_type=None, hybrid_override_pattern="M*-EM")),
    "nemotron_h-dense": (dict(NEMOTRON_H, layers_block_type=["mamba", "attention", "mlp"]), {}),
    "nemotron_h-latent": (dict(NEMOTRON_H, n_routed_experts=8, n_group=4, topk_group=2, routed_scaling_factor=2.5,
                               moe_latent_size=12, mlp_bias=True, use_bias=True, use_conv_bias=False,
                               layers_block_type=["moe", "mamba", "attention"]), {}),
    "nemotron_h-old-names": (dict(NEMOTRON_H, head_dim=6, use_conv_bias=False, layers_block_type=["mamba", "attention"]), dict(
        layers_block_type=None, hybrid_override_pattern="M*", head_dim=None, attention_head_dim=6, n_groups=None,
        mamba_n_groups=2, conv_kernel=None, mamba_d_conv=4, expand=None, mamba_expand=2, use_conv_bias=None,
        mamba_conv_bias=False, chunk_size=None, mamba_chunk_size=4, rms_norm_eps=1e-5, time_step_rank=256)),
    "zamba2": (dense("zamba2", num_hidden_layers=5, layers_block_type=["mamba", "hybrid", "hybrid", "mamba", "hybrid"], num_mem_blocks=2,
                     mamba_d_state=10, n_mamba_heads=6, adapter_rank=3, rms_norm_eps=0.01), {}),
    "zamba2-adapters": (dense("zamba2", num_key_value_heads=6, layers_block_type=["hybrid", "mamba", "hybrid"], adapter_rank=5,
                              mamba_d_state=10, mamba_d_conv=3, n_mamba_heads=4, mamba_ngroups=2, use_mem_rope=True,
                              use_shared_attention_adapter=True, add_bias_linear=True), {}),
    "zamba2-untied": (dense("zamba2", num_key_value_heads=6, layers_block_type=["hybrid", "mamba", "hybrid"], adapter_rank=5,
                            mamba_d_state=10, n_mamba_heads=4, use_shared_attention_adapter=True,
                            tie_word_embeddings=False), {}),
    "nemotron_h-latent-no-bias": (dict(NEMOTRON_H, n_routed_experts=8, n_group=4, topk_group=2, routed_scaling_factor=2.5,
                                       moe_latent_size=12, layers_block_type=["moe", "mamba", "attention"]), {}),
    "qwen3_5_text": (dense("qwen3_5_text", head_dim=8, layer_types=["linear_attention", "full_attention", "linear_attention"],
                           **DELTA), {}),
    "qwen3_5_text-bias": (dense("qwen3_5_text", head_dim=16, attention_bias=True, linear_conv_kernel_dim=3,
                                layer_types=["full_attention", "linear_attention", "linear_attention"], **DELTA), {}),
    "qwen3_next": (dense("qwen3_next", head_dim=8, layer_types=["linear_attention", "full_attention", "linear_attention"],
                         num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=20,
                         **DELTA), {}),
    "qwen3_next-dense-layer": (dense("qwen3_next", head_dim=16, attention_bias=True, linear_conv_kernel_dim=3, num_experts=5,
                                     num_experts_per_tok=3, moe_intermediate_size=12, shared_expert_intermediate_size=8,
                                     norm_topk_prob=False, mlp_only_layers=[0],
                                     layer_types=["full_attention", "linear_attention", "linear_attention"],
                                     **dict(DELTA, linear_num_value_heads=6)), {}),
    "kimi_linear": (dense("kimi_linear", layer_types=["linear_attention", "full_attention", "linear_attention"], **KIMI), {}),
    "kimi_linear-as-wide": (dense("kimi_linear", layer_types=["linear_attention", "full_attention"],
                                  **dict(KIMI, num_hidden_layers=2, linear_num_heads=6, linear_head_dim=4)), {}),
    "kimi_linear-groups": (dense("kimi_linear", **dict(KIMI, num_experts=8, num_expert_group=4, topk_group=2,
                                                       num_shared_experts=2, q_lora_rank=10, attention_bias=True,
                                                       moe_renormalize=False),
                                 linear_attn_config=dict(kda_layers=[2, 3], full_attn_layers=[1], head_dim=6, num_heads=4,
                                                         short_conv_kernel_size=3), first_k_dense_replace=2), {}),
    "olmo_hybrid": (dense("olmo_hybrid", layer_types=["linear_attention", "full_attention", "linear_attention"]), {}),
    "olmo_hybrid-no-rope": (dense("olmo_hybrid", layer_types=["linear_attention", "full_attention", "linear_attention"],
                                  linear_allow_neg_eigval=False, rope_parameters=dict(rope_type="default", rope_theta=None),
                                  **DELTA), {}),
    "lfm2": (dense("lfm2", layer_types=["conv", "full_attention", "conv"]), {}),
    "lfm2-bias": (dense("lfm2", layer_types=["full_attention", "conv", "conv"], conv_bias=True, conv_L_cache=5,
                        block_auto_adjust_ff_dim=False), {}),
    "lfm2_moe": (experts("lfm2_moe", num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], num_experts=4,
                         moe_intermediate_size=16, num_dense_layers=1), {}),
    "lfm2_moe-plain": (experts("lfm2_moe", layer_types=["full_attention", "conv"], num_experts=5, moe_intermediate_size=12,
                               num_dense_layers=0, use_expert_bias=False, norm_topk_prob=False, routed_scaling_factor=1.5,
                               conv_bias=True, tie_word_embeddings=False), {}),
    "mixtral": (experts("mixtral", num_local_experts=4), {}),
    "mixtral-window": (experts("mixtral", num_local_experts=3, sliding_window=4, hidden_act="gelu"), {}),
    "qwen3_moe": (experts("qwen3_moe", num_local_experts=5, moe_intermediate_size=16, head_dim=12), {}),
    "qwen3_moe-norm": (experts("qwen3_moe", num_local_experts=4, moe_intermediate_size=16, head_dim=8, norm_topk_prob=True), {}),
    "qwen3_moe-sparse": (experts("qwen3_moe", num_local_experts=4, moe_intermediate_size=12, head_dim=8, norm_topk_prob=True,
                                 decoder_sparse_step=2, attention_bias=True), {}),
    "qwen2_moe": (experts("qwen2_moe", num_experts=4, moe_intermediate_size=16, shared_expert_intermediate_size=20), {}),
    "qwen2_moe-dense-layer": (experts("qwen2_moe", num_experts=4, moe_intermediate_size=12, shared_expert_intermediate_size=8,
                                      norm_topk_prob=True, mlp_only_layers=[1], qkv_bias=False), {}),
    "olmoe": (experts("olmoe", num_experts=4, num_key_value_heads=6), {}),
    "olmoe-clip": (experts("olmoe", num_experts=4, clip_qkv=0.6, norm_topk_prob=True), {}),
    "granitemoe": (experts("granitemoe", num_local_experts=4, residual_multiplier=0.6, attention_multiplier=0.3,
                           embedding_multiplier=3.0, logits_scaling=1.7), {}),
    "glm4_moe": (experts("glm4_moe", n_routed_experts=4, moe_intermediate_size=16, head_dim=8), {}),
    "glm4_moe-groups": (experts("glm4_moe", n_routed_experts=8, moe_intermediate_size=12, head_dim=8, n_group=4, topk_group=2,
                                use_qk_norm=True, routed_scaling_factor=1.5, n_shared_experts=2, attention_bias=True), {}),
    "gpt_oss": (experts("gpt_oss", num_local_experts=4, head_dim=8, sliding_window=4, swiglu_limit=0.7, swiglu_alpha=1.2), {}),
    # What GGUF files do not say is as in the published models; llama.cpp truncates.
    "gpt_oss-truncate": (experts("gpt_oss", num_local_experts=5, head_dim=8, sliding_window=4, rope_parameters=dict(
        rope_type="yarn", rope_theta=150000.0, factor=32.0, original_max_position_embeddings=4096, beta_fast=32.0,
        beta_slow=1.0, truncate=True)), {}),
    "dbrx": (DBRX, {}),
    "dbrx-norm-two": (dict(DBRX, ffn_config=dict(ffn_hidden_size=16, moe_num_experts=5, moe_top_k=3,
                                                 moe_normalize_expert_weights=2.0)), {}),
    "minimax_m2": (experts("minimax_m2", num_local_experts=4, head_dim=8), {}),
    "ernie4_5_moe": (experts("ernie4_5_moe", moe_num_experts=4, moe_k=2, moe_intermediate_size=16, moe_num_shared_experts=1), {}),
    "ernie4_5_moe-bias": (experts("ernie4_5_moe", moe_num_experts=4, moe_k=2, moe_intermediate_size=16, moe_num_shared_experts=1,
                                  use_bias=True, head_dim=6), {}),
    "hunyuan_v1_moe": (experts("hunyuan_v1_moe", num_experts=4, moe_topk=2, head_dim=8), {}),
}

# Models again whose tensors transformers' classes call otherwise than published files do, and in which all experts of a
# layer are one tensor: it saves them so on demand (save_original_format=False). In `square` no shape shows which side is which.
OF_CLASS = {f"names/{name}-of-class": CASES[name] for name in (
    "mixtral", "minimax_m2", "jamba", "nemotron_h", "nemotron_h-latent", "kimi_linear", "granitemoe", "ernie4_5_moe", "lfm2_moe",
    "olmo_hybrid", "gpt_neox", "deepseek_v3-groups")}
OF_CLASS["names/qwen3_moe-square-of-class"] = (experts("qwen3_moe", num_local_experts=3, moe_intermediate_size=12, head_dim=8), {})

# Language models inside others, with the others' tensors beside theirs.
EYES = dict(depth=1, hidden_size=8, num_heads=2, intermediate_size=8, patch_size=2, temporal_patch_size=1, num_position_embeddings=4,
            out_hidden_size=24)
HIDDEN_TOKENS = dict(image_token_id=0, video_token_id=0, vision_start_token_id=0, vision_end_token_id=0)
PARTS = {
    "names/qwen3_5_moe-part": (dict(model_type="qwen3_5_moe", vision_config=EYES, **HIDDEN_TOKENS, text_config=dict(
        dense("qwen3_5_moe_text", head_dim=8, layer_types=["linear_attention", "full_attention"], num_experts=4,
              num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=20, num_hidden_layers=2, **DELTA),
        rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5, mrope_section=[1, 1, 0],
                             mrope_interleaved=True))), {}),
    # Whose experts' matrices lie the other way round.
    "names/qwen3_vl_moe-part": (dict(model_type="qwen3_vl_moe", **HIDDEN_TOKENS, vision_config=dict(EYES, deepstack_visual_indexes=[0]),
                                     text_config=dict(dense(
        "qwen3_vl_moe_text", head_dim=8, num_hidden_layers=2, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=16,
        rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[2, 1, 1], mrope_interleaved=True)))), {}),
    "names/gemma3-part": (dict(model_type="gemma3", image_token_index=0, boi_token_index=0, eoi_token_index=0, mm_tokens_per_image=1,
                               vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                                                  image_size=4, patch_size=4), text_config=dict(
        dense("gemma3_text", num_hidden_layers=2, head_dim=8, sliding_window=4, sliding_window_pattern=2,
              query_pre_attn_scalar=5))), {}),
}


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def generate(name, count, mean, spread):
    """The elements of a tensor: ir/weights/SyntheticWeights.h says how they are made."""
    fnv = 0xCBF29CE484222325
    for byte in name.encode():
        fnv = ((fnv ^ byte) * 0x100000001B3) & MASK
    key = mix(mix((SEED + 0x9E3779B97F4A7C15) & MASK) ^ fnv)
    sums = []
    for i in range(count):
        bits = mix((key + (i + 1) * 0x9E3779B97F4A7C15) & MASK)
        sums.append(sum((bits >> shift) & 0xFFFF for shift in (0, 16, 32, 48)) - 131070)
    return np.array(sums, np.float32) * np.float32(float.fromhex("0x1.bb67aep-16")) * np.float32(spread) + np.float32(mean)


def statistics(name, shape):
    """Mean and spread as in a trained model, strong enough for every part of it to show in the logits."""
    last = name.split(".")[-1]
    special = dict(A_log=(0.5, 0.5), dt_bias=(-0.5, 0.5), D=(1.0, 0.3), bias=(0.0, 0.3), recurrent_param=(-3.0, 1.0),
                   time_decay=(-1.0, 0.5), time_first=(0.0, 0.5))
    if last in special:
        return special[last]
    if len(shape) == 1:
        return 1.0, 0.2
    return 0.0, round(1.5 / float(np.sqrt(shape[-1])), 4)


# Where transformers' parameters have other names than in the files it saves.
SAVED = dict(gpt_neox={"lm_head.weight": "embed_out.weight"})
# The same of files that another program than transformers writes.
SAVED_BY_OTHERS = {"backbone.embeddings.weight": "backbone.embedding.weight"}


# Families whose experts are other parameters than the tensors in files: these are what is made up, and loaded.
BY_FILE = ("mixtral", "qwen3_moe", "qwen2_moe", "olmoe", "glm4_moe", "minimax_m2", "ernie4_5_moe", "hunyuan_v1_moe", "jamba",
           "nemotron_h", "granitemoe", "granitemoehybrid", "qwen3_next", "kimi_linear", "lfm2_moe", "deepseek_v2", "deepseek_v3")


def by_file(model, published=True):
    """The model with made-up tensors, by the names that it is saved with, and what they are."""
    tensors, values = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, save_original_format=published)
        path = os.path.join(folder, "model.safetensors")
        for name, old in load_file(path).items():
            shape = list(old.shape)
            if model.config.model_type == "qwen3_vl_moe" and ".mlp.experts." in name:
                shape[1:] = shape[:0:-1]  # as it is published: transformers turns them when it loads them
            mean, spread = statistics(name, shape)
            values[name] = torch.from_numpy(generate(name, old.numel(), mean, spread).reshape(shape))
            tensors[name] = dict(shape=shape, mean=mean, spread=spread)
        save_file(values, path, metadata=dict(format="pt"))
        return type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval(), tensors


def golden(config, rewritten, instead=None, published=True):
    settings = dict(config)
    saved = SAVED_BY_OTHERS if instead else SAVED.get(settings["model_type"], {})
    cfg = AutoConfig.for_model(settings.pop("model_type"), **settings)
    # Falcon's eager attention adds ALiBi's biases twice: once to the scores, once in the mask.
    attention = "sdpa" if settings.get("alibi") else "eager"
    auto = AutoModelForImageTextToText if "text_config" in settings else AutoModelForCausalLM
    model = auto.from_config(cfg, dtype=torch.float32, attn_implementation=attention).eval()
    tensors = {}
    if config["model_type"] in BY_FILE or "text_config" in settings or not published:
        model, tensors = by_file(model, published)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the others know no float64
    with torch.no_grad():
        for name, parameter in [] if tensors else model.named_parameters():  # each once, however often it is used
            name = saved.get(name, name)
            mean, spread = statistics(name, parameter.shape)
            values = generate(name, parameter.numel(), mean, spread).reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
            tensors[name] = dict(shape=list(parameter.shape), mean=mean, spread=spread)
        tokens = [3 + (7 * i + i * i) % 20 for i in range(13)]
        logits = model.double()(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()
    written = json.loads(cfg.to_json_string())
    written["architectures"] = [type(model).__name__]
    written.update(rewritten)
    # A missing sliding_window or q_lora_rank is the class's, null is none.
    kept = {k: v for k, v in written.items() if v is not None or k in ("sliding_window", "q_lora_rank") and k in settings}
    return dict(config=instead or kept, tensors=tensors, tokens=tokens,
                logits=[[float(f"{x:.9g}") for x in row] for row in logits])


def write_goldens(cases, make):
    """make(case) of each of the cases, or of those that are asked for, beside this file."""
    for name, case in cases.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with open(os.path.join(HERE, name + ".json"), "w") as file:
            json.dump(make(case), file, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    write_goldens(CASES | PARTS, lambda case: golden(*case))
    write_goldens(OF_CLASS, lambda case: golden(*case[:2], published=False))
