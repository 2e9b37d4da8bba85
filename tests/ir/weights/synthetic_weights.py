#!/usr/bin/env python3
"""Quern's synthetic weights in Python, bit for bit; ir/weights/SyntheticWeights.h defines them.

As a module: generate(seed, name, first, n, scale, offset) -> float32 array. As a script it prints the goldens that
SyntheticWeightsTest.cpp holds. Needs numpy.
"""

import numpy as np

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def _mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def _fnv(text):
    hash = 0xCBF29CE484222325
    for byte in text.encode():
        hash = ((hash ^ byte) * 0x100000001B3) & MASK
    return hash


def key(seed, name):
    return _mix(_mix((seed + GOLDEN) & MASK) ^ _fnv(name))


def generate(seed, name, first, n, scale=1.0, offset=0.0):
    with np.errstate(over="ignore"):
        z = np.uint64(key(seed, name)) + np.arange(first + 1, first + n + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    quarters = z.view(np.uint16).reshape(-1, 4).astype(np.int32)
    unit = (quarters.sum(axis=1, dtype=np.int32) - np.int32(131070)).astype(np.float32)
    return unit * np.float32(float.fromhex("0x1.bb67aep-16")) * np.float32(scale) + np.float32(offset)


if __name__ == "__main__":
    print(hex(key(7, "blk.0.attn_q.weight")))
    for value in generate(7, "blk.0.attn_q.weight", 1000, 8, 0.02, 0.125):
        print(float(value).hex())
