// UTF-8, read carefully. Broken input is replaced as the Unicode Standard recommends (section 3.9,
// "U+FFFD Substitution of Maximal Subparts"), which is what Rust's and Python's decoders do too.
#ifndef QUERN_RUNTIME_TEXT_UTF8_H
#define QUERN_RUNTIME_TEXT_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quern::text {

/// The start of `bytes` as one code point.
struct CodePoint {
  enum class State : uint8_t {
    Valid,
    Broken,     ///< `size` bytes (at least 1) that no continuation can mend
    Incomplete, ///< all of `bytes` is the beginning of a code point
  };
  char32_t value = 0xfffd; ///< U+FFFD unless Valid
  uint8_t size = 1;        ///< bytes it takes
  State state = State::Broken;
};

/// Reads the first code point of `bytes`, which must not be empty.
CodePoint first_code_point(std::string_view bytes);

/// Appends a code point as UTF-8. Surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(char32_t value, std::string &out);

/// Appends `bytes` to `out` with broken parts replaced by U+FFFD, and returns how many bytes that
/// covers: all of them, but for an incomplete code point at the end unless `final`.
size_t append_valid_utf8(std::string_view bytes, bool final, std::string &out);

bool is_valid_utf8(std::string_view bytes);

/// Code points in `text`, which must be valid.
size_t count_code_points(std::string_view text);

/// Unicode's White_Space property.
bool is_white_space(char32_t value);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_UTF8_H
