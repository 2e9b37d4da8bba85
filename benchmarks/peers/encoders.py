"""Races Quern against ONNX Runtime on an encoder's folder: a thousand sentences of mixed length, in one run.

ONNX Runtime is given the model as torch exports it, and sentences in three ways: one by one, in batches of 32 as they come,
and sorted by length into batches, which is how sentence-transformers calls it. Its vectors are also the reference that Quern's
are held to. Texts are tokenized before, for both; what is timed is from ids to vectors. Engines take turns, medians count.
Quern is given the folder, and the export that ONNX Runtime has, below a copy of the folder.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

import numpy as np

from peers.machine import machine

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BIN = os.environ.get("QUERN_BIN", os.path.join(ROOT, "build", "bin"))


def sentences(tokenizer, count, seed=0):
    """Random words of the vocabulary; lengths as mails and paragraphs have them, 3 to 200 words, most about 18."""
    words = sorted(w for w in tokenizer.get_vocab() if w.isalpha() and w.isascii() and len(w) > 2)[:8000]
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(2.9, 0.7, count), 3, 200).astype(int)
    return [" ".join(random.choice(words, n)) for n in lengths]


def export(folder, path):
    import torch
    from transformers import AutoModel
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {name: {0: "b", 1: "s"} for name in ("input_ids", "attention_mask")}
    torch.onnx.export(Hidden(), (ids, ids), path, input_names=list(axes), output_names=["out"], dynamic_axes=axes,
                      dynamo=False, opset_version=17)


class OnnxRuntime:
    def __init__(self, path, threads, tokens, mean):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tokens, self.mean = tokens, mean

    def run(self, order, batch):
        """Seconds, and a vector of length 1 for each sentence."""
        begun, rows = time.perf_counter(), None
        for at in range(0, len(order), batch):
            part = order[at:at + batch]
            longest = max(len(self.tokens[i]) for i in part)
            ids, mask = (np.zeros((len(part), longest), np.int64) for _ in range(2))
            for row, i in enumerate(part):
                ids[row, :len(self.tokens[i])] = self.tokens[i]
                mask[row, :len(self.tokens[i])] = 1
            hidden = self.session.run(None, dict(input_ids=ids, attention_mask=mask))[0]
            weights = mask[..., None].astype(np.float32)
            pooled = (hidden * weights).sum(1) / weights.sum(1) if self.mean else hidden[:, 0]
            if rows is None:
                rows = np.zeros((len(order), pooled.shape[1]), np.float32)
            rows[part] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return time.perf_counter() - begun, rows


def quern(artifact, texts, output, threads):
    made = subprocess.run([f"{BIN}/quern-run", "embed", "-m", artifact, "-f", texts, "-o", output, "--json", "-t", str(threads)],
                          check=True, capture_output=True, text=True)
    rows = np.load(output)
    return json.loads(made.stdout)["seconds"], rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/compare encoders", description=__doc__)
    parser.add_argument("folder", help="a sentence-transformers folder whose rows are pooled by mean, or by the first")
    parser.add_argument("-n", type=int, default=1000, help="sentences (default 1000)")
    parser.add_argument("-r", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--quant", default="f32,int8", help="formats of Quern's weights (default f32,int8)")
    arguments = parser.parse_args()
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    with open(os.path.join(arguments.folder, "sentence_bert_config.json")) as file:
        longest = json.load(file)["max_seq_length"]
    with open(os.path.join(arguments.folder, "1_Pooling", "config.json")) as file:
        mean = json.load(file).get("pooling_mode_mean_tokens", True)
    texts = sentences(tokenizer, arguments.n)
    tokens = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    lengths = np.array([len(ids) for ids in tokens])
    as_they_come, by_length = np.arange(len(texts)), np.argsort(lengths, kind="stable")
    with tempfile.TemporaryDirectory() as scratch:
        path = lambda name: os.path.join(scratch, name)
        shutil.copytree(arguments.folder, path("model"))
        os.makedirs(path("model/onnx"), exist_ok=True)
        exported = path("model/onnx/model.onnx")
        export(arguments.folder, exported)
        with open(path("texts"), "w") as file:
            file.writelines(text + "\n" for text in texts)
        peer = OnnxRuntime(exported, arguments.threads, tokens, mean)
        engines = {"ONNX Runtime, one by one": lambda: peer.run(as_they_come, 1),
                   "ONNX Runtime, batches of 32 as they come": lambda: peer.run(as_they_come, 32),
                   "ONNX Runtime, batches of 32 by length": lambda: peer.run(by_length, 32),
                   "ONNX Runtime, batches of 8 by length": lambda: peer.run(by_length, 8)}
        for quant in arguments.quant.split(","):
            for name, model in (("", arguments.folder), (" of the ONNX file", exported)):
                artifact = path(f"{quant}{bool(name)}.quern")
                subprocess.run([f"{BIN}/quern", "compile", model, "-o", artifact, "--variant", "native", "--quant", quant, "-q"], check=True)
                engines[f"Quern, {quant}{name}"] = lambda artifact=artifact: quern(artifact, path("texts"), path("o.npy"), arguments.threads)
        seconds, rows = {name: [] for name in engines}, {}
        for _ in range(arguments.r):
            for name, run in engines.items():
                taken, rows[name] = run()
                seconds[name].append(taken)
    reference = rows["ONNX Runtime, one by one"]
    here = machine()
    best = min(statistics.median(times) for name, times in seconds.items() if name.startswith("ONNX"))
    print(f"{len(texts)} sentences, {lengths.sum()} tokens, {arguments.threads} thread(s), medians of {arguments.r}; {here['cpu']}, {here['isa']}\n")
    print("| | seconds | tokens/s | of ONNX Runtime's best | least cosine |\n|---|--:|--:|--:|--:|")
    for name, times in seconds.items():
        median = statistics.median(times)
        cosine = (rows[name] * reference).sum(1).min()
        print(f"| {name} | {median:.2f} | {lengths.sum() / median:,.0f} | {best / median:.2f} | {cosine:.7f} |")


if __name__ == "__main__":
    main()
