#!/usr/bin/env python3
"""Writes LatticePoints.h: the points of GGUF's lattices, which are facts of its formats.

Needs numpy and gguf (0.17 or newer); run from this folder: python3 make_lattice_points.py
A point is a hexadecimal number whose bits, from the lowest on, are its coordinates in order: two bits of each of eight, or
a digit of each of four. Codebook.h says which numbers they stand for.
"""

import gguf
import numpy as np

# what the format's name is here, and where the numbers of its coordinates are from
LATTICES = [
    ("kIq1Points", "IQ1_S", "iq1_s and iq1_m: 2048 of the 3^8 that have coordinates -1, 0 and 1, less -1"),
    ("kIq2xxsPoints", "IQ2_XXS", "iq2_xxs: places of 8, 25 and 43"),
    ("kIq2xsPoints", "IQ2_XS", "iq2_xs"),
    ("kIq2sPoints", "IQ2_S", "iq2_s"),
    ("kIq3xxsPoints", "IQ3_XXS", "iq3_xxs: places of 4, 12, 20, 28, 36, 44, 52 and 62"),
    ("kIq3sPoints", "IQ3_S", "iq3_s: places of the odd numbers from 1 to 15"),
]


def main():
    with open("LatticePoints.h", "w") as out:
        out.write(
            "// The points of GGUF's lattices (Codebook.h), written by make_lattice_points.py. Templates: device code has in\n"
            "// a kernel what it uses of them, no more.\n"
            "#ifndef QUERN_IR_FORMATS_LATTICEPOINTS_H\n#define QUERN_IR_FORMATS_LATTICEPOINTS_H\n\n"
            "#include <stdint.h>\n\nnamespace quern::formats {\n\n// clang-format off\n"
        )
        for name, kind, words in LATTICES:
            quant = getattr(gguf.quants, kind)
            quant.init_grid()
            points = quant.grid.reshape(quant.grid_shape)
            coordinates = np.searchsorted(np.array(quant.grid_map), points)
            assert (np.array(quant.grid_map)[coordinates] == points).all()
            bits = 16 // points.shape[1]
            numbers = (coordinates << np.arange(0, 16, bits)).sum(axis=1)
            out.write(f"\n/// {words}.\ntemplate <int>\ninline constexpr uint16_t {name}[{len(numbers)}] = {{\n")
            for at in range(0, len(numbers), 14):
                out.write("  " + ",".join(f"0x{number:x}" for number in numbers[at : at + 14]) + ",\n")
            out.write("};\n")
        out.write("// clang-format on\n\n} // namespace quern::formats\n\n#endif // QUERN_IR_FORMATS_LATTICEPOINTS_H\n")


if __name__ == "__main__":
    main()
