#!/usr/bin/env python3
"""Writes gguf_blocks.bin: random GGUF blocks and what the `gguf` package decodes them to.

Needs numpy and gguf (0.17 or newer); run from this folder: python3 make_goldens.py
For each format: its name padded with zeros to 8 bytes, u32 bytes of blocks, u32 floats, the blocks, the float32
values; all little-endian. The blocks are random bytes, so every code and every 6-bit scale occurs; only the f16
scales are drawn from a sane range (with both signs, and subnormals), since random ones would mostly be huge or NaN.
"""

import struct

import gguf
import numpy as np

BLOCKS = 3
# name, the offsets of f16 fields in a block
FORMATS = {
    "q4_0": [0],
    "q4_1": [0, 2],
    "q5_0": [0],
    "q5_1": [0, 2],
    "q8_0": [0],
    "q4_k": [0, 2],
    "q5_k": [0, 2],
    "q6_k": [208],
    "q2_k": [80, 82],
    "q3_k": [108],
    "iq4_nl": [0],
    "iq4_xs": [0],
    "mxfp4": [],
    "tq1_0": [52],
    "tq2_0": [64],
    "nvfp4": [],
    "iq1_s": [0],
    "iq1_m": [],
    "iq2_xxs": [0],
    "iq2_xs": [0],
    "iq2_s": [0],
    "iq3_xxs": [0],
    "iq3_s": [0],
}


def main():
    random = np.random.default_rng(20240229)
    with open("gguf_blocks.bin", "wb") as out:
        for name, halves in FORMATS.items():
            kind = gguf.GGMLQuantizationType[name.upper()]
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            count = BLOCKS if elements == 256 else 2 * BLOCKS
            blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
            for offset in halves:
                scales = random.standard_normal(count).astype(np.float16)
                scales[-1] = np.float16(3.1e-6)  # subnormal in f16
                blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
            if name == "iq1_m":  # its f16 field is the high nibbles of four bytes, the lowest one's first
                scales = random.standard_normal(count).astype(np.float16).view(np.uint16)
                for i in range(4):
                    nibbles = scales >> 4 * i & 15
                    blocks[:, 49 + 2 * i] = blocks[:, 49 + 2 * i] & 15 | nibbles.astype(np.uint8) << 4
            if name == "mxfp4":  # exponents around 1, and the two whose scales are subnormal
                blocks[:, 0] = [0, 1, 2, 120, 127, 135]
            if name == "nvfp4":  # nothing, the least number, and what means nothing without a sign
                blocks[0, :4] = [0, 1, 0x7F, 0xFF]
            values = gguf.quants.dequantize(blocks.reshape(1, -1), kind)
            values = values.astype("<f4").reshape(-1)
            assert values.size == count * elements and np.isfinite(values).all()
            out.write(name.encode().ljust(8, b"\0"))
            out.write(struct.pack("<II", blocks.size, values.size))
            out.write(blocks.tobytes())
            out.write(values.tobytes())


if __name__ == "__main__":
    main()
