"""Writes the goldens of quantized checkpoints: tiny models in each scheme, and their logits by transformers in float64.

usage: make_quantized_goldens.py [NAME...]        needs: torch, transformers; cross-checks with what is installed of
                                                  compressed_tensors, bitsandbytes, gptqmodel and awq

A golden is what make_goldens.py says. Tensors may have a `dtype`, as safetensors spells it, and their values are floats of
the generator rounded to it (`mean`, `spread`); or the generator's bits, `bits` of them for each element of the file, of which
`and` and `or` make what the scheme allows; or `values`; or the bytes of a `text`. The logits are those of the model whose
weights are dequantized here, by the formulas that the schemes publish, in the arithmetic of float32: one multiplication of
the scale as stored with an integer. Libraries multiply in the scale's type, 16 bits, and round again; where one is there, it
is given scales of float32 and must give the same bits.
"""
import json
import sys

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import make_goldens as goldens
from make_goldens import MASK, SEED, mix, write_goldens

LLAMA = dict(model_type="llama", vocab_size=23, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
GPT2 = dict(model_type="gpt2", vocab_size=23, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2)
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
KINDS = dict(F32=np.float32, F16=np.float16, I8=np.int8, U8=np.uint8, I32=np.int32, I64=np.int64)


def random_bits(name, count):
    """64 bits for each element: what SyntheticWeights.h makes a float of."""
    fnv = 0xCBF29CE484222325
    for byte in name.encode():
        fnv = ((fnv ^ byte) * 0x100000001B3) & MASK
    key = mix(mix((SEED + 0x9E3779B97F4A7C15) & MASK) ^ fnv)
    return np.array([mix((key + (i + 1) * 0x9E3779B97F4A7C15) & MASK) for i in range(count)], np.uint64)


def bf16(values):
    return torch.from_numpy(values).bfloat16()


class Checkpoint:
    """Tensors as the golden describes them, and their values."""

    def __init__(self):
        self.described = {}

    def describe(self, name, **entry):
        self.described[name] = entry

    def floats(self, name, shape, dtype, mean, spread):
        self.describe(name, shape=list(shape), dtype=dtype, mean=mean, spread=spread)
        values = goldens.generate(name, int(np.prod(shape)), mean, spread).reshape(shape)
        return {"F32": lambda: values, "F16": lambda: values.astype(np.float16).astype(np.float32),
                "BF16": lambda: bf16(values).float().numpy()}[dtype]()

    def bits(self, name, shape, dtype, width, keep=None, put=0):
        keep = (1 << width) - 1 if keep is None else keep
        self.describe(name, shape=list(shape), dtype=dtype, bits=width, **{"and": keep, "or": put})
        words = (random_bits(name, int(np.prod(shape))) & np.uint64(keep)) | np.uint64(put)
        return words.astype(np.uint32 if width == 32 else np.uint8).reshape(shape)

    def values(self, name, dtype, values):
        values = np.array(values)
        self.describe(name, shape=list(values.shape), dtype=dtype, values=values.reshape(-1).tolist())
        return values

    def text(self, name, text):
        self.describe(name, shape=[len(text)], dtype="U8", text=text)


def unpack(words, bits, count):
    """Codes of `bits` bits from uint32 words along the last axis, lowest bits first."""
    stream = (words[..., None] >> np.arange(32, dtype=np.uint32) & 1).reshape(*words.shape[:-1], -1)
    codes = stream[..., :count * bits].reshape(*words.shape[:-1], count, bits)
    return (codes << np.arange(bits)).sum(-1).astype(np.int64)


def product(codes, zeros, scales):
    return scales.astype(np.float32) * (codes - zeros).astype(np.float32)


# ---- the schemes: each makes the tensors of a module, and returns its weight [outputs, inputs] --------------------------------

def gptq(bits=4, group=32, sym=True, dtype="F16", less_one=True, order=None):
    def make(out, module, outputs, inputs):
        size = inputs if group < 0 else group
        groups = inputs // size
        qweight = out.bits(module + ".qweight", (inputs * bits // 32, outputs), "I32", 32)
        qzeros_shape = (groups, outputs * bits // 32)
        if sym:
            zero = (1 << (bits - 1)) - less_one
            words = sum(zero << (bits * i) for i in range(32 // bits))
            qzeros = out.bits(module + ".qzeros", qzeros_shape, "I32", 32, 0, words)
        else:
            qzeros = out.bits(module + ".qzeros", qzeros_shape, "I32", 32)
        scales = out.floats(module + ".scales", (groups, outputs), dtype, 0.5 / (1 << bits), 0.12 / (1 << bits))
        index = [k // size for k in range(inputs)]
        if order:
            index = [(k * order + k // 3) % groups for k in range(inputs)]
        index = out.values(module + ".g_idx", "I32", index)
        codes = unpack(qweight.T, bits, inputs).T  # [inputs, outputs]
        zeros = (unpack(qzeros, bits, outputs) + less_one) % (1 << bits)
        weight = product(codes, zeros[index], scales[index])
        return weight.T
    return make


def awq(group=32):
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def codes_of(words):
        nibbles = unpack(words[..., None], 4, 8)  # [..., words, 8], as stored
        codes = np.empty_like(nibbles)
        codes[..., order] = nibbles
        return codes.reshape(words.shape[0], -1)

    def make(out, module, outputs, inputs):
        qweight = out.bits(module + ".qweight", (inputs, outputs // 8), "I32", 32)
        qzeros = out.bits(module + ".qzeros", (inputs // group, outputs // 8), "I32", 32)
        scales = out.floats(module + ".scales", (inputs // group, outputs), "F16", 0.032, 0.008)
        index = np.arange(inputs) // group
        weight = product(codes_of(qweight), codes_of(qzeros)[index], scales[index]).T
        try:
            from awq.utils.packing_utils import dequantize_gemm
        except ImportError:
            return weight
        theirs = dequantize_gemm(torch.from_numpy(qweight.view(np.int32)), torch.from_numpy(qzeros.view(np.int32)),
                                 torch.from_numpy(scales), 4, group)
        checked("awq", weight, theirs.T)
        return weight
    return make


def compressed(bits, group=0, sym=True, dtype="BF16", packed=True, strategy=None):
    strategy = strategy or ("group" if group else "channel")

    def make(out, module, outputs, inputs):
        half = 1 << (bits - 1)
        groups = inputs // group if group else 1
        scale_shape = (1,) if strategy == "tensor" else (outputs, groups)
        if packed:
            words = out.bits(module + ".weight_packed", (outputs, -(-inputs * bits // 32)), "I32", 32)
            out.values(module + ".weight_shape", "I64", [outputs, inputs])
            signed = unpack(words, bits, inputs) - half
        else:
            signed = out.bits(module + ".weight", (outputs, inputs), "I8", 8).view(np.int8).astype(np.int64)
        scales = out.floats(module + ".weight_scale", scale_shape, dtype, 0.5 / (1 << bits), 0.12 / (1 << bits))
        zeros, state = np.zeros(scale_shape, np.int64), {}
        if not sym and packed and strategy != "tensor":
            zero_words = out.bits(module + ".weight_zero_point", (-(-outputs * bits // 32), groups), "I32", 32)
            zeros = unpack(zero_words.T, bits, outputs).T - half
            state["weight_zero_point"] = torch.from_numpy(zero_words.view(np.int32))
        elif not sym:
            zeros = out.bits(module + ".weight_zero_point", scale_shape, "I8", 8).view(np.int8).astype(np.int64)
            state["weight_zero_point"] = torch.from_numpy(zeros.astype(np.int8))
        def spread(a):
            return np.repeat(a, inputs // groups, axis=-1) if a.ndim == 2 else a
        weight = product(signed, spread(zeros), spread(scales))
        check_compressed(weight, scales, state, words if packed else signed, packed,
                         dict(num_bits=bits, symmetric=sym, strategy=strategy, group_size=group or None))
        return weight
    return make


def check_compressed(weight, scales, state, codes, packed, args):
    try:
        from compressed_tensors.compressors.naive_quantized import NaiveQuantizationCompressor
        from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    except ImportError:
        return
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    state["weight_scale"] = torch.from_numpy(scales)
    if packed:
        state["weight_packed"] = torch.from_numpy(codes.view(np.int32))
        state["weight_shape"] = torch.tensor(weight.shape)
        theirs = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
    else:
        state["weight"] = torch.from_numpy(codes.astype(np.int8))
        theirs = NaiveQuantizationCompressor.decompress(state, scheme)["weight"]
    checked("compressed_tensors", weight, theirs)


def bits_and_bytes(nested, block=64):
    def make(out, module, outputs, inputs):
        count = outputs * inputs
        name = module + ".weight"
        packed = out.bits(name, (count // 2, 1), "U8", 8)
        table = out.values(name + ".quant_map", "F32", NF4).astype(np.float32)
        blocks = -(-count // block)
        state = dict(quant_type="nf4", blocksize=block, dtype="float16", shape=[outputs, inputs])
        if nested:
            absmax = out.bits(name + ".absmax", (blocks,), "U8", 8)
            nested_map = out.floats(name + ".nested_quant_map", (256,), "F32", 0.0, 0.5)
            nested_absmax = out.floats(name + ".nested_absmax", (-(-blocks // 256),), "F32", 0.1, 0.02)
            state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=0.375244140625)
            scales = nested_map[absmax] * np.repeat(nested_absmax, 256)[:blocks] + np.float32(state["nested_offset"])
        else:
            scales = out.floats(name + ".absmax", (blocks,), "F32", 0.4, 0.1)
        out.text(name + ".quant_state.bitsandbytes__nf4", json.dumps(state))
        codes = np.stack([packed >> 4, packed & 15], -1).reshape(-1)
        weight = (table[codes] * np.repeat(scales, block)[:count]).reshape(outputs, inputs)
        try:
            from bitsandbytes.functional import QuantState, dequantize_4bit
        except ImportError:
            return weight
        if nested:
            nest = QuantState(absmax=torch.from_numpy(nested_absmax), code=torch.from_numpy(nested_map), blocksize=256,
                              dtype=torch.float32)
            quant = QuantState(absmax=torch.from_numpy(absmax), shape=torch.Size((outputs, inputs)), dtype=torch.float32,
                               blocksize=block, quant_type="nf4", code=torch.from_numpy(table), state2=nest,
                               offset=torch.tensor(state["nested_offset"]))
        else:
            quant = QuantState(absmax=torch.from_numpy(scales), shape=torch.Size((outputs, inputs)), dtype=torch.float32,
                               blocksize=block, quant_type="nf4", code=torch.from_numpy(table))
        checked("bitsandbytes", weight, dequantize_4bit(torch.from_numpy(packed), quant))
        return weight
    return make


def fp8(block, scale="F32"):
    def make(out, module, outputs, inputs):
        # One bit of the exponent stays clear: no NaN, and nothing of 2 or above.
        codes = out.bits(module + ".weight", (outputs, inputs), "F8_E4M3", 8, 0xBF)
        values = torch.from_numpy(codes).view(torch.float8_e4m3fn).float().numpy()
        shape = (-(-outputs // block[0]), -(-inputs // block[1])) if block else (1,)
        name = module + ".weight_scale_inv"
        if scale == "F8_E8M0":
            exponents = out.bits(name, shape, scale, 8, 3, 124)
            scales = np.exp2(exponents.astype(np.float32) - 127)
        else:
            scales = out.floats(name, shape, scale, 0.4, 0.1)
        if block:
            scales = np.repeat(np.repeat(scales, block[0], 0)[:outputs], block[1], 1)[:, :inputs]
        return values * scales
    return make


def checked(library, ours, theirs):
    if not np.array_equal(ours, theirs.float().numpy()):
        sys.exit(f"{library} dequantizes to other values, by {np.abs(ours - theirs.float().numpy()).max()}")
    CHECKED.add(library)


CHECKED = set()


def scheme_args(bits, **changes):
    return dict(num_bits=bits, type="int", symmetric=True, strategy="channel", group_size=None, dynamic=False, actorder=None,
                block_structure=None, observer="minmax", observer_kwargs={}) | changes


def group_config(targets, weights, form=None):
    return dict(targets=targets, weights=weights, input_activations=None, output_activations=None, format=form)


def ct_config(form, groups):
    return dict(quant_method="compressed-tensors", format=form, quantization_status="compressed", ignore=["re:.*lm_head"],
                kv_cache_scheme=None, global_compression_ratio=None, sparsity_config={}, transform_config={}, version="0.12.2",
                config_groups={f"group_{i}": g for i, g in enumerate(groups)})


GPTQ = dict(quant_method="gptq", bits=4, group_size=32, damp_percent=0.01, desc_act=False, sym=True, true_sequential=True,
            checkpoint_format="gptq", meta=dict(quantizer=["gptqmodel:5.0.0"]))
BNB = dict(quant_method="bitsandbytes", load_in_4bit=True, load_in_8bit=False, bnb_4bit_quant_type="nf4",
           bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="bfloat16", bnb_4bit_quant_storage="uint8",
           llm_int8_skip_modules=None, llm_int8_threshold=6.0)
INT4 = scheme_args(4, strategy="group", group_size=32)

# Config, quantization_config, and the scheme of a module by its name (None: the module is left as it is).
CASES = {
    "llama-gptq": (LLAMA, GPTQ, gptq()),
    "llama-gptq-asym": (LLAMA, dict(GPTQ, sym=False), gptq(sym=False)),
    "llama-gptq-act-order": (LLAMA, dict(GPTQ, desc_act=True, sym=False, checkpoint_format="gptq_v2"),
                             gptq(sym=False, less_one=False, order=5)),
    "llama-gptq-8bit": (LLAMA, dict(GPTQ, bits=8, group_size=-1), gptq(bits=8, group=-1)),
    "llama-gptq-8bit-asym": (LLAMA, dict(GPTQ, bits=8, sym=False), gptq(bits=8, sym=False, dtype="BF16")),
    "llama-gptq-3bit": (LLAMA, dict(GPTQ, bits=3, sym=False), gptq(bits=3, sym=False)),
    "llama-gptq-f32": (LLAMA, dict(GPTQ, sym=False), gptq(sym=False, dtype="F32")),
    "gpt2-gptq": (GPT2, GPTQ, gptq()),
    "llama-awq": (LLAMA, dict(quant_method="awq", bits=4, group_size=32, version="gemm", zero_point=True,
                              modules_to_not_convert=None), awq()),
    "llama-ct-int4": (LLAMA, ct_config("pack-quantized", [
        group_config(["Linear"], INT4), group_config(["re:.*mlp.(up|gate)_proj"], scheme_args(8), "pack-quantized")]),
        lambda m: compressed(8) if "up_proj" in m or "gate_proj" in m else compressed(4, 32)),
    "llama-ct-int4-asym": (LLAMA, ct_config("pack-quantized", [group_config(["Linear"], scheme_args(4, symmetric=False))]),
                           compressed(4, sym=False, dtype="F16")),
    "llama-ct-int8": (LLAMA, ct_config("int-quantized", [
        group_config(["Linear"], scheme_args(8)),
        group_config(["model.layers.0.mlp.down_proj"], scheme_args(8, strategy="tensor", symmetric=False))]),
        lambda m: compressed(8, packed=False, strategy="tensor", sym=False) if m == "model.layers.0.mlp.down_proj"
        else compressed(8, packed=False)),
    "llama-bnb": (LLAMA, BNB, bits_and_bytes(True)),
    "llama-bnb-plain-absmax": (LLAMA, dict(BNB, bnb_4bit_use_double_quant=False), bits_and_bytes(False, 128)),
    "llama-fp8": (LLAMA, dict(quant_method="fp8", activation_scheme="dynamic", weight_block_size=[40, 48], fmt="e4m3",
                              modules_to_not_convert=["lm_head"]), fp8((40, 48))),
    "llama-fp8-powers": (LLAMA, dict(quant_method="fp8", activation_scheme="dynamic", weight_block_size=[32, 64]),
                         fp8((32, 64), "F8_E8M0")),
}


def golden(config, quantization, scheme):
    settings = dict(config)
    cfg = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(cfg, dtype=torch.float32, attn_implementation="eager").eval()
    out = Checkpoint()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            module, last = name.rsplit(".", 1)
            conv1d = type(model.get_submodule(module)).__name__ == "Conv1D"
            linear = conv1d or isinstance(model.get_submodule(module), torch.nn.Linear)
            if last == "weight" and linear and "lm_head" not in module:
                shape = tuple(parameter.shape[::-1] if conv1d else parameter.shape)
                made = scheme(module) if scheme.__code__.co_argcount == 1 else scheme
                weight = made(out, module, *shape).astype(np.float32)
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weight.T if conv1d else weight)))
            else:
                mean, spread = goldens.statistics(name, parameter.shape)
                parameter.copy_(torch.from_numpy(out.floats(name, tuple(parameter.shape), "F32", mean, spread)))
        tokens = [3 + (7 * i + i * i) % 20 for i in range(13)]
        logits = model.double()(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()
    written = json.loads(cfg.to_json_string())
    written["architectures"] = [type(model).__name__]
    written["quantization_config"] = quantization
    return dict(config={k: v for k, v in written.items() if v is not None}, tensors=out.described, tokens=tokens,
                logits=[[float(f"{x:.9g}") for x in row] for row in logits])


if __name__ == "__main__":
    write_goldens(CASES, lambda case: golden(*case))
    print("libraries that agreed:", ", ".join(sorted(CHECKED)) or "none was there")
