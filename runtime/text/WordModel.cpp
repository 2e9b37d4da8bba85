#include "runtime/text/WordModel.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/BytePairEncoder.h"
#include "runtime/text/Trie.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <optional>

namespace quern::text {
namespace {

constexpr std::string_view kMetaspace = "\u2581";
// What is added to the lowest score for a character without a token (SentencePiece).
constexpr double kUnknownPenalty = 10;

/// Whether words may become the token: those of other kinds are found before words are made, and
/// what is not found there is not meant.
bool is_text(TokenKind kind) {
  return kind == TokenKind::Normal || kind == TokenKind::Byte || kind == TokenKind::Unused;
}

/// The tokens that words may become.
std::vector<Trie::Key> text_keys(const TokenizerSpec &spec) {
  std::vector<Trie::Key> keys;
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    if (is_text(spec.kinds[i]))
      keys.push_back({spec.tokens[i], static_cast<int32_t>(i)});
  return keys;
}

/// Ids of the tokens <0x00>..<0xFF>, -1 where there is none.
std::array<int32_t, 256> byte_tokens(const TokenizerSpec &spec) {
  std::array<int32_t, 256> ids;
  ids.fill(-1);
  if (spec.byte_fallback)
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      if (const int byte = byte_of_token(spec.tokens[i]); byte >= 0)
        ids[static_cast<size_t>(byte)] = static_cast<int32_t>(i);
  return ids;
}

/// Appends the ids of the bytes of `text`; false: one has none, and nothing was appended.
bool append_bytes(const std::array<int32_t, 256> &bytes, std::string_view text,
                  std::vector<int32_t> &ids) {
  for (char c : text)
    if (bytes[static_cast<uint8_t>(c)] < 0)
      return false;
  for (char c : text)
    ids.push_back(bytes[static_cast<uint8_t>(c)]);
  return true;
}

class ByteLevelModel : public WordModel {
public:
  explicit ByteLevelModel(const TokenizerSpec &spec)
      : merger_(spec), unk_id_(spec.unk_id), fuse_unk_(spec.fuse_unk) {
    byte_ids_.fill(-1);
    std::deque<std::string> words;
    std::vector<Trie::Key> keys;
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
      const TokenKind kind = spec.kinds[i];
      const bool text = kind == TokenKind::Normal || kind == TokenKind::Byte;
      // A byte's own token is text, too, where it is declared special: else it had none. Longer
      // ones are looked for as whole words only.
      if (!(text && spec.ignore_merges) && spec.tokens[i].size() > 2)
        continue;
      const std::optional<std::string> bytes = token_to_bytes(spec.tokens[i]);
      if (!bytes || (!text && bytes->size() > 1))
        continue;
      if (bytes->size() == 1)
        if (int32_t &id = byte_ids_[static_cast<uint8_t>((*bytes)[0])]; id < 0)
          id = static_cast<int32_t>(i);
      if (spec.ignore_merges && kind == TokenKind::Normal)
        keys.push_back({words.emplace_back(*bytes), static_cast<int32_t>(i)});
    }
    if (spec.ignore_merges)
      words_.emplace(std::move(keys));
  }

  void encode(std::string_view word, WordScratch &scratch,
              std::vector<int32_t> &ids) const override {
    if (words_)
      if (const int32_t id = words_->find(word); id >= 0) {
        ids.push_back(id);
        return;
      }
    scratch.symbols.clear();
    for (char byte : word) // one that is dropped brings its neighbours together
      if (const int32_t id = byte_ids_[static_cast<uint8_t>(byte)]; id >= 0 || unk_id_ >= 0)
        scratch.symbols.push_back(id);
    const size_t begin = ids.size();
    merger_.encode(scratch.symbols, ids);

    // Bytes without a token came through as -1: they become the unknown token.
    size_t kept = begin;
    for (size_t i = begin; i < ids.size(); ++i) {
      if (ids[i] >= 0) {
        ids[kept++] = ids[i];
      } else {
        const bool fused = fuse_unk_ && i > begin && kept > begin && ids[kept - 1] == unk_id_;
        if (!fused)
          ids[kept++] = unk_id_;
      }
    }
    ids.resize(kept);
  }

private:
  BytePairEncoder merger_;
  std::array<int32_t, 256> byte_ids_;
  int32_t unk_id_;
  bool fuse_unk_;
  std::optional<Trie> words_; ///< normal tokens by their bytes, if ignore_merges
};

class CharacterBpeModel : public WordModel {
public:
  explicit CharacterBpeModel(const TokenizerSpec &spec)
      : merger_(spec), bytes_(byte_tokens(spec)), unk_id_(spec.unk_id), fuse_unk_(spec.fuse_unk),
        continuation_(spec.continuation), word_end_(spec.word_end) {
    const bool affixes = !continuation_.empty() || !word_end_.empty();
    ascii_.fill(-1);
    std::vector<Trie::Key> characters, words;
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
      const std::string_view token = spec.tokens[i];
      const auto id = static_cast<int32_t>(i);
      // Of any kind: merges may lead to it.
      for (size_t at = token.find(kMetaspace, 1); at != std::string_view::npos;
           at = token.find(kMetaspace, at + 1))
        joined_[static_cast<uint8_t>(token[at - 1])] = true;
      if (!is_text(spec.kinds[i]) || token.empty())
        continue;
      const CodePoint point = first_code_point(token);
      if (affixes) {
        characters.push_back({token, id});
      } else if (point.state == CodePoint::State::Valid && point.size == token.size()) {
        if (point.value < ascii_.size())
          ascii_[point.value] = id;
        else
          characters.push_back({token, id});
      }
      if (spec.ignore_merges)
        words.push_back({token, id});
    }
    characters_.emplace(std::move(characters));
    if (spec.ignore_merges)
      words_.emplace(std::move(words));
    // A run of spaces is always one part.
    joined_[static_cast<uint8_t>(kMetaspace.back())] = true;
    // A character that is dropped would bring its neighbours together.
    const bool drops = unk_id_ < 0 && std::find(bytes_.begin(), bytes_.end(), -1) != bytes_.end();
    cuts_ = !spec.ignore_merges && !drops && !affixes && find(kMetaspace) >= 0;
  }

  /// Cuts before each space that no token joins to the character before it: no merge crosses.
  void cut(std::string_view word, std::vector<std::string_view> &words) const override {
    size_t start = 0;
    if (cuts_)
      for (size_t at = word.find(kMetaspace, 1); at != std::string_view::npos;
           at = word.find(kMetaspace, at + kMetaspace.size()))
        if (!joined_[static_cast<uint8_t>(word[at - 1])]) {
          words.push_back(word.substr(start, at - start));
          start = at;
        }
    words.push_back(word.substr(start));
  }

  void encode(std::string_view word, WordScratch &scratch,
              std::vector<int32_t> &ids) const override {
    if (words_)
      if (const int32_t id = words_->find(word); id >= 0) {
        ids.push_back(id);
        return;
      }
    std::vector<int32_t> &symbols = scratch.symbols;
    symbols.clear();
    // An unknown token is held until the next character with a token of its own: bytes come first
    // (as in `tokenizers`; it only shows where some bytes have no token).
    bool held = false;
    for (size_t at = 0; at < word.size();) {
      const CodePoint point = first_code_point(word.substr(at));
      std::string_view character = word.substr(at, point.size);
      if (!continuation_.empty() || !word_end_.empty())
        character = with_affixes(word, at, point.size, scratch.spelling);
      at += point.size;
      if (const int32_t id = find(character); id >= 0) {
        if (held)
          symbols.push_back(unk_id_);
        held = false;
        symbols.push_back(id);
      } else if (!append_bytes(bytes_, character, symbols) && unk_id_ >= 0) {
        if (held && !fuse_unk_)
          symbols.push_back(unk_id_);
        held = true;
      }
    }
    if (held)
      symbols.push_back(unk_id_);
    merger_.encode(symbols, ids);
  }

private:
  /// The character at `at` as tokens of a model whose tokens tell their place in a word spell it.
  std::string_view with_affixes(std::string_view word, size_t at, size_t size,
                                std::string &spelling) const {
    spelling.clear();
    if (at > 0)
      spelling += continuation_;
    spelling += word.substr(at, size);
    if (at + size == word.size())
      spelling += word_end_;
    return spelling;
  }

  int32_t find(std::string_view character) const {
    if (!continuation_.empty() || !word_end_.empty())
      return characters_->find(character);
    // A byte alone that is not ASCII is no character, and no token's.
    const auto byte = static_cast<uint8_t>(character[0]);
    return byte < ascii_.size() ? ascii_[byte] : characters_->find(character);
  }

  BytePairEncoder merger_;
  std::array<int32_t, 256> bytes_;
  int32_t unk_id_;
  bool fuse_unk_;
  std::array<int32_t, 128> ascii_;
  std::string continuation_, word_end_;
  std::optional<Trie> characters_; ///< tokens of one character; all, if these two are not empty
  std::array<bool, 256> joined_{}; ///< by a character's last byte: a token has it before a space
  bool cuts_ = false;
  std::optional<Trie> words_; ///< tokens by their text, if ignore_merges
};

/// Kudo, "Subword Regularization", 2018: the cut into tokens with the highest sum of scores.
class UnigramModel : public WordModel {
public:
  explicit UnigramModel(const TokenizerSpec &spec)
      : trie_(keys(spec)), scores_(spec.scores), bytes_(byte_tokens(spec)), unk_id_(spec.unk_id) {
    double lowest = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < spec.scores.size(); ++i)
      if (spec.kinds[i] == TokenKind::Normal)
        lowest = std::min(lowest, spec.scores[i]);
    unknown_score_ =
        (lowest < std::numeric_limits<double>::infinity() ? lowest : 0) - kUnknownPenalty;
  }

  void encode(std::string_view word, WordScratch &scratch,
              std::vector<int32_t> &ids) const override {
    constexpr int32_t kUnknown = -1, kUnreached = -2;
    std::vector<WordScratch::Best> &best = scratch.best;
    best.assign(word.size() + 1, {0, kUnreached, 0});
    for (size_t at = 0; at < word.size();) {
      const size_t character = first_code_point(word.substr(at)).size;
      const double so_far = best[at].score;
      const auto reach = [&](size_t end, int32_t id, double score) {
        WordScratch::Best &to = best[end];
        if (to.id == kUnreached || so_far + score > to.score)
          to = {so_far + score, id, static_cast<uint32_t>(at)};
      };
      bool single = false;
      uint32_t node = Trie::kRoot;
      for (size_t end = at; end < word.size();) {
        node = trie_.next(node, static_cast<uint8_t>(word[end++]));
        if (node == Trie::kNone)
          break;
        if (const int32_t id = trie_.value(node); id >= 0) {
          reach(end, id, scores_[static_cast<size_t>(id)]);
          single = single || end - at == character;
        }
      }
      if (!single)
        reach(at + character, kUnknown, unknown_score_);
      at += character;
    }
    // Back from the end, unknown characters in a row as one.
    const size_t first = ids.size();
    for (size_t end = word.size(); end > 0;) {
      size_t begin = best[end].begin;
      if (best[end].id >= 0) {
        ids.push_back(best[end].id);
      } else {
        while (begin > 0 && best[begin].id == kUnknown)
          begin = best[begin].begin;
        append_unknown(word.substr(begin, end - begin), ids);
      }
      end = begin;
    }
    std::reverse(ids.begin() + static_cast<ptrdiff_t>(first), ids.end());
  }

private:
  static std::vector<Trie::Key> keys(const TokenizerSpec &spec) {
    std::vector<bool> text(spec.tokens.size());
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      text[i] = spec.kinds[i] == TokenKind::Byte
                    ? spec.byte_spellings
                    : is_text(spec.kinds[i]) || spec.kinds[i] == TokenKind::UserDefined;
    for (const AddedToken &token : spec.added_tokens)
      if (spec.kinds[static_cast<size_t>(token.id)] == TokenKind::UserDefined)
        text[static_cast<size_t>(token.id)] = false;
    std::vector<Trie::Key> keys;
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      if (text[i])
        keys.push_back({spec.tokens[i], static_cast<int32_t>(i)});
    return keys;
  }

  /// Appends, last first.
  void append_unknown(std::string_view text, std::vector<int32_t> &ids) const {
    const size_t first = ids.size();
    if (append_bytes(bytes_, text, ids))
      std::reverse(ids.begin() + static_cast<ptrdiff_t>(first), ids.end());
    else if (unk_id_ >= 0)
      ids.push_back(unk_id_);
  }

  Trie trie_;
  std::vector<double> scores_;
  std::array<int32_t, 256> bytes_;
  int32_t unk_id_;
  double unknown_score_;
};

/// Wu et al., "Google's Neural Machine Translation System", 2016, as BERT has it: the longest token
/// first; a word that cannot be made of tokens is unknown as a whole.
class WordPieceModel : public WordModel {
public:
  explicit WordPieceModel(const TokenizerSpec &spec)
      : trie_(text_keys(spec)), continuation_(trie_.next(Trie::kRoot, spec.continuation)),
        unk_id_(spec.unk_id), max_characters_(spec.max_word_characters) {}

  void encode(std::string_view word, WordScratch &scratch,
              std::vector<int32_t> &ids) const override {
    const size_t first = ids.size();
    const bool too_long = max_characters_ > 0 && word.size() > max_characters_ &&
                          count_code_points(word) > max_characters_;
    for (size_t at = 0; at < word.size() && !too_long;) {
      uint32_t node = at == 0 ? Trie::kRoot : continuation_;
      int32_t id = -1;
      size_t stop = at;
      for (size_t end = at; end < word.size() && node != Trie::kNone;) {
        node = trie_.next(node, static_cast<uint8_t>(word[end++]));
        if (node != Trie::kNone && trie_.value(node) >= 0) {
          id = trie_.value(node);
          stop = end;
        }
      }
      if (id < 0) {
        ids.resize(first);
        break;
      }
      ids.push_back(id);
      at = stop;
    }
    if (ids.size() == first && unk_id_ >= 0)
      ids.push_back(unk_id_);
  }

private:
  Trie trie_;
  uint32_t continuation_; ///< where tokens inside a word begin
  int32_t unk_id_;
  size_t max_characters_; ///< 0: no limit
};

class WordLevelModel : public WordModel {
public:
  explicit WordLevelModel(const TokenizerSpec &spec)
      : trie_(text_keys(spec)), unk_id_(spec.unk_id) {}

  void encode(std::string_view word, WordScratch &, std::vector<int32_t> &ids) const override {
    const int32_t known = trie_.find(word);
    if (const int32_t id = known >= 0 ? known : unk_id_; id >= 0)
      ids.push_back(id);
  }

private:
  Trie trie_;
  int32_t unk_id_;
};

/// RWKV's World vocabulary: from the left always the longest token, be it a part of a character.
class LongestMatchModel : public WordModel {
public:
  explicit LongestMatchModel(const TokenizerSpec &spec)
      : trie_(text_keys(spec)), unk_id_(spec.unk_id) {}

  void encode(std::string_view word, WordScratch &, std::vector<int32_t> &ids) const override {
    while (!word.empty()) {
      const size_t size = trie_.longest(word);
      if (const int32_t id = size > 0 ? trie_.find(word.substr(0, size)) : unk_id_; id >= 0)
        ids.push_back(id);
      word.remove_prefix(std::max<size_t>(size, 1));
    }
  }

private:
  Trie trie_;
  int32_t unk_id_;
};

} // namespace

std::unique_ptr<WordModel> WordModel::create(const TokenizerSpec &spec) {
  switch (spec.model) {
  case ModelKind::ByteLevelBpe:
    return std::make_unique<ByteLevelModel>(spec);
  case ModelKind::SentencePieceBpe:
    return std::make_unique<CharacterBpeModel>(spec);
  case ModelKind::Unigram:
    return std::make_unique<UnigramModel>(spec);
  case ModelKind::WordPiece:
    return std::make_unique<WordPieceModel>(spec);
  case ModelKind::WordLevel:
    return std::make_unique<WordLevelModel>(spec);
  case ModelKind::LongestMatch:
    return std::make_unique<LongestMatchModel>(spec);
  }
  return nullptr;
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>')
    return -1;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  const int high = digit(token[3]), low = digit(token[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

} // namespace quern::text
