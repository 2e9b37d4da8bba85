// The parser of one GGUF file's bytes.
#include "frontends/ModelFile.h"
#include "frontends/gguf/GgufFile.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace quern::gguf {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they lie");

constexpr uint64_t kMaxNameBytes = 4096;
// Far beyond any model, and few enough that what is kept of each takes little memory.
constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr const char *kDamaged = "the file is truncated or damaged: download or convert it again";

/// Bytes of a value of that type; 0 for strings, arrays and what is no type.
uint64_t scalar_bytes(uint32_t type) {
  switch (static_cast<ValueType>(type)) {
  case ValueType::U8:
  case ValueType::I8:
  case ValueType::Bool:
    return 1;
  case ValueType::U16:
  case ValueType::I16:
    return 2;
  case ValueType::U32:
  case ValueType::I32:
  case ValueType::F32:
    return 4;
  case ValueType::U64:
  case ValueType::I64:
  case ValueType::F64:
    return 8;
  case ValueType::String:
  case ValueType::Array:
    break;
  }
  return 0;
}

class Parser {
public:
  Parser(std::span<const std::byte> bytes, const std::string &path) : bytes_(bytes), path_(path) {}

  absl::StatusOr<Shard> parse() {
    uint64_t tensors = 0, keys = 0;
    if (absl::Status status = header(tensors, keys); !status.ok())
      return status;
    // The counts are believed only as far as the bytes go: each round reads, and fails at the end
    // of the file.
    for (uint64_t i = 0; i < keys; ++i)
      if (absl::Status status = metadata_entry(i, keys); !status.ok())
        return status;
    if (absl::Status status = alignment(); !status.ok())
      return status;
    for (uint64_t i = 0; i < tensors; ++i)
      if (absl::Status status = tensor_info(i, tensors); !status.ok())
        return status;
    if (absl::Status status = place_tensors(); !status.ok())
      return status;
    return std::move(shard_);
  }

private:
  absl::Status error(uint64_t offset, const std::string &what, const std::string &remedy) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": at offset ", offset, ": ", what, "\nhint: ", remedy));
  }
  absl::Status ended(const std::string &in) const {
    return error(position_, absl::StrCat("the file ends inside ", in), kCutShort);
  }
  uint64_t left() const { return bytes_.size() - position_; }

  template <typename T> bool read(T &value) {
    if (left() < sizeof(T))
      return false;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  bool read_string(std::string_view &text) {
    uint64_t length = 0;
    if (!read(length))
      return false;
    if (length > left()) {
      position_ -= sizeof(length);
      return false;
    }
    text = {reinterpret_cast<const char *>(bytes_.data() + position_), static_cast<size_t>(length)};
    position_ += length;
    return true;
  }

  /// Keys and tensor names are ASCII by the specification, and other readers take any; ones that
  /// no terminal shows would garble every message and listing.
  absl::Status read_name(const std::string &what, std::string_view &name) {
    const uint64_t start = position_;
    if (!read_string(name))
      return ended(absl::StrCat("the name of ", what));
    const bool printable =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= ' ' && c != 127; });
    if (name.empty() || name.size() > kMaxNameBytes || !printable)
      return error(start,
                   absl::StrCat("the name of ", what, " is '",
                                absl::CHexEscape(std::string(name.substr(0, 64))),
                                "', which is no printable name"),
                   kDamaged);
    return absl::OkStatus();
  }

  absl::Status header(uint64_t &tensors, uint64_t &keys) {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
      return error(0, "this is not a GGUF file (it does not begin with 'GGUF')",
                   "give a .gguf file, or a folder with config.json and safetensors");
    position_ = 4;
    uint32_t version = 0;
    if (!read(version))
      return ended("the header");
    if (version != 0 && (version & 0xffff) == 0)
      return error(4, "this is a big-endian GGUF file", "convert the model to little-endian");
    if (version != 2 && version != 3)
      return error(4, absl::StrCat("GGUF version ", version, " is not supported (2 and 3 are)"),
                   "convert the model again with current tools");
    if (!read(tensors) || !read(keys))
      return ended("the header");
    if (tensors > kMaxTensors || keys > kMaxKeys)
      return error(8,
                   absl::StrCat("the header counts ", tensors, " tensors and ", keys,
                                " metadata keys, more than any model has"),
                   kDamaged);
    return absl::OkStatus();
  }

  absl::Status metadata_entry(uint64_t index, uint64_t count) {
    const std::string which = absl::StrCat("metadata key ", index + 1, " of ", count);
    const uint64_t start = position_;
    std::string_view name;
    if (absl::Status status = read_name(which, name); !status.ok())
      return status;
    const std::string key(name);
    const std::string what = absl::StrCat("key '", key, "'");
    uint32_t type = 0;
    if (!read(type))
      return ended(what);
    uint32_t element = type;
    uint64_t elements = 1;
    if (static_cast<ValueType>(type) == ValueType::Array && (!read(element) || !read(elements)))
      return ended(what);
    const bool strings = static_cast<ValueType>(element) == ValueType::String;
    if (!strings && scalar_bytes(element) == 0)
      return error(position_,
                   absl::StrCat(what, " has a value of type ", element,
                                element == static_cast<uint32_t>(ValueType::Array)
                                    ? " (an array of arrays)"
                                    : "",
                                ", which is not supported"),
                   "convert the model again with current tools");
    const Value value{.type = static_cast<ValueType>(type),
                      .element = static_cast<ValueType>(element),
                      .count = elements,
                      .offset = position_,
                      .at = bytes_.data() + position_};
    if (strings) {
      std::string_view text;
      for (uint64_t i = 0; i < elements; ++i)
        if (!read_string(text))
          return ended(elements == 1 ? what : absl::StrCat(what, ", element ", i));
    } else {
      if (elements > left() / scalar_bytes(element))
        return ended(what);
      position_ += elements * scalar_bytes(element);
    }
    if (!shard_.metadata.emplace(key, value).second)
      return error(start, absl::StrCat(what, " is there twice"), kDamaged);
    shard_.keys.push_back(key);
    return absl::OkStatus();
  }

  absl::Status alignment() {
    const auto found = shard_.metadata.find("general.alignment");
    if (found == shard_.metadata.end())
      return absl::OkStatus();
    const Value &value = found->second;
    uint32_t alignment = 0;
    if (value.type == ValueType::U32)
      std::memcpy(&alignment, value.at, sizeof(alignment));
    if (!std::has_single_bit(alignment) || alignment > kMaxAlignment)
      return error(value.offset,
                   absl::StrCat("key 'general.alignment' is not a uint32 power of two up to ",
                                kMaxAlignment),
                   kDamaged);
    alignment_ = alignment;
    return absl::OkStatus();
  }

  absl::Status tensor_info(uint64_t index, uint64_t count) {
    const uint64_t start = position_;
    std::string_view name;
    if (absl::Status status = read_name(absl::StrCat("tensor ", index + 1, " of ", count), name);
        !status.ok())
      return status;
    Tensor tensor{.name = std::string(name),
                  .shape = {},
                  .type = nullptr,
                  .file = 0,
                  .offset = 0,
                  .bytes = 0};
    const std::string what = absl::StrCat("tensor '", tensor.name, "'");
    uint32_t dimensions = 0;
    if (!read(dimensions))
      return ended(what);
    if (dimensions > kMaxDimensions)
      return error(start,
                   absl::StrCat(what, " has ", dimensions, " dimensions; GGUF has at most 4"),
                   kDamaged);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      uint64_t dimension = 0;
      if (!read(dimension))
        return ended(what);
      // No element takes less than a quarter of a bit, so 2^48 is beyond any file.
      constexpr uint64_t kMaxElements = uint64_t{1} << 48;
      if (dimension == 0 || dimension > kMaxElements / elements)
        return error(start,
                     absl::StrCat(what, " has ", dimension, " as dimension ", i,
                                  ", which is empty or larger than any file"),
                     kDamaged);
      elements *= dimension;
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(dimension));
    }
    uint32_t type = 0;
    if (!read(type) || !read(tensor.offset))
      return ended(what);
    tensor.type = find_tensor_type(type);
    if (tensor.type == nullptr)
      return error(start, absl::StrCat(what, " has type ", type, ", which is unknown"),
                   "the file is damaged or newer than this Quern: convert it to another type");
    const auto block = static_cast<uint64_t>(tensor.type->block);
    const uint64_t row = tensor.shape.empty() ? 1 : static_cast<uint64_t>(tensor.shape.back());
    if (row % block != 0)
      return error(start,
                   absl::StrCat(what, " has rows of ", row, " elements, which are no whole ",
                                tensor.type->name, " blocks of ", block),
                   kDamaged);
    tensor.bytes = elements / block * static_cast<uint64_t>(tensor.type->block_bytes);
    if (!names_.emplace(tensor.name, start).second)
      return error(
          start, absl::StrCat(what, " is there twice (first at offset ", names_[tensor.name], ")"),
          kDamaged);
    shard_.tensors.push_back(std::move(tensor));
    return absl::OkStatus();
  }

  /// Turns offsets into the data section into offsets into the file, and checks that the data is
  /// all there.
  absl::Status place_tensors() {
    if (shard_.tensors.empty())
      return absl::OkStatus();
    const uint64_t size = bytes_.size();
    const uint64_t data = (position_ + alignment_ - 1) & ~(alignment_ - 1);
    std::vector<const Tensor *> by_offset;
    for (Tensor &tensor : shard_.tensors) {
      const std::string what = absl::StrCat("tensor '", tensor.name, "'");
      if (tensor.offset % alignment_ != 0)
        return error(
            data,
            absl::StrCat(what, " has its data at ", tensor.offset,
                         " of the data section, which is not a multiple of the alignment, ",
                         alignment_),
            kDamaged);
      if (data > size || tensor.offset > size - data || tensor.bytes > size - data - tensor.offset)
        return error(data,
                     absl::StrCat("the ", tensor.bytes, " bytes of ", what, " at ", tensor.offset,
                                  " of the data section are not inside the file's ", size,
                                  " bytes"),
                     kCutShort);
      tensor.offset += data;
      by_offset.push_back(&tensor);
    }
    std::sort(by_offset.begin(), by_offset.end(),
              [](const Tensor *a, const Tensor *b) { return a->offset < b->offset; });
    for (size_t i = 1; i < by_offset.size(); ++i)
      if (by_offset[i]->offset < by_offset[i - 1]->offset + by_offset[i - 1]->bytes)
        return error(by_offset[i]->offset,
                     absl::StrCat("tensors '", by_offset[i - 1]->name, "' and '",
                                  by_offset[i]->name, "' overlap"),
                     kDamaged);
    // The specification pads the last tensor's data too, and not every writer does: the file may
    // end where that data ends.
    return absl::OkStatus();
  }

  std::span<const std::byte> bytes_;
  const std::string &path_;
  uint64_t position_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
  Shard shard_;
  std::map<std::string, uint64_t, std::less<>> names_;
};

} // namespace

absl::StatusOr<Shard> parse_shard(std::span<const std::byte> bytes, const std::string &path) {
  return Parser(bytes, path).parse();
}

} // namespace quern::gguf
