"""Cases of one node each, or a few, in one file that NodeCases.h reads: small models, what goes in and what comes out.

A file is a line that names it and four sections, each two uint32 (its bytes, its bytes packed by zlib) and the packed bytes:
a text with a line for every case, input and output, the models one after the other, float32 numbers (all first bytes, then all
second ones ...), and the bytes of all other tensors. Numbers that lie in another tensor's are not written again, and those that
NumPy's generator gives from the seed 0 on, which ONNX's cases begin with, not at all.
"""
import struct, zlib
import numpy as np
import onnx
from onnx import numpy_helper

FIRST_LINE = b"quern node cases 1\n"


def tensor(name, value):
    if not isinstance(value, onnx.TensorProto):
        value = numpy_helper.from_array(np.asarray(value), name)
    if not value.HasField("raw_data"):
        value = numpy_helper.from_array(numpy_helper.to_array(value), name)
    return value


def find(haystack, raw):
    found = haystack.find(raw)
    while found % 4 and found >= 0:
        found = haystack.find(raw, found + 1)
    return found


class Pool:
    """Bytes of many tensors, longest first; `at` has a letter and a place: p of the pool, n and u of what is made again."""

    def __init__(self, tensors, made):
        self.bytes, self.at = b"", {}
        for raw in sorted(set(tensors), key=lambda raw: (-len(raw), raw)):
            for letter, stream in made.items() if len(raw) >= 32 else ():
                if raw not in self.at and find(stream, raw) >= 0:
                    self.at[raw] = f"{letter}{find(stream, raw)}"
            if raw in self.at:
                continue
            if find(self.bytes, raw) < 0:
                self.bytes += raw + b"\0" * (-len(raw) % 4)
            self.at[raw] = f"p{find(self.bytes, raw)}"


def made_again(count=1 << 17):
    """The first normal and the first uniform numbers, as float32."""
    random = lambda: np.random.RandomState(0)
    return {"n": random().randn(count).astype("<f4").tobytes(), "u": random().rand(count).astype("<f4").tobytes()}


def section(raw):
    packed = zlib.compress(raw, 9)
    return struct.pack("<II", len(raw), len(packed)) + packed


def write(path, cases):
    """`cases`: (name, model, inputs, outputs, rtol, atol), where an input that is left out is None."""
    rows, models, numbers = [], b"", []
    for name, model, inputs, outputs, rtol, atol in cases:
        raw = model.SerializeToString()
        rows.append((f"case {rtol} {atol} {len(models)} {len(raw)} {name}", None))
        models += raw
        for kind, declared, given in (("input", model.graph.input, inputs), ("output", model.graph.output, outputs)):
            for value, x in zip(declared, given):
                if x is not None:
                    x = tensor(value.name, x)
                    numbers.append((x.data_type, x.raw_data))
                    shape = "x".join(map(str, x.dims)) or "-"
                    rows.append((f"{kind} {x.data_type} {shape} %s {len(x.raw_data)} {value.name}", numbers[-1]))
    floats = Pool((raw for kind, raw in numbers if kind == onnx.TensorProto.FLOAT), made_again())
    others = Pool((raw for kind, raw in numbers if kind != onnx.TensorProto.FLOAT), {})
    text = ""
    for row, number in rows:
        if number is not None:
            row = row % (floats if number[0] == onnx.TensorProto.FLOAT else others).at[number[1]]
        text += row + "\n"
    planes = np.frombuffer(floats.bytes, np.uint8).reshape(-1, 4).T.tobytes()
    with open(path, "wb") as file:
        file.write(FIRST_LINE)
        for raw in (text.encode(), models, planes, others.bytes):
            file.write(section(raw))
        print(f"{path}: {sum(row.startswith('case') for row, _ in rows)} cases, {file.tell()} bytes")
