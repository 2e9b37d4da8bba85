"""Writes the goldens beside it: tiny models of every family, and their logits by transformers in float64.

usage: make_goldens.py        needs: torch, transformers

A golden is a JSON object: `config`, as config.json has it; `tensors`, by name, with their shapes, and
the mean and spread by which the generator of ir/weights/SyntheticWeights.h makes them (seed 1); `tokens`;
`logits`, one row a token. The test writes the model's files from it, imports them, and runs the module
in the interpreter, in float64 too. What is left between the two are the angles of rotary positions and the cosines, which
transformers has in float32: errors below 1e-5 of the logits' deviation. The test allows 1e-4.
"""
import json
import os
import sys

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 1
MASK = (1 << 64) - 1
DENSE = dict(vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MAMBA2 = dict(vocab_size=23, hidden_size=24, state_size=10, num_hidden_layers=3, expand=2, conv_kernel=4, num_heads=6,
              head_dim=8, n_groups=2, chunk_size=4)


def dense(model_type, **changes):
    return dict(DENSE, model_type=model_type, **changes)


def rope(**parameters):
    return dict(rope_parameters=dict(rope_theta=10000.0, **parameters))


# The second element is what the written config.json has in other words than transformers 5 writes.
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
    "llama-yarn-attention": (dense("llama", head_dim=16, **rope(rope_type="yarn", factor=4.0, attention_factor=1.3,
                                                                original_max_position_embeddings=16)), {}),
    "qwen2": (dense("qwen2"), {}),
    "qwen2-windows": (dense("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1,
                            hidden_act="gelu_pytorch_tanh"), {}),
    "qwen3": (dense("qwen3", head_dim=12), {}),
    "qwen3-bias-tied": (dense("qwen3", head_dim=6, attention_bias=True, tie_word_embeddings=True,
                              layer_types=["full_attention", "sliding_attention", "full_attention"],
                              use_sliding_window=True, sliding_window=3), {}),
    "mamba2": (dict(MAMBA2, model_type="mamba2"), {}),
    "mamba2-bias-limits": (dict(MAMBA2, model_type="mamba2", use_bias=True, use_conv_bias=False, n_groups=1, conv_kernel=3,
                                time_step_limit=(0.3, 0.9), tie_word_embeddings=True, hidden_act="gelu"), {}),
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
    special = dict(A_log=(0.5, 0.5), dt_bias=(-0.5, 0.5), D=(1.0, 0.3), bias=(0.0, 0.3))
    if last in special:
        return special[last]
    if len(shape) == 1:
        return 1.0, 0.2
    return 0.0, round(1.5 / float(np.sqrt(shape[-1])), 4)


def golden(config, rewritten):
    settings = dict(config)
    cfg = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(cfg, dtype=torch.float32, attn_implementation="eager").eval()
    tensors = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # each once, however often it is used
            mean, spread = statistics(name, parameter.shape)
            values = generate(name, parameter.numel(), mean, spread).reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
            tensors[name] = dict(shape=list(parameter.shape), mean=mean, spread=spread)
        tokens = [3 + (7 * i + i * i) % 20 for i in range(13)]
        logits = model.double()(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()
    written = json.loads(cfg.to_json_string())
    written["architectures"] = [type(model).__name__]
    written.update(rewritten)
    return dict(config={k: v for k, v in written.items() if v is not None}, tensors=tensors, tokens=tokens,
                logits=[[float(f"{x:.9g}") for x in row] for row in logits])


def main():
    for name, (config, rewritten) in CASES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with open(os.path.join(HERE, name + ".json"), "w") as file:
            json.dump(golden(config, rewritten), file, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    main()
