// GPT-2's alphabet: 256 printable characters that stand for the 256 bytes in the vocabularies of
// byte-level BPE ("Ġ" is a space). Printable Latin-1 stands for itself; the other 68 bytes, in
// order, are U+0100, U+0101, ... (source: the byte encoder published with GPT-2).
#ifndef QUERN_RUNTIME_TEXT_BYTEALPHABET_H
#define QUERN_RUNTIME_TEXT_BYTEALPHABET_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quern::text {

/// The character that stands for a byte.
char32_t byte_to_character(uint8_t byte);

/// The bytes that `token` stands for; none if it has a character outside the alphabet.
std::optional<std::string> token_to_bytes(std::string_view token);

/// `bytes` spelled in the alphabet, as UTF-8.
std::string bytes_to_token(std::string_view bytes);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_BYTEALPHABET_H
