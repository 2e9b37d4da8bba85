#include "runtime/text/Utf8.h"

#include <cstring>

namespace quern::text {
namespace {

/// ASCII bytes at the start of `bytes`, eight at a time.
size_t ascii_prefix(std::string_view bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    if (word & 0x8080808080808080u)
      break;
  }
  while (i < bytes.size() && static_cast<uint8_t>(bytes[i]) < 0x80)
    ++i;
  return i;
}

} // namespace

CodePoint first_code_point(std::string_view bytes) {
  using State = CodePoint::State;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80)
    return {lead, 1, State::Valid};
  // The second byte's range excludes overlong forms, surrogates and values above U+10FFFF.
  uint8_t length, low = 0x80, high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0)
      low = 0xa0;
    if (lead == 0xed)
      high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0)
      low = 0x90;
    if (lead == 0xf4)
      high = 0x8f;
  } else {
    return {};
  }
  char32_t value = lead & (0x7fu >> length);
  for (uint8_t i = 1; i < length; ++i) {
    if (i >= bytes.size())
      return {0xfffd, i, State::Incomplete};
    if (byte(i) < low || byte(i) > high)
      return {0xfffd, i, State::Broken};
    value = value << 6 | (byte(i) & 0x3fu);
    low = 0x80;
    high = 0xbf;
  }
  return {value, length, State::Valid};
}

void append_utf8(char32_t value, std::string &out) {
  if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
    value = 0xfffd;
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xc0 | value >> 6);
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    out += static_cast<char>(0xe0 | value >> 12);
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | value >> 18);
    out += static_cast<char>(0x80 | (value >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  }
}

size_t append_valid_utf8(std::string_view bytes, bool final, std::string &out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t ascii = ascii_prefix(bytes.substr(at));
    out.append(bytes, at, ascii);
    at += ascii;
    if (at == bytes.size())
      break;
    const CodePoint point = first_code_point(bytes.substr(at));
    if (point.state == CodePoint::State::Incomplete && !final)
      return at;
    if (point.state == CodePoint::State::Valid)
      out.append(bytes, at, point.size);
    else
      append_utf8(0xfffd, out);
    at += point.size;
  }
  return at;
}

bool is_valid_utf8(std::string_view bytes) {
  while (true) {
    bytes.remove_prefix(ascii_prefix(bytes));
    if (bytes.empty())
      return true;
    const CodePoint point = first_code_point(bytes);
    if (point.state != CodePoint::State::Valid)
      return false;
    bytes.remove_prefix(point.size);
  }
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (char c : text)
    count += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  return count;
}

bool is_white_space(char32_t value) {
  return (value >= 0x9 && value <= 0xd) || value == 0x20 || value == 0x85 || value == 0xa0 ||
         value == 0x1680 || (value >= 0x2000 && value <= 0x200a) || value == 0x2028 ||
         value == 0x2029 || value == 0x202f || value == 0x205f || value == 0x3000;
}

} // namespace quern::text
