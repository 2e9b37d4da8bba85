"""Makes data/: small byte-level BPE vocabularies in the styles of published models, and the ids that
Hugging Face's `tokenizers` gives a torture corpus.

usage: make_tokenizer_goldens.py          needs: tokenizers

For each style data/STYLE/ is a model's folder (tokenizer.json and, for some, configs). data/goldens.json
is {"texts": [..], "styles": {STYLE: {"ids": [..], "no_special": [..], "text": [..]}}}: ids as encoded,
ids with no BOS/EOS and special tokens read as text (of the first texts only), and what decoding the ids gives.
Ids must be equal: there is no tolerance.
"""
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
WORDS = r"\w+|\d|\h{2}|[^\w\s]+|\S|\b\s+\b|\p{Greek}+|\p{^L}|\s"

CORPUS = """The quick brown fox jumps over the lazy dog. It's what we'll do, isn't it? I'D say so; they've been there.
def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n
{"name": "value", "list": [1, 22, 333, 4444], "nested": {"a": null, "b": true}}\n\n<html><body class="x">text</body></html>
Der Fuchs läuft über die Straße. Ça va très bien, naïve café déjà-vu. Добрый день, как дела? Γειά σου Κόσμε.
日本語のテキストと中文混排,한국어도 있습니다. עברית וערבית: العربية لغة. हिन्दी में लिखा हुआ। ภาษาไทยไม่มีช่องว่าง
1234567890 3.14159e-10 0x1F 2024-01-31 12:34:56 +1 (555) 010-9999 user@example.com https://example.com/a?b=c&d=e#f
👩‍👩‍👧‍👦 🇫🇷 👍🏽 ❤️ 😀😃😄 snake_case camelCase kebab-case SCREAMING_CASE PascalCase HTTPServer iPhone McDonald
        eight spaces\n\tone tab\n\t\ttwo tabs\r\nCRLF line\r\n\r\n\n\n\n   three blank lines above   \n"""

TEXTS = [
    "", " ", "  ", "\n", "\n\n", "\r\n", "\t", " \n ", "   \n\n   \n", "a", " a", "a ", " a ", "  a  b\t\tc\n\n\nd",
    "Hello world", "Hello, world!", " leading", "trailing ", "double  space", "naïve café déjà-vu", "e\u0301 e\u0301\u0323 \u1e69 s\u0323\u0307 \ufb01 \u212b \uac00 \u1100\u1161",
    "日本語のテキストと中文混排，한국어도", "עברית ערבית العربية", "हिन्दी में लिखा", "ภาษาไทยไม่มีช่องว่าง", "Добрый день", "Γειά σου Κόσμε ΑΒΓ", "ქართული Հայերեն አማርኛ",
    "👩‍👩‍👧‍👦 🇫🇷 e\u0301 \u200b\ufeff", "👍🏽❤️😀😃", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﷽", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|>user<|im_end|> <|endoftext|>",
    "<|im_start|", "|im_end|>", "<|im_start|><|im_start|>", "<<|im_end|>>", "< |im_end|>", "<|IM_END|>", "<|im_en<|im_end|>d|>", " <|im_end|> x", "<mask>", "a <mask> b", "a\u2003\n<mask>\t b", "x<user>y",
    "<user> <user>", "<us<user>er>", "<\u1e69>", "<s\u0323\u0307>", "  <strip>  <strip>\n\n<strip>", "<strip><mask><strip>",
    "1234567890 3.14159e-10 0x1F", "1,234,567.89", "¼ ½ ² ³ Ⅷ ١٢٣ ४५", "12345abc678", "it's we'll I'D don'T", "'S 'LL 'Ve 'x ''s", "it\u2019s we\u2019ll", "'\u017f 'ſt K\u212a",
    "a" * 300, "ab" * 200, " " * 100, "\n" * 50, " \t" * 40, "a " * 60, "0" * 70, "!" * 70, "é" * 60, "日" * 50, "👍" * 30,
    "tabs\tand\r\nCRLF\rCR", "snake_case camelCase kebab-case", "HTTPServer iPhone McDonald XMLHttpRequest", "x=1;y+=2/*c*/ // d", "if (a&&b||!c) { return [0]; }",
    "C:\\path\\to\\file /usr/local/bin", "https://example.com/a?b=c&d=e#f", "user@example.com", "\"quoted\" 'single' `tick` «guillemets» „low“", "ellipsis… em—dash en–dash",
    "\u00a0nbsp\u00a0", "\u3000ideographic\u3000space", "\u2003em\u2003 \u2009thin", "\u180emongolian\u180e", "\u0085nel\u0085", "\u2028ls\u2029ps", "zero\u200bwidth\u200djoin\u2060er", "\x00nul\x01\x1f\x7f", "\x0b\x0c vt ff",
    "def f(x):\n    return x\n\n\n        pass\n", "- item\n  - nested\n    - deep\n", "| a | b |\n|---|---|\n| 1 | 2 |", "x\n\n y \n\n  z", "end\n", "end \n", "end\n ",
    "Straße İstanbul ıI ǅ ʼn", "ⒶⒷ①②㈠", "\ufffd\ufffe\uffff", "\U0010ffff\U000e0001", "a\u0300\u0301\u0302\u0303b", "क्षत्रिय", "\u0e33\u0e49", "ｆｕｌｌｗｉｄｔｈ１２３",
    "mixed日本123abc한글!?", "a\u3042\u30a2\u4e00b", "snow\u2603man\u2604", "\u202eright-to-left\u202c", "price: $1,000.00 €50 £3 ¥100 ₿1",
]


def random_texts(count):
    """Soups of awkward characters, the same on every run."""
    rng = random.Random(20240607)
    pools = ["abcXYZ'sSTD", "  \t\n\r", "0123456789", "é\u0301\u0308ñßſK", "日本語中文かなカナ", "한국", "עברית", "👩\u200d🇫🇷🏽", "<|im_end|>",
             "._-+=!?/\\{}[]()<>|", "\u00a0\u2003\u3000\u180e\u200b\ufeff\u0085", "१२३٣Ⅷ½²", "𝔘𝔫𝟙", "\x00\x01\x1f\x7f", "﷽ัำ", "αβγΩ"]
    out = []
    for _ in range(count):
        text = ""
        for _ in range(rng.randrange(1, 9)):
            pool = rng.choice(pools)
            text += "".join(rng.choice(pool) for _ in range(rng.randrange(1, 5))) if rng.random() < 0.9 else pool
        out.append(text)
    return out


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior=behavior, invert=invert)


def styles():
    """Name -> (pre_tokenizer, normalizer, model options, special tokens, other added tokens, post_processor maker)."""
    byte_level = lambda **k: pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **k})
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bos = lambda t: processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", t.token_to_id("<|im_start|>"))])
    both = lambda t: processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>", special_tokens=[(s, t.token_to_id(s)) for s in ("<|im_start|>", "<|im_end|>")])
    roberta = lambda t: processors.RobertaProcessing(("<|im_end|>", t.token_to_id("<|im_end|>")), ("<|im_start|>", t.token_to_id("<|im_start|>")))
    odd = [AddedToken("<user>"), AddedToken("<\u1e69>"), AddedToken("<strip>", lstrip=True, rstrip=True), AddedToken("   ", normalized=False)]
    seq = pre_tokenizers.Sequence
    return {
        "gpt2": (byte_level(use_regex=True), None, {}, ["<|endoftext|>"], [], None),
        "smollm": (seq([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)]), None, {}, chat, [], None),
        "llama3": (seq([split(LLAMA3), byte_level()]), None, {"ignore_merges": True}, chat, [], bos),
        "qwen2": (seq([split(QWEN2), byte_level()]), normalizers.NFC(), {}, chat, odd, None),
        "gpt4o": (seq([split(GPT4O), byte_level()]), None, {}, chat, [], both),
        "deepseek3": (seq([split(p) for p in DEEPSEEK] + [byte_level()]), normalizers.Sequence([]), {}, chat, [], bos),
        "cl100k": (seq([split(CL100K, "removed", invert=True), byte_level()]), None, {}, chat, odd, None),
        "roberta": (byte_level(use_regex=True, add_prefix_space=True), None, {"unk_token": "<|endoftext|>"}, chat, [AddedToken("<mask>", lstrip=True, special=True)], roberta),
        "words": (seq([pre_tokenizers.Split("ab", "isolated"), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(), split(WORDS), byte_level()]), None, {}, chat, [], None),
    }


def main():
    texts = TEXTS + random_texts(100)
    goldens = {"texts": texts, "styles": {}}
    for name, (pre, normalizer, options, special, added, post) in styles().items():
        tokenizer = Tokenizer(models.BPE(**{k: v for k, v in options.items() if k != "unk_token"}))
        tokenizer.pre_tokenizer = pre
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        if "unk_token" in options:  # a vocabulary without some bytes
            alphabet = [c for c in alphabet if c in "Ġ" or c.isascii()]
        tokenizer.train_from_iterator([CORPUS] + TEXTS, trainers.BpeTrainer(
            vocab_size=len(alphabet) + 160, initial_alphabet=alphabet, special_tokens=special, limit_alphabet=len(alphabet), show_progress=False))
        if "unk_token" in options:
            tokenizer.model.unk_token = options["unk_token"]
        for token in added:
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if post:
            tokenizer.post_processor = post(tokenizer)
        folder = os.path.join(DATA, name)
        os.makedirs(folder, exist_ok=True)
        tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        ids = [tokenizer.encode(t).ids for t in texts]
        tokenizer.encode_special_tokens = True
        plain = [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS]
        tokenizer.encode_special_tokens = False
        goldens["styles"][name] = {"ids": ids, "no_special": plain, "text": [tokenizer.decode(i, skip_special_tokens=True) for i in ids]}
    # What transformers reads beside tokenizer.json.
    write = lambda style, file, value: json.dump(value, open(os.path.join(DATA, style, file), "w"), indent=1)
    write("llama3", "tokenizer_config.json", {
        "bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>", "lstrip": False}, "add_bos_token": True,
        "chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "{{ bos_token }}chat"}]})
    write("llama3", "generation_config.json", {"eos_token_id": [0, 2]})
    write("qwen2", "special_tokens_map.json", {"eos_token": "<|im_end|>"})
    write("qwen2", "config.json", {"eos_token_id": 0})
    with open(os.path.join(DATA, "qwen2", "chat_template.jinja"), "w") as file:
        file.write("{{ messages[0].content }}")
    with open(os.path.join(DATA, "goldens.json"), "w") as file:
        json.dump(goldens, file, ensure_ascii=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
