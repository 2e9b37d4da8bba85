"""Writes config_classes.json beside it: what transformers' configuration class of each family has, or fla's where it has none.

usage: make_config_classes.py        needs: torch, transformers, and what ../goldens/fla_requirements.txt has

By family: `attribute_map`, the class's other names of keys; `defaults`, a config.json of the class as it is when nothing
is said but that there are two layers, with every key that has a value.
"""
import json
import os
import re

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = os.path.join(HERE, "..", "..", "..", "frontends", "families", "Families.cpp")


def main():
    with open(FAMILIES) as file:
        rows = re.findall(r'^    \{"([\w-]+)",\s+"\w+",', file.read(), re.MULTILINE)
    kinds = {name: CONFIG_MAPPING[name] for name in rows if name in CONFIG_MAPPING}
    os.environ["TRITON_INTERPRET"] = "1"
    import fla.models  # noqa: F401  (registers its classes, some under names that transformers has)
    out = {}
    for name in sorted(set(rows) & (set(kinds) | set(CONFIG_MAPPING.keys()))):  # others are no package's that has classes
        kind = kinds.get(name) or CONFIG_MAPPING[name]
        # Zamba2's default of what each layer is has one number of layers.
        config = kind() if name == "zamba2" else kind(num_hidden_layers=2)
        config.architectures = None
        defaults = {k: v for k, v in config.to_dict().items() if k != "transformers_version"}
        out[name] = dict(attribute_map=kind.attribute_map, defaults=defaults)
    with open(os.path.join(HERE, "config_classes.json"), "w") as file:
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in out.items())
        file.write("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
