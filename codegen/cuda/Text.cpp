// See Text.h.
#include "codegen/cuda/Text.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include <cmath>
#include <optional>
#include <vector>

namespace quern::cuda {
namespace {

constexpr size_t kColumns = 100, kIndent = 2;

std::optional<int64_t> number(const std::string &expression) {
  int64_t value = 0;
  if (absl::SimpleAtoi(expression, &value))
    return value;
  return std::nullopt;
}

} // namespace

void Text::add(const std::string &lines) {
  for (const std::string &one : std::vector<std::string>(absl::StrSplit(lines, '\n'))) {
    if (!one.empty())
      absl::StrAppend(&text_, std::string(kIndent * static_cast<size_t>(depth_), ' '), one);
    text_ += '\n';
  }
}

void Text::close(const std::string &end) {
  --depth_;
  add(end);
}

void Text::comment(const std::string &what) {
  const size_t room = kColumns - kIndent * static_cast<size_t>(depth_);
  std::string current = "//";
  for (const std::string &word : std::vector<std::string>(absl::StrSplit(what, ' '))) {
    if (current.size() + 1 + word.size() > room && current != "//") {
      add(current);
      current = "//";
    }
    absl::StrAppend(&current, " ", word);
  }
  add(current);
}

std::string grouped(const std::string &expression) {
  return absl::StrContains(expression, ' ') ? absl::StrCat("(", expression, ")")
                                            : std::string(expression);
}

std::string plus(const std::string &a, const std::string &b) {
  const auto left = number(a), right = number(b);
  if (left && right)
    return absl::StrCat(*left + *right);
  if (left == 0)
    return std::string(b);
  if (right == 0)
    return std::string(a);
  if (right && *right < 0)
    return absl::StrCat(a, " - ", -*right);
  return absl::StrCat(a, " + ", b);
}

std::string plus(const std::string &a, int64_t b) { return plus(a, absl::StrCat(b)); }

std::string minus(const std::string &a, const std::string &b) {
  const auto left = number(a), right = number(b);
  if (left && right)
    return absl::StrCat(*left - *right);
  if (right == 0)
    return std::string(a);
  if (a == b)
    return "0";
  return absl::StrCat(a, " - ", grouped(b));
}

std::string times(const std::string &a, int64_t b) {
  if (const auto left = number(a))
    return absl::StrCat(*left * b);
  if (b == 1)
    return std::string(a);
  return absl::StrCat(grouped(a), " * ", b);
}

std::string literal(float value) {
  if (std::isnan(value))
    return "__int_as_float(0x7fffffff)";
  if (std::isinf(value))
    return value > 0 ? "__int_as_float(0x7f800000)" : "__int_as_float(0xff800000)";
  // The shortest decimal that reads back, where that is shorter than what %a would be.
  for (int digits = 1; digits <= 9; ++digits) {
    std::string decimal = absl::StrFormat("%.*g", digits, value);
    float back = 0;
    if (absl::SimpleAtof(decimal, &back) && back == value) {
      if (decimal.find_first_of(".e") == std::string::npos)
        decimal += ".0";
      return decimal + "f";
    }
  }
  return absl::StrFormat("%af", value);
}

} // namespace quern::cuda
