#include "frontends/WireFormat.h"

#include <bit>

namespace quern {

bool WireMessage::next() {
  if (rest_.empty())
    return false;
  const char *const begin = rest_.data();
  uint64_t tag = 0;
  ok_ = read_varint(tag);
  number_ = tag >> 3;
  type_ = static_cast<WireType>(tag & 7);
  ok_ = ok_ && number_ != 0 && read_value();
  field_ = {begin, static_cast<size_t>(rest_.data() - begin)};
  return ok_;
}

float WireMessage::float32() const { return std::bit_cast<float>(static_cast<uint32_t>(value_)); }

bool WireMessage::read_varint(uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool WireMessage::read_value() {
  value_ = 0;
  bytes_ = {};
  switch (type_) {
  case WireType::Varint:
    return read_varint(value_);
  case WireType::Fixed64:
    return read_fixed(8);
  case WireType::Fixed32:
    return read_fixed(4);
  case WireType::Bytes: {
    uint64_t size = 0;
    if (!read_varint(size) || size > rest_.size())
      return false;
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  }
  return false;
}

bool WireMessage::read_fixed(size_t size) {
  if (rest_.size() < size)
    return false;
  for (size_t i = 0; i < size; ++i) // little-endian
    value_ |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
  rest_.remove_prefix(size);
  return true;
}

void append_varint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_field(std::string &out, uint64_t number, std::string_view bytes) {
  append_varint(out, number << 3 | static_cast<uint64_t>(WireType::Bytes));
  append_varint(out, bytes.size());
  out += bytes;
}

} // namespace quern
