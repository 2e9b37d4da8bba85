#include "frontends/onnx/WireFilter.h"

#include "frontends/WireFormat.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <string_view>
#include <vector>

namespace quern::onnx {
namespace {

/// No name of the format's begins with it.
constexpr char kInlineKey[] = "\x01quern.inline";

enum class Kind : uint8_t {
  Kept,
  Dropped,
  Model,
  Graph,
  Node,
  Attribute,
  Tensor,
  Sparse,
  Function
};

/// What a field of a message is (onnx-ml.proto); most are Kept, as they are.
Kind kind_of(Kind message, uint64_t field) {
  switch (message) {
  case Kind::Model:
    return field == 7                  ? Kind::Graph
           : field == 25               ? Kind::Function
           : field == 6 || field == 20 ? Kind::Dropped // comments, training
                                       : Kind::Kept;
  case Kind::Graph:
    return field == 1    ? Kind::Node
           : field == 5  ? Kind::Tensor
           : field == 15 ? Kind::Sparse
           : field == 10 ? Kind::Dropped
                         : Kind::Kept;
  case Kind::Node:
    return field == 5 ? Kind::Attribute : field == 6 ? Kind::Dropped : Kind::Kept;
  case Kind::Attribute:
    return field == 5 || field == 10    ? Kind::Tensor
           : field == 6 || field == 11  ? Kind::Graph
           : field == 22 || field == 23 ? Kind::Sparse
           : field == 13                ? Kind::Dropped
                                        : Kind::Kept;
  case Kind::Sparse:
    return field == 1 || field == 2 ? Kind::Tensor : Kind::Kept;
  case Kind::Function:
    return field == 7    ? Kind::Node
           : field == 11 ? Kind::Attribute
           : field == 8  ? Kind::Dropped
                         : Kind::Kept;
  case Kind::Tensor:
    return field == 12 ? Kind::Dropped : Kind::Kept;
  case Kind::Kept:
  case Kind::Dropped:
    break;
  }
  return Kind::Kept;
}

/// Of TensorProto: raw_data, and those whose elements are packed into one field.
bool holds_data(uint64_t field) {
  return field == 4 || field == 5 || field == 7 || field == 9 || field == 10 || field == 11;
}

class Filter {
public:
  explicit Filter(std::string_view file) : file_(file) {}

  absl::Status message(Kind kind, std::string_view bytes, int nesting, std::string &out) {
    if (nesting > kMostNesting)
      return absl::InvalidArgumentError("graphs are nested too deeply in it");
    if (++messages_ > kMostMessages)
      return absl::ResourceExhaustedError(
          absl::StrCat("it has more than ", kMostMessages, " nodes, attributes and tensors"));
    if (kind == Kind::Tensor)
      return tensor(bytes, out);
    WireMessage field(bytes);
    while (field.next()) {
      const Kind child =
          field.type() == WireType::Bytes ? kind_of(kind, field.number()) : Kind::Kept;
      if (child == Kind::Dropped)
        continue;
      if (child == Kind::Kept) {
        out += field.field();
      } else {
        std::string inner;
        if (absl::Status status = message(child, field.bytes(), nesting + 1, inner); !status.ok())
          return status;
        append_field(out, field.number(), inner);
      }
      if (out.size() > kMostStructure)
        return absl::ResourceExhaustedError(
            absl::StrCat("it holds more than ", kMostStructure >> 20, " MiB beside its weights"));
    }
    return field.ok() ? absl::OkStatus() : damaged(bytes);
  }

private:
  uint64_t offset_of(std::string_view bytes) const {
    return static_cast<uint64_t>(bytes.data() - file_.data());
  }

  absl::Status damaged(std::string_view bytes) const {
    return absl::InvalidArgumentError(
        absl::StrCat("it is damaged, or no ONNX file: what begins at byte ", offset_of(bytes),
                     " is no message of Protocol Buffers"));
  }

  absl::Status tensor(std::string_view bytes, std::string &out) {
    int data_fields = 0;
    uint64_t large = 0; // the number of a field that becomes a reference
    for (WireMessage field(bytes); field.next();)
      if (holds_data(field.number()) && ++data_fields && field.bytes().size() >= kReferencedBytes)
        large = field.number();
    if (data_fields != 1)
      large = 0;
    WireMessage field(bytes);
    while (field.next()) {
      if (field.number() == 13 && is_inline_entry(field.bytes()))
        return damaged(field.bytes());
      if (field.type() == WireType::Bytes && kind_of(Kind::Tensor, field.number()) == Kind::Dropped)
        continue;
      if (field.number() == large) {
        std::string entry;
        append_field(entry, 1, kInlineKey);
        append_field(
            entry, 2,
            absl::StrCat(field.number(), " ", offset_of(field.bytes()), " ", field.bytes().size()));
        append_field(out, 13, entry);
      } else {
        out += field.field();
      }
      if (out.size() > kMostStructure)
        return absl::ResourceExhaustedError("it has a tensor whose data are not packed");
    }
    return field.ok() ? absl::OkStatus() : damaged(bytes);
  }

  static bool is_inline_entry(std::string_view entry) {
    for (WireMessage field(entry); field.next();)
      if (field.number() == 1 && field.bytes().starts_with(kInlineKey[0]))
        return true;
    return false;
  }

  std::string_view file_;
  int64_t messages_ = 0;
};

} // namespace

absl::StatusOr<std::string> without_data(std::span<const std::byte> file) {
  const std::string_view bytes(reinterpret_cast<const char *>(file.data()), file.size());
  std::string out;
  if (absl::Status status = Filter(bytes).message(Kind::Model, bytes, 0, out); !status.ok())
    return status;
  return out;
}

bool is_inline_data(const std::string &key) { return key == kInlineKey; }

std::optional<InlineData> inline_data(const std::string &value) {
  const std::vector<std::string> parts = absl::StrSplit(value, ' ');
  InlineData data;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &data.field) ||
      !absl::SimpleAtoi(parts[1], &data.offset) || !absl::SimpleAtoi(parts[2], &data.size))
    return std::nullopt;
  return data;
}

} // namespace quern::onnx
