#include "runtime/text/Charsmap.h"

#include "runtime/text/Message.h"

#include <cstring>

namespace quern::text {
namespace {

// A unit of the array: bits 0-7 are the byte that leads to it (bit 31 marks units that hold a value
// instead), bit 8 says that a rule ends here, the rest is how far its children lie.
bool is_end(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t label(uint32_t unit) { return unit & (uint32_t{1} << 31 | 0xff); }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & uint32_t{1} << 9) >> 6); }
uint32_t value(uint32_t unit) { return unit & ~(uint32_t{1} << 31); }

} // namespace

absl::StatusOr<Charsmap> Charsmap::create(std::string_view bytes) {
  uint32_t size = 0;
  if (bytes.size() >= sizeof size)
    std::memcpy(&size, bytes.data(), sizeof size);
  if (size == 0 || size % sizeof(uint32_t) != 0 || size > bytes.size() - sizeof size)
    return absl::InvalidArgumentError(
        concat("tokenizer: a precompiled charsmap of ", bytes.size(), " bytes is damaged"));
  Charsmap map;
  map.units_.resize(size / sizeof(uint32_t));
  std::memcpy(map.units_.data(), bytes.data() + sizeof size, size);
  map.replacements_ = bytes.substr(sizeof size + size);
  return map;
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Match> found;
  uint32_t at = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label(units_[at]) != byte)
      break;
    const uint32_t unit = units_[at];
    at ^= offset(unit);
    if (!is_end(unit))
      continue;
    if (at >= units_.size() || value(units_[at]) >= replacements_.size())
      break;
    const std::string_view rest = std::string_view(replacements_).substr(value(units_[at]));
    found = {i + 1, rest.substr(0, rest.find('\0'))};
    if (!longest)
      break;
  }
  return found;
}

} // namespace quern::text
