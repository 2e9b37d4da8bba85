// A text of CUDA C++ being written: lines, indented by the blocks they stand in; and how
// expressions are put together.
#ifndef QUERN_CODEGEN_CUDA_TEXT_H
#define QUERN_CODEGEN_CUDA_TEXT_H

#include <absl/strings/str_cat.h>

#include <cstdint>
#include <string>

namespace quern::cuda {

class Text {
public:
  /// Of lines that stand in so many blocks already.
  explicit Text(int depth = 0) : depth_(depth) {}

  /// One line, or several that are separated by newlines.
  template <class... Parts> void line(const Parts &...parts) { add(absl::StrCat(parts...)); }
  /// "HEAD {", behind which lines are indented until close().
  template <class... Parts> void open(const Parts &...parts) {
    line(parts..., " {");
    ++depth_;
  }
  void close(const std::string &end = "}");
  /// "// WHAT", broken into lines where it is long.
  void comment(const std::string &what);

  const std::string &str() const { return text_; }

private:
  void add(const std::string &lines);

  std::string text_;
  int depth_;
};

// Expressions. Operators stand between spaces, so that what has no space needs no parentheses.

/// In parentheses, if it needs them beside an operator.
std::string grouped(const std::string &expression);
/// a + b, a - b and a * b, without what makes no difference.
std::string plus(const std::string &a, const std::string &b);
std::string plus(const std::string &a, int64_t b);
std::string minus(const std::string &a, const std::string &b);
std::string times(const std::string &a, int64_t b);
/// A float literal of just this number.
std::string literal(float value);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_TEXT_H
