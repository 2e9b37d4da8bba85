"""Races Quern on files of each GGUF type: their bytes in the file and packed, prompts and one token at a time.

A Llama of a 1B's width, four layers of it, of random blocks of the type; its vocabulary's matrix is Q8_0, as files of few bits have
one of more. Everything else is as benchmarks/compare does it.
"""
import argparse
import json
import os
import subprocess

from peers import compare, synthetic
from peers.machine import ROOT, commit, machine
from peers.quern_engine import BUILD, Quern

ENGINES = ["Quern", "llama.cpp", "ik_llama.cpp"]


def share_of_file(model, threads, variant):
    """Bytes of the weights as packed by those of the file's tensors."""
    import gguf
    inspected = subprocess.run([os.path.join(BUILD, "bin", "quern"), "inspect", Quern.prepare(model, threads, variant), "--json"],
                               capture_output=True, text=True, check=True).stdout
    return json.loads(inspected)["plan"]["weights"] / sum(int(t.n_bytes) for t in gguf.GGUFReader(model).tensors)


def against(figures, peer):
    """Quern's median by a peer's, or what stands in the way."""
    ours, theirs = (figures.get(name, {}) for name in ("Quern", peer))
    return f"{ours['median'] / theirs['median']:.2f}" if "median" in ours and "median" in theirs else "-"


def line(kind, share, result, prompt, generate):
    cells = [kind, f"{share:.2f}"]
    for test in (f"tg{generate}", f"pp{prompt}"):
        row = next(row for row in result["rows"] if row["test"] == test)
        ours = row["figures"].get("Quern", {})
        cells.append(f"{ours['median']:.1f}" if "median" in ours else "fails")
        cells += [against(row["figures"], peer) for peer in ENGINES[1:]]
        if test.startswith("tg"):
            cells.append(f"{row['share_of_bound']:.2f}" if "share_of_bound" in row else "-")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/compare types", allow_abbrev=False, description=__doc__.split("\n\n")[0])
    parser.add_argument("types", nargs="*", metavar="TYPE", help="Q4_K and the like (all)")
    parser.add_argument("-p", dest="prompt", type=int, default=512, metavar="N", help="prompt (512)")
    parser.add_argument("-n", dest="generate", type=int, default=64, metavar="N", help="tokens generated (64)")
    parser.add_argument("-r", dest="rounds", type=int, default=3, metavar="N", help="measured rounds (3)")
    parser.add_argument("-t", dest="threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="threads")
    parser.add_argument("--keep", action="store_true", help="leave the models and artifacts, some 300 MB a type")
    args = parser.parse_args()
    unknown = [kind for kind in args.types if kind.upper() not in synthetic.FACTORS]
    if unknown:
        parser.error(f"no GGUF type {unknown[0]} here: {' '.join(synthetic.FACTORS)}")
    of = machine()
    print(f"{args.threads} threads, {of['cpu']} ({of['isa']}), commit {commit()}. Medians of {args.rounds} alternating rounds; x: how many "
          "times Quern's figure is the peer's.\n")
    print("| type | packed by file | decode, tokens/s | x llama.cpp | x ik_llama.cpp | share of the read probe | "
          f"prompts of {args.prompt}, tokens/s | x llama.cpp | x ik_llama.cpp |\n|---|" + "--:|" * 8, flush=True)
    for kind in [kind.upper() for kind in args.types] or synthetic.FACTORS:
        model = synthetic.write("llama-1b-4-layers", os.path.join(ROOT, "models"), kind, "Q8_0")
        settings = argparse.Namespace(prompt=[args.prompt], generate=args.generate, depth=[0], sequences=1, rounds=args.rounds,
                                      threads=args.threads, engines=ENGINES, variant=None)
        result = compare.run(model, settings)
        print(line(kind, share_of_file(model, args.threads, None), result, args.prompt, args.generate), flush=True)
        if not args.keep:
            os.unlink(Quern.prepare(model, args.threads, None))
            os.unlink(model)


if __name__ == "__main__":
    main()
