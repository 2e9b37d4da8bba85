#include "runtime/text/Normalize.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Charsmap.h"
#include "runtime/text/Message.h"
#include "runtime/text/Regex.h"
#include "runtime/text/Trie.h"
#include "runtime/text/Utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace quern::text {
namespace {

using Kind = NormalizerStep::Kind;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// One of Unicode's normal forms. Text for which there is no memory comes back as it was.
std::string normal_form(std::string_view text, int options) {
  utf8proc_uint8_t *result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(result, std::free);
  return size < 0 ? std::string(text)
                  : std::string(reinterpret_cast<const char *>(result), static_cast<size_t>(size));
}

/// `text` with each code point replaced by what `change(value, out)` appends.
template <typename Change> std::string map_code_points(std::string_view text, Change change) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    change(point.value, out);
    text.remove_prefix(point.size);
  }
  return out;
}

utf8proc_category_t category(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

bool is_mark(char32_t value) {
  const utf8proc_category_t c = category(value);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

/// Each code point by itself, so without the context that a final sigma needs.
std::string lowercase(std::string_view text) {
  return map_code_points(text, [](char32_t value, std::string &out) {
    if (value < 0x80)
      out += static_cast<char>(value >= 'A' && value <= 'Z' ? value + 32 : value);
    else if (value == 0x130) // the one code point whose lower case is two
      out += "i\u0307";
    else
      append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(value))),
                  out);
  });
}

/// The blocks that BERT's tokenizers take for Chinese, one of them misspelt as published (2B920).
bool is_chinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/// Control characters go first, so of those that are white space only three become spaces.
void append_clean(char32_t value, std::string &out) {
  const utf8proc_category_t c = category(value);
  if (value == '\t' || value == '\n' || value == '\r')
    out += ' ';
  else if (value != 0 && value != 0xfffd && c != UTF8PROC_CATEGORY_CC &&
           c != UTF8PROC_CATEGORY_CF && c != UTF8PROC_CATEGORY_CO)
    append_utf8(is_white_space(value) ? U' ' : value, out);
}

std::string bert(std::string_view text, uint8_t flags) {
  std::string out = map_code_points(text, [flags](char32_t value, std::string &to) {
    const bool spaced = (flags & NormalizerStep::kChinese) && is_chinese(value);
    if (spaced)
      to += ' ';
    if (flags & NormalizerStep::kCleanText)
      append_clean(value, to);
    else
      append_utf8(value, to);
    if (spaced)
      to += ' ';
  });
  if ((flags & NormalizerStep::kStripAccents) && !is_ascii(out))
    out =
        map_code_points(normal_form(out, UTF8PROC_DECOMPOSE), [](char32_t value, std::string &to) {
          if (category(value) != UTF8PROC_CATEGORY_MN)
            append_utf8(value, to);
        });
  return flags & NormalizerStep::kLowercase ? lowercase(out) : out;
}

/// The white space and control rules that neural translation models were trained with.
void append_nmt(char32_t c, std::string &out) {
  const bool dropped = (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
                       c == 0x8f || c == 0x9f;
  const bool space = c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                     (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xfeff || c == 0xfffd;
  if (space)
    out += ' ';
  else if (!dropped)
    append_utf8(c, out);
}

std::string_view strip(std::string_view text, uint8_t flags) {
  while ((flags & NormalizerStep::kLeft) && !text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!is_white_space(point.value))
      break;
    text.remove_prefix(point.size);
  }
  while ((flags & NormalizerStep::kRight) && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xc0) == 0x80)
      --start;
    if (!is_white_space(first_code_point(text.substr(start)).value))
      break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

/// Bytes of the first grapheme cluster of `text`, which is not empty.
size_t grapheme_size(std::string_view text) {
  CodePoint point = first_code_point(text);
  size_t size = point.size;
  utf8proc_int32_t state = 0;
  while (size < text.size()) {
    // Between two of these there is always a border, but for CR LF.
    if (point.value >= 0x20 && point.value < 0x7f && static_cast<uint8_t>(text[size]) < 0x80)
      break;
    const CodePoint next = first_code_point(text.substr(size));
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(point.value),
                                         static_cast<utf8proc_int32_t>(next.value), &state))
      break;
    size += next.size;
    point = next;
  }
  return size;
}

} // namespace

void append_replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::string &out) {
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
  }
  out += text;
}

class Normalizer::Step {
public:
  /// What the text is: one from its beginning, the rest of one whose beginning was seen, or a
  /// token's content (apply_to_token).
  enum class Role : uint8_t { Text, Rest, TokenContent };

  static absl::StatusOr<std::unique_ptr<Step>> create(const NormalizerStep &spec,
                                                      const std::vector<std::string_view> &keep) {
    auto step = std::make_unique<Step>();
    step->spec_ = spec;
    const bool sentence_piece = spec.kind == Kind::SentencePiece;
    if (spec.kind == Kind::ReplaceRegex) {
      absl::StatusOr<Regex> regex = Regex::create(spec.pattern);
      if (!regex.ok())
        return regex.status();
      step->regex_ = *std::move(regex);
    }
    if (spec.kind == Kind::Precompiled || (sentence_piece && !spec.content.empty())) {
      absl::StatusOr<Charsmap> charsmap = Charsmap::create(spec.content);
      if (!charsmap.ok())
        return charsmap.status();
      step->charsmap_ = *std::move(charsmap);
    }
    if (sentence_piece) {
      std::vector<Trie::Key> keys;
      for (std::string_view text : keep)
        keys.push_back({text, 1});
      step->keep_ = Trie(std::move(keys));
    }
    return step;
  }

  absl::StatusOr<std::string> apply(std::string_view text, Role role, size_t limit) const {
    switch (spec_.kind) {
    case Kind::Nfc:
      return is_ascii(text) ? std::string(text) : normal_form(text, UTF8PROC_COMPOSE);
    case Kind::Nfd:
      return is_ascii(text) ? std::string(text) : normal_form(text, UTF8PROC_DECOMPOSE);
    case Kind::Nfkc:
      return is_ascii(text) ? std::string(text)
                            : normal_form(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case Kind::Nfkd:
      return is_ascii(text) ? std::string(text)
                            : normal_form(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
    case Kind::Lowercase:
      return lowercase(text);
    case Kind::Strip:
      return std::string(
          strip(text, role == Role::Rest ? spec_.flags & NormalizerStep::kRight : spec_.flags));
    case Kind::StripAccents:
      return map_code_points(text, [](char32_t value, std::string &out) {
        if (!is_mark(value))
          append_utf8(value, out);
      });
    case Kind::Replace:
      return replace(text, limit);
    case Kind::ReplaceRegex:
      return replace_regex(text, limit);
    case Kind::Prepend:
      return text.empty() || role == Role::Rest ? std::string(text) : concat(spec_.content, text);
    case Kind::Precompiled:
      return precompiled(text, limit);
    case Kind::Bert:
      return bert(text, spec_.flags);
    case Kind::Nmt:
      return map_code_points(text, append_nmt);
    case Kind::SentencePiece:
      return sentence_piece(text, role, limit);
    case Kind::Bytes:
      return bytes_to_token(text);
    }
    return absl::InternalError("unknown normalizer");
  }

private:
  static absl::Status too_long() {
    return absl::ResourceExhaustedError("tokenizer: a normalizer makes 64 times the text it gets");
  }

  absl::StatusOr<std::string> replace(std::string_view text, size_t limit) const {
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    const std::string_view from = spec_.pattern;
    for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
      out += text.substr(0, at);
      out += spec_.content;
      text.remove_prefix(at + from.size());
      if (out.size() > limit)
        return too_long();
    }
    out += text;
    return out;
  }

  absl::StatusOr<std::string> replace_regex(std::string_view text, size_t limit) const {
    std::string out;
    size_t done = 0;
    Regex::Matches matches(*regex_, text);
    while (matches.next()) {
      out += text.substr(done, matches.begin() - done);
      out += spec_.content;
      done = matches.end();
      if (out.size() > limit)
        return too_long();
    }
    if (!matches.status().ok())
      return matches.status();
    out += text.substr(done);
    return out;
  }

  /// As `tokenizers` applies a charsmap: grapheme clusters of up to 5 bytes as a whole, by the
  /// shortest rule they begin with; others by code points.
  absl::StatusOr<std::string> precompiled(std::string_view text, size_t limit) const {
    std::string out;
    out.reserve(text.size());
    const auto put = [&](std::string_view part) {
      const std::optional<Charsmap::Match> match = charsmap_->find(part, /*longest=*/false);
      if (match)
        out += match->replacement;
      return match.has_value();
    };
    while (!text.empty()) {
      if (out.size() > limit)
        return too_long();
      std::string_view cluster = text.substr(0, grapheme_size(text));
      text.remove_prefix(cluster.size());
      if (cluster.size() < 6 && put(cluster))
        continue;
      while (!cluster.empty()) {
        const std::string_view point = cluster.substr(0, first_code_point(cluster).size);
        if (!put(point))
          out += point;
        cluster.remove_prefix(point.size());
        if (out.size() > limit)
          return too_long();
      }
    }
    return out;
  }

  /// What the beginning of `text` becomes, and how many bytes that takes.
  Charsmap::Match sentence_piece_prefix(std::string_view text) const {
    if (const size_t kept = keep_->longest(text); kept > 0)
      return {kept, text.substr(0, kept)};
    if (charsmap_)
      if (const std::optional<Charsmap::Match> match = charsmap_->find(text, /*longest=*/true))
        return *match;
    const size_t size = first_code_point(text).size;
    return {size, text.substr(0, size)};
  }

  /// SentencePiece's own normalizer: the charsmap, then white space as its flags say.
  absl::StatusOr<std::string> sentence_piece(std::string_view text, Role role, size_t limit) const {
    const bool trim =
        (spec_.flags & NormalizerStep::kRemoveExtraSpace) && role != Role::TokenContent;
    const bool suffix = spec_.flags & NormalizerStep::kSpaceSuffix;
    const bool dummy = (spec_.flags & NormalizerStep::kDummySpace) &&
                       (role == Role::Text || (role == Role::Rest && suffix));
    const std::string_view space = spec_.flags & NormalizerStep::kEscapeSpace ? "\u2581" : " ";
    std::string out;
    out.reserve(text.size() + text.size() / 4 + 8);
    if (dummy && !suffix)
      out += space;
    bool after_space = trim && role != Role::Rest, any = !trim;
    size_t last = 0; // where the last that is no space ends
    while (!text.empty()) {
      const Charsmap::Match match = sentence_piece_prefix(text);
      text.remove_prefix(match.size);
      for (const char c : match.replacement) {
        if (c != ' ') {
          out += c;
        } else if (!after_space) {
          out += space;
        }
        after_space = c == ' ' && trim;
        any = any || c != ' ';
        last = c == ' ' ? last : out.size();
      }
      if (out.size() > limit)
        return too_long();
    }
    if (!any)
      return std::string();
    if (spec_.flags & NormalizerStep::kMarksAreText)
      out.resize(trim ? last : out.size());
    else
      while (trim && out.ends_with(space))
        out.resize(out.size() - space.size());
    if (dummy && suffix)
      out += space;
    return out;
  }

  NormalizerStep spec_;
  std::optional<Regex> regex_;
  std::optional<Charsmap> charsmap_;
  std::optional<Trie> keep_;
};

Normalizer::Normalizer(std::vector<std::unique_ptr<Step>> steps) : steps_(std::move(steps)) {}
Normalizer::Normalizer(Normalizer &&) noexcept = default;
Normalizer &Normalizer::operator=(Normalizer &&) noexcept = default;
Normalizer::~Normalizer() = default;

absl::StatusOr<Normalizer> Normalizer::create(const std::vector<NormalizerStep> &specs,
                                              const std::vector<std::string_view> &keep) {
  std::vector<std::unique_ptr<Step>> steps;
  for (const NormalizerStep &spec : specs) {
    absl::StatusOr<std::unique_ptr<Step>> step = Step::create(spec, keep);
    if (!step.ok())
      return step.status();
    steps.push_back(*std::move(step));
  }
  return Normalizer(std::move(steps));
}

namespace {

absl::StatusOr<std::string> run(const std::vector<std::unique_ptr<Normalizer::Step>> &steps,
                                std::string_view text, Normalizer::Step::Role role) {
  const size_t limit = 64 * text.size() + 65536;
  std::string current(text);
  for (const auto &step : steps) {
    absl::StatusOr<std::string> next = step->apply(current, role, limit);
    if (!next.ok())
      return next;
    current = *std::move(next);
  }
  return current;
}

} // namespace

absl::StatusOr<std::string> Normalizer::apply(std::string_view text, bool goes_on) const {
  return run(steps_, text, goes_on ? Step::Role::Rest : Step::Role::Text);
}

absl::StatusOr<std::string> Normalizer::apply_to_token(std::string_view content) const {
  return run(steps_, content, Step::Role::TokenContent);
}

} // namespace quern::text
