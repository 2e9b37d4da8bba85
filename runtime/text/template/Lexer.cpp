#include "runtime/text/template/Lexer.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/PythonText.h"

#include <absl/strings/charconv.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace quern::text::jinja {
namespace {

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                           "/",  "%",  "~",  "(",  ")",  "[",  "]", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// All line ends as \n, and the last one gone.
std::string normalize_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n')
        ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n'))
    text.pop_back();
  return text;
}

class Lexer {
public:
  explicit Lexer(std::string_view source) : text_(normalize_newlines(source)), in_(text_) {}

  absl::StatusOr<std::vector<Token>> run() {
    while (status_.ok() && at_ < in_.size())
      data();
    if (!status_.ok())
      return status_;
    push(Token::Kind::End);
    return std::move(tokens_);
  }

private:
  bool looking_at(std::string_view text) const { return in_.substr(at_).starts_with(text); }

  void fail(const std::string &message) {
    if (status_.ok())
      status_ = absl::InvalidArgumentError(concat("chat template, line ", line_, ": ", message));
  }

  Token &push(Token::Kind kind, std::string text = {}) {
    Token &token = tokens_.emplace_back();
    token.kind = kind;
    token.line = line_;
    token.text = std::move(text);
    return token;
  }

  void advance(size_t bytes) {
    for (char c : in_.substr(at_, bytes))
      line_ += c == '\n';
    at_ += bytes;
  }

  void skip_white_space() {
    const std::string_view rest = in_.substr(at_);
    advance(rest.size() - strip(rest, StripSide::Left).size());
  }

  /// Text up to a tag, less what the tag's beginning strips. `at_` is behind "{%" and its sign
  /// after.
  void text_before(size_t tag, bool lstrip) {
    std::string_view text = in_.substr(at_, tag - at_);
    const char sign = tag + 2 < in_.size() ? in_[tag + 2] : '\0';
    if (sign == '-') {
      text = strip(text, StripSide::Right);
    } else if (lstrip && sign != '+') {
      // White space alone between the start of the line and the tag goes.
      const size_t line_start = text.rfind('\n') + 1; // npos + 1 is 0
      if ((line_start > 0 || at_line_start_) &&
          strip(text.substr(line_start), StripSide::Left).empty())
        text = text.substr(0, line_start);
    }
    if (!text.empty())
      push(Token::Kind::Text, std::string(text));
    advance(tag - at_ + 2);
    if (sign == '-' || sign == '+')
      advance(1);
  }

  /// After a tag that ended with `close` ("%}"), whose sign is before it.
  void after_tag(bool strip_all, bool trim_newline) {
    const size_t before = at_;
    if (strip_all)
      skip_white_space();
    else if (trim_newline && looking_at("\n"))
      advance(1);
    at_line_start_ = at_ > before && in_[at_ - 1] == '\n';
  }

  void data() {
    size_t tag = at_;
    while (true) {
      tag = in_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= in_.size()) {
        push(Token::Kind::Text, std::string(in_.substr(at_)));
        at_ = in_.size();
        return;
      }
      if (in_[tag + 1] == '{' || in_[tag + 1] == '%' || in_[tag + 1] == '#')
        break;
      ++tag;
    }
    const char opener = in_[tag + 1];
    text_before(tag, /*lstrip=*/opener != '{');
    if (opener == '#')
      return comment();
    if (opener == '%' && raw_block())
      return;
    push(opener == '%' ? Token::Kind::BlockBegin : Token::Kind::VariableBegin);
    code(opener == '%' ? "%}" : "}}",
         opener == '%' ? Token::Kind::BlockEnd : Token::Kind::VariableEnd);
  }

  void comment() {
    const size_t end = in_.find("#}", at_);
    if (end == std::string_view::npos)
      return fail("a comment without its end");
    const char sign = end > at_ ? in_[end - 1] : '\0';
    advance(end + 2 - at_);
    after_tag(sign == '-', sign != '+');
  }

  /// {% raw %} ... {% endraw %}, if that is what stands here.
  bool raw_block() {
    const auto matches = [&](size_t at, std::string_view word, size_t &end, char &sign) {
      const auto skip = [&] {
        while (at < in_.size() && is_space(in_[at]))
          ++at;
      };
      skip();
      if (!in_.substr(at).starts_with(word))
        return false;
      at += word.size();
      skip();
      sign = at < in_.size() ? in_[at] : '\0';
      if (sign == '-' || sign == '+')
        ++at;
      if (!in_.substr(at).starts_with("%}"))
        return false;
      end = at + 2;
      return true;
    };
    size_t end;
    char sign;
    if (!matches(at_, "raw", end, sign))
      return false;
    advance(end - at_);
    after_tag(sign == '-', /*trim_newline=*/false);
    for (size_t tag = in_.find("{%", at_); tag != std::string_view::npos;
         tag = in_.find("{%", tag + 1)) {
      const size_t inside =
          tag + 2 + (in_.substr(tag + 2).starts_with('-') || in_.substr(tag + 2).starts_with('+'));
      if (!matches(inside, "endraw", end, sign))
        continue;
      text_before(tag, /*lstrip=*/true);
      advance(end - at_);
      after_tag(sign == '-', sign != '+');
      return true;
    }
    fail("a raw block without its end");
    return true;
  }

  void code(std::string_view close, Token::Kind end_kind) {
    std::string brackets;
    while (status_.ok()) {
      while (at_ < in_.size() && is_space(in_[at_]))
        advance(1);
      if (at_ >= in_.size())
        return fail("a tag without its end");
      if (brackets.empty()) {
        const bool block = end_kind == Token::Kind::BlockEnd;
        const char sign = in_[at_];
        const bool has_sign =
            (sign == '-' || (sign == '+' && block)) && in_.substr(at_ + 1).starts_with(close);
        if (has_sign || looking_at(close)) {
          push(end_kind);
          advance(close.size() + has_sign);
          return after_tag(has_sign && sign == '-', block && !has_sign);
        }
      }
      token(brackets);
    }
  }

  void token(std::string &brackets) {
    const char c = in_[at_];
    if (starts_name(c)) {
      size_t end = at_;
      while (end < in_.size() && (starts_name(in_[end]) || is_digit(in_[end])))
        ++end;
      push(Token::Kind::Name, std::string(in_.substr(at_, end - at_)));
      return advance(end - at_);
    }
    if (is_digit(c))
      return number();
    if (c == '\'' || c == '"')
      return string(c);
    const auto *op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                  [&](std::string_view text) { return looking_at(text); });
    if (op == std::end(kOperators))
      return fail(concat("unexpected character '", std::string_view(&c, 1), "'"));
    if (c == '(' || c == '[' || c == '{')
      brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (!brackets.ends_with(c))
        return fail(concat("unexpected '", std::string_view(&c, 1), "'"));
      brackets.pop_back();
    }
    push(Token::Kind::Operator, std::string(*op));
    advance(op->size());
  }

  void number() {
    size_t end = at_;
    std::string digits;
    const auto take = [&](auto &&accept) {
      while (end < in_.size() && (accept(in_[end]) || in_[end] == '_')) {
        if (in_[end] != '_')
          digits += in_[end];
        ++end;
      }
    };
    int base = 10;
    if (in_[at_] == '0' && at_ + 1 < in_.size()) {
      const char mark = static_cast<char>(in_[at_ + 1] | 0x20);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    if (base != 10) {
      end += 2;
      take([](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
    } else {
      take(is_digit);
    }
    bool is_float = false;
    // "1.5" is a number; "1.foo" and the "1." of a slice or an attribute are not.
    if (base == 10 && end + 1 < in_.size() && in_[end] == '.' && is_digit(in_[end + 1])) {
      is_float = true;
      digits += in_[end++];
      take(is_digit);
    }
    if (base == 10 && end < in_.size() && (in_[end] | 0x20) == 'e') {
      size_t exponent = end + 1;
      if (exponent < in_.size() && (in_[exponent] == '+' || in_[exponent] == '-'))
        ++exponent;
      if (exponent < in_.size() && is_digit(in_[exponent])) {
        is_float = true;
        digits.append(in_, end, exponent - end);
        end = exponent;
        take(is_digit);
      }
    }
    Token &token = push(is_float ? Token::Kind::Float : Token::Kind::Integer, digits);
    const char *last = digits.data() + digits.size();
    const auto read_all = [last](const auto &result) {
      return result.ec == std::errc() && result.ptr == last;
    };
    if (!(is_float ? read_all(absl::from_chars(digits.data(), last, token.number))
                   : read_all(std::from_chars(digits.data(), last, token.integer, base))))
      return fail(concat("the number ", in_.substr(at_, end - at_), " is out of range"));
    advance(end - at_);
  }

  void string(char quote) {
    std::string value;
    size_t i = at_ + 1;
    for (; i < in_.size() && in_[i] != quote; ++i) {
      if (in_[i] != '\\') {
        value += in_[i];
        continue;
      }
      if (++i >= in_.size())
        break;
      i = escape(i, value) - 1;
    }
    if (i >= in_.size())
      return fail("a string without its end");
    push(Token::Kind::String, std::move(value));
    advance(i + 1 - at_);
  }

  /// Python's escapes; `i` is behind the backslash. Returns where the escape ends. Unknown escapes
  /// keep their backslash.
  size_t escape(size_t i, std::string &value) {
    const char c = in_[i];
    static constexpr std::string_view kNames = "abfnrtv\\'\"", kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t k = kNames.find(c); k != std::string_view::npos) {
      value += kMeanings[k];
      return i + 1;
    }
    if (c == '\n')
      return i + 1;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    int base = 16;
    size_t begin = i + 1;
    if (c >= '0' && c <= '7') {
      base = 8;
      begin = i;
      digits = 1;
      while (digits < 3 && begin + digits < in_.size() && in_[begin + digits] >= '0' &&
             in_[begin + digits] <= '7')
        ++digits;
    }
    if (digits == 0 || begin + digits > in_.size()) {
      value += '\\';
      return i;
    }
    uint32_t code = 0;
    const char *last = in_.data() + begin + digits;
    if (const auto result = std::from_chars(in_.data() + begin, last, code, base);
        result.ec != std::errc() || result.ptr != last) {
      fail("a broken escape in a string");
      return i + 1;
    }
    append_utf8(code, value);
    return begin + digits;
  }

  std::string text_;
  std::string_view in_;
  size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true; ///< what was read last ended a line
  std::vector<Token> tokens_;
  absl::Status status_;
};

} // namespace

absl::StatusOr<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

} // namespace quern::text::jinja
