"""Makes the files beside a vocabulary at random - tokenizer_config.json, special_tokens_map.json, added_tokens.json, or
vocab.json and merges.txt in place of tokenizer.json - and lists every text whose ids, whose decoding or whose named
tokens differ from those of transformers' AutoTokenizer.

usage: config_parity.py PROBE [SEED] [COUNT]
       config_parity.py PROBE goldens [SEED] [COUNT]       writes data/configs.json, what ctest holds of it

needs: transformers 5, tokenizers. PROBE is the program tokenizer_probe (`ninja -C build tokenizer_probe`).
What Quern does otherwise by decision is not made here: dicts that transformers 5 refuses, a vocabulary with holes.
"""
import json
import os
import random
import shutil
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers.pre_tokenizers import ByteLevel  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

from make_tokenizer_goldens import DATA  # noqa: E402
from tokenizer_parity import Probe, Score, maybe, short  # noqa: E402

STANDARD = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
OTHER = ["image_token", "boi_token", "video_token", "audio_bos_token"]
SPELLINGS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<image>", "[INST]", "<tool>", "<think>"]
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("o", "r"), ("Ġw", "or"), ("l", "d"), ("Ġwor", "ld"), ("Ġ", "Ġ"), ("<", "|")]
CLASSES = ["GPT2Tokenizer", "GPT2TokenizerFast", "CodeGenTokenizer", "Qwen2Tokenizer", "RobertaTokenizer", "GPTNeoXTokenizer"]
PLAIN = {"Qwen2Tokenizer"}  # forgets what else is said of a special token
ROWS = 4096


def bytes_vocabulary(rng):
    vocab = {c: i for i, c in enumerate(sorted(ByteLevel.alphabet()))}
    for a, b in MERGES:
        vocab.setdefault(a + b, len(vocab))
    for spelling in rng.sample(SPELLINGS, rng.choice([0, 2, 5, 8])):
        vocab.setdefault(spelling, len(vocab))
    return vocab


def random_flags(rng, content):
    special = maybe(rng, 0.6)
    return dict(content=content, single_word=maybe(rng, 0.1), lstrip=maybe(rng, 0.2), rstrip=maybe(rng, 0.2), normalized=maybe(rng, 0.3), special=special)


def random_token(rng, content):
    """A token as a config names it."""
    return content if maybe(rng, 0.7) else {"__type": "AddedToken", **random_flags(rng, content)}


def random_names(rng):
    return {name: rng.choice(SPELLINGS) for name in STANDARD + OTHER if maybe(rng, 0.3)}


def random_config(rng):
    config = {name: random_token(rng, content) if name in STANDARD else content for name, content in random_names(rng).items()}
    kind = rng.random()
    some = lambda: rng.sample(SPELLINGS, rng.choice([1, 2, 4]))
    if kind < 0.3:
        config["additional_special_tokens"] = some()
    elif kind < 0.5:
        config["extra_special_tokens"] = some()
    elif kind < 0.7:
        config["extra_special_tokens"] = {name: t for name, t in zip(["image_token", "tool", "vision_bos_token"], some())}
        if maybe(rng, 0.3):
            config["additional_special_tokens"] = some()
    if maybe(rng, 0.2):
        config["pad_token"] = None
    return config


def random_files(rng):
    """Name -> contents."""
    vocab = bytes_vocabulary(rng)
    model = {"model_type": "llama", "vocab_size": ROWS}
    files = {"config.json": model}
    config = random_config(rng)
    if maybe(rng, 0.3):
        files["vocab.json"] = vocab
        files["merges.txt"] = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES)
        config["tokenizer_class"] = rng.choice(CLASSES)
        for key in ("add_bos_token", "add_eos_token", "add_prefix_space"):
            if maybe(rng, 0.3):
                config[key] = maybe(rng)
    else:
        added, count = [], len(vocab)
        for content in rng.sample(SPELLINGS, rng.choice([0, 1, 4])):
            id = vocab.get(content, count)
            count = max(count, id + 1)
            added.append({"id": id, **random_flags(rng, content)})
        step = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
        files["tokenizer.json"] = dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=rng.choice([None, {"type": "NFC"}]), pre_tokenizer=step,
                                       post_processor=None, decoder=step, model=dict(type="BPE", vocab=vocab, merges=[list(m) for m in MERGES]))
        if maybe(rng, 0.4):
            config["tokenizer_class"] = rng.choice(["PreTrainedTokenizerFast", "PreTrainedTokenizer", "LlamaTokenizer"])
        if maybe(rng, 0.3):
            config["add_bos_token"] = maybe(rng)
    if maybe(rng, 0.35):
        config["added_tokens_decoder"] = {str(vocab.get(t, len(vocab) + i)): random_flags(rng, t) for i, t in enumerate(rng.sample(SPELLINGS, rng.choice([1, 3, 6])))}
    if maybe(rng, 0.4):
        files["special_tokens_map.json"] = {name: t if maybe(rng) else {k: v for k, v in random_flags(rng, t).items() if k != "special"} for name, t in random_names(rng).items()}
    if maybe(rng, 0.4):
        files["added_tokens.json"] = {t: vocab.get(t, len(vocab) + i) for i, t in enumerate(rng.sample(SPELLINGS, rng.choice([1, 3])))}
    if maybe(rng, 0.9):
        files["tokenizer_config.json"] = config
    elif "vocab.json" in files:
        model["tokenizer_class"] = config["tokenizer_class"]
    if config.get("tokenizer_class") in PLAIN and "vocab.json" in files:
        plain = lambda value: value["content"] if isinstance(value, dict) and "content" in value else value
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            if name in files:
                files[name] = {k: plain(v) for k, v in files[name].items() if k != "added_tokens_decoder"}
    return files


SIDES = {"lstrip": False, "rstrip": False, "single_word": False}
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def stated(config, space=False, normalizer=None, around=None, split=None, map=None):
    """Files in which nothing is left to chance."""
    vocab = {c: i for i, c in enumerate([chr(c) for c in range(33, 127)] + ["Ġ", "Ċ"])}
    for token in [a + b for a, b in MERGES] + ["<s>", "</s>", "<|endoftext|>"]:
        vocab.setdefault(token, len(vocab))
    added = [{"id": len(vocab) + i, "content": content, "special": special, "normalized": not special, **SIDES} for i, (content, special) in enumerate([("<mask>", True), ("<tool>", False)])]
    step = dict(type="ByteLevel", add_prefix_space=space, trim_offsets=True, use_regex=split is None)
    steps = [] if split is None else [{"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}]
    around = around and {"type": "RobertaProcessing", "cls": ["<s>", vocab["<s>"]], "sep": ["</s>", vocab["</s>"]], "trim_offsets": True, "add_prefix_space": True}
    files = {"tokenizer.json": dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=normalizer and {"type": normalizer},
                                    pre_tokenizer={"type": "Sequence", "pretokenizers": steps + [step]} if steps else step, post_processor=around, decoder=step,
                                    model=dict(type="BPE", vocab=vocab, merges=[list(m) for m in MERGES])),
             "config.json": {"model_type": "llama", "vocab_size": ROWS}, "tokenizer_config.json": config}
    return files if map is None else {**files, "special_tokens_map.json": map}


def stated_files():
    """The keys that random files seldom or never have."""
    for name, parts in [("GPT2TokenizerFast", {}), ("CodeGenTokenizerFast", {}), ("GPTNeoXTokenizerFast", {"normalizer": "NFC"}), ("Qwen2TokenizerFast", {"normalizer": "NFC", "split": QWEN2}),
                        ("RobertaTokenizerFast", {"around": True}), ("BartTokenizerFast", {"around": True}), ("PreTrainedTokenizerFast", {})]:
        for space in (True, False):
            yield stated({"tokenizer_class": name, "add_prefix_space": space}, space=not space, **parts)
    flagged = lambda content: {"__type": "AddedToken", "content": content, "special": True, "normalized": False, **SIDES}
    yield stated({"split_special_tokens": True, "eos_token": "</s>"})
    yield stated({"split_special_tokens": False, "eos_token": "</s>"})
    model_specific = {"model_specific_special_tokens": {"image_token": "<image>", "tool": flagged("<think>")}}
    yield stated(model_specific)
    yield stated({**model_specific, "video_token": "[INST]"})
    yield stated({**model_specific, "extra_special_tokens": {"boi_token": "[INST]"}})
    yield stated(model_specific, map={"extra_special_tokens": {"boi_token": "[INST]", "image_token": "<pad>"}})
    yield stated({"image_token": "<image>", "boi_token": flagged("<think>"), "video_token": "[INST]"})
    yield stated({"image_token": "<image>", "boi_token": flagged("<think>")}, map={"video_token": "<pad>", "image_token": "<unk>", "boi_token": "[INST]"})
    yield stated({"extra_special_tokens": {"image_token": "<image>"}}, map={"extra_special_tokens": ["<think>", "<pad>"]})


def vary(rng, files):
    """More keys in random files."""
    config = files.get("tokenizer_config.json", {})
    if maybe(rng, 0.3):
        config["model_specific_special_tokens"] = {name: rng.choice(SPELLINGS) for name in rng.sample(OTHER + ["tool"], 2)}
    if maybe(rng, 0.3):
        config["split_special_tokens"] = maybe(rng)
    if config.get("tokenizer_class") in PLAIN:
        return
    for name in OTHER:
        if name in config and maybe(rng, 0.4):
            config[name] = {"__type": "AddedToken", **random_flags(rng, config[name])}
    for file in [config, files.get("special_tokens_map.json")]:
        if file and maybe(rng, 0.2):
            file["extra_special_tokens"] = {name: rng.choice(SPELLINGS) for name in rng.sample(OTHER + ["tool"], 2)}


def random_text(rng):
    text = ""
    for _ in range(rng.choice([1, 2, 4, 7])):
        text += rng.choice(SPELLINGS) if maybe(rng) else rng.choice(["hello", " world", " ", "  ", "\n", "Hello", "é", "12", "<|", "im_end|>", "日", " <", "x"])
    return text


def write(folder, files):
    for name, value in files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def compare(probe, score, files, texts):
    """What AutoTokenizer makes of the files, or None where it refuses them."""
    folder = tempfile.mkdtemp()
    try:
        write(folder, files)
        try:
            judge = AutoTokenizer.from_pretrained(folder)
        except Exception as error:
            score.refused["transformers: " + str(error)[:80]] += 1
            return None
        answer = probe.ask({"load": folder})
    finally:
        shutil.rmtree(folder)
    brief = {k: v for k, v in files.items() if k not in ("vocab.json", "merges.txt", "tokenizer.json")}
    brief["added"] = files.get("tokenizer.json", {}).get("added_tokens")
    about = short(json.dumps(brief, ensure_ascii=False), 2500)
    if "error" in answer:
        score.failed += 1
        print("refused", answer["error"], about)
        return None
    score.tokenizers += 1
    named = judge.special_tokens_map
    if answer["named"] != named:
        score.differ(about, "", "named tokens", answer["named"], named)
    ids = [judge(text).input_ids for text in texts]
    decoded = [judge.decode(i, skip_special_tokens=True) for i in ids]
    ours = probe.ask({"texts": texts})["ids"]
    back = probe.ask({"ids": ids})["text"]
    for text, got, want, got_text, want_text in zip(texts, ours, ids, back, decoded):
        score.texts += 1
        if got != want:
            score.differ(about, text, "ids", got, want)
            break
        if got_text != want_text and "\ufffd" not in want_text:
            score.differ(about, text, "decodings", got_text, want_text)
            break
    return {"files": files, "named": named, "texts": texts, "ids": ids, "text": decoded}


def main():
    probe, rest = Probe(sys.argv[1]), sys.argv[2:]
    goldens = rest[:1] == ["goldens"]
    rest = rest[1:] if goldens else rest
    seed, count = rest[0] if rest else "1", int(rest[1]) if len(rest) > 1 else 40 if goldens else 200
    score, made = Score(), []
    for i in range(count):
        rng = random.Random(f"{seed}/{i}")
        files = random_files(rng)
        if not goldens:
            vary(rng, files)
        result = compare(probe, score, files, [random_text(rng) for _ in range(12 if goldens else 40)])
        if result:
            made.append(result)
    for files in stated_files():
        result = compare(probe, score, files, ["hello world", " hello<tool>hello <mask>hello", "".join(SPELLINGS)])
        if result:
            made.append(result)
    if goldens and not score.failed:
        with open(os.path.join(DATA, "configs.json"), "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(g, separators=(",", ":")) for g in made) + "\n]\n")
    score.finish()


if __name__ == "__main__":
    main()
