"""One engine in a process of its own: reads a test's key a line, answers with a line of JSON.

Keeping engines loaded, each in its process, lets the conductor alternate between them; an engine that waits for its turn
reads a pipe and takes no processor time.
"""
import json
import os
import sys
import time

from peers import race
from peers.ik_engine import IkLlama
from peers.llama_engine import LlamaCpp, LlamaCppFastest
from peers.openvino_engine import OpenVino
from peers.quern_engine import Quern

ENGINES = {engine.name: engine for engine in (Quern, LlamaCpp, LlamaCppFastest, IkLlama, OpenVino)}


def memory(key):
    """Bytes of a line of /proc/self/status: VmRSS, or VmHWM for its peak."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key + ":"))


def main(name, model, options):
    options = json.loads(options)
    # What engines print goes to stderr; answers have the real stdout for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = ENGINES[name]()
    tests = {test.key: test for test in race.tests(**options["tests"])}
    before = memory("VmRSS")

    def answer(make):
        try:
            reply = make()
        except Exception as error:  # a peer that cannot do a test has no figure there
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(reply), file=answers, flush=True)

    def load():
        start = time.perf_counter()
        engine.load(model, options["threads"], options["ctx"])
        loaded = time.perf_counter() - start
        first = engine.prefill(options["first"])
        return {"detail": engine.detail, "first_token_s": loaded + first, "again_s": engine.prefill(options["first"])}

    answer(load)
    for line in sys.stdin:
        key = line.strip()
        if key == "memory":
            answer(lambda: {"peak": memory("VmHWM") - before})
        else:
            answer(lambda: {"seconds": tests[key].run(engine)})


if __name__ == "__main__":
    main(*sys.argv[1:])
