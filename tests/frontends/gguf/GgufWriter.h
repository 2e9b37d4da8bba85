// Writes small GGUF files for the tests, right or wrong on purpose.
#ifndef QUERN_TESTS_FRONTENDS_GGUF_GGUFWRITER_H
#define QUERN_TESTS_FRONTENDS_GGUF_GGUFWRITER_H

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace quern::gguf {

class GgufWriter {
public:
  template <typename T> static std::string raw(T value) {
    std::string bytes(sizeof(T), '\0');
    __builtin_memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string text(const std::string &value) { return raw<uint64_t>(value.size()) + value; }

  /// A metadata entry; `value` is the bytes after the type.
  GgufWriter &key(const std::string &name, uint32_t type, const std::string &value) {
    metadata_ += text(name) + raw(type) + value;
    ++keys_;
    return *this;
  }
  GgufWriter &u32(const std::string &name, uint32_t value) { return key(name, 4, raw(value)); }
  GgufWriter &string(const std::string &name, const std::string &value) {
    return key(name, 8, text(value));
  }
  GgufWriter &strings(const std::string &name, const std::vector<std::string> &values) {
    std::string bytes = raw<uint32_t>(8) + raw<uint64_t>(values.size());
    for (const std::string &value : values)
      bytes += text(value);
    return key(name, 9, bytes);
  }
  template <typename T>
  GgufWriter &array(const std::string &name, uint32_t element, const std::vector<T> &values) {
    std::string bytes = raw(element) + raw<uint64_t>(values.size());
    for (const T value : values)
      bytes += raw(value);
    return key(name, 9, bytes);
  }

  /// A tensor with its data placed after the last one's. Dimensions fastest first, as GGUF has
  /// them.
  GgufWriter &tensor(const std::string &name, const std::vector<uint64_t> &dimensions,
                     uint32_t type, const std::string &data) {
    tensor_at(name, dimensions, type, data_.size());
    data_ += data;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  /// A tensor info alone.
  GgufWriter &tensor_at(const std::string &name, const std::vector<uint64_t> &dimensions,
                        uint32_t type, uint64_t offset) {
    tensors_ += text(name) + raw(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions)
      tensors_ += raw(dimension);
    tensors_ += raw(type) + raw(offset);
    ++tensor_count_;
    return *this;
  }

  std::string bytes() const {
    std::string out =
        "GGUF" + raw(version) + raw(tensor_count_) + raw(keys_) + metadata_ + tensors_;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data_;
  }

  uint32_t version = 3;
  uint64_t alignment = 32;

private:
  uint64_t keys_ = 0, tensor_count_ = 0;
  std::string metadata_, tensors_, data_;
};

} // namespace quern::gguf

#endif // QUERN_TESTS_FRONTENDS_GGUF_GGUFWRITER_H
