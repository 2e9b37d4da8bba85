#!/usr/bin/env python3
"""Writes activations.json: transformers' activation functions, every one that has no parameters, at some numbers in
float64. Needs torch and transformers.

    make_activations.py
"""
import json
import pathlib

import torch
from transformers.activations import ACT2FN

# They are learned (prelu, xielu).
PARAMETERS = {"prelu", "xielu"}
POINTS = [-30.0, -20.5, -7.25, -6.0, -3.5, -3.0, -1.5, -0.75, -0.1, 0.0, 0.1, 0.5, 1.0, 2.25, 3.0, 4.5, 6.0, 6.5, 9.75, 10.5, 19.5, 30.0]


def main():
    x = torch.tensor(POINTS, dtype=torch.float64)
    functions = {name: ACT2FN[name](x).tolist() for name in sorted(ACT2FN) if name not in PARAMETERS}
    out = pathlib.Path(__file__).with_name("activations.json")
    lines = ",\n".join(f'  {json.dumps(name)}: {json.dumps(y)}' for name, y in functions.items())
    out.write_text('{"x": ' + json.dumps(POINTS) + ',\n "functions": {\n' + lines + '\n}}\n')


main()
