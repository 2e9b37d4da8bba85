// Messages and opcodes in pieces. absl's own string_view is not the standard one everywhere.
#ifndef QUERN_TESTS_PTX_WORDS_H
#define QUERN_TESTS_PTX_WORDS_H

#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace quern::ptx {

template <class T> decltype(auto) piece(const T &value) {
  if constexpr (std::is_same_v<T, std::string_view>)
    return std::string(value);
  else
    return (value);
}

/// absl::StrCat, of std::string_view too.
template <class... T> std::string concat(const T &...pieces) {
  return absl::StrCat(piece(pieces)...);
}

/// What stands between the separators, empty pieces too.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> made;
  for (size_t at = 0;;) {
    const size_t end = text.find(separator, at);
    made.push_back(text.substr(at, end - at));
    if (end == std::string_view::npos)
      return made;
    at = end + 1;
  }
}

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_WORDS_H
