"""Makes data/world/: a small vocabulary in the form of RWKV's World vocabulary, and the ids that the `rwkv` package's tokenizer
gives the texts of make_tokenizer_goldens.py.

usage: make_world_goldens.py [VOCABULARY]        needs: rwkv, tokenizers

With a VOCABULARY (the published one, say) writes no file, but {"texts", "ids"} to standard output, by that.
"""
import json
import os
import sys

from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

from make_tokenizer_goldens import DATA, TEXTS, random_texts

# Words of several scripts, with spaces and without, and parts of characters.
WORDS = ["the", " the", "quick", " quick", "he", "hello", "Hello", " world", "wor", "ing", "'s", "it's", "don't", "\n\n", "\r\n", "  ",
         "    ", " " * 16, "\t\t", "0", "12", "123", "user", "<|im_start|>", "https://", "über", "é", "ça", "Добр", "день", "日本", "日本語",
         "中文", "한국", "👍", "👩\u200d", "\u200d", "\\", "\\n", "'", '"', "a'b\"c", "\u0085", "\u00a0", "\u3000", "x\\y"]
PARTS = [b"\xe6\x97", b"\xf0\x9f", b"\xf0\x9f\x91", b"\x97\xa5", b"\xa9e", b"\xff\xfe"]


def vocabulary():
    tokens = [chr(i) for i in range(128)] + [bytes([i]) for i in range(128, 256)]
    more = sorted((w for w in WORDS if w not in tokens), key=lambda w: (len(w.encode()), w)) + PARTS
    lines = []
    for i, token in enumerate(tokens + more, start=1):
        lines.append(f"{i} {token!r} {len(token.encode() if isinstance(token, str) else token)}\n")
    return "".join(lines)


def main():
    texts = [text for text in TEXTS + random_texts(60) if text]
    if sys.argv[1:]:
        tokenizer = TRIE_TOKENIZER(sys.argv[1])
        json.dump(dict(texts=texts, ids=[tokenizer.encode(text) for text in texts]), sys.stdout)
        return
    folder = os.path.join(DATA, "world")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "rwkv_vocab_v20230424.txt")
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(vocabulary())
    tokenizer = TRIE_TOKENIZER(path)
    texts = texts[:70] + texts[-30:]
    with open(os.path.join(folder, "goldens.json"), "w") as file:
        json.dump(dict(texts=texts, ids=[tokenizer.encode(text) for text in texts]), file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
