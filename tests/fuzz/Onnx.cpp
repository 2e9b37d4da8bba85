// An ONNX model: the file, its graph, the shapes of all values, and what quern check says of it.
// The mutator changes fields of the messages, so that what it makes is read beyond the first of
// them.
#include "frontends/onnx/CheckModel.h"
#include "tests/fuzz/Fuzz.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

/// A field of a message of the wire format. Bytes that read as a message are its fields.
struct Field {
  uint64_t number = 0;
  unsigned wire_type = 0;
  uint64_t varint = 0;
  std::string bytes;
  std::vector<Field> fields;
  bool is_message = false;
};

bool take_varint(std::string_view &bytes, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool parse(std::string_view bytes, int depth, std::vector<Field> &fields) {
  constexpr int kDeepest = 24;
  if (depth > kDeepest)
    return false;
  while (!bytes.empty()) {
    Field field;
    uint64_t tag = 0, size = 0;
    if (!take_varint(bytes, tag) || tag >> 3 == 0 || tag >> 3 > 64)
      return false;
    field.number = tag >> 3;
    field.wire_type = tag & 7;
    if (field.wire_type == 0) {
      if (!take_varint(bytes, field.varint))
        return false;
    } else {
      size = field.wire_type == 1 ? 8 : 4;
      if (field.wire_type != 1 && field.wire_type != 5 &&
          (field.wire_type != 2 || !take_varint(bytes, size)))
        return false;
      if (size > bytes.size())
        return false;
      field.bytes = bytes.substr(0, size);
      bytes.remove_prefix(size);
      if (field.wire_type == 2 && size >= 2) {
        field.is_message = parse(field.bytes, depth + 1, field.fields);
        if (!field.is_message)
          field.fields.clear();
      }
    }
    fields.push_back(std::move(field));
  }
  return true;
}

void append_varint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

std::string text_of(const std::vector<Field> &fields) {
  std::string out;
  for (const Field &field : fields) {
    append_varint(out, field.number << 3 | field.wire_type);
    if (field.wire_type == 0) {
      append_varint(out, field.varint);
      continue;
    }
    const std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
    if (field.wire_type == 2)
      append_varint(out, bytes.size());
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
  if (field.wire_type == 0) {
    field.varint =
        random() % 2 ? kNumbers[random() % std::size(kNumbers)] : field.varint + random() % 5 - 2;
    return;
  }
  std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
  const size_t most = bytes.size() + (field.wire_type == 2 ? 16 : 0);
  const size_t was = bytes.size();
  bytes.resize(most);
  const size_t size =
      LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(bytes.data()), was, std::max<size_t>(most, 1));
  if (field.wire_type == 2)
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
  onnx::check_model(file.path(), {{"s", 7}}, problems);
  require(!problems.empty(), "nothing stands in the way of code for an op");
}
