#include "runtime/text/Normalize.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace quern::text {

std::string normalize(std::string_view text, Normalizer form) {
  const bool ascii = std::all_of(text.begin(), text.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (form == Normalizer::None || ascii)
    return std::string(text);
  utf8proc_uint8_t *result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(result, std::free);
  if (size < 0)
    return std::string(text);
  return std::string(reinterpret_cast<const char *>(result), static_cast<size_t>(size));
}

} // namespace quern::text
