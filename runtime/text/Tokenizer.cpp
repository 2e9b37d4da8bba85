#include "runtime/text/Tokenizer.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Normalize.h"
#include "runtime/text/Utf8.h"

#include "runtime/text/Message.h"

#include <algorithm>

namespace quern::text {
namespace {

std::string_view name_of(ModelKind model) {
  switch (model) {
  case ModelKind::ByteLevelBpe:
    return "byte-level BPE";
  case ModelKind::SentencePieceBpe:
    return "SentencePiece BPE";
  case ModelKind::Unigram:
    return "unigram";
  case ModelKind::WordPiece:
    return "WordPiece";
  }
  return "unknown";
}

} // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::create(TokenizerSpec spec) {
  if (absl::Status s = validate(spec); !s.ok())
    return s;
  if (spec.model != ModelKind::ByteLevelBpe)
    return absl::UnimplementedError(
        concat("tokenizer: ", name_of(spec.model),
               " vocabularies are not supported; raw ids (--tokens) work without a tokenizer"));
  absl::StatusOr<PreTokenizer> pre_tokenizer = PreTokenizer::create(spec.pre_tokenizer);
  if (!pre_tokenizer.ok())
    return pre_tokenizer.status();
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(spec), *std::move(pre_tokenizer)));
}

Tokenizer::Tokenizer(TokenizerSpec spec, PreTokenizer pre_tokenizer)
    : spec_(std::move(spec)), pre_tokenizer_(std::move(pre_tokenizer)), merger_(spec_.merges) {
  spec_.merges = {};
  byte_ids_.fill(-1);
  piece_ends_.reserve(spec_.tokens.size());
  for (size_t i = 0; i < spec_.tokens.size(); ++i) {
    const std::string &token = spec_.tokens[i];
    const TokenKind kind = spec_.kinds[i];
    std::optional<std::string> bytes;
    if (kind == TokenKind::Normal || kind == TokenKind::Byte || kind == TokenKind::Unused)
      bytes = token_to_bytes(token);
    if (bytes && bytes->size() == 1 && kind != TokenKind::Unused) {
      int32_t &id = byte_ids_[static_cast<uint8_t>((*bytes)[0])];
      if (id < 0)
        id = static_cast<int32_t>(i);
    }
    // A token with a character outside the byte alphabet is text as it stands.
    piece_bytes_ += bytes ? *bytes : token;
    piece_ends_.push_back(static_cast<uint32_t>(piece_bytes_.size()));
  }
  // Only now do the pieces stay where they are.
  if (spec_.ignore_merges)
    for (int32_t id = 0; id < vocab_size(); ++id)
      if (spec_.kinds[static_cast<size_t>(id)] == TokenKind::Normal)
        words_.try_emplace(piece(id), id);
  for (AddedToken token : spec_.added_tokens) {
    if (token.normalized)
      token.content = normalize(token.content, spec_.normalizer);
    (token.normalized ? normalized_added_ : raw_added_).add(token);
  }
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                                       const EncodeOptions &options) const {
  std::string valid;
  if (!is_valid_utf8(text)) {
    append_valid_utf8(text, /*final=*/true, valid);
    text = valid;
  }
  std::vector<int32_t> ids;
  if (options.add_special)
    ids = spec_.prefix_ids;
  std::vector<Segment> raw, normalized;
  raw_added_.cut(text, options.parse_special, raw);
  for (const Segment &outer : raw) {
    if (outer.id >= 0) {
      ids.push_back(outer.id);
      continue;
    }
    const std::string clean = normalize(outer.text, spec_.normalizer);
    normalized.clear();
    normalized_added_.cut(clean, options.parse_special, normalized);
    for (const Segment &inner : normalized) {
      if (inner.id >= 0)
        ids.push_back(inner.id);
      else if (absl::Status s = encode_text(inner.text, ids); !s.ok())
        return s;
    }
  }
  if (options.add_special)
    ids.insert(ids.end(), spec_.suffix_ids.begin(), spec_.suffix_ids.end());
  return ids;
}

absl::Status Tokenizer::encode_text(std::string_view text, std::vector<int32_t> &ids) const {
  std::deque<std::string> storage;
  std::vector<std::string_view> words;
  if (absl::Status s = pre_tokenizer_.split(text, storage, words); !s.ok())
    return s;
  // Words repeat within a text. A cache that lives as long as the call needs no lock and no bound.
  struct Encoded {
    size_t begin, size;
  };
  absl::flat_hash_map<std::string_view, Encoded, std::hash<std::string_view>> known;
  std::vector<int32_t> symbols;
  for (std::string_view word : words) {
    const auto [it, fresh] = known.try_emplace(word, Encoded{ids.size(), 0});
    if (fresh) {
      encode_word(word, symbols, ids);
      it->second.size = ids.size() - it->second.begin;
    } else {
      const auto [begin, size] = it->second;
      ids.reserve(ids.size() + size); // the source of the copy must not move under it
      std::copy_n(ids.begin() + static_cast<ptrdiff_t>(begin), size, std::back_inserter(ids));
    }
  }
  return absl::OkStatus();
}

void Tokenizer::encode_word(std::string_view word, std::vector<int32_t> &symbols,
                            std::vector<int32_t> &ids) const {
  if (spec_.ignore_merges)
    if (const auto it = words_.find(word); it != words_.end()) {
      ids.push_back(it->second);
      return;
    }
  symbols.clear();
  for (char byte : word)
    symbols.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
  const size_t begin = ids.size();
  merger_.encode(symbols, ids);

  // Bytes without a token came through as -1: they become the unknown token, or nothing.
  size_t kept = begin;
  for (size_t i = begin; i < ids.size(); ++i) {
    if (ids[i] >= 0) {
      ids[kept++] = ids[i];
    } else if (spec_.unk_id >= 0) {
      const bool fused =
          spec_.fuse_unk && i > begin && kept > begin && ids[kept - 1] == spec_.unk_id;
      if (!fused)
        ids[kept++] = spec_.unk_id;
    }
  }
  ids.resize(kept);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (int32_t id : ids)
    if (!skip_special || !is_special(id))
      bytes += piece(id);
  if (is_valid_utf8(bytes))
    return bytes;
  std::string text;
  append_valid_utf8(bytes, /*final=*/true, text);
  return text;
}

std::string_view Tokenizer::piece(int32_t id) const {
  if (!contains(id))
    return {};
  const auto i = static_cast<size_t>(id);
  const size_t begin = i == 0 ? 0 : piece_ends_[i - 1];
  return std::string_view(piece_bytes_).substr(begin, piece_ends_[i] - begin);
}

bool Tokenizer::is_end(int32_t id) const {
  return std::find(spec_.eos_ids.begin(), spec_.eos_ids.end(), id) != spec_.eos_ids.end();
}

bool Tokenizer::is_special(int32_t id) const {
  if (!contains(id))
    return false;
  const TokenKind kind = spec_.kinds[static_cast<size_t>(id)];
  return kind == TokenKind::Control || kind == TokenKind::Unknown;
}

int32_t Tokenizer::find(std::string_view token) const {
  const auto it = std::find(spec_.tokens.begin(), spec_.tokens.end(), token);
  return it == spec_.tokens.end() ? -1 : static_cast<int32_t>(it - spec_.tokens.begin());
}

std::string StreamDecoder::push(int32_t id) {
  std::string text;
  if (skip_special_ && tokenizer_.is_special(id))
    return text;
  held_ += tokenizer_.piece(id);
  held_.erase(0, append_valid_utf8(held_, /*final=*/false, text));
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  append_valid_utf8(held_, /*final=*/true, text);
  held_.clear();
  return text;
}

} // namespace quern::text
