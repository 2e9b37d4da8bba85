"""OpenVINO GenAI's LLMPipeline on the same GGUF file. Its figures are its own: time to the first token, time a token."""
import time

from peers import race


class OpenVino:
    name = "OpenVINO GenAI"
    takes_variants = False

    @staticmethod
    def prepare(model, threads, variant):
        return model

    def load(self, model, threads, ctx):
        import gguf
        import openvino_genai as genai
        self.genai = genai
        self.vocab = len(gguf.GGUFReader(model).fields["tokenizer.ggml.tokens"].data)
        self.pipe = genai.LLMPipeline(model, "CPU", INFERENCE_NUM_THREADS=threads, ATTENTION_BACKEND="SDPA")
        self.detail = genai.__version__.split("-")[0]

    def generate(self, prompts, count):
        import numpy as np
        import openvino as ov
        config = self.genai.GenerationConfig()
        config.max_new_tokens = count
        config.ignore_eos = True
        config.do_sample = False
        ids = np.array(prompts, np.int64)
        inputs = self.genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
        start = time.perf_counter()
        result = self.pipe.generate(inputs, config)
        return time.perf_counter() - start, result.perf_metrics

    def prefill(self, count):
        return self.generate([race.tokens(count, self.vocab)], 1)[0]

    def decode(self, depth, count):
        _, metrics = self.generate([race.tokens(depth or 1, self.vocab)], count + 1)
        return metrics.get_tpot().mean / 1e3 * count

    def decode_many(self, sequences, count):
        # Its time a token is one of a batch's; what a step takes is what more of them take.
        prompts = [[token] for token in race.tokens(sequences, self.vocab)]
        return self.generate(prompts, count + 1)[0] - self.generate(prompts, 1)[0]
