// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), for files of
// which little is wanted, or which are too large to be read by their own classes.
#ifndef QUERN_FRONTENDS_WIREFORMAT_H
#define QUERN_FRONTENDS_WIREFORMAT_H

#include <cstdint>
#include <string>
#include <string_view>

namespace quern {

enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// Walks over the fields of one message. Nothing is copied.
class WireMessage {
public:
  explicit WireMessage(std::string_view bytes) : rest_(bytes) {}

  /// Reads the next field. False: the message has ended, or is damaged (see ok()). Groups, which
  /// the format has given up, and a field of number 0 are damage.
  bool next();
  bool ok() const { return ok_; }

  uint64_t number() const { return number_; }
  WireType type() const { return type_; }
  /// As it lies there, with its tag.
  std::string_view field() const { return field_; }
  /// The field's value; empty or zero where it is of another type.
  std::string_view bytes() const { return bytes_; }
  uint64_t varint() const { return value_; }
  float float32() const;

private:
  bool read_varint(uint64_t &value);
  bool read_value();
  bool read_fixed(size_t size);

  std::string_view rest_;
  bool ok_ = true;
  uint64_t number_ = 0, value_ = 0;
  WireType type_ = WireType::Varint;
  std::string_view field_, bytes_;
};

void append_varint(std::string &out, uint64_t value);
/// A field of bytes, a text or a message.
void append_field(std::string &out, uint64_t number, std::string_view bytes);

} // namespace quern

#endif // QUERN_FRONTENDS_WIREFORMAT_H
