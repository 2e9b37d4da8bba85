#include "runtime/text/ByteAlphabet.h"

#include "runtime/text/Utf8.h"

#include <array>

namespace quern::text {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Tables {
  std::array<uint16_t, 256> character{}; ///< by byte
  std::array<int16_t, 324> byte{};       ///< by character, -1: none
};

constexpr Tables make_tables() {
  Tables tables;
  tables.byte.fill(-1);
  uint16_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto character = stands_for_itself(byte) ? static_cast<uint16_t>(byte) : next++;
    tables.character[byte] = character;
    tables.byte[character] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

} // namespace

char32_t byte_to_character(uint8_t byte) { return kTables.character[byte]; }

std::optional<std::string> token_to_bytes(std::string_view token) {
  // Called for whole vocabularies. The alphabet's characters are one or two bytes of UTF-8.
  std::string bytes(token.size(), '\0');
  size_t count = 0;
  for (size_t i = 0; i < token.size(); ++i) {
    unsigned character = static_cast<uint8_t>(token[i]);
    if (character >= 0x80) {
      const unsigned next = ++i < token.size() ? static_cast<uint8_t>(token[i]) : 0;
      if (character < 0xc2 || character > 0xdf || (next & 0xc0) != 0x80)
        return std::nullopt;
      character = (character & 0x1f) << 6 | (next & 0x3f);
    }
    if (character >= kTables.byte.size() || kTables.byte[character] < 0)
      return std::nullopt;
    bytes[count++] = static_cast<char>(kTables.byte[character]);
  }
  bytes.resize(count);
  return bytes;
}

std::string bytes_to_token(std::string_view bytes) {
  std::string token;
  for (char byte : bytes)
    append_utf8(byte_to_character(static_cast<uint8_t>(byte)), token);
  return token;
}

} // namespace quern::text
