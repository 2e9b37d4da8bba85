"""ik_llama.cpp, a fork of llama.cpp from before its interface changed, through ik-llama-cpp-python's low-level calls.

PyPI has it as a wheel whose code is of AVX2 and nothing wider.
"""
import ctypes as c
import functools

from peers.llama_engine import LlamaCpp


@functools.cache
def api():
    """The library, silent, with what its Python package leaves out."""
    from ik_llama_cpp import _ctypes_api as llama
    lib = llama._lib
    llama.silent = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)(lambda level, text, data: None)  # it keeps the pointer
    lib.llama_log_set(llama.silent, c.c_void_p(0))
    lib.llama_synchronize.argtypes, lib.llama_synchronize.restype = [c.c_void_p], None
    lib.llama_kv_cache_seq_rm.argtypes = [c.c_void_p, c.c_int32, c.c_int32, c.c_int32]
    lib.llama_kv_cache_seq_rm.restype = c.c_bool
    llama.llama_synchronize = lib.llama_synchronize
    llama.llama_memory_seq_rm = lib.llama_kv_cache_seq_rm
    return llama


class IkLlama(LlamaCpp):
    name = "ik_llama.cpp"
    detail = "0.1.5, AVX2"
    takes_variants = True  # it is of the one that can be asked for
    api = staticmethod(api)

    def make_context(self, params):
        params.flash_attn = True  # its default; it ends the process in steps of several sequences
        context = self.llama.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError(f"{self.name} makes no context")
        return context, context
