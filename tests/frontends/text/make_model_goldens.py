"""Makes data/models/: small SentencePiece, unigram and WordPiece vocabularies in the styles of published models and
some odd ones, with the ids that `tokenizers`, `sentencepiece` and llama.cpp give the torture corpus of
make_tokenizer_goldens.py.

usage: make_model_goldens.py          needs: tokenizers sentencepiece gguf llama-cpp-python

data/models/STYLE/ is a model's folder with a tokenizer.json or a tokenizer.model. goldens.json is
{"texts": [..], "tokenizers": {STYLE: {"ids", "text"}}, "sentencepiece": {STYLE: {"ids", "text"}},
 "gguf": {STYLE: {"metadata", "ids", "plain"}}, "pre": {NAME: {"ids"}}}: ids with BOS and EOS and special tokens parsed
(gguf "plain", sentencepiece, pre: without), and the text that the ids give, special tokens left out; null where the
other tokenizer cannot say. Ids must be equal: there is no tolerance, but see expect_ids in ModelGoldensTest.cpp. The
trainers break ties as they like, so each run makes other vocabularies.
"""
import json
import os
import tempfile

import gguf

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make_tokenizer_goldens import CORPUS, DATA, TEXTS, random_texts

FOLDER = os.path.join(DATA, "models")
SPECIAL = ["<unk>", "<s>", "</s>"]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BYTES = ["<0x%02X>" % i for i in range(256)]
# Rules of a charsmap: fullwidth forms, ligatures, compatibility spaces, composed accents, control characters.
RULES = ([(chr(0xFF01 + i), chr(0x21 + i)) for i in range(94)] + [("\ufb01", "fi"), ("\ufb02", "fl"), ("\u2026", "..."), ("\u00a0", " "), ("\u3000", " ")]
         + [("\u2003", " "), ("\t", " "), ("\n", " "), ("\r", " "), ("\u200b", " "), ("\x01", ""), ("\x7f", ""), ("\ufeff", "")]
         + [("e\u0301", "\u00e9"), ("s\u0323\u0307", "\u1e69"), ("\u1e69\u0301", "!"), ("\ufdfa", "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647"), ("\u212b", "\u00c5"), ("\u00bd", "1/2")])
TEXTS = TEXTS + [" <s> hi</s>", "<s><s>", "a<s>b", "[CLS] a [SEP]", "[MASK]s", "a[MASK]", "[INST] hi [/INST]", "x <user>y", "userx user user. (user) \u200duser",
                 "UNaffable", "\u4f60\u597dab\u4e16", "don't won't I'm do not", "a , b . c ? d !", "--a--b-", "\u2581", "\u2581\u2581a\u2581", "a \u2581b", "ﬁﬂ ＡＢｃ ½ ﷺ",
                 "e\u0301e\u0301s\u0323\u0307\u0301", "\u1e69\u0301", "\u0130\u0131\u1e9e\u03a3\u03c2", "  \u00a0 x \u00a0 ", "word " * 30, "x" * 120, "antidisestablishmentarianism" * 5]


def text_trainer(kind, **options):
    return {"bpe": trainers.BpeTrainer, "unigram": trainers.UnigramTrainer, "wordpiece": trainers.WordPieceTrainer}[kind](show_progress=False, **options)


def with_bytes(tokenizer):
    """The same tokenizer with byte tokens behind its vocabulary."""
    root = json.loads(tokenizer.to_str())
    vocab = root["model"]["vocab"]
    for token in BYTES:
        if isinstance(vocab, dict):
            vocab[token] = len(vocab)
        else:
            vocab.append([token, 0.0])
    root["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(root))


def charsmap():
    """A small precompiled charsmap, made by sentencepiece's own trainer."""
    model = train_spm("unigram", 600, normalization_rule_tsv=write_rules(), byte_fallback=False)
    from sentencepiece import sentencepiece_model_pb2 as pb
    proto = pb.ModelProto()
    proto.ParseFromString(model)
    return proto.normalizer_spec.precompiled_charsmap


def write_rules():
    path = os.path.join(tempfile.mkdtemp(), "rules.tsv")
    with open(path, "w") as file:
        for source, target in RULES:
            hexes = lambda s: " ".join("%X" % ord(c) for c in s)
            file.write(hexes(source) + "\t" + hexes(target) + "\n")
    return path


def train_spm(kind, size, **options):
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "corpus.txt"), "w") as file:
        file.write("\n".join([CORPUS] + [t for t in TEXTS if "\x00" not in t]))
    sentencepiece.SentencePieceTrainer.train(
        input=os.path.join(folder, "corpus.txt"), model_prefix=os.path.join(folder, "m"), model_type=kind, vocab_size=size, character_coverage=0.98,
        minloglevel=2, num_threads=1, hard_vocab_limit=False, **options)
    with open(os.path.join(folder, "m.model"), "rb") as file:
        return file.read()


def styles():
    """Name -> a trained tokenizer."""
    n, p, d = normalizers, pre_tokenizers, decoders
    out = {}

    def make(name, model, kind, normalizer=None, pre=None, decoder=None, special=SPECIAL, added=(), post=None, size=420, byte_fallback=False, **options):
        tokenizer = Tokenizer(model)
        if normalizer:
            tokenizer.normalizer = normalizer
        if pre:
            tokenizer.pre_tokenizer = pre
        if kind != "unigram":
            options = {"limit_alphabet": 150, **options}
        tokenizer.train_from_iterator((CORPUS + "\n" + "\n".join(TEXTS)).split("\n"), text_trainer(kind, vocab_size=size, special_tokens=special, **options))
        if byte_fallback:
            tokenizer = with_bytes(tokenizer)
        if decoder:
            tokenizer.decoder = decoder
        for token in added:
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if post:
            tokenizer.post_processor = processors.TemplateProcessing(
                single=post, special_tokens=[(t, tokenizer.token_to_id(t)) for t in post.split() if t != "$A"])
        out[name] = tokenizer

    spaces = lambda *more: d.Sequence([d.Replace("\u2581", " "), d.ByteFallback(), d.Fuse(), *more])
    bpe = lambda **k: models.BPE(unk_token="<unk>", **k)
    user = [AddedToken("<user>"), AddedToken("[INST]", normalized=False), AddedToken("user", single_word=True), AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False)]
    make("llama", bpe(fuse_unk=True), "bpe", n.Sequence([n.Prepend("\u2581"), n.Replace(" ", "\u2581")]), None, spaces(d.Strip(" ", 1, 0)), added=user, post="<s> $A", byte_fallback=True)
    make("mistral", bpe(fuse_unk=True), "bpe", None, p.Metaspace(prepend_scheme="first", split=False), spaces(d.Strip(" ", 1, 0)), added=user, post="<s> $A", byte_fallback=True)
    make("gemma", bpe(fuse_unk=True), "bpe", n.Replace(" ", "\u2581"), p.Split(" ", "merged_with_previous"), spaces(), post="<s> $A", byte_fallback=True)
    make("unknown", bpe(fuse_unk=False), "bpe", n.NFC(), p.Metaspace(), d.Metaspace(), added=user)
    make("fused", bpe(fuse_unk=True, ignore_merges=True), "bpe", n.Lowercase(), p.Metaspace(prepend_scheme="never"), d.Metaspace(prepend_scheme="never"))
    unigram = dict(unk_token="<unk>")
    precompiled = n.Precompiled(charsmap())
    make("t5", models.Unigram(), "unigram", n.Sequence([precompiled, n.Strip(left=False), n.Replace(Regex(" {2,}"), "\u2581")]), p.Metaspace(), d.Metaspace(), post="$A </s>", **unigram)
    make("unigram_bytes", models.Unigram(), "unigram", n.NFKC(), p.Metaspace(prepend_scheme="first"), spaces(d.Strip(" ", 1, 0)), byte_fallback=True, added=user, **unigram)
    make("xlmr", models.Unigram(), "unigram", n.Sequence([n.Nmt(), n.NFKC(), n.Replace(Regex(" {2,}"), " ")]), p.Sequence([p.WhitespaceSplit(), p.Metaspace()]), d.Metaspace(),
         added=[AddedToken("<mask>", lstrip=True, special=True)], post="<s> $A </s>", **unigram)
    piece = lambda **k: models.WordPiece(unk_token="[UNK]", **k)
    bert = dict(special=BERT_SPECIAL, post="[CLS] $A [SEP]")
    make("bert", piece(), "wordpiece", n.BertNormalizer(), p.BertPreTokenizer(), d.WordPiece(), **bert)
    make("bert_cased", piece(max_input_chars_per_word=20), "wordpiece", n.BertNormalizer(lowercase=False, strip_accents=True, handle_chinese_chars=False), p.BertPreTokenizer(),
         d.WordPiece(cleanup=False), **bert)
    make("bert_plain", piece(), "wordpiece", n.BertNormalizer(clean_text=False, strip_accents=False), p.Sequence([p.Whitespace(), p.Punctuation("removed")]), d.WordPiece(prefix="@@"),
         special=BERT_SPECIAL, continuing_subword_prefix="##", added=[AddedToken("user", single_word=True, normalized=True)])
    make("odd", bpe(), "bpe", n.Sequence([n.NFD(), n.StripAccents(), n.Strip(right=False), n.Replace(Regex("[0-9]+"), "#"), n.Replace("ab", "BA")]),
         p.Sequence([p.Whitespace(), p.Digits(individual_digits=True), p.Punctuation("merged_with_previous")]), None, added=[AddedToken("<Straße>"), AddedToken("<é>", special=True)])
    make("odder", bpe(), "bpe", n.Sequence([n.NFKD(), n.Strip()]),
         p.Sequence([p.Split(Regex(r"\s"), "merged_with_next"), p.Split(Regex("[aeiou]+"), "contiguous"), p.CharDelimiterSplit("-"), p.FixedLength(7)]), None)
    return out


def vocabulary(path, metadata):
    """A GGUF file with nothing but a vocabulary."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(metadata["model"])
    if "pre" in metadata:
        writer.add_tokenizer_pre(metadata["pre"])
    writer.add_token_list(metadata["tokens"])
    writer.add_token_types(metadata["types"])
    if "scores" in metadata:
        writer.add_token_scores(metadata["scores"])
    if "merges" in metadata:
        writer.add_token_merges(metadata["merges"])
    for key in ("bos", "eos", "unk", "sep", "pad"):
        if key in metadata:
            getattr(writer, "add_%s_token_id" % key)(metadata[key])
    for key in ("add_space_prefix", "remove_extra_whitespaces", "add_bos_token", "add_eos_token"):
        if key in metadata:
            writer.add_bool("tokenizer.ggml." + key, metadata[key])
    if metadata.get("charsmap"):
        writer.add_precompiled_charsmap(bytes.fromhex(metadata["charsmap"]))
    for key, value in (("add_context_length", 64), ("add_embedding_length", 32), ("add_block_count", 1), ("add_head_count", 1), ("add_feed_forward_length", 32)):
        getattr(writer, key)(value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def llama_ids(metadata, texts):
    """(with special tokens, without) for each text, by llama.cpp."""
    path = os.path.join(tempfile.mkdtemp(), "v.gguf")
    vocabulary(path, metadata)
    import llama_cpp
    llama = llama_cpp.Llama(model_path=path, vocab_only=True, verbose=False)
    call = lambda t, special: llama.tokenize(t.encode(), add_bos=special, special=special)
    return [call(t, True) for t in texts], [call(t, False) for t in texts]


def spm_metadata(model):
    from sentencepiece import sentencepiece_model_pb2 as pb
    proto = pb.ModelProto()
    proto.ParseFromString(model)
    spec = proto.normalizer_spec
    out = {"tokens": [piece.piece for piece in proto.pieces], "scores": [piece.score for piece in proto.pieces], "types": [piece.type for piece in proto.pieces],
           "bos": 1, "eos": 2, "unk": 0, "add_space_prefix": spec.add_dummy_prefix, "remove_extra_whitespaces": spec.remove_extra_whitespaces,
           "add_bos_token": True, "add_eos_token": False}
    if spec.precompiled_charsmap:
        out["charsmap"] = spec.precompiled_charsmap.hex()
    return out


def save(name, file, content):
    os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
    with open(os.path.join(FOLDER, name, file), "wb") as out:
        out.write(content)


def main():
    texts = TEXTS + random_texts(60)
    goldens = {"texts": texts, "tokenizers": {}, "sentencepiece": {}, "gguf": {}, "pre": {}}
    trained = styles()
    for name, tokenizer in trained.items():
        save(name, "tokenizer.json", tokenizer.to_str().encode())
        tokenizer = Tokenizer.from_file(os.path.join(FOLDER, name, "tokenizer.json"))
        ids = [tokenizer.encode(t).ids for t in texts]
        goldens["tokenizers"][name] = {"ids": ids, "text": [tokenizer.decode(i, skip_special_tokens=True) for i in ids]}
    bpe = train_spm("bpe", 1000, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, user_defined_symbols=["<user>", "\u2581\u2581\u2581"])
    unigram = train_spm("unigram", 600, normalization_rule_tsv=write_rules(), user_defined_symbols=["<user>"], control_symbols=["<strip>"])
    plain = train_spm("unigram", 900, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False)
    for name, model in (("spm_bpe", bpe), ("spm_unigram", unigram), ("spm_plain", plain)):
        save(name, "tokenizer.model", model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [processor.encode(t) for t in texts]
        decode = lambda i: None if processor.unk_id() in i else processor.decode(i)
        goldens["sentencepiece"][name] = {"ids": ids, "text": [decode(i) for i in ids]}
    user_spaces = lambda m: {**m, "tokens": [t.replace("\u2581", " ") if k == 4 else t for t, k in zip(m["tokens"], m["types"])]}
    llama = {**user_spaces(spm_metadata(bpe)), "model": "llama"}
    equal_scores = {**llama, "scores": [-1000.0] * len(llama["tokens"]), "add_space_prefix": False}
    t5 = {**spm_metadata(unigram), "model": "t5", "add_bos_token": False, "add_eos_token": True}
    bert = json.loads(trained["bert"].to_str())["model"]["vocab"]
    bert = sorted(bert, key=bert.get)
    wpm = {"model": "bert", "types": [3 if t in BERT_SPECIAL else 1 for t in bert], "bos": 2, "eos": 3, "unk": 1, "sep": 3, "pad": 0,
           "tokens": [t if t in BERT_SPECIAL else t[2:] if t.startswith("##") else "\u2581" + t for t in bert]}
    goldens["gguf"]["bert"] = {"metadata": wpm}
    for name, metadata in (("llama", llama), ("equal_scores", equal_scores), ("t5", t5)):
        ids, plain_ids = llama_ids(metadata, texts)
        goldens["gguf"][name] = {"metadata": metadata, "ids": ids, "plain": plain_ids}
    with open(os.path.join(DATA, "gpt2", "tokenizer.json")) as file:
        model = json.load(file)["model"]
    vocab = sorted(model["vocab"], key=model["vocab"].get)
    pair = lambda m: m if isinstance(m, str) else " ".join(m)
    for pre in ("tekken", "gpt-4o", "bloom", "viking", "deepseek-llm", "deepseek-coder", "deepseek-v3", "command-r", "stablelm2", "olmo", "dbrx", "smaug-bpe", "starcoder", "refact", "falcon",
                "mpt", "exaone4", "hunyuan-dense", "jais", "glm4", "llama-bpe", "qwen2", "qwen35", "seed-coder", "minicpm5", "bailingmoe", "exaone-moe", "jais-2", "default"):
        metadata = {"model": "gpt2", "pre": pre, "tokens": vocab, "types": [1] * len(vocab), "merges": [pair(m) for m in model["merges"]], "bos": 0, "eos": 0}
        goldens["pre"][pre] = {"ids": llama_ids(metadata, texts[::2])[1]}
    with open(os.path.join(FOLDER, "goldens.json"), "w") as file:
        json.dump(goldens, file, ensure_ascii=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
