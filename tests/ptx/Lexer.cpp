#include "tests/ptx/Lexer.h"

#include "tests/ptx/Words.h"

#include <bit>
#include <cstdlib>
#include <string>

namespace quern::ptx {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '$' || c == '%' || c == '.';
}

int digit_of(char c) {
  if (is_digit(c))
    return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : 99;
}

struct TypeName {
  std::string_view name;
  Type type;
  u8 bytes;
};
constexpr TypeName kTypes[] = {
    {"pred", Type::Pred, 0},     {"b8", Type::B8, 1},     {"u8", Type::U8, 1},
    {"s8", Type::S8, 1},         {"b16", Type::B16, 2},   {"u16", Type::U16, 2},
    {"s16", Type::S16, 2},       {"f16", Type::F16, 2},   {"bf16", Type::BF16, 2},
    {"b32", Type::B32, 4},       {"u32", Type::U32, 4},   {"s32", Type::S32, 4},
    {"f32", Type::F32, 4},       {"tf32", Type::TF32, 4}, {"f16x2", Type::F16x2, 4},
    {"bf16x2", Type::BF16x2, 4}, {"b64", Type::B64, 8},   {"u64", Type::U64, 8},
    {"s64", Type::S64, 8},       {"f64", Type::F64, 8},   {"b128", Type::B128, 16}};

} // namespace

Type type_of(std::string_view suffix) {
  for (const TypeName &known : kTypes)
    if (known.name == suffix)
      return known.type;
  return Type::None;
}

int bytes_of(Type type) {
  for (const TypeName &known : kTypes)
    if (known.type == type)
      return known.bytes;
  return 0;
}

bool is_float(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 || type == Type::F64 ||
         type == Type::TF32;
}

bool is_signed(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

absl::Status error_at(int line, std::string_view what) {
  return absl::InvalidArgumentError(concat("PTX line ", line, ": ", what));
}

absl::Status Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\0') {
      ++at_;
    } else if (c == '/' && text_.substr(at_, 2) == "//") {
      while (at_ < text_.size() && text_[at_] != '\n')
        ++at_;
    } else if (c == '/' && text_.substr(at_, 2) == "/*") {
      const size_t end = text_.find("*/", at_ + 2);
      if (end == std::string_view::npos)
        return error_at(line_, "a comment that does not end");
      for (; at_ < end + 2; ++at_)
        line_ += text_[at_] == '\n';
    } else {
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status Lexer::number(Token &token) {
  const size_t begin = at_;
  const auto rest = text_.substr(at_);
  int base = 10;
  size_t digits = 0;
  token.kind = Token::Kind::Integer;
  if (rest.size() > 1 && rest[0] == '0') {
    const char mark = static_cast<char>(rest[1] | 0x20);
    if (mark == 'x' || mark == 'f' || mark == 'd')
      base = 16;
    else if (mark == 'b')
      base = 2;
    else if (is_digit(rest[1]))
      base = 8;
    if (mark == 'f' || mark == 'd')
      token.kind = mark == 'f' ? Token::Kind::Single : Token::Kind::Double;
    at_ += base == 10 ? 0 : base == 8 ? 1 : 2;
  }
  const size_t first = at_;
  u64 value = 0;
  bool over = false;
  for (; at_ < text_.size() && digit_of(text_[at_]) < base; ++at_, ++digits) {
    over |= value > (~u64{0} - static_cast<u64>(digit_of(text_[at_]))) / static_cast<u64>(base);
    value = value * static_cast<u64>(base) + static_cast<u64>(digit_of(text_[at_]));
  }
  const size_t wanted = token.kind == Token::Kind::Single   ? 8
                        : token.kind == Token::Kind::Double ? 16
                                                            : 0;
  if (wanted != 0 && digits != wanted)
    return error_at(line_, concat("a float of ", digits, " hexadecimal digits"));
  if (base == 10 && at_ < text_.size() && (text_[at_] == '.' || (text_[at_] | 0x20) == 'e')) {
    while (at_ < text_.size() &&
           (is_digit(text_[at_]) || text_[at_] == '.' || (text_[at_] | 0x20) == 'e' ||
            ((text_[at_] == '-' || text_[at_] == '+') && (text_[at_ - 1] | 0x20) == 'e')))
      ++at_;
    const std::string decimal(text_.substr(first, at_ - first));
    char *end = nullptr;
    token.kind = Token::Kind::Double;
    value = std::bit_cast<u64>(std::strtod(decimal.c_str(), &end));
    if (*end != '\0')
      return error_at(line_, concat("no number: ", decimal));
  } else if (digits == 0 && base != 8) {
    return error_at(line_, "a number without digits");
  } else if (over) {
    return error_at(line_, "a number of more than 64 bits");
  }
  if (token.kind == Token::Kind::Integer && at_ < text_.size() && text_[at_] == 'U')
    ++at_;
  if (at_ < text_.size() && is_word(text_[at_]))
    return error_at(line_, concat("no number: ", text_.substr(begin, at_ + 1 - begin)));
  token.bits = value;
  token.text = text_.substr(begin, at_ - begin);
  return absl::OkStatus();
}

absl::Status Lexer::next(Token &token) {
  if (absl::Status status = skip_blanks(); !status.ok())
    return status;
  token = {};
  token.line = line_;
  if (at_ >= text_.size())
    return absl::OkStatus();
  const char c = text_[at_];
  if (is_digit(c))
    return number(token);
  const size_t begin = at_;
  if (is_word(c)) {
    token.kind = Token::Kind::Word;
    // `::` joins parts of an opcode (L2::128B); one colon ends a label.
    while (at_ < text_.size() &&
           (is_word(text_[at_]) ||
            (text_.substr(at_, 2) == "::" && at_ + 2 < text_.size() && is_word(text_[at_ + 2]))))
      at_ += text_[at_] == ':' ? 2 : 1;
    token.text = text_.substr(begin, at_ - begin);
    return absl::OkStatus();
  }
  if (c == '"') {
    const size_t end = text_.find_first_of("\"\n", at_ + 1);
    if (end == std::string_view::npos || text_[end] != '"')
      return error_at(line_, "a string that does not end");
    token.kind = Token::Kind::Text;
    token.text = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return absl::OkStatus();
  }
  if (std::string_view("{}()[]<>,;:=+-|!@*").find(c) == std::string_view::npos)
    return error_at(line_, concat("a character that PTX does not have: code ",
                                  static_cast<int>(static_cast<u8>(c))));
  token.kind = Token::Kind::Mark;
  token.text = text_.substr(at_++, 1);
  return absl::OkStatus();
}

} // namespace quern::ptx
