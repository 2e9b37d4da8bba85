"""Random models of published shapes, as GGUF of any type of weights: the same file for every engine.

Blocks are random bytes but for their float factors, which are such that weights are spread about as trained ones are: logits
stay finite and ordinary, and speed does not depend on the values.

A shape is an architecture of GGUF, the keys that it has there beside those that all have, and a function which names the
tensors of one layer.
"""
import os

# Where the float16 factors of a block are: of its codes, and, where it has one, of its min.
FACTORS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
           "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "IQ1_S": [0], "IQ1_M": [],
           "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "MXFP4": []}
LETTERS = list(dict.fromkeys(chr(b if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b else 256 + b) for b in range(256)))


class Shape:
    """`keys`: without the architecture's prefix; `layer(matrix, vector, i)` gives layer i its tensors by
    matrix(name, rows, columns, *more) and vector(name, size or shape, mean)."""

    def __init__(self, architecture, layers, hidden, vocab, keys, layer, tied=True):
        self.architecture, self.layers, self.hidden, self.vocab = architecture, layers, hidden, vocab
        self.keys, self.layer, self.tied = keys, layer, tied


def attention_keys(heads, kv_heads, head_dim, base):
    return {"attention.head_count": heads, "attention.head_count_kv": kv_heads, "rope.dimension_count": head_dim,
            "attention.key_length": head_dim, "attention.value_length": head_dim, "rope.freq_base": base}


def attention(matrix, vector, hidden, heads, kv_heads, head_dim, biased=False):
    for part, rows in (("q", heads * head_dim), ("k", kv_heads * head_dim), ("v", kv_heads * head_dim)):
        matrix("attn_" + part, rows, hidden)
        if biased:
            vector("attn_" + part + ".bias", rows)
    matrix("attn_output", hidden, heads * head_dim)


def gated_mlp(matrix, hidden, mlp):
    matrix("ffn_gate", mlp, hidden)
    matrix("ffn_up", mlp, hidden)
    matrix("ffn_down", hidden, mlp)


def dense(architecture, layers, hidden, mlp, heads, kv_heads, head_dim, vocab, base, tied=True, biased=False):
    def layer(matrix, vector, i):
        vector("attn_norm.weight", hidden, 1.0)
        attention(matrix, vector, hidden, heads, kv_heads, head_dim, biased)
        vector("ffn_norm.weight", hidden, 1.0)
        gated_mlp(matrix, hidden, mlp)

    keys = {"feed_forward_length": mlp, **attention_keys(heads, kv_heads, head_dim, base)}
    return Shape(architecture, layers, hidden, vocab, keys, layer, tied)


def experts(architecture, layers, hidden, mlp, count, used, heads, kv_heads, head_dim, vocab, base, tied, **keys):
    """A transformer whose every layer chooses `used` of `count` experts of `mlp` columns."""
    def layer(matrix, vector, i):
        vector("attn_norm.weight", hidden, 1.0)
        attention(matrix, vector, hidden, heads, kv_heads, head_dim)
        if architecture == "qwen3moe":
            vector("attn_q_norm.weight", head_dim, 1.0)
            vector("attn_k_norm.weight", head_dim, 1.0)
        vector("ffn_norm.weight", hidden, 1.0)
        vector("ffn_gate_inp.weight", (count, hidden), deviation=hidden ** -0.5)
        matrix("ffn_gate_exps", mlp, hidden, count)
        matrix("ffn_up_exps", mlp, hidden, count)
        matrix("ffn_down_exps", hidden, mlp, count)

    all_keys = {"feed_forward_length": mlp, "expert_feed_forward_length": mlp, "expert_count": count,
                "expert_used_count": used, **attention_keys(heads, kv_heads, head_dim, base), **keys}
    return Shape(architecture, layers, hidden, vocab, all_keys, layer, tied)


def mamba(layers, hidden, vocab, state=16, conv=4):
    inner, rank = 2 * hidden, -(-hidden // 16)

    def layer(matrix, vector, i):
        vector("attn_norm.weight", hidden, 1.0)
        matrix("ssm_in", 2 * inner, hidden)
        vector("ssm_conv1d.weight", (inner, conv), deviation=0.3)
        vector("ssm_conv1d.bias", inner)
        matrix("ssm_x", rank + 2 * state, inner)
        matrix("ssm_dt", inner, rank)
        vector("ssm_dt.bias", inner, -3.0)
        vector("ssm_a", (inner, state), -1.0)
        vector("ssm_d", inner, 1.0)
        matrix("ssm_out", hidden, inner)

    keys = {"feed_forward_length": 0, "attention.head_count": 0, "ssm.conv_kernel": conv, "ssm.inner_size": inner,
            "ssm.state_size": state, "ssm.time_step_rank": rank}
    return Shape("mamba", layers, hidden, vocab, keys, layer)


def mamba2_mixer(matrix, vector, hidden, inner, state, heads, groups, conv):
    mixed = inner + 2 * groups * state
    matrix("ssm_in", inner + mixed + heads, hidden)
    vector("ssm_conv1d.weight", (mixed, conv), deviation=0.3)
    vector("ssm_conv1d.bias", mixed)
    vector("ssm_dt.bias", heads, -3.0)
    vector("ssm_a", (heads, 1), -1.0)
    vector("ssm_d", (heads, 1), 1.0)
    vector("ssm_norm.weight", (groups, inner // groups), 1.0)
    matrix("ssm_out", hidden, inner)


def mamba2_keys(inner, state, heads, groups, conv):
    return {"ssm.conv_kernel": conv, "ssm.inner_size": inner, "ssm.state_size": state, "ssm.time_step_rank": heads,
            "ssm.group_count": groups}


def mamba2(layers, hidden, vocab, state=128, groups=1, conv=4):
    inner = 2 * hidden
    heads = inner // 64

    def layer(matrix, vector, i):
        vector("attn_norm.weight", hidden, 1.0)
        mamba2_mixer(matrix, vector, hidden, inner, state, heads, groups, conv)

    keys = {"feed_forward_length": 0, "attention.head_count": 0, **mamba2_keys(inner, state, heads, groups, conv)}
    return Shape("mamba2", layers, hidden, vocab, keys, layer)


def granite_hybrid(layers, hidden, mlp, ssm_heads, state, attends, heads, kv_heads, head_dim, vocab):
    """Granite 4's dense hybrids: Mamba-2, but attention without positions in the layers `attends`; a gated MLP in each."""
    inner = ssm_heads * 64

    def layer(matrix, vector, i):
        vector("attn_norm.weight", hidden, 1.0)
        if i in attends:
            attention(matrix, vector, hidden, heads, kv_heads, head_dim)
        else:
            mamba2_mixer(matrix, vector, hidden, inner, state, ssm_heads, 1, 4)
        vector("ffn_norm.weight", hidden, 1.0)
        gated_mlp(matrix, hidden, mlp)

    keys = {"feed_forward_length": mlp, **attention_keys(heads, kv_heads, head_dim, 10000.0),
            "attention.head_count_kv": [kv_heads if i in attends else 0 for i in range(layers)],
            "attention.scale": head_dim ** -0.5, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0,
            "rope.scaling.finetuned": False, **mamba2_keys(inner, state, ssm_heads, 1, 4)}
    return Shape("granitehybrid", layers, hidden, vocab, keys, layer)


SHAPES = {
    "llama-1b": dense("llama", 16, 2048, 8192, 32, 8, 64, 128256, 500000.0),
    "llama-1b-4-layers": dense("llama", 4, 2048, 8192, 32, 8, 64, 16000, 500000.0),
    "llama-3b": dense("llama", 28, 3072, 8192, 24, 8, 128, 128256, 500000.0),
    "qwen-0.5b": dense("qwen2", 24, 896, 4864, 14, 2, 64, 151936, 1000000.0, biased=True),
    "mamba-130m": mamba(24, 768, 50280),
    "mamba-1.4b": mamba(48, 2048, 50280),
    "mamba2-130m": mamba2(24, 768, 50288),
    "mamba2-1.3b": mamba2(48, 2048, 50288),
    "granite-h-350m": granite_hybrid(32, 768, 2048, 24, 128, (10, 13, 17, 27), 12, 4, 64, 100352),
    "granite-h-1b": granite_hybrid(40, 1536, 4096, 48, 128, (5, 15, 25, 35), 12, 4, 128, 100352),
    "granite-moe-1b": experts("granitemoe", 24, 1024, 512, 32, 8, 16, 8, 64, 49152, 10000.0, True, **{
        "attention.scale": 0.015625, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 6.0}),
    "qwen3-moe-4b": experts("qwen3moe", 16, 2048, 768, 48, 8, 32, 4, 128, 151936, 1000000.0, False),
}


def set_factors(raw, kind, factors):
    """Writes the float factors of all blocks: raw[..., bytes of a block]."""
    import numpy as np
    for at, factor in zip(FACTORS[kind], factors):
        raw[..., at:at + 2] = np.frombuffer(np.float16(factor).tobytes(), np.uint8)
    if kind == "MXFP4":  # a power of two
        raw[..., 0] = round(127 + np.log2(factors[0]))
    elif kind == "IQ1_M":  # a nibble in each of the four words of scales
        bits = int(np.float16(factors[0]).view(np.uint16))
        for word in range(4):
            raw[..., 49 + 2 * word] = raw[..., 49 + 2 * word] & 0x0F | (bits >> 4 * word & 0xF) << 4


def blocks(rng, kind, rows, columns, spread):
    """A matrix of random blocks whose weights deviate by `spread` about 0."""
    import gguf
    import numpy as np
    of = gguf.GGMLQuantizationType[kind]
    size, stored = gguf.GGML_QUANT_SIZES[of]
    raw = rng.integers(0, 256, (rows, columns // size, stored), np.uint8)
    sample = raw.reshape(-1, stored)[:256].copy()

    def values(*factors):
        set_factors(sample, kind, factors)
        return gguf.quants.dequantize(sample, of).astype(np.float64)

    # Values are linear in the factors: the min's is what makes their mean 0.
    factors = [1.0] if len(FACTORS[kind]) < 2 else [1.0, -values(1, 0).mean() / values(0, 1).mean()]
    deviation = values(*factors).std()
    set_factors(raw, kind, [factor * spread / deviation for factor in factors])
    return raw.reshape(rows, -1)


def add_key(out, key, value):
    """A value of the type that llama.cpp reads under any key: u32, f32, bool, or an array of the first."""
    if isinstance(value, bool):
        out.add_bool(key, value)
    elif isinstance(value, float):
        out.add_float32(key, value)
    elif isinstance(value, list):
        out.add_array(key, value)
    else:
        out.add_uint32(key, value)


def write(name, folder, kind="Q4_1", table=None):
    """The path of the model's file, written if it is not there. Its matrices are of that kind, and those of the vocabulary of
    another, if one is given."""
    path = os.path.join(folder, f"synthetic-{name}-{kind.lower()}.gguf")
    if os.path.exists(path):
        return path
    import gguf
    import numpy as np
    shape = SHAPES[name]
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(path + ".part", shape.architecture, use_temp_file=True)
    out.add_name(f"synthetic {name}")
    out.add_block_count(shape.layers)
    out.add_context_length(8192)
    out.add_embedding_length(shape.hidden)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(shape.vocab)
    for key, value in shape.keys.items():
        add_key(out, f"{shape.architecture}.{key}", value)
    # Byte-level tokens, then words that no text contains: enough for every engine to load.
    words = [f"<word {i}>" for i in range(shape.vocab - len(LETTERS) - 1)]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2" if shape.architecture.startswith("qwen") else "llama-bpe")
    out.add_token_list(LETTERS + [LETTERS[0] + LETTERS[1]] + words)
    out.add_token_types([1] * shape.vocab)
    out.add_token_merges([f"{LETTERS[0]} {LETTERS[1]}"])
    out.add_bos_token_id(shape.vocab - 2)
    out.add_eos_token_id(shape.vocab - 1)

    def matrix(tensor, rows, columns, *count, kind=kind):
        of = gguf.GGMLQuantizationType[kind]
        if columns % gguf.GGML_QUANT_SIZES[of][0]:  # llama.cpp leaves such a matrix in float, too
            vector(tensor + ".weight", (*count, rows, columns), deviation=columns ** -0.5)
            return
        raw = blocks(rng, kind, rows * (count[0] if count else 1), columns, columns ** -0.5)
        out.add_tensor(tensor + ".weight", raw.reshape(*count, rows, -1), raw_dtype=of)

    def vector(tensor, size, mean=0.0, deviation=0.02):
        out.add_tensor(tensor, (mean + deviation * rng.standard_normal(size)).astype(np.float32))

    matrix("token_embd", shape.vocab, shape.hidden, kind=table or kind)
    for i in range(shape.layers):
        block = f"blk.{i}."
        shape.layer(lambda tensor, *size, b=block: matrix(b + tensor, *size),
                    lambda tensor, *size, b=block, **spread: vector(b + tensor, *size, **spread), i)
    vector("output_norm.weight", shape.hidden, 1.0)
    if not shape.tied:
        matrix("output", shape.vocab, shape.hidden, kind=table or kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    os.replace(path + ".part", path)
    return path
