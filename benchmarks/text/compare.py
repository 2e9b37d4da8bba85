"""Times the tokenizers on 1 MB of text beside Hugging Face's `tokenizers`, one thread each, by processor time, and
checks that the ids are equal.

usage: compare.py BUILD_DIR [ROUNDS]     needs: tokenizers, and BUILD_DIR/bin/tokenize_bench (`ninja tokenize_bench`)

The text is the licenses under /usr/share/common-licenses, repeated with a number before each paragraph; the vocabularies
are trained on it, 8000 tokens each, in the styles of published models.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = ["<0x%02X>" % i for i in range(256)]


def corpus():
    parts = []
    for path in sorted(glob.glob("/usr/share/common-licenses/*")):
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                parts += file.read().split("\n\n")
    text, number = "", 0
    while len(text.encode()) < 1_000_000:
        for part in parts:
            number += 1
            text += "%d. %s\n\n" % (number, part)
    return text.encode()[:1_000_000].decode(errors="ignore")


def vocabularies(text):
    """Style -> tokenizer."""
    n, p, d = normalizers, pre_tokenizers, decoders
    spaces = d.Sequence([d.Replace("\u2581", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    out = {}

    def make(name, model, trainer, normalizer, pre, decoder, byte_fallback=False, **options):
        tokenizer = Tokenizer(model)
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre if pre else p.Metaspace()
        tokenizer.train_from_iterator(text.split("\n\n"), trainer(vocab_size=8000, show_progress=False, **options))
        root = json.loads(tokenizer.to_str())
        if not pre:
            root["pre_tokenizer"] = None
        if byte_fallback:
            root["model"]["byte_fallback"] = True
            for token in BYTES:
                root["model"]["vocab"][token] = len(root["model"]["vocab"])
        tokenizer = Tokenizer.from_str(json.dumps(root))
        tokenizer.decoder = decoder
        out[name] = tokenizer

    bpe = dict(special_tokens=["<unk>", "<s>", "</s>"])
    byte_level = p.ByteLevel(add_prefix_space=False, use_regex=False)
    make("byte-level BPE (Llama 3)", models.BPE(), trainers.BpeTrainer, None, p.Sequence([p.Split(Regex(LLAMA3), "isolated"), byte_level]), d.ByteLevel(),
         special_tokens=["<|end|>"], initial_alphabet=p.ByteLevel.alphabet())
    sp = lambda: models.BPE(unk_token="<unk>", fuse_unk=True)
    make("SentencePiece BPE (Llama 2)", sp(), trainers.BpeTrainer, n.Sequence([n.Prepend("\u2581"), n.Replace(" ", "\u2581")]), None, spaces, byte_fallback=True, **bpe)
    make("SentencePiece BPE (Metaspace)", sp(), trainers.BpeTrainer, None, p.Metaspace(prepend_scheme="first"), spaces, byte_fallback=True, **bpe)
    make("unigram (T5)", models.Unigram(), trainers.UnigramTrainer, n.Sequence([n.NFKC(), n.Replace(Regex(" {2,}"), " ")]), p.Metaspace(), d.Metaspace(), unk_token="<unk>", **bpe)
    make("WordPiece (BERT)", models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer, n.BertNormalizer(), p.BertPreTokenizer(), d.WordPiece(),
         special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return out


def fnv(ids):
    value = 0xCBF29CE484222325
    for i in ids:
        for byte in i.to_bytes(4, "little"):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return "%016x" % value


def main():
    build, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    text = corpus()
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    size = len(text.encode()) / 1e6
    print("| vocabulary | Quern, MB/s | tokenizers, MB/s | ratio | tokens | load, ms | ids |")
    print("|---|---|---|---|---|---|---|")
    for name, tokenizer in vocabularies(text).items():
        model = os.path.join(folder, name)
        os.mkdir(model)
        tokenizer.save(os.path.join(model, "tokenizer.json"))
        ours = json.loads(subprocess.run([os.path.join(build, "bin/tokenize_bench"), model, path, str(rounds)], check=True, stdout=subprocess.PIPE).stdout)
        theirs = 1e9
        for _ in range(rounds):
            tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))  # its cache is cold, as ours is
            start = time.process_time()
            ids = tokenizer.encode(text).ids
            theirs = min(theirs, time.process_time() - start)
        equal = "equal" if fnv(ids) == ours["hash"] else "DIFFER"
        print("| %s | %.1f | %.1f | %.1f | %d | %.1f | %s |" % (name, size / ours["seconds"], size / theirs, theirs / ours["seconds"], ours["tokens"], 1e3 * ours["load"], equal), flush=True)


if __name__ == "__main__":
    main()
