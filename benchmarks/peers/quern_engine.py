"""Quern through its C interface, runtime/quern.h."""
import ctypes as c
import os
import subprocess
import time

from peers import race

BUILD = os.environ.get("QUERN_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")


class Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("device", c.c_char_p), ("variant", c.c_char_p), ("ctx", c.c_uint64),
                ("slots", c.c_uint64), ("memory", c.c_uint64), ("threads", c.c_int32)]


class Sequence(c.Structure):
    _fields_ = [("slot", c.c_int32), ("rows", c.c_int32), ("tokens", c.POINTER(c.c_int32)), ("num_tokens", c.c_size_t)]


ROWS_NONE, ROWS_LAST = 0, 1


class Quern:
    name = "Quern"
    takes_variants = True

    @staticmethod
    def prepare(model, threads, variant):
        """The artifact, compiled unless it is newer than the model and the compiler."""
        artifact = os.path.splitext(model)[0] + (f".{variant}" if variant else "") + ".quern"
        compiler = os.path.join(BUILD, "bin", "quern")
        if not os.path.exists(artifact) or os.path.getmtime(artifact) < max(map(os.path.getmtime, (model, compiler))):
            subprocess.run([compiler, "compile", model, "-o", artifact, "-q", "--variant", variant or "native"], check=True)
        return artifact

    def load(self, model, threads, ctx):
        self.lib = lib = c.CDLL(os.path.join(BUILD, "lib", "libquern.so"))
        lib.quern_last_error.restype = c.c_char_p
        lib.quern_variant.restype = c.c_char_p
        self.handle = c.c_void_p()
        options = Options(c.sizeof(Options), None, None, ctx, race.SEQUENCES + 1, 0, threads)
        self.call("quern_open", model.encode(), c.byref(options), c.byref(self.handle))
        self.vocab = lib.quern_vocab(self.handle)
        self.detail = lib.quern_variant(self.handle).decode()
        self.logits = (c.c_float * (self.vocab * race.SEQUENCES))()
        self.histories = {}

    def call(self, function, *args):
        if getattr(self.lib, function)(*args) != 0:
            raise RuntimeError(f"{function}: {self.lib.quern_last_error().decode()}")

    def create(self):
        slot = c.c_int32()
        self.call("quern_slot_create", self.handle, c.byref(slot))
        return slot.value

    def free(self, *slots):
        for slot in slots:
            self.call("quern_slot_free", self.handle, c.c_int32(slot))

    def step(self, sequences, rows=ROWS_LAST):
        """Feeds each slot its tokens."""
        batch = (Sequence * len(sequences))()
        for entry, (slot, ids) in zip(batch, sequences):
            entry.slot, entry.rows, entry.tokens, entry.num_tokens = slot, rows, (c.c_int32 * len(ids))(*ids), len(ids)
        start = time.perf_counter()
        self.call("quern_step", self.handle, batch, c.c_size_t(len(batch)), self.logits,
                  c.c_size_t(len(batch) if rows else 0))
        return time.perf_counter() - start

    def prefill(self, count):
        slot = self.create()
        seconds = self.step([(slot, race.tokens(count, self.vocab))])
        self.free(slot)
        return seconds

    def decode(self, depth, count):
        if depth not in self.histories:
            self.free(*self.histories.values())
            self.histories = {depth: self.create()}
            if depth:
                self.step([(self.histories[depth], race.tokens(depth, self.vocab))], ROWS_NONE)
        slot = c.c_int32()
        self.call("quern_slot_fork", self.handle, c.c_int32(self.histories[depth]), c.byref(slot))
        seconds = sum(self.step([(slot.value, [token])]) for token in race.tokens(count, self.vocab))
        self.free(slot.value)
        return seconds

    def decode_many(self, sequences, count):
        slots = [self.create() for _ in range(sequences)]
        ids = race.tokens(count * sequences, self.vocab)
        seconds = sum(self.step([(slot, [ids[i * sequences + s]]) for s, slot in enumerate(slots)])
                      for i in range(count))
        self.free(*slots)
        return seconds
