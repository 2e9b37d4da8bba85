"""benchmarks/ablation: what each fusion brings, Quern against itself with one of them off and with all off.

The model is compiled once a row; then every round measures each artifact once, in turn, so that what else the machine does
falls on all of them alike. The first round warms up and is not counted. Fusions that find nothing to do in the model are not
raced: they are named below the table.
"""
import argparse
import datetime
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

from peers.machine import ROOT, commit, machine

BIN = os.path.join(os.environ.get("QUERN_BUILD") or os.path.join(ROOT, "build"), "bin")
ALL_ON, ALL_OFF = "all on", "all off"


def call(program, *args):
    done = subprocess.run([os.path.join(BIN, program), *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ablation: {program} {args[0]}: {done.stderr.strip()}")
    return done.stdout


def fusions():
    """The names that `--without` takes, as it lists them when it is given another."""
    refusal = subprocess.run([os.path.join(BIN, "quern"), "plan", "none", "--without", "?"], capture_output=True, text=True).stderr
    return re.search(r"hint: all, or of (.*)", refusal).group(1).split(", ")


def without(names):
    return ["--without", names] if names else []


def prepare(model, folder):
    """{row: artifact}, and the fusions without which the model's kernels are the same."""
    ir = lambda names: call("quern", "compile", model, "--to", "quantize", *without(names))  # noqa: E731
    fused = ir("")
    idle = [name for name in fusions() if ir(name) == fused]
    rows = {ALL_ON: "", **{f"without {name}": name for name in fusions() if name not in idle}, ALL_OFF: "all"}
    artifacts = {}
    for row, names in rows.items():
        print(f"\rcompiling: {row:40}", end="", file=sys.stderr)
        artifacts[row] = os.path.join(folder, f"{len(artifacts)}.quern")
        call("quern", "compile", model, "-o", artifacts[row], "-q", "--variant", "native", *without(names))
    return artifacts, idle


def details(artifact, threads):
    """What does not depend on the machine's mood: the arena, and the kernels a step runs."""
    arena = json.loads(call("quern", "inspect", artifact, "--json"))["plan"]["arena"]
    out = call("quern-run", "bench", "-m", artifact, "-p", 0, "-n", 1, "-r", 1, "-t", threads, "--ops", "-o", "json")
    return {"arena": arena, "dispatches": sum(kernel["calls"] for kernel in json.loads(out)["kernels"])}


def run(args):
    with tempfile.TemporaryDirectory() as folder:
        artifacts, idle = prepare(os.path.abspath(args.model), folder)
        found = {row: {} for row in artifacts}
        order = random.Random(1)  # a row's place in a round must not decide
        for turn in range(args.rounds + 1):
            for row, artifact in order.sample(list(artifacts.items()), len(artifacts)):
                print(f"\rround {turn} of {args.rounds}: {row:40}", end="", file=sys.stderr)
                out = call("quern-run", "bench", "-m", artifact, "-p", args.prompt, "-n", args.generate, "-r", 1,
                           "-t", args.threads, "-o", "json")
                for line in out.splitlines() if turn else []:
                    test = json.loads(line)
                    found[row].setdefault(test["test"], []).append(test["tokens_per_s"])
        print(file=sys.stderr)
        rows = [{"row": row, **details(artifacts[row], args.threads),
                 "tests": {test: {"median": statistics.median(v), "min": min(v), "max": max(v), "n": len(v), "values": v}
                           for test, v in tests.items()}} for row, tests in found.items()]
    for entry in rows:
        for test, figure in entry["tests"].items():
            figure["of_all_on"] = figure["median"] / rows[0]["tests"][test]["median"]
    return {"model": os.path.basename(args.model), "threads": args.threads, "rounds": args.rounds, "machine": machine(),
            "date": datetime.date.today().isoformat(), "commit": commit(), "rows": rows, "nothing_to_do": idle}


def markdown(result):
    tests = list(result["rows"][0]["tests"])
    lines = [f"{result['model']}, {result['threads']} threads, {result['machine']['cpu']} ({result['machine']['isa']}), "
             f"{result['date']}, commit {result['commit']}. Medians of {result['rounds']} alternating rounds, tokens a second; "
             "in brackets as a share of all on.", "",
             "| | " + " | ".join(tests) + " | kernels a decode step | arena |", "|---|" + "--:|" * (len(tests) + 2)]
    for entry in result["rows"]:
        cells = [f"{entry['tests'][t]['median']:.1f} ({entry['tests'][t]['of_all_on']:.2f})" for t in tests]
        lines.append("| " + " | ".join([entry["row"], *cells, str(entry["dispatches"]), f"{entry['arena'] / 2**20:.2f} MiB"]) + " |")
    if result["nothing_to_do"]:
        lines += ["", "Nothing to do in this model: " + ", ".join(result["nothing_to_do"]) + "."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/ablation", description=__doc__.split("\n\n")[0],
                                     epilog="example: benchmarks/ablation models/smollm2-135m-instruct-q4_1.gguf -r 5")
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("-p", dest="prompt", type=int, default=512, metavar="N", help="prompt (512)")
    parser.add_argument("-n", dest="generate", type=int, default=64, metavar="N", help="tokens generated (64)")
    parser.add_argument("-r", dest="rounds", type=int, default=5, metavar="N", help="measured rounds (5)")
    parser.add_argument("-t", dest="threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="threads")
    parser.add_argument("-o", dest="output", choices=("md", "json"), default="md", help="md or json")
    args = parser.parse_args()
    if args.rounds < 1 or args.prompt + args.generate < 1:
        parser.error("there is nothing to measure")
    if not os.path.exists(args.model):
        parser.error(f"{args.model}: no such file")
    result = run(args)
    print(json.dumps(result, indent=1) if args.output == "json" else markdown(result))


if __name__ == "__main__":
    main()
