"""How far int4 moves the probabilities of models of every kind, and which of their weights do it.

usage: kld.py BUILD_DIR DIR [NAME ...] [--parts]    needs: BUILD_DIR/bin/quern; with --parts torch, transformers and
                                                    BUILD_DIR/bin/encode_rows (`ninja encode_rows`)

DIR is what tiny_models.py wrote, or has folders of other models and a held.txt. The first table is `quern eval --against`, the
model in int4 against itself in float32, on held.txt: nats a token, and their share of what the model does not know itself (its mean
negative log-likelihood). --parts is of weights alone, one kind of them in int4 or int8 at a time and all else float32, by
transformers' code: what a kind costs, and what it would save to keep it.
"""
import argparse
import json
import math
import os
import re
import subprocess
import tempfile

FORMATS = ("int4", "int8")
WINDOW = 128


def quern(build, *args):
    done = subprocess.run([os.path.join(build, "bin", "quern"), *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"quern {' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def weights_of(folder):
    """Number of the model's weights; a tied head counts once."""
    total = 0
    for name in os.listdir(folder):
        if name.endswith(".safetensors"):
            with open(os.path.join(folder, name), "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            for tensor, facts in header.items():
                if tensor != "__metadata__":
                    count = 1
                    for n in facts["shape"]:
                        count *= n
                    total += count
    return total


def whole(build, folder, text):
    with tempfile.TemporaryDirectory() as scratch:
        floats, int4 = (os.path.join(scratch, f"{name}.quern") for name in ("f32", "int4"))
        report = os.path.join(scratch, "report.json")
        quern(build, "compile", folder, "-o", floats, "--quant", "f32", "-q", "--variant", "native")
        quern(build, "compile", folder, "-o", int4, "--quant", "int4", "-q", "--variant", "native", "--quant-report", report)
        found = json.loads(quern(build, "eval", "-m", int4, "--against", floats, "--text", text, "-c", WINDOW, "--json"))
        with open(report) as file:
            packed = json.load(file)
    return found, packed


def kinds(build, folder, text):
    """KL, and relative error, of each kind of weight in each format."""
    import numpy as np
    import torch
    from tokenizers import Tokenizer

    import tiny_models

    torch.set_num_threads(1)
    model = tiny_models.load(folder)
    with open(text, encoding="utf-8") as file:
        ids = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")).encode(file.read()).ids
    ids = torch.tensor(ids[:len(ids) // WINDOW * WINDOW]).view(-1, WINDOW)[:32]

    def logs():
        with torch.no_grad():
            return torch.cat([model(input_ids=batch, use_cache=False).logits.log_softmax(-1) for batch in ids.split(8)])

    def encoded(values, name):
        rows = np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
        done = subprocess.run([os.path.join(build, "bin", "encode_rows"), name, str(rows.shape[1])], input=rows.tobytes(),
                              capture_output=True, check=True)
        return np.frombuffer(done.stdout, np.float32).reshape(values.shape)

    reference = logs()
    parts = {}
    for name, weight in model.named_parameters():
        # Filters of convolutions are no matrices in any format.
        if weight.dim() < 2 or min(weight.shape) < 4 or "conv" in name:
            continue
        kind = re.sub(r"\.?\b\d+\b\.", ".", name).removeprefix("model.").removesuffix(".weight")
        for part, rows in split(model, kind, weight):
            parts.setdefault(part, []).append((weight, rows))
    for kind, uses in parts.items():
        row = [sum(weight[rows].numel() for weight, rows in uses)]
        for name in FORMATS:
            kept, error, power = [], 0.0, 0.0
            for weight, rows in uses:
                values = weight.data[rows].clone()
                kept.append(values)
                near = torch.from_numpy(encoded(values.numpy(), name).copy())
                error, power = error + (near - values).double().square().sum(), power + values.double().square().sum()
                weight.data[rows] = near
            moved = logs()
            row += [(error / power).sqrt().item(), (reference.exp() * (reference - moved)).sum(-1).mean().item()]
            for (weight, rows), values in zip(uses, kept):
                weight.data[rows] = values
        yield kind, row


def split(model, kind, weight):
    """Rows of a matrix that several things are computed by, apart."""
    config = getattr(model, "config", None)
    sizes = None
    if kind.endswith("mixer.in_proj") and config.model_type == "mamba2":
        inner = config.num_heads * config.head_dim
        sizes = {"z": inner, "x": inner, "B and C": 2 * config.n_groups * config.state_size, "dt": config.num_heads}
    elif kind.endswith("mixer.x_proj"):
        sizes = {"dt": config.time_step_rank, "B and C": 2 * config.state_size}
    if sizes is None:
        return [(kind, slice(None))]
    ends, found = 0, []
    for name, size in sizes.items():
        found.append((f"{kind}, {name}", slice(ends, ends + size)))
        ends += size
    assert ends == weight.shape[0], (kind, ends, weight.shape)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("dir")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--parts", action="store_true")
    args = parser.parse_args()
    names = args.names or sorted(n for n in os.listdir(args.dir) if os.path.exists(os.path.join(args.dir, n, "config.json")))
    text = os.path.join(args.dir, "held.txt")
    if args.parts:
        for name in names:
            print(f"\n| {name} | weights | int4: error | KL | int8: error | KL |\n|---|--:|--:|--:|--:|--:|", flush=True)
            for kind, row in kinds(args.build, os.path.join(args.dir, name), text):
                print(f"| {kind} | {row[0]} | {row[1]:.4f} | {row[2]:.5f} | {row[3]:.4f} | {row[4]:.6f} |", flush=True)
        return
    print("| model | weights | bits | nats | KL | KL : nats | same first choice |\n|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        folder = os.path.join(args.dir, name)
        found, packed = whole(args.build, folder, text)
        against, count = found["against"], weights_of(folder)
        nats, kl = math.log(against["perplexity"]), against["mean_kl"]
        print(f"| {name} | {count / 1e6:.2f} M | {8 * packed['bytes'] / count:.2f} | {nats:.3f} | {kl:.4f} | {100 * kl / nats:.2f} % | "
              f"{100 * against['top1_agreement']:.1f} % |", flush=True)


main()
