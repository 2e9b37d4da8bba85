"""Random models of published shapes, as GGUF with Q4_1 weights: the same file for every engine.

Blocks are random codes with one scale and min a block, such that weights are spread about as trained ones are: logits stay
finite and ordinary, and speed does not depend on the values.
"""
import os

# layers, hidden, mlp, heads, kv heads, head dim, vocabulary, rope base, tied head, biases of q, k, v
SHAPES = {
    "llama-1b": ("llama", 16, 2048, 8192, 32, 8, 64, 128256, 500000.0, True, False),
    "llama-3b": ("llama", 28, 3072, 8192, 24, 8, 128, 128256, 500000.0, True, False),
    "qwen-0.5b": ("qwen2", 24, 896, 4864, 14, 2, 64, 151936, 1000000.0, True, True),
}
BLOCK, BLOCK_BYTES = 32, 20


def q4_1(rng, rows, columns, spread):
    import numpy as np
    count = rows * columns // BLOCK
    blocks = np.empty((count, BLOCK_BYTES), np.uint8)
    scale = (spread / 4.6) * (0.75 + 0.5 * rng.random(count, np.float32))  # codes 0..15 deviate by 4.6
    blocks[:, 0:2] = scale.astype(np.float16).view(np.uint8).reshape(count, 2)
    blocks[:, 2:4] = (-7.5 * scale).astype(np.float16).view(np.uint8).reshape(count, 2)
    blocks[:, 4:] = rng.integers(0, 256, (count, 16), np.uint8)
    return blocks.reshape(rows, columns // BLOCK * BLOCK_BYTES)


def write(name, folder):
    """The path of the model's file, written if it is not there."""
    path = os.path.join(folder, f"synthetic-{name}-q4_1.gguf")
    if os.path.exists(path):
        return path
    import gguf
    import numpy as np
    architecture, layers, hidden, mlp, heads, kv_heads, head_dim, vocab, base, tied, biased = SHAPES[name]
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(path + ".part", architecture, use_temp_file=True)
    out.add_name(f"synthetic {name}")
    out.add_block_count(layers)
    out.add_context_length(8192)
    out.add_embedding_length(hidden)
    out.add_feed_forward_length(mlp)
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_rope_dimension_count(head_dim)
    out.add_rope_freq_base(base)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(vocab)
    # Byte-level tokens, then words that no text contains: enough for every engine to load.
    letters = [chr(b if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b else 256 + b) for b in range(256)]
    letters = list(dict.fromkeys(letters))
    tokens = letters + [letters[0] + letters[1]] + [f"<word {i}>" for i in range(vocab - len(letters) - 1)]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("llama-bpe" if architecture == "llama" else "qwen2")
    out.add_token_list(tokens)
    out.add_token_types([1] * vocab)
    out.add_token_merges([f"{letters[0]} {letters[1]}"])
    out.add_bos_token_id(vocab - 2)
    out.add_eos_token_id(vocab - 1)

    def matrix(tensor, rows, columns):
        out.add_tensor(tensor + ".weight", q4_1(rng, rows, columns, columns ** -0.5),
                       raw_dtype=gguf.GGMLQuantizationType.Q4_1)

    def vector(tensor, size, mean=0.0):
        out.add_tensor(tensor, (mean + 0.02 * rng.standard_normal(size)).astype(np.float32))

    matrix("token_embd", vocab, hidden)
    for i in range(layers):
        block = f"blk.{i}."
        vector(block + "attn_norm.weight", hidden, 1.0)
        for part, rows in (("q", heads * head_dim), ("k", kv_heads * head_dim), ("v", kv_heads * head_dim)):
            matrix(block + "attn_" + part, rows, hidden)
            if biased:
                vector(block + "attn_" + part + ".bias", rows)
        matrix(block + "attn_output", hidden, heads * head_dim)
        vector(block + "ffn_norm.weight", hidden, 1.0)
        matrix(block + "ffn_gate", mlp, hidden)
        matrix(block + "ffn_up", mlp, hidden)
        matrix(block + "ffn_down", hidden, mlp)
    vector("output_norm.weight", hidden, 1.0)
    if not tied:
        matrix("output", vocab, hidden)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    os.replace(path + ".part", path)
    return path
