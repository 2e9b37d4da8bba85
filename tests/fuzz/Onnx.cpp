// An ONNX model: the file, its graph, the shapes of all values, and what quern check says of it.
// The mutator changes fields of the messages, so that what it makes is read beyond the first of
// them.
#include "frontends/WireFormat.h"
#include "frontends/onnx/CheckModel.h"
#include "tests/fuzz/Fuzz.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

using quern::append_field;
using quern::append_varint;
using quern::WireMessage;
using quern::WireType;

/// A field of a message. Bytes that read as a message are its fields.
struct Field {
  uint64_t number = 0;
  WireType type = WireType::Varint;
  uint64_t varint = 0;
  std::string bytes;
  std::vector<Field> fields;
  bool is_message = false;
};

bool parse(std::string_view bytes, int depth, std::vector<Field> &fields) {
  constexpr int kDeepest = 24;
  constexpr uint64_t kMostNumber = 64;
  if (depth > kDeepest)
    return false;
  WireMessage message(bytes);
  while (message.next()) {
    if (message.number() > kMostNumber)
      return false;
    Field &field = fields.emplace_back();
    field.number = message.number();
    field.type = message.type();
    field.bytes = message.bytes();
    if (field.type == WireType::Varint)
      field.varint = message.varint();
    else if (field.type != WireType::Bytes)
      field.bytes = message.field().substr(message.field().size() -
                                           (field.type == WireType::Fixed64 ? 8 : 4));
    else if (field.bytes.size() >= 2)
      field.is_message = parse(field.bytes, depth + 1, field.fields);
    if (!field.is_message)
      field.fields.clear();
  }
  return message.ok();
}

std::string text_of(const std::vector<Field> &fields) {
  std::string out;
  for (const Field &field : fields) {
    const std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
    if (field.type == WireType::Bytes) {
      append_field(out, field.number, bytes);
      continue;
    }
    append_varint(out, field.number << 3 | static_cast<uint64_t>(field.type));
    if (field.type == WireType::Varint)
      append_varint(out, field.varint);
    out += bytes;
  }
  return out;
}

/// All lists of fields, the message's own and those of the messages in it.
void lists_of(std::vector<Field> &fields, std::vector<std::vector<Field> *> &lists) {
  if (!fields.empty())
    lists.push_back(&fields);
  for (Field &field : fields)
    lists_of(field.fields, lists);
}

void mutate_value(Field &field, std::mt19937 &random) {
  static constexpr uint64_t kNumbers[] = {0,
                                          1,
                                          2,
                                          3,
                                          7,
                                          9,
                                          11,
                                          16,
                                          255,
                                          1 << 20,
                                          INT32_MAX,
                                          uint64_t{1} << 40,
                                          INT64_MAX,
                                          UINT64_MAX,
                                          UINT64_MAX - 1,
                                          uint64_t{1} << 63};
  if (field.type == WireType::Varint) {
    field.varint =
        random() % 2 ? kNumbers[random() % std::size(kNumbers)] : field.varint + random() % 5 - 2;
    return;
  }
  std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
  const size_t most = bytes.size() + (field.type == WireType::Bytes ? 16 : 0);
  const size_t was = bytes.size();
  bytes.resize(most);
  const size_t size =
      LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(bytes.data()), was, std::max<size_t>(most, 1));
  if (field.type == WireType::Bytes)
    bytes.resize(std::min(size, most));
  field.bytes = std::move(bytes);
  field.is_message = false;
  field.fields.clear();
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                                          unsigned int seed) {
  std::mt19937 random(seed);
  std::vector<Field> message;
  if (random() % 8 == 0 || !parse({reinterpret_cast<const char *>(data), size}, 0, message))
    return LLVMFuzzerMutate(data, size, most);
  std::vector<std::vector<Field> *> lists;
  lists_of(message, lists);
  if (lists.empty())
    return LLVMFuzzerMutate(data, size, most);
  std::vector<Field> &fields = *lists[random() % lists.size()];
  const std::vector<Field> &others = *lists[random() % lists.size()];
  const Field other = others[random() % others.size()];
  Field &field = fields[random() % fields.size()];
  switch (random() % 7) {
  case 0:
    fields.erase(fields.begin() + (&field - fields.data()));
    break;
  case 1:
    fields.push_back(Field(field));
    break;
  case 2:
    std::swap(field, fields[random() % fields.size()]);
    break;
  case 3: { // another's value under this number
    const uint64_t number = field.number;
    field = other;
    field.number = number;
    break;
  }
  case 4:
    fields.push_back(other);
    break;
  default:
    mutate_value(field, random);
  }
  const std::string out = text_of(message);
  if (out.empty() || out.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, out.data(), out.size());
  return out.size();
}

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  Problems problems;
  onnx::check_model(file.path(), {{"s", 7}}, onnx::has_rule, problems);
}
