#include "runtime/text/Tokenizer.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

namespace quern::text {
namespace {

constexpr size_t kLongestText = size_t{1} << 30;

std::vector<AddedToken> found_in(const TokenizerSpec &spec, bool normalized) {
  std::vector<AddedToken> tokens;
  for (const AddedToken &token : spec.added_tokens)
    if (token.normalized == normalized)
      tokens.push_back(token);
  return tokens;
}

} // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::create(TokenizerSpec spec) {
  if (absl::Status s = validate(spec); !s.ok())
    return s;
  std::vector<std::string_view> kept;
  for (const AddedToken &token : spec.added_tokens)
    if (token.normalized)
      kept.push_back(token.content);
  if (spec.model == ModelKind::Unigram)
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      if (spec.kinds[i] == TokenKind::UserDefined)
        kept.push_back(spec.tokens[i]);
  absl::StatusOr<Normalizer> normalizer = Normalizer::create(spec.normalizers, kept);
  if (!normalizer.ok())
    return normalizer.status();
  absl::StatusOr<PreTokenizer> pre_tokenizer = PreTokenizer::create(spec.pre_tokenizer);
  if (!pre_tokenizer.ok())
    return pre_tokenizer.status();
  // A token that is found in normalized text is spelled as it is found.
  std::vector<std::string_view> spellings(spec.tokens.begin(), spec.tokens.end());
  for (AddedToken &token : spec.added_tokens) {
    if (!token.normalized || normalizer->empty())
      continue;
    absl::StatusOr<std::string> content = normalizer->apply_to_token(token.content);
    if (!content.ok())
      return content.status();
    token.content = *std::move(content);
    spellings[static_cast<size_t>(token.id)] = token.content;
  }
  absl::StatusOr<Pieces> pieces = Pieces::create(spec, spellings);
  if (!pieces.ok())
    return pieces.status();
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(spec), *std::move(normalizer),
                                                  *std::move(pre_tokenizer), *std::move(pieces)));
}

Tokenizer::Tokenizer(TokenizerSpec spec, Normalizer normalizer, PreTokenizer pre_tokenizer,
                     Pieces pieces)
    : spec_(std::move(spec)), normalizer_(std::move(normalizer)),
      pre_tokenizer_(std::move(pre_tokenizer)), pieces_(std::move(pieces)),
      model_(WordModel::create(spec_)), raw_added_(found_in(spec_, false)),
      normalized_added_(found_in(spec_, true)) {
  spec_.merges = {};
  spec_.merge_ranks = {};
  spec_.scores = {};
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                                       const EncodeOptions &options) const {
  if (text.size() > kLongestText)
    return absl::InvalidArgumentError(
        concat("tokenizer: a text of ", text.size(), " bytes, at most ", kLongestText));
  std::string valid;
  if (!is_valid_utf8(text)) {
    append_valid_utf8(text, /*final=*/true, valid);
    text = valid;
  }
  std::vector<int32_t> ids;
  if (options.add_special && options.before.empty())
    ids = spec_.prefix_ids;
  const PreTokenizer::Place start = place_after(options.before);
  std::vector<Segment> raw, normalized;
  raw_added_.cut(text, options.parse_special, raw);
  for (const Segment &outer : raw) {
    if (outer.id >= 0) {
      ids.push_back(outer.id);
      continue;
    }
    std::string_view clean = outer.text;
    absl::StatusOr<std::string> changed;
    const bool is_first = outer.text.data() == text.data();
    if (!normalizer_.empty()) {
      changed = normalizer_.apply(outer.text, is_first && start == PreTokenizer::Place::GoesOn);
      if (!changed.ok())
        return changed.status();
      clean = *changed;
    }
    normalized.clear();
    normalized_added_.cut(clean, options.parse_special, normalized);
    for (const Segment &inner : normalized) {
      const bool first = is_first && inner.text.data() == clean.data();
      if (inner.id >= 0)
        ids.push_back(inner.id);
      else if (absl::Status s =
                   encode_text(inner.text, first ? start : PreTokenizer::Place::Further, ids);
               !s.ok())
        return s;
    }
  }
  if (options.add_special)
    ids.insert(ids.end(), spec_.suffix_ids.begin(), spec_.suffix_ids.end());
  return ids;
}

/// Where a text is that follows `before`: at the beginning of all behind the prefix alone; apart
/// from what precedes behind a token that is found as a whole; else in the middle of a text.
PreTokenizer::Place Tokenizer::place_after(std::span<const int32_t> before) const {
  if (before.empty() || std::ranges::equal(before, spec_.prefix_ids))
    return PreTokenizer::Place::First;
  const int32_t last = before.back();
  const bool whole = last != spec_.unk_id &&
                     (is_special(last) ||
                      std::any_of(spec_.added_tokens.begin(), spec_.added_tokens.end(),
                                  [last](const AddedToken &token) { return token.id == last; }));
  return whole ? PreTokenizer::Place::Further : PreTokenizer::Place::GoesOn;
}

absl::Status Tokenizer::encode_text(std::string_view text, PreTokenizer::Place place,
                                    std::vector<int32_t> &ids) const {
  std::deque<std::string> storage;
  std::vector<std::string_view> words, parts;
  if (absl::Status s = pre_tokenizer_.split(text, place, storage, words); !s.ok())
    return s;
  // Words repeat within a text. A cache that lives as long as the call needs no lock and no bound.
  struct Encoded {
    size_t begin, size;
  };
  absl::flat_hash_map<std::string_view, Encoded, std::hash<std::string_view>> known;
  WordScratch scratch;
  for (std::string_view whole : words) {
    parts.clear();
    model_->cut(whole, parts);
    for (std::string_view word : parts) {
      const auto [it, fresh] = known.try_emplace(word, Encoded{ids.size(), 0});
      if (fresh) {
        model_->encode(word, scratch, ids);
        it->second.size = ids.size() - it->second.begin;
      } else {
        const auto [begin, size] = it->second;
        ids.resize(ids.size() + size);
        // Not by address: a word may have no token, and the list none yet.
        std::copy_n(ids.begin() + static_cast<ptrdiff_t>(begin), size,
                    ids.end() - static_cast<ptrdiff_t>(size));
      }
    }
  }
  return absl::OkStatus();
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  TextPlace place = pieces_.start();
  for (int32_t id : ids)
    if (contains(id) && (!skip_special || !is_special(id)))
      pieces_.append(id, place, bytes);
  if (is_valid_utf8(bytes))
    return bytes;
  std::string text;
  append_valid_utf8(bytes, /*final=*/true, text);
  return text;
}

std::string_view Tokenizer::piece(int32_t id) const {
  return contains(id) ? pieces_.get(id) : std::string_view();
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
  if (!tokenizer_.contains(id) || (skip_special_ && tokenizer_.is_special(id)))
    return text;
  tokenizer_.pieces_.append(id, place_, held_);
  held_.erase(0, append_valid_utf8(held_, /*final=*/false, text));
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  append_valid_utf8(held_, /*final=*/true, text);
  held_.clear();
  place_ = tokenizer_.pieces_.start();
  return text;
}

} // namespace quern::text
