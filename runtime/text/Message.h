// Error messages put together from strings and integers.
//
// absl::StrCat would do, but Debian builds Abseil for C++14, where absl::string_view is not
// std::string_view and does not convert from it.
#ifndef QUERN_RUNTIME_TEXT_MESSAGE_H
#define QUERN_RUNTIME_TEXT_MESSAGE_H

#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace quern::text {

namespace detail {
/// A string, a character or an integer. One function joins them all: a template for each list of
/// types took some 40 KB of quern-run.
struct MessagePart {
  MessagePart(std::string_view text) : text(text) {}
  MessagePart(const std::string &text) : text(text) {}
  MessagePart(const char *text) : text(text) {}
  MessagePart(char c) : number(c), kind(Kind::Character) {}
  template <std::signed_integral T>
    requires(!std::same_as<T, char>)
  MessagePart(T value) : number(value), kind(Kind::Signed) {}
  template <std::unsigned_integral T>
  MessagePart(T value) : number(static_cast<int64_t>(value)), kind(Kind::Unsigned) {}

  enum class Kind : uint8_t { Text, Character, Signed, Unsigned };
  std::string_view text;
  int64_t number = 0;
  Kind kind = Kind::Text;
};

std::string join(std::initializer_list<MessagePart> parts);
} // namespace detail

/// The parts, one after the other.
template <typename... Parts> std::string concat(const Parts &...parts) {
  return detail::join({detail::MessagePart(parts)...});
}

/// A status's message.
inline std::string_view message_of(const absl::Status &status) {
  return {status.message().data(), status.message().size()};
}

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_MESSAGE_H
