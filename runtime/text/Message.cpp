#include "runtime/text/Message.h"

namespace quern::text::detail {

std::string join(std::initializer_list<MessagePart> parts) {
  std::string out;
  for (const MessagePart &part : parts) {
    switch (part.kind) {
    case MessagePart::Kind::Text:
      out += part.text;
      break;
    case MessagePart::Kind::Character:
      out += static_cast<char>(part.number);
      break;
    case MessagePart::Kind::Signed:
      out += std::to_string(part.number);
      break;
    case MessagePart::Kind::Unsigned:
      out += std::to_string(static_cast<uint64_t>(part.number));
      break;
    }
  }
  return out;
}

} // namespace quern::text::detail
