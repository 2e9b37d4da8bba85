"""What is measured of every engine, in words that all of them share.

An engine is a class with

    name                           what the table calls it
    takes_variants                 whether it can be kept from using instructions that the CPU has
    prepare(model, threads, variant)  the file it loads, made of the model's; of that variant, if one is given
    load(model, threads, ctx)      takes the model's file, ready to run; `ctx` positions for each of SEQUENCES sequences
    prefill(tokens)                feeds them to an empty sequence and waits for the last one's logits
    decode(depth, count)           seconds of `count` greedy-sized steps of one token after `depth` tokens of history
    decode_many(sequences, count)  the same for as many sequences at once, without history

Times are taken by the engine around its own calls, so that what Python does between them is outside.
"""
import random

SEQUENCES = 8


def tokens(count, vocab):
    """`count` token ids, the same for every engine."""
    rng = random.Random(count)
    return [rng.randrange(min(vocab, 256), vocab) for _ in range(count)]


class Test:
    """One row of the table: `key` names it, `tokens` after `depth` others were processed in the seconds that `run` returns."""

    def __init__(self, key, tokens, depth, run):
        self.key, self.tokens, self.depth, self.run = key, tokens, depth, run


def tests(prompts, generate, depths, sequences):
    rows = []
    for n in prompts:
        rows.append(Test(f"pp{n}", n, 0, lambda engine, n=n: engine.prefill(n)))
    for depth in depths:
        name = f"tg{generate}" + (f" @ d{depth}" if depth else "")
        rows.append(Test(name, generate, depth, lambda engine, d=depth: engine.decode(d, generate)))
    if sequences > 1:
        rows.append(Test(f"tg{generate} x {sequences}", generate * sequences, 0,
                         lambda engine: engine.decode_many(sequences, generate)))
    return rows
