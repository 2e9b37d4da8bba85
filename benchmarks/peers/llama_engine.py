"""llama.cpp through llama-cpp-python's low-level calls: what llama-bench does."""
import ctypes as c
import functools
import os
import time

from peers import race


@functools.cache
def api():
    """The library, silent."""
    import llama_cpp
    llama_cpp.silent = llama_cpp.llama_log_callback(lambda level, text, data: None)  # it keeps the pointer
    llama_cpp.llama_log_set(llama_cpp.silent, c.c_void_p(0))
    return llama_cpp


class LlamaCpp:
    name = "llama.cpp"
    takes_variants = True  # benchmarks/compare builds it for each
    label = "same file"
    detail = "0.3.36"
    api = staticmethod(api)

    @staticmethod
    def prepare(model, threads, variant):
        return model

    def load(self, model, threads, ctx):
        self.llama = llama = self.api()
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(model.encode(), llama.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"{self.name} does not load {os.path.basename(model)}")
        params = llama.llama_context_default_params()
        params.n_ctx = ctx * (race.SEQUENCES + 1) if ctx <= 1024 else ctx + 1024 * (race.SEQUENCES + 1)
        params.n_batch, params.n_ubatch = 2048, 512
        params.n_seq_max = race.SEQUENCES + 1
        params.n_threads = params.n_threads_batch = threads
        self.context, self.memory = self.make_context(params)
        self.vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(params.n_batch, 0, 1)
        self.depth = None

    def make_context(self, params):
        """A context, and what holds its sequences."""
        params.kv_unified = True
        context = self.llama.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError(f"{self.name} makes no context")
        return context, self.llama.llama_get_memory(context)

    def step(self, entries):
        """entries: (sequence, position, token, wants logits)"""
        batch = self.batch
        batch.n_tokens = len(entries)
        for i, (sequence, position, token, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        start = time.perf_counter()
        if self.llama.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        self.llama.llama_synchronize(self.context)
        return time.perf_counter() - start

    def feed(self, sequence, ids, logits):
        seconds, most = 0.0, 2048
        for first in range(0, len(ids), most):
            seconds += self.step([(sequence, p, ids[p], logits and p == len(ids) - 1)
                                  for p in range(first, min(len(ids), first + most))])
        return seconds

    def forget(self, sequence, length=0):
        self.llama.llama_memory_seq_rm(self.memory, sequence, length, -1)

    def prefill(self, count):
        seconds = self.feed(0, race.tokens(count, self.vocab), True)
        self.forget(0)
        return seconds

    def decode(self, depth, count):
        if self.depth != depth:
            self.forget(race.SEQUENCES)
            self.feed(race.SEQUENCES, race.tokens(depth, self.vocab), False)
            self.depth = depth
        seconds = sum(self.step([(race.SEQUENCES, depth + i, token, True)])
                      for i, token in enumerate(race.tokens(count, self.vocab)))
        self.forget(race.SEQUENCES, depth)
        return seconds

    def decode_many(self, sequences, count):
        ids = race.tokens(count * sequences, self.vocab)
        seconds = sum(self.step([(s, i, ids[i * sequences + s], True) for s in range(sequences)])
                      for i in range(count))
        for s in range(sequences):
            self.forget(s)
        return seconds


class LlamaCppFastest(LlamaCpp):
    """The format its kernels for this processor are fastest in, of the same size: Q4_0, repacked when it is loaded."""
    name = "llama.cpp Q4_0"

    @staticmethod
    def prepare(model, threads, variant):
        out = os.path.splitext(model)[0] + ".llama-q4_0.gguf"
        if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(model):
            llama = api()
            params = llama.llama_model_quantize_default_params()
            params.ftype, params.nthread, params.allow_requantize = llama.LLAMA_FTYPE_MOSTLY_Q4_0, threads, True
            if llama.llama_model_quantize(model.encode(), (out + ".part").encode(), c.byref(params)) != 0:
                raise RuntimeError("llama.cpp does not requantize " + os.path.basename(model))
            os.replace(out + ".part", out)
        return out
