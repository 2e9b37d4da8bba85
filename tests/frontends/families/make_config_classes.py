"""Writes config_classes.json beside it: what transformers' configuration class of each family has.

usage: make_config_classes.py        needs: torch, transformers

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
        rows = re.findall(r'^    \{"(\w+)",\s+"\w+",', file.read(), re.MULTILINE)
    out = {}
    for name in sorted(set(rows) & set(CONFIG_MAPPING)):  # the others are of packages of their own
        kind = CONFIG_MAPPING[name]
        config = kind(num_hidden_layers=2)
        config.architectures = None
        defaults = {k: v for k, v in config.to_dict().items() if k != "transformers_version"}
        out[name] = dict(attribute_map=kind.attribute_map, defaults=defaults)
    with open(os.path.join(HERE, "config_classes.json"), "w") as file:
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in out.items())
        file.write("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
