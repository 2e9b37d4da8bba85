"""Makes data/node_cases.bin: ONNX's own node cases, those in Quern's scope.

usage: make_node_cases.py     needs onnx 1.23.2 and numpy
Left out are cases of strings, sequences and optionals, of training and of classical learning, and ten that want the numbers of a
random generator. What of the others does not pass is in node_case_exceptions.txt.
"""
import os, warnings

warnings.filterwarnings("ignore")
import onnx
from onnx.backend.test.case.node import collect_testcases

import node_cases

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def in_scope(case):
    if case.model is None or not case.data_sets:
        return False
    if any(word in case.name for word in ("bernoulli", "training_dropout")) and "zero_ratio" not in case.name:
        return False
    bad = {onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    for value in list(case.model.graph.input) + list(case.model.graph.output):
        if value.type.WhichOneof("value") != "tensor_type" or value.type.tensor_type.elem_type in bad:
            return False
    domains = ("ai.onnx.preview.training", "ai.onnx.ml")
    ops = ("ImageDecoder", "StringNormalizer", "RegexFullMatch", "Gradient")
    return not any(node.domain in domains or node.op_type in ops for node in case.model.graph.node)


def main():
    cases = []
    for case in sorted(filter(in_scope, collect_testcases(None)), key=lambda case: case.name):
        ((inputs, outputs),) = case.data_sets
        cases.append((case.name, case.model, inputs, outputs, case.rtol, case.atol))
    node_cases.write(os.path.join(HERE, "node_cases.bin"), cases)


if __name__ == "__main__":
    main()
