"""benchmarks/compare: Quern, llama.cpp and OpenVINO GenAI on one model, alternately, in one run.

Every engine has a process of its own and keeps its model loaded. A round gives each test to each engine once, engines in
turn, so that what else the machine does falls on all of them alike; the first round warms up and is not counted. Prefix
caches are off: every prompt is fed whole.
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys

from peers import race, synthetic, table
from peers.machine import ROOT, commit, machine
from peers.quern_engine import BUILD
from peers.worker import ENGINES


class Entrant:
    """An engine's process."""

    def __init__(self, name, model, options):
        self.name = name
        self.process = subprocess.Popen([sys.executable, "-m", "peers.worker", name, model, json.dumps(options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.loaded = self.read()

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"its process ended ({self.process.wait()})"}

    def ask(self, key):
        if self.process.poll() is not None:
            return {"error": "its process has ended"}
        self.process.stdin.write(key + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def bench(artifact, threads, *flags):
    """The rows of `quern-run bench`."""
    out = subprocess.run([os.path.join(BUILD, "bin", "quern-run"), "bench", "-m", artifact, "-t", str(threads), "-r", "1",
                          "-o", "json", *flags], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def probe(artifact, threads, depth):
    """What the machine computes and, of as many bytes as a step at that depth, reads at this moment: in 1e9 a second."""
    row = bench(artifact, threads, "-p", "0", "-n", "1", "-d", str(depth))[0]
    return {"reading": row["read_probe_gbps"], "arithmetic": row["ops_probe_gops"]}


def amounts(artifact, threads, prompts, generate, depths, sequences):
    """Of each test: whether reading or arithmetic bounds it, and how much of that a token takes, in 1e9."""
    found = {}

    def add(names, *flags):
        for name, row in zip(names, bench(artifact, threads, *flags)):
            kind, share, probe = (("arithmetic", "mfu", "ops_probe_gops") if name.startswith("pp") else
                                  ("reading", "mbu", "read_probe_gbps"))
            # The share of the probe, of that run: what is left depends on no speed.
            found[name] = (kind, row[share] / row["tokens_per_s"] * row[probe])

    add([f"pp{n}" for n in prompts], "-p", ",".join(map(str, prompts)), "-n", "0")
    for depth in depths:
        add([f"tg{generate}" + (f" @ d{depth}" if depth else "")], "-p", "0", "-n", str(generate), "-d", str(depth))
    if sequences > 1:
        add([f"tg{generate} x {sequences}"], "-p", "0", "-n", str(generate), "-b", str(sequences))
    return found


def run(model, args):
    settings = {"prompts": args.prompt, "generate": args.generate, "depths": args.depth, "sequences": args.sequences}
    first = max(args.prompt)
    ctx = max([first, *(depth + args.generate for depth in args.depth)]) + 16
    options = {"threads": args.threads, "ctx": ctx, "first": first, "tests": settings}
    entrants, files, rows = [], {}, []
    starts = {}
    for name in args.engines:
        try:
            files[name] = ENGINES[name].prepare(model, args.threads, args.variant)
        except Exception as error:
            starts[name] = [{"error": str(error)}]
            continue
        # Loading is measured in processes of its own, the file warm.
        starts[name] = []
        for _ in range(args.rounds):
            entrant = Entrant(name, files[name], options)
            starts[name].append(entrant.loaded)
            if "error" in entrant.loaded:
                break
            entrant.end()
    for name in files:
        if "error" not in starts[name][-1]:
            entrants.append(Entrant(name, files[name], options))

    found, probes = {}, {}
    for test in race.tests(**settings):
        for turn in range(args.rounds + 1):
            for entrant in entrants:
                reply = entrant.ask(test.key)
                if turn or "error" in reply:
                    found.setdefault(test.key, {}).setdefault(entrant.name, []).append(reply)
            if turn: # what memory gives changes by the minute: the bound is of the same minutes
                probes.setdefault(test.key, []).append(probe(files["Quern"], args.threads, test.depth))
            print(f"\r{test.key}: round {turn} of {args.rounds}   ", end="", file=sys.stderr)
    print(file=sys.stderr)
    memory = {entrant.name: entrant.ask("memory") for entrant in entrants}
    for entrant in entrants:
        entrant.end()

    def row(test, unit, replies, value):
        figures = {}
        for name, list_ in replies.items():
            bad = next((r for r in list_ if "error" in r), None)
            figures[name] = bad or table.figure([value(r) for r in list_], unit)
        rows.append({"test": test, "figures": figures})

    for test in race.tests(**settings):
        row(test.key, "tokens_per_s", found.get(test.key, {}), lambda r, t=test: t.tokens / r["seconds"])
    loading = f"load to first token of pp{first}"
    row(loading, "seconds", starts, lambda r: r["first_token_s"])
    row("peak memory", "bytes", {n: [m] for n, m in memory.items()}, lambda r: r["peak"])
    row("size on disk", "bytes", {n: [{"size": os.path.getsize(f)}] for n, f in files.items()}, lambda r: r["size"])

    needed = amounts(files["Quern"], args.threads, args.prompt, args.generate, args.depth, args.sequences)
    for entry in rows:
        ours = entry["figures"].get("Quern", {})
        if entry["test"] in needed and "median" in ours:
            entry["bound"], per_token = needed[entry["test"]]
            entry["probe"] = statistics.median(p[entry["bound"]] for p in probes[entry["test"]])
            entry["share_of_bound"] = ours["median"] * per_token / entry["probe"]
        elif entry["test"] == loading and "median" in ours:
            entry["bound"] = "the same prompt again"
            entry["share_of_bound"] = statistics.median(s["again_s"] / s["first_token_s"] for s in starts["Quern"])
    of = lambda kind: [p[kind] for list_ in probes.values() for p in list_]  # noqa: E731
    found_probes = {"read_gbps": statistics.median(of("reading")), "ops_gops": statistics.median(of("arithmetic")),
                    "read_gbps_range": [min(of("reading")), max(of("reading"))]}
    return {"model": os.path.basename(model), "threads": args.threads, "rounds": args.rounds, "machine": machine(args.variant),
            "date": datetime.date.today().isoformat(), "commit": commit(), "probes": found_probes,
            "engines": [{"name": n, "detail": starts[n][0].get("detail", "")} for n in args.engines], "rows": rows}


def main():
    numbers = lambda text: [int(n) for n in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(prog="benchmarks/compare", allow_abbrev=False, description=__doc__.split("\n\n")[0],
                                     epilog="example: benchmarks/compare models/smollm2-135m-instruct-q4_1.gguf -r 5")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("model", nargs="?", metavar="MODEL.gguf")
    what.add_argument("--synthetic", choices=synthetic.SHAPES, help="a random model of that shape, the same for every engine")
    what.add_argument("--from", dest="recorded", metavar="FILE", help="no race: show again what one wrote with -o json")
    parser.add_argument("-p", dest="prompt", type=numbers, default=[128, 512], metavar="N,N", help="prompts (128,512)")
    parser.add_argument("-n", dest="generate", type=int, default=128, metavar="N", help="tokens generated (128)")
    parser.add_argument("-d", dest="depth", type=numbers, default=[0, 4096], metavar="N,N", help="history before them (0,4096)")
    parser.add_argument("-b", dest="sequences", type=int, default=race.SEQUENCES, metavar="B",
                        help=f"sequences at once, at most {race.SEQUENCES}; 1: no such test")
    parser.add_argument("-r", dest="rounds", type=int, default=5, metavar="N", help="measured rounds (5)")
    parser.add_argument("-t", dest="threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="threads")
    parser.add_argument("-e", dest="engines", type=lambda t: ["Quern"] + [n for n in ENGINES if n != "Quern" and any(
        w in n.lower() for w in t.lower().split(","))], default=list(ENGINES), metavar="llama,openvino", help="peers to race")
    parser.add_argument("--variant", choices=("x86-64-v3",), help="race with AVX2 only on a CPU that has more; without "
                        "OpenVINO, which takes what it finds")
    parser.add_argument("-o", dest="output", choices=("md", "json", "svg"), default="md", help="md, json or svg")
    args = parser.parse_args()
    if not 1 <= args.sequences <= race.SEQUENCES:
        parser.error(f"-b takes 1 to {race.SEQUENCES}")
    if args.model and not os.path.exists(args.model):
        parser.error(f"{args.model}: no such file")
    if args.variant:
        args.engines = [name for name in args.engines if ENGINES[name].takes_variants]
    if args.recorded:
        with open(args.recorded) as file:
            result = json.load(file)
    else:
        result = run(synthetic.write(args.synthetic, os.path.join(ROOT, "models")) if args.synthetic
                     else os.path.abspath(args.model), args)
    print(table.show(result, args.output))


if __name__ == "__main__":
    main()
