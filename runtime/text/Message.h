// Error messages put together from strings and integers.
//
// absl::StrCat would do, but Debian builds Abseil for C++14, where absl::string_view is not
// std::string_view and does not convert from it.
#ifndef QUERN_RUNTIME_TEXT_MESSAGE_H
#define QUERN_RUNTIME_TEXT_MESSAGE_H

#include <absl/status/status.h>

#include <concepts>
#include <string>
#include <string_view>

namespace quern::text {

namespace detail {
template <typename T> void append_part(std::string &out, const T &part) {
  if constexpr (std::integral<T> && !std::same_as<T, char>)
    out += std::to_string(part);
  else
    out += part;
}
} // namespace detail

/// The parts, one after the other.
template <typename... Parts> std::string concat(const Parts &...parts) {
  std::string out;
  (detail::append_part(out, parts), ...);
  return out;
}

/// A status's message.
inline std::string_view message_of(const absl::Status &status) {
  return {status.message().data(), status.message().size()};
}

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_MESSAGE_H
