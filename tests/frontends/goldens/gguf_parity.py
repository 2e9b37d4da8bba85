"""Holds Quern to llama.cpp on GGUF files of every architecture: tiny models with random weights, made by transformers, converted by
llama.cpp's own converter, run by both.

usage: gguf_parity.py LLAMA_CPP [CASE...]        LLAMA_CPP: a checkout of llama.cpp, for its converter
needs: torch, transformers, gguf, llama_cpp; QUERN_BIN (default build/bin); quern and quern-run in there

Not a test of the test run, which has no torch: GgufImportTest.cpp holds the importer to transformers' logits on files written by a table of
its own. This is how that table, and what Quern thinks a GGUF file means, are held to llama.cpp itself.

Both run in float32, llama.cpp with a float32 cache too; what is left are orders of summation, below 1e-4 of the logits' deviation, and
llama.cpp's table of GELU with half-precision entries, which costs up to 1e-2 (its tanh form, where a model's is the exact one, no more). A
window, a base or a norm that is read wrongly costs more than 0.1.

The distances to transformers are printed, not judged: where the file says less than config.json did (windows of Mistral and StarCoder 2) or
its converter wrote something else (the epsilon of GLM), both programs are far from it, and equally so.
"""
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from make_goldens import SAVED, generate, statistics

BIN = os.environ.get("QUERN_BIN", "build/bin")
CONTEXT = 256  # llama.cpp's contexts are multiples of it
TOKENS = [3 + (7 * i + i * i) % 40 for i in range(48)]
DENSE = dict(vocab_size=48, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2, pad_token_id=0)
GPT2 = dict(vocab_size=48, n_embd=64, n_layer=3, n_head=4, n_positions=CONTEXT, bos_token_id=1, eos_token_id=2)
FALCON = dict(model_type="falcon", vocab_size=48, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, bos_token_id=1, eos_token_id=2)
SMOOTH, TABLE = 1e-4, 1e-2


def dense(model_type, **changes):
    return dict(DENSE, model_type=model_type, **changes)


def rope(**parameters):
    return dict(rope_parameters=dict(rope_theta=10000.0, **parameters))


def longrope(original):
    return dense("phi3", original_max_position_embeddings=original, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, short_factor=[1.0 + i / 8 for i in range(8)], long_factor=[2.0 + i for i in range(8)],
        original_max_position_embeddings=original))


# The second element is allowed; the third changes what config.json says to what published ones say.
CASES = {
    "llama": (dense("llama"), SMOOTH, {}),
    "llama-bias-tied": (dense("llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=True), SMOOTH, {}),
    "llama-llama3": (dense("llama", **rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                           original_max_position_embeddings=16)), SMOOTH, {}),
    "llama-linear": (dense("llama", **rope(rope_type="linear", factor=2.5)), SMOOTH, {}),
    "llama-yarn": (dense("llama", **rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)), SMOOTH, {}),
    "llama-yarn-betas": (dense("llama", **rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=8.0, beta_slow=0.5)),
                         SMOOTH, {}),
    "mistral": (dense("mistral", sliding_window=8, head_dim=20), SMOOTH, {}),
    "ministral3": (dense("ministral3", head_dim=16, **rope(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=8.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=1.3,
        llama_4_scaling_beta=0.1)), SMOOTH, {}),
    "qwen2": (dense("qwen2"), SMOOTH, {}),
    "qwen3": (dense("qwen3", head_dim=24), SMOOTH, {}),
    "gemma": (dense("gemma", head_dim=20), TABLE, {}),
    "gemma2": (dense("gemma2", head_dim=16, query_pre_attn_scalar=16, sliding_window=8, attn_logit_softcapping=2.0,
                     final_logit_softcapping=3.0), TABLE, {}),
    "gemma3": (dense("gemma3_text", head_dim=16, num_hidden_layers=7, query_pre_attn_scalar=16, sliding_window=8), TABLE, {}),
    "gemma3-linear": (dense("gemma3_text", head_dim=16, num_hidden_layers=7, query_pre_attn_scalar=16, sliding_window=8, rope_parameters=dict(
        full_attention=dict(rope_type="linear", factor=4.0, rope_theta=5e4), sliding_attention=dict(rope_type="default", rope_theta=500.0))),
        TABLE, {}),
    "phi": (dense("phi", num_key_value_heads=4, intermediate_size=256), TABLE, {}),
    "phi3": (dense("phi3", sliding_window=8, **rope(rope_type="default", original_max_position_embeddings=CONTEXT)), SMOOTH, {}),
    "phi3-short": (longrope(CONTEXT), SMOOTH, {}),
    "phi3-long": (longrope(64), SMOOTH, {}),
    "gpt2": (dict(GPT2, model_type="gpt2"), TABLE, dict(n_ctx=CONTEXT)),
    "gptneox": (dense("gpt_neox", num_key_value_heads=None, rotary_pct=0.25), TABLE, dict(rotary_pct=0.25)),
    "gptneox-sequential": (dense("gpt_neox", num_key_value_heads=None, rotary_pct=1.0, use_parallel_residual=False), TABLE,
                           dict(rotary_pct=1.0)),
    "bloom": (dict(model_type="bloom", vocab_size=48, hidden_size=96, n_layer=3, n_head=6), TABLE, {}),
    "mpt": (dict(model_type="mpt", vocab_size=48, d_model=72, n_layers=3, n_heads=6, max_seq_len=CONTEXT, attn_config=dict(clip_qkv=0.9)),
            TABLE, dict(architectures=["MPTForCausalLM"])),
    "falcon": (dict(FALCON), TABLE, dict(num_kv_heads=None)),
    "falcon-40b": (dict(FALCON, new_decoder_architecture=True, num_kv_heads=2), TABLE, {}),
    "falcon-11b": (dict(FALCON, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1), TABLE, {}),
    "stablelm": (dense("stablelm", partial_rotary_factor=0.25, use_qkv_bias=True), SMOOTH, {}),
    "stablelm-12b": (dense("stablelm", partial_rotary_factor=0.5, use_parallel_residual=True, qk_layernorm=True), SMOOTH, {}),
    "olmo": (dense("olmo", clip_qkv=0.8), SMOOTH, {}),
    "olmo2": (dense("olmo2"), SMOOTH, {}),
    "olmo3": (dense("olmo3", sliding_window=8), SMOOTH, {}),
    "olmo3-yarn": (dense("olmo3", sliding_window=8, rope_parameters=dict(
        full_attention=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0))), SMOOTH, {}),
    "smollm3": (dense("smollm3", num_hidden_layers=5), SMOOTH, {}),
    "granite": (dense("granite", embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.7, logits_scaling=1.7), SMOOTH, {}),
    "cohere": (dense("cohere"), SMOOTH, {}),
    "cohere2": (dense("cohere2", num_hidden_layers=5, sliding_window=8), SMOOTH, dict(rotary_pct=1.0)),
    "starcoder2": (dense("starcoder2", sliding_window=8), TABLE, {}),
    "glm": (dense("glm", head_dim=16, attention_bias=True), SMOOTH, dict(rope_theta=10000.0)),
    "glm4": (dense("glm4", head_dim=16, attention_bias=True), SMOOTH, {}),
    "nemotron": (dense("nemotron", head_dim=16), SMOOTH, {}),
    "exaone4": (dense("exaone4", sliding_window=None, layer_types=["full_attention"] * 4, tie_word_embeddings=True), SMOOTH, {}),
    "exaone4-32b": (dense("exaone4", num_hidden_layers=64, sliding_window=8), SMOOTH, {}),
    "exaone4-windows": (dense("exaone4", sliding_window=8), SMOOTH, {}),
    "ernie4_5": (dense("ernie4_5", head_dim=16), SMOOTH, {}),
    "hunyuan": (dense("hunyuan_v1_dense", head_dim=16), SMOOTH, {}),
    "mamba2": (dict(model_type="mamba2", vocab_size=48, hidden_size=64, state_size=16, num_hidden_layers=3, expand=2, conv_kernel=4, num_heads=8,
                    head_dim=16, n_groups=2, chunk_size=16), SMOOTH, {}),
}


def make_model(case, folder):
    """Saves the model; returns transformers' logits."""
    settings, _, published = CASES[case]
    settings = dict(settings)
    saved = SAVED.get(settings["model_type"], {})
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean, spread = statistics(saved.get(name, name), parameter.shape)
            parameter.copy_(torch.from_numpy(generate(name, parameter.numel(), mean, spread).reshape(parameter.shape)))
        logits = model(input_ids=torch.tensor([TOKENS]), use_cache=False).logits[0].float().numpy()
    model.save_pretrained(folder)
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        written = json.load(file)
    written.update(published)
    with open(path, "w") as file:
        json.dump({k: v for k, v in written.items() if v is not None}, file)
    return logits


def convert(llama_cpp_folder, folder, out, published):
    """Converts by llama.cpp's converter, without a vocabulary."""
    sys.path[:0] = [p for p in (llama_cpp_folder, os.path.join(llama_cpp_folder, "gguf-py")) if p not in sys.path]
    import conversion
    import gguf
    from pathlib import Path
    logging.disable(logging.WARNING)

    hparams = conversion.ModelBase.load_hparams(Path(folder), False)
    architecture = conversion.get_model_architecture(hparams, conversion.ModelType.TEXT)
    chosen = conversion.get_model_class(architecture)
    model = chosen(Path(folder), gguf.LlamaFileType.ALL_F32, Path(out))
    model = getattr(model, "impl", model)
    model.hparams.update({k: v for k, v in published.items() if v is not None})
    for key in (k for k, v in published.items() if v is None):
        model.hparams.pop(key, None)
    model.set_vocab = lambda: model.gguf_writer.add_tokenizer_model("none")

    modify = model.modify_tensors
    if architecture.startswith("Gemma3"):  # whose converter cuts the embeddings to the tokenizer's size
        def modify_tensors(tensor, name, bid):
            yield from conversion.TextModel.modify_tensors(model, tensor + model.norm_shift(name), name, bid)
        model.modify_tensors = modify_tensors
    if architecture.startswith("StableLm"):  # whose converter returns stacked norms where it should yield them
        def modify_tensors(tensor, name, bid):
            yield from (yield from modify(tensor, name, bid)) or ()
        model.modify_tensors = modify_tensors

    add, parameters = model.gguf_writer.add_vocab_size, model.set_gguf_parameters

    def set_gguf_parameters():
        said = []
        model.gguf_writer.add_vocab_size = lambda n: (said.append(n), add(n))
        parameters()
        if not said:
            add(hparams["vocab_size"])

    model.set_gguf_parameters = set_gguf_parameters
    model.write()


def llama_logits(path):
    import llama_cpp
    with contextlib.redirect_stderr(io.StringIO()):
        model = llama_cpp.Llama(path, n_ctx=CONTEXT, logits_all=True, verbose=False, type_k=0, type_v=0, n_threads=2, n_batch=len(TOKENS))
        model.eval(TOKENS)
        return np.array(model.scores[:len(TOKENS)], np.float32)


def quern_logits(path, folder, context):
    artifact, out = os.path.join(folder, "model.quern"), os.path.join(folder, "logits.npy")
    subprocess.run([f"{BIN}/quern", "compile", path, "-o", artifact, "-q", "-c", str(context)], check=True)
    tokens = ",".join(map(str, TOKENS))
    subprocess.run([f"{BIN}/quern-run", "logits", "-m", artifact, "--tokens", tokens, "-o", out], check=True)
    return np.load(out)


def main(llama_cpp_folder, *cases):
    failed = []
    for case in cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.gguf")
            try:
                theirs = make_model(case, folder)
                convert(llama_cpp_folder, folder, path, CASES[case][2])
                # Quern has Ministral 3 up to its original context.
                llama, quern = llama_logits(path), quern_logits(path, folder, 64 if case == "ministral3" else CONTEXT)
            except Exception as error:  # every case is reported
                failed.append(case)
                print(f"{case:20} FAILED {type(error).__name__}: {str(error)[:200]}", flush=True)
                continue
            distance = [float(np.abs(a - b).max() / llama.std()) for a, b in ((quern, llama), (quern, theirs), (llama, theirs))]
            allowed = CASES[case][1]
            if not distance[0] <= allowed:
                failed.append(case)
            print(f"{case:20} {'ok' if case not in failed else 'FAILED'}  Quern to llama.cpp {distance[0]:.1e} (allowed {allowed:.0e}), "
                  f"Quern to transformers {distance[1]:.1e}, llama.cpp to transformers {distance[2]:.1e}", flush=True)
    print(f"{len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
