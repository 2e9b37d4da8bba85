#include "runtime/text/AddedTokens.h"

#include "runtime/text/Utf8.h"

#include <utf8proc.h>

#include <algorithm>

namespace quern::text {
namespace {

std::vector<Trie::Key> keys(const std::vector<AddedToken> &tokens) {
  std::vector<Trie::Key> keys;
  for (const AddedToken &token : tokens)
    keys.push_back({token.content, static_cast<int32_t>(keys.size())});
  return keys;
}

/// Where the white space at the end of `text` begins.
size_t trailing_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xc0) == 0x80)
      --start;
    if (!is_white_space(first_code_point(text.substr(start, end - start)).value))
      break;
    end = start;
  }
  return end;
}

/// Bytes of white space at the start of `text`.
size_t leading_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = first_code_point(text.substr(at));
    if (!is_white_space(point.value))
      break;
    at += point.size;
  }
  return at;
}

/// What \w matches: letters, marks, digits, connectors, joiners and circled letters.
bool is_word(char32_t value) {
  if (value < 0x80)
    return (value >= '0' && value <= '9') || (value >= 'A' && value <= 'Z') || value == '_' ||
           (value >= 'a' && value <= 'z');
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    return value == 0x200c || value == 0x200d || (value >= 0x24b6 && value <= 0x24e9) ||
           (value >= 0x1f130 && value <= 0x1f149) || (value >= 0x1f150 && value <= 0x1f169) ||
           (value >= 0x1f170 && value <= 0x1f189);
  }
}

bool ends_with_word(std::string_view text) {
  if (text.empty())
    return false;
  size_t start = text.size() - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xc0) == 0x80)
    --start;
  return is_word(first_code_point(text.substr(start)).value);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(first_code_point(text).value);
}

} // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), trie_(keys(tokens_)) {}

AddedTokens::Match AddedTokens::longest_at(std::string_view text, bool special) const {
  Match match;
  uint32_t node = Trie::kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = trie_.next(node, static_cast<uint8_t>(text[i]));
    if (node == Trie::kNone)
      break;
    const int32_t token = trie_.value(node);
    if (token >= 0 && (special || !tokens_[static_cast<size_t>(token)].special))
      match = {token, i + 1};
  }
  return match;
}

void AddedTokens::cut(std::string_view text, bool special, std::vector<Segment> &segments) const {
  size_t done = 0;
  for (size_t at = 0; !tokens_.empty() && at < text.size();) {
    const Match match = longest_at(text.substr(at), special);
    if (match.token < 0) {
      ++at;
      continue;
    }
    const AddedToken &token = tokens_[static_cast<size_t>(match.token)];
    if (token.single_word &&
        (ends_with_word(text.substr(0, at)) || starts_with_word(text.substr(at + match.size)))) {
      at += match.size;
      continue;
    }
    // Matches do not overlap, but white space that one swallows may hold the next, of which then
    // nothing may be left.
    size_t begin = at, end = at + match.size;
    if (token.lstrip)
      begin = std::max(trailing_space(text.substr(0, at)), done);
    if (token.rstrip)
      end += leading_space(text.substr(end));
    if (done < begin)
      segments.push_back({text.substr(done, begin - done)});
    if (begin < end)
      segments.push_back({text.substr(at, match.size), token.id});
    at += match.size;
    done = end;
  }
  if (done < text.size())
    segments.push_back({text.substr(done)});
}

} // namespace quern::text
