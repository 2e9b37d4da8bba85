"""Writes ONNX's own node cases as files that tests/frontends/onnx/NodeCasesMain.cpp reads.

usage: make_node_cases.py FOLDER     needs the package onnx of PyPI (1.23.2)
A case is a folder: model.onnx, input_N.pb and output_N.pb (TensorProto; no file for an input that is left out), and
tolerance with its rtol and atol. Cases out of Quern's scope (strings, sequences, optionals, training) are left out.
"""
import os, sys, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def in_scope(model):
    bad = {onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    for value in list(model.graph.input) + list(model.graph.output):
        if value.type.WhichOneof("value") != "tensor_type" or value.type.tensor_type.elem_type in bad:
            return False
    domains = ("ai.onnx.preview.training", "ai.onnx.ml")
    ops = ("ImageDecoder", "StringNormalizer", "RegexFullMatch", "Gradient")
    return not any(node.domain in domains or node.op_type in ops for node in model.graph.node)


def write(path, name, value, declared):
    if not isinstance(value, onnx.TensorProto):
        value = numpy_helper.from_array(np.asarray(value), name)
    value.name = name
    with open(path, "wb") as file:
        file.write(value.SerializeToString())


def main(folder):
    count = 0
    for case in collect_testcases(None):
        if case.model is None or not case.data_sets or not in_scope(case.model):
            continue
        if any(word in case.name for word in ("bernoulli", "training_dropout")) and "zero_ratio" not in case.name:
            continue  # they want the numbers of a random generator
        path = os.path.join(folder, case.name)
        os.makedirs(path, exist_ok=True)
        onnx.save(case.model, os.path.join(path, "model.onnx"))
        inputs, outputs = case.data_sets[0]
        for i, (value, x) in enumerate(zip(case.model.graph.input, inputs)):
            if x is not None:
                write(os.path.join(path, f"input_{i}.pb"), value.name, x, value)
        for i, (value, y) in enumerate(zip(case.model.graph.output, outputs)):
            write(os.path.join(path, f"output_{i}.pb"), value.name, y, value)
        with open(os.path.join(path, "tolerance"), "w") as file:
            file.write(f"{case.rtol} {case.atol}\n")
        count += 1
    print(count, "cases")


if __name__ == "__main__":
    main(sys.argv[1])
