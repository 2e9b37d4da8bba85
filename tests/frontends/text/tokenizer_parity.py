"""Makes tokenizers at random and lists every text whose ids or whose decoding differ from `tokenizers`, `sentencepiece`
or llama.cpp.

usage: tokenizer_parity.py PROBE hf [SEED] [COUNT]             trained on the spot with `tokenizers`
       tokenizer_parity.py PROBE spm [SEED] [COUNT]            trained on the spot with `sentencepiece`
       tokenizer_parity.py PROBE gguf SEED FILE.gguf...        vocabularies of GGUF files, beside llama.cpp
       tokenizer_parity.py PROBE pre SEED FILE.gguf NAME...    a byte-level vocabulary under other pre-tokenizers' names
       tokenizer_parity.py PROBE ggufspm [SEED] [COUNT]        trained on the spot with `sentencepiece`, beside llama.cpp
       tokenizer_parity.py PROBE goldens [SEED] [COUNT]        writes data/pipelines.json, what ctest holds of the first kind
       tokenizer_parity.py PROBE files SEED FOLDER...          folders with a tokenizer.json

needs: tokenizers; for spm sentencepiece; for gguf gguf and llama-cpp-python. PROBE is the program tokenizer_probe
(`ninja -C build tokenizer_probe`). A seed makes the same parts and texts every time, but trainers break ties as they like.
What a tokenizer has that Quern refuses by name is counted, not compared. Differences that are decisions
(docs/decisions/0006) are passed over by name. What was found this way is in the goldens: see make_model_goldens.py.
"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

from make_tokenizer_goldens import CORPUS, CL100K, DEEPSEEK, GPT4O, LLAMA3, QWEN2, TEXTS  # noqa: E402

SPECIAL = ["<unk>", "<s>", "</s>", "[MASK]", "<|im_start|>", "<|im_end|>"]
BYTES = ["<0x%02X>" % i for i in range(256)]
POOLS = ["abcXYZ'sSTD", "the quick brown fox", "  \t\n\r", "     ", "0123456789", "é\u0301\u0308ñßſK", "日本語中文かなカナー。、「」", "한국어\u1100\u1161\u11a8", "עברית ערבית العربية", "👩\u200d🇫🇷🏽❤\ufe0f",
         "._-+=!?/\\{}[]()<>|#@$%^&*~`\"';:,", "\u00a0\u2003\u3000\u180e\u200b\ufeff\u0085\u2028\u2029\u202f\u205f", "१२३٣Ⅷ½²①", "𝔘𝔫𝟙𝒳", "\x00\x01\x1f\x7f\x0b\x0c\x1c\x1d", "﷽ัำक्षत्रिमি", "αβγΩΣς",
         "ĀĂǅǆİıẞŉ", "ﬁﬂ½ＡＢｃ１２", "\u2581", "ქართული Հայերեն አማርኛ ខ្មែរ", "\u0300\u0323\u0307\u0345\u1ab0\u20dd", "\ufffd\ufffe\uffff\U0010ffff\U000e0001", "don't we'll I'D they've", "#a ##b </w> @@"]
PIECES = ["<s>", "</s>", "<unk>", "[MASK]", "<user>", "<|im_start|>", "<|im_end|>", "<|im_", "[INST]", "user", "<strip>", "<0x41>", "<0xE2>", "word", " ", "  ", "\n", "<é>", "İ"]


def random_text(rng):
    text = ""
    for _ in range(rng.choice([1, 1, 2, 3, 5, 8, 13])):
        kind = rng.random()
        if kind < 0.2:
            text += rng.choice(PIECES)
        elif kind < 0.4:
            text += rng.choice(CORPUS.split())
        elif kind < 0.5:
            text += rng.choice(rng.choice(POOLS)) * rng.choice([2, 3, 10, 40, 101])
        else:
            pool = rng.choice(POOLS)
            text += "".join(rng.choice(pool) for _ in range(rng.randrange(1, 7)))
        if rng.random() < 0.3:
            text += rng.choice([" ", "  ", "\n", " ", "\t"])
    return text


def maybe(rng, chance=0.5):
    return rng.random() < chance


def random_normalizer(rng, charsmaps):
    n = normalizers
    make = [n.NFC, n.NFD, n.NFKC, n.NFKD, n.Lowercase, n.StripAccents, lambda: n.Strip(left=maybe(rng), right=maybe(rng)), lambda: n.Replace(rng.choice([" ", "a", "ab", "``", "\u0301"]), rng.choice(["\u2581", "", "b a", "é"])),
            lambda: n.Replace(Regex(rng.choice([r"\s+", " {2,}", "[0-9]+", r"\d", "(a|b)c?", r"\p{M}", "^ ", r"\s+$", r"[\n\r]", r"(?i)the"])), rng.choice([" ", "", "#", "\u2581"])), lambda: n.Prepend(rng.choice(["\u2581", " ", "ab"])),
            lambda: n.Precompiled(rng.choice(charsmaps)), lambda: n.BertNormalizer(clean_text=maybe(rng), handle_chinese_chars=maybe(rng), strip_accents=rng.choice([None, True, False]), lowercase=maybe(rng)), n.Nmt, n.ByteLevel]
    steps = [rng.choice(make)() for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))]
    if not steps:
        return None
    return steps[0] if len(steps) == 1 and maybe(rng) else n.Sequence(steps)


BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PATTERNS = [LLAMA3, QWEN2, GPT4O, CL100K, *DEEPSEEK, r"\s+", r"\w+|[^\w\s]+", r"\d{1,3}(?=(?:\d{3})*\b)", r"[^\s]+|\s+", r"\p{Han}", "[一-龥]", r" ?\p{L}+", "(?<=a)b", r"\n+", "x*", r"\b", r"[A-Z][a-z]*", r"(?i:the)", r"[\p{L}&&[^a-z]]+"]


def random_pre(rng):
    p = pre_tokenizers
    make = [p.Whitespace, p.WhitespaceSplit, lambda: p.Metaspace(replacement=rng.choice(["\u2581", "_"]), prepend_scheme=rng.choice(["always", "first", "never"]), split=maybe(rng)), lambda: p.Punctuation(rng.choice(BEHAVIORS)),
            lambda: p.Digits(individual_digits=maybe(rng)), lambda: p.Split(rng.choice([" ", "a", "\n", "ab", ".", "\u2581"]), rng.choice(BEHAVIORS), invert=maybe(rng, 0.3)),
            lambda: p.Split(Regex(rng.choice(PATTERNS)), rng.choice(BEHAVIORS), invert=maybe(rng, 0.3)), lambda: p.CharDelimiterSplit(rng.choice("-,x ")), p.BertPreTokenizer, p.UnicodeScripts, lambda: p.FixedLength(rng.choice([1, 3, 7])),
            lambda: p.ByteLevel(add_prefix_space=maybe(rng), use_regex=maybe(rng))]
    steps = [rng.choice(make)() for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))]
    return steps


def random_decoder(rng, byte_level, byte_fallback):
    d = decoders
    if byte_level:
        return rng.choice([d.ByteLevel(), d.ByteLevel(), d.Sequence([d.ByteLevel()]), None])
    plain = [None, d.Metaspace(), d.Metaspace(prepend_scheme="never"), d.WordPiece(), d.WordPiece(prefix="##", cleanup=False), d.BPEDecoder(), d.Fuse(), d.Replace("\u2581", " "), d.Replace(Regex("[\u2581_]"), " "), d.Strip("_", 1, 1), d.CTC(),
             d.Sequence([d.Replace("\u2581", " "), d.Strip(" ", 1, 0)]), d.Sequence([d.BPEDecoder(), d.Fuse()]), d.Sequence([d.Replace("a", "b"), d.Fuse(), d.Strip(" ", 2, 1)]), d.Sequence([d.WordPiece(), d.Replace(" ", "_")])]
    spaces = [d.Replace("\u2581", " "), d.ByteFallback(), d.Fuse()]
    fallback = [d.Sequence(spaces), d.Sequence([*spaces, d.Strip(" ", 1, 0)]), d.Sequence([d.ByteFallback(), d.Metaspace()]), d.ByteFallback()]
    return rng.choice(fallback if byte_fallback and maybe(rng, 0.8) else plain)


def random_added(rng):
    contents = ["<user>", "[INST]", "user", "<strip>", "<é>", "İİ", "the", " x", "\n", "  ", "<|tool|>", "Qu", "한국", "\u2581a", "ab"]
    return [AddedToken(c, single_word=maybe(rng, 0.3), lstrip=maybe(rng, 0.3), rstrip=maybe(rng, 0.3), normalized=maybe(rng), special=maybe(rng, 0.4))
            for c in rng.sample(contents, rng.choice([0, 0, 1, 2, 4]))]


def random_post(rng, tokenizer):
    q = processors
    pair = lambda t: (t, tokenizer.token_to_id(t))
    template = lambda single: q.TemplateProcessing(single=single, special_tokens=[pair("<s>"), pair("</s>")])
    return rng.choice([None, None, template("<s> $A"), template("$A </s>"), template("<s> $A </s>"), template("<s> <s> $A"), q.BertProcessing(pair("</s>"), pair("<s>")), q.RobertaProcessing(pair("</s>"), pair("<s>"), trim_offsets=maybe(rng), add_prefix_space=maybe(rng)),
                       q.ByteLevel(), q.Sequence([q.ByteLevel(), template("<s> $A")])])


def make_hf(rng, charsmaps):
    kind = rng.choice(["bpe", "bpe", "bytes", "bytes", "unigram", "wordpiece", "wordlevel"])
    steps = random_pre(rng)
    byte_level = kind == "bytes"
    if byte_level:
        steps = [s for s in steps if type(s).__name__ != "ByteLevel"] + [pre_tokenizers.ByteLevel(add_prefix_space=maybe(rng, 0.3), use_regex=maybe(rng))]
    fallback = kind in ("bpe", "unigram") and maybe(rng, 0.4)
    options, train = {}, {"vocab_size": rng.choice([160, 200, 400, 700]), "special_tokens": SPECIAL}
    if kind == "bpe" or byte_level:
        model = models.BPE(unk_token=rng.choice([None, "<unk>"]), fuse_unk=maybe(rng), ignore_merges=maybe(rng, 0.3))
        if kind == "bpe" and maybe(rng, 0.4):
            options = {k: v for k, v in (("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>")) if maybe(rng, 0.6)}
        if byte_level:
            train["vocab_size"] += 256
            train["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet() if maybe(rng, 0.8) else []
        elif maybe(rng):
            train["limit_alphabet"] = 80
        trainer = trainers.BpeTrainer(show_progress=False, **train, **options)
        for key, value in options.items():
            setattr(model, key, value)
    elif kind == "unigram":
        model, trainer = models.Unigram(), trainers.UnigramTrainer(show_progress=False, unk_token="<unk>", **train)
    elif kind == "wordpiece":
        prefix = rng.choice(["##", "##", "@@"])
        model = models.WordPiece(unk_token="<unk>", max_input_chars_per_word=rng.choice([5, 20, 100]), continuing_subword_prefix=prefix)
        trainer = trainers.WordPieceTrainer(show_progress=False, continuing_subword_prefix=prefix, **train)
    else:
        model, trainer = models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(show_progress=False, **train)
    tokenizer = Tokenizer(model)
    normalizer = random_normalizer(rng, charsmaps)
    if normalizer:
        tokenizer.normalizer = normalizer
    if steps:
        tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    lines = [line for line in (CORPUS + "\n" + "\n".join(TEXTS)).split("\n") if not any(token in line for token in SPECIAL)]
    tokenizer.train_from_iterator(lines if len(steps) > 0 else [w for line in lines for w in line.split()] + lines[:5], trainer)
    if fallback:
        root = json.loads(tokenizer.to_str())
        vocab = root["model"]["vocab"]
        for token in BYTES if maybe(rng, 0.8) else BYTES[:200]:
            if isinstance(vocab, dict):
                vocab[token] = len(vocab)
            else:
                vocab.append([token, 0.0])
        root["model"]["byte_fallback"] = True
        tokenizer = Tokenizer.from_str(json.dumps(root))
    decoder = random_decoder(rng, byte_level, fallback)
    if decoder:
        tokenizer.decoder = decoder
    for token in random_added(rng):
        found = normalizer.normalize_str(token.content) if normalizer and token.normalized else token.content
        if not found or (token.special and found != token.content):
            continue  # what is empty is found everywhere; a special token that changes is not known as special any more
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    post = random_post(rng, tokenizer)
    if post:
        tokenizer.post_processor = post
    return tokenizer


class Probe:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question):
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Score:
    def __init__(self):
        self.texts = self.tokenizers = self.failed = 0
        self.refused = collections.Counter()

    def differ(self, about, text, what, got, want):
        self.failed += 1
        print(f"{what} differ: {about}\n    text   {text!r}\n    got    {got!r}\n    wanted {want!r}", flush=True)

    def finish(self):
        for reason, count in self.refused.most_common():
            print(f"refused {count}: {reason}")
        print(f"{self.tokenizers} tokenizers, {self.texts} texts, {self.failed} differ")
        sys.exit(1 if self.failed else 0)


def equal_sums(tokenizer_json, got, want):
    """Whether two cuts by a unigram model have the same sum of scores: rounding decides between those."""
    vocab = tokenizer_json["model"]["vocab"]
    if tokenizer_json["model"]["type"] != "Unigram" or max([*got, *want], default=0) >= len(vocab):
        return False
    total = lambda ids: sum(vocab[i][1] for i in ids)
    return abs(total(got) - total(want)) < 1e-3 and len(got) == len(want)


def decided(root, specials, got, want):
    """Whether two lists of ids differ as docs/decisions/0006 says."""
    if not isinstance(got, list):
        return False
    if root["normalizer"] and '"prepend_scheme": "first"' in json.dumps(root["pre_tokenizer"]):
        return True
    count = lambda ids: sum(specials.get(i, "<unk>") != "<unk>" for i in ids)
    return count(want) > count(got) or equal_sums(root, got, want)


def describe(root):
    brief = {k: v for k, v in root["model"].items() if k not in ("vocab", "merges") and v not in (None, False, 0)}
    return json.dumps({"model": brief, **{k: root[k] for k in ("normalizer", "pre_tokenizer", "decoder", "post_processor")}, "added": [{k: v for k, v in t.items() if v} for t in root["added_tokens"][6:]]}, ensure_ascii=False)


def short(value, width=700):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) < width else text[:width] + "..."


def compare_hf(probe, score, tokenizer, folder, texts, limit=2):
    root = json.loads(tokenizer.to_str())
    answer = probe.ask({"load": folder})
    if "error" in answer:
        score.refused[answer["error"][-100:]] += 1
        return
    score.tokenizers += 1
    about = short(describe(root))
    ours = probe.ask({"texts": texts})
    specials = {t["id"]: t["content"] for t in root["added_tokens"] if t["special"]}
    ids, failed = [], 0
    for text, got in zip(texts, ours["ids"]):
        score.texts += 1
        try:
            want = tokenizer.encode(text).ids
        except BaseException:  # a panic
            continue
        ids.append(want)
        if got != want and not decided(root, specials, got, want):
            failed += 1
            if failed <= limit:
                score.differ(about, text, "ids", short(got, 300), short(want, 300))
            else:
                score.failed += 1
    tokenizer.encode_special_tokens = True
    for text, got in zip(texts, ours["plain"]):
        try:
            want = tokenizer.encode(text, add_special_tokens=False).ids
        except BaseException:
            continue
        if got != want and "<unk>" not in text and not decided(root, specials, got, want):
            failed += 1
            if failed <= limit:
                score.differ(about, text, "plain ids", short(got, 300), short(want, 300))
            else:
                score.failed += 1
    tokenizer.encode_special_tokens = False
    texts = texts if len(texts) == len(ids) else [""] * len(ids)
    decoded = probe.ask({"ids": ids})
    failed = 0
    for text, one, got, streamed in zip(texts, ids, decoded["text"], decoded["streamed"]):
        want = tokenizer.decode(one, skip_special_tokens=True)
        if (got != want or streamed != want) and "\ufffd" not in want:
            failed += 1
            if failed <= 1:
                score.differ(about, text, "decodings", short(got, 300) if got != want else "streamed " + short(streamed), short(want, 300))
            else:
                score.failed += 1


def charsmaps():
    """Precompiled charsmaps: sentencepiece's own NFKC rules and a small one of our own."""
    try:
        from sentencepiece import sentencepiece_model_pb2 as pb
        from make_model_goldens import train_spm, write_rules
        found = []
        for options in (dict(normalization_rule_name="nmt_nfkc"), dict(normalization_rule_name="nfkc_cf"), dict(normalization_rule_tsv=write_rules())):
            proto = pb.ModelProto()
            proto.ParseFromString(train_spm("unigram", 300, **options))
            found.append(proto.normalizer_spec.precompiled_charsmap)
        return found
    except ImportError:
        return []


def run_hf(probe, seed, count):
    maps = charsmaps()
    score = Score()
    for i in range(count):
        rng = random.Random(f"{seed}/{i}")
        folder = tempfile.mkdtemp()
        try:
            tokenizer = make_hf(rng, maps)
            path = os.path.join(folder, "tokenizer.json")
            tokenizer.save(path)
            tokenizer = Tokenizer.from_file(path)
        except BaseException as error:  # the trainer's own limits, some of them panics
            if isinstance(error, KeyboardInterrupt):
                raise
            score.refused["tokenizers: " + str(error)[:60]] += 1
            continue
        compare_hf(probe, score, tokenizer, folder, [random_text(rng) for _ in range(60)] + rng.sample(TEXTS, 20))
        shutil.rmtree(folder)
    score.finish()


def write_goldens(probe, seed, count):
    """data/pipelines.json: [{"tokenizer", "texts", "ids", "text"}], small tokenizers made as above. Texts that a decision
    concerns are left out; where an id or a text differs nothing is written."""
    from make_tokenizer_goldens import DATA
    maps = [m for m in charsmaps() if len(m) < 10000]
    score = Score()
    goldens = []
    for i in range(20 * count):
        rng = random.Random(f"{seed}/{i}")
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "tokenizer.json")
        try:
            make_hf(rng, maps).save(path)
            tokenizer = Tokenizer.from_file(path)
        except BaseException:
            continue
        root = json.loads(tokenizer.to_str())
        if "error" in probe.ask({"load": folder}) or len(json.dumps(root)) > 9000:
            continue
        compare_hf(probe, score, tokenizer, folder, [random_text(rng) for _ in range(60)])
        texts = [t for t in [random_text(rng) for _ in range(40)] if len(t) < 60]
        specials = {t["id"]: t["content"] for t in root["added_tokens"] if t["special"]}
        ours = probe.ask({"texts": texts})["ids"]
        entries = [(t, e.ids, tokenizer.decode(e.ids)) for t, e, got in ((t, tokenizer.encode(t), got) for t, got in zip(texts, ours)) if not decided(root, specials, got, e.ids)]
        entries = [e for e in entries if "\ufffd" not in e[2]][:12]
        goldens.append({"tokenizer": root, "texts": [e[0] for e in entries], "ids": [e[1] for e in entries], "text": [e[2] for e in entries]})
        if len(goldens) == count:
            break
    if not score.failed:
        with open(os.path.join(DATA, "pipelines.json"), "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(g, separators=(",", ":")) for g in goldens) + "\n]\n")
    score.finish()


def run_files(probe, seed, folders):
    score = Score()
    rng = random.Random(seed)
    texts = [random_text(rng) for _ in range(1500)] + TEXTS
    for folder in folders:
        compare_hf(probe, score, Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), folder, texts, limit=5)
    score.finish()


def run_spm(probe, seed, count):
    import sentencepiece
    from make_model_goldens import train_spm, write_rules
    score = Score()
    for i in range(count):
        rng = random.Random(f"{seed}/{i}")
        options = dict(byte_fallback=maybe(rng), add_dummy_prefix=maybe(rng, 0.7), remove_extra_whitespaces=maybe(rng), split_digits=maybe(rng), treat_whitespace_as_suffix=maybe(rng, 0.2), split_by_whitespace=maybe(rng, 0.8),
                       split_by_unicode_script=maybe(rng), split_by_number=maybe(rng), allow_whitespace_only_pieces=maybe(rng, 0.4), user_defined_symbols=rng.sample(["<user>", "\u2581\u2581", "\u2581\u2581\u2581", "ab", "\n", "[INST]", "日本"], rng.choice([0, 1, 3])),
                       control_symbols=rng.sample(["<ctl>", "<strip>"], rng.choice([0, 1])))
        if maybe(rng, 0.2):
            options["normalization_rule_tsv"] = write_rules()
        else:
            options["normalization_rule_name"] = rng.choice(["identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"])
        kind = rng.choice(["bpe", "unigram"])
        try:
            model = train_spm(kind, rng.choice([500, 800, 1200]), **options)
        except Exception as error:
            score.refused["sentencepiece: " + str(error)[-80:]] += 1
            continue
        folder = tempfile.mkdtemp()
        with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
            file.write(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        answer = probe.ask({"load": folder})
        shutil.rmtree(folder)
        if "error" in answer:
            score.refused[answer["error"][-100:]] += 1
            continue
        score.tokenizers += 1
        texts = [random_text(rng) for _ in range(80)] + rng.sample(TEXTS, 20)
        plain = probe.ask({"texts": texts})["plain"]
        about = kind + " " + str(options)
        failed = 0
        ids = []
        for text, got in zip(texts, plain):
            score.texts += 1
            want = processor.encode(text)
            ids.append(want)
            total = lambda cut: sum(processor.get_score(t) for t in cut)
            ties = kind == "unigram" and len(got) == len(want) and abs(total(got) - total(want)) < 1e-3
            if got != want and not ties:
                failed += 1
                if failed <= 2:
                    score.differ(about, text, "ids", [processor.id_to_piece(t) for t in got], [processor.id_to_piece(t) for t in want])
                else:
                    score.failed += 1
        decoded = probe.ask({"ids": ids})
        failed = 0
        for one, got, streamed in zip(ids, decoded["text"], decoded["streamed"]):
            if processor.unk_id() in one:
                continue
            want = processor.decode(one)
            if (got != want or streamed != want) and "\ufffd" not in want:
                failed += 1
                if failed <= 1:
                    score.differ(about, [processor.id_to_piece(t) for t in one], "decodings", got if got != want else "streamed " + streamed, want)
                else:
                    score.failed += 1
    score.finish()


GGUF_KEYS = {"model": "model", "pre": "pre", "tokens": "tokens", "token_type": "types", "scores": "scores", "merges": "merges", "bos_token_id": "bos", "eos_token_id": "eos", "eot_token_id": "eot", "eom_token_id": "eom",
             "unknown_token_id": "unk", "seperator_token_id": "sep", "add_bos_token": "add_bos_token", "add_eos_token": "add_eos_token", "add_sep_token": "add_sep_token", "add_space_prefix": "add_space_prefix",
             "remove_extra_whitespaces": "remove_extra_whitespaces", "normalizer.lowercase": "lowercase", "normalizer.strip_accents": "strip_accents"}


def gguf_metadata(path):
    """What MetadataJson.h reads, of a GGUF file."""
    import gguf
    reader = gguf.GGUFReader(path)
    out = {}
    for key, field in reader.fields.items():
        name = GGUF_KEYS.get(key.removeprefix("tokenizer.ggml."))
        if key.startswith("tokenizer.ggml.") and name:
            out[name] = field.contents()
        elif key == "general.name":
            out["name"] = field.contents()
        elif key == "tokenizer.ggml.precompiled_charsmap":
            out["charsmap"] = bytes(v & 0xFF for v in field.contents()).hex()
    out.setdefault("types", [1] * len(out["tokens"]))
    return out


def compare_gguf(probe, score, about, metadata, path, texts):
    import llama_cpp
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(metadata, file)
        file.flush()
        answer = probe.ask({"load": file.name})
    if "error" in answer:
        score.refused[answer["error"][-100:]] += 1
        return
    score.tokenizers += 1
    llama = llama_cpp.Llama(model_path=path, vocab_only=True, verbose=False)
    ours = probe.ask({"texts": texts})
    failed = 0
    shown = lambda ids: [metadata["tokens"][t] for t in ids[:60]]
    total = lambda ids: sum(metadata["scores"][t] for t in ids)
    for text, got, plain in zip(texts, ours["ids"], ours["plain"]):
        score.texts += 1
        for what, one, special in (("ids", got, True), ("plain ids", plain, False)):
            want = llama.tokenize(text.encode(), add_bos=special, special=special)
            ties = metadata["model"] == "t5" and len(one) == len(want) and abs(total(one) - total(want)) < 1e-3
            if one != want and not ties:
                failed += 1
                if failed <= 3:
                    score.differ(about, text, what, shown(one), shown(want))
                else:
                    score.failed += 1


def run_gguf(probe, seed, paths):
    score = Score()
    rng = random.Random(seed)
    texts = [t for t in [random_text(rng) for _ in range(1500)] + TEXTS if "\x00" not in t]
    for path in paths:
        compare_gguf(probe, score, os.path.basename(path), gguf_metadata(path), path, texts)
    score.finish()


def run_pre(probe, seed, source, names):
    from make_model_goldens import vocabulary
    score = Score()
    rng = random.Random(seed)
    texts = [t for t in [random_text(rng) for _ in range(400)] + TEXTS if "\x00" not in t]
    metadata = gguf_metadata(source)
    for name in names:
        path = os.path.join(tempfile.mkdtemp(), "v.gguf")
        vocabulary(path, {**metadata, "pre": name})
        compare_gguf(probe, score, name, {**metadata, "pre": name}, path, texts)
        os.unlink(path)
    score.finish()


def run_gguf_spm(probe, seed, count):
    from make_model_goldens import spm_metadata, train_spm, vocabulary
    score = Score()
    for i in range(count):
        rng = random.Random(f"{seed}/{i}")
        kind = rng.choice(["bpe", "unigram"])
        options = dict(byte_fallback=kind == "bpe", add_dummy_prefix=maybe(rng), remove_extra_whitespaces=kind == "unigram" and maybe(rng), split_digits=maybe(rng), allow_whitespace_only_pieces=maybe(rng), split_by_whitespace=maybe(rng, 0.8),
                       user_defined_symbols=rng.sample(["<user>", "\u2581\u2581", "\u2581\u2581\u2581", "ab", "\n", "\n\n", "[INST]", "日本", "<table>"], rng.choice([0, 2, 5])), control_symbols=rng.sample(["<ctl>", "<start_of_turn>", "<end_of_turn>"], rng.choice([0, 2])),
                       normalization_rule_name=rng.choice(["identity", "nmt_nfkc"]) if kind == "unigram" else "identity")
        try:
            metadata = spm_metadata(train_spm(kind, rng.choice([500, 800, 1200]), **options))
        except Exception as error:
            score.refused["sentencepiece: " + str(error)[-80:]] += 1
            continue
        metadata["model"] = "llama" if kind == "bpe" else "t5"
        metadata["add_bos_token"], metadata["add_eos_token"] = kind == "bpe", kind == "unigram"
        if maybe(rng, 0.7):  # as llama.cpp's converter has it
            metadata["tokens"] = [t.replace("\u2581", " ") if k == 4 else t for t, k in zip(metadata["tokens"], metadata["types"])]
        if len(set(metadata["tokens"])) < len(metadata["tokens"]):
            continue
        path = os.path.join(tempfile.mkdtemp(), "v.gguf")
        vocabulary(path, metadata)
        texts = [t for t in [random_text(rng) for _ in range(150)] + rng.sample(TEXTS, 20) if "\x00" not in t]
        compare_gguf(probe, score, kind + " " + str(options), metadata, path, texts)
    score.finish()


def main():
    probe, what, rest = Probe(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if what in ("hf", "spm"):
        (run_hf if what == "hf" else run_spm)(probe, rest[0] if rest else "1", int(rest[1]) if len(rest) > 1 else 100)
    elif what == "goldens":
        write_goldens(probe, rest[0] if rest else "1", int(rest[1]) if len(rest) > 1 else 40)
    elif what == "ggufspm":
        run_gguf_spm(probe, rest[0] if rest else "1", int(rest[1]) if len(rest) > 1 else 20)
    elif what == "pre":
        run_pre(probe, rest[0], rest[1], rest[2:])
    elif what in ("gguf", "files"):
        (run_gguf if what == "gguf" else run_files)(probe, rest[0], rest[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
