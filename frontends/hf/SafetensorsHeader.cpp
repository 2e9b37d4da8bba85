// The header of one safetensors file.
#include "frontends/ModelFile.h"
#include "frontends/hf/JsonText.h"
#include "frontends/hf/Safetensors.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace quern::hf {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "values are read as they lie");

constexpr uint64_t kMaxHeaderBytes = 100'000'000; // the format's own limit
constexpr uint64_t kMaxElements = uint64_t{1} << 48;

struct DataType {
  const char *name;
  uint64_t bits;
  const char *format;
};

constexpr DataType kDataTypes[] = {
    {"F32", 32, "f32"}, {"F16", 16, "f16"}, {"BF16", 16, "bf16"}, {"F64", 64, ""},
    {"I64", 64, ""},    {"I32", 32, ""},    {"I16", 16, ""},      {"I8", 8, ""},
    {"U64", 64, ""},    {"U32", 32, ""},    {"U16", 16, ""},      {"U8", 8, ""},
    {"BOOL", 8, ""},    {"C64", 64, ""},    {"F8_E4M3", 8, ""},   {"F8_E5M2", 8, ""},
    {"F8_E8M0", 8, ""}, {"F6_E2M3", 6, ""}, {"F6_E3M2", 6, ""},   {"F4", 4, ""},
};

const DataType *find_data_type(const std::string &name) {
  for (const DataType &type : kDataTypes)
    if (name == type.name)
      return &type;
  return nullptr;
}

class Header {
public:
  Header(std::span<const std::byte> bytes, const std::string &path) : bytes_(bytes), path_(path) {}

  absl::StatusOr<std::vector<SafeTensor>> parse() {
    uint64_t length = 0;
    if (bytes_.size() < sizeof(length))
      return error(absl::StrCat("has ", bytes_.size(), " bytes, less than a header's length"),
                   kCutShort);
    std::memcpy(&length, bytes_.data(), sizeof(length));
    const uint64_t left = bytes_.size() - sizeof(length);
    if (length > kMaxHeaderBytes)
      return error(absl::StrCat("begins with ", length,
                                " as the header's length, beyond the format's ", kMaxHeaderBytes,
                                ": it may be no safetensors file"));
    if (length > left)
      return error(absl::StrCat("ends inside its header of ", length, " bytes"), kCutShort);
    data_start_ = sizeof(length) + length;
    data_bytes_ = left - length;
    const std::string_view text(reinterpret_cast<const char *>(bytes_.data()) + sizeof(length),
                                static_cast<size_t>(length));
    const absl::StatusOr<json> header = parse_json(text, path_ + " (header)", JsonDialect::Strict);
    if (!header.ok())
      return header.status();
    if (!header->is_object())
      return error("has a header that is no JSON object");
    for (const auto &[name, value] : header->items()) {
      if (name == "__metadata__")
        continue;
      if (absl::Status status = tensor(name, value); !status.ok())
        return status;
    }
    if (absl::Status status = coverage(); !status.ok())
      return status;
    return std::move(tensors_);
  }

private:
  absl::Status error(const std::string &what,
                     const std::string &hint = "the file is damaged: download or save it "
                                               "again") const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what, "\nhint: ", hint));
  }
  absl::Status tensor_error(const std::string &tensor, const std::string &what) const {
    return error(absl::StrCat("tensor '", tensor, "' ", what));
  }

  absl::Status tensor(const std::string &name, const json &entry) {
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 127; }))
      return error("has a tensor with control characters in its name");
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
        !entry.contains("shape") || !entry.contains("data_offsets"))
      return tensor_error(name, "is not described by dtype, shape and data_offsets");
    const json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
    const DataType *type = dtype.is_string() ? find_data_type(dtype.get<std::string>()) : nullptr;
    if (type == nullptr)
      return tensor_error(name, "has a dtype that is unknown");
    SafeTensor result;
    result.name = name;
    result.dtype = type->name;
    result.format = type->format;
    if (!shape.is_array())
      return tensor_error(name, "has a shape that is no array");
    uint64_t elements = 1;
    for (const json &dimension : shape) {
      const auto size =
          dimension.is_number_unsigned() ? dimension.get<uint64_t>() : kMaxElements + 1;
      if (size > kMaxElements || (size != 0 && elements > kMaxElements / size))
        return tensor_error(name, "has a dimension that is no number or larger than any file");
      elements *= size;
      result.shape.push_back(static_cast<int64_t>(size));
    }
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      return tensor_error(name, "has data_offsets that are no [begin, end]");
    const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data_bytes_)
      return error(absl::StrCat("tensor '", name, "' has its data at ", begin, " to ", end,
                                " of the ", data_bytes_, " bytes after the header"),
                   begin <= end ? kCutShort : "the file is damaged: download or save it again");
    result.offset = data_start_ + begin;
    result.bytes = end - begin;
    if (elements * type->bits % 8 != 0 || elements * type->bits / 8 != result.bytes)
      return tensor_error(name, absl::StrCat("of shape [", absl::StrJoin(result.shape, ", "), "] ",
                                             type->name, " has ", result.bytes,
                                             " bytes of data, not ", elements * type->bits / 8));
    tensors_.push_back(std::move(result));
    return absl::OkStatus();
  }

  /// Every byte of the data section belongs to one tensor.
  absl::Status coverage() {
    std::sort(tensors_.begin(), tensors_.end(), [](const SafeTensor &a, const SafeTensor &b) {
      return a.offset != b.offset ? a.offset < b.offset : a.bytes < b.bytes;
    });
    uint64_t covered = data_start_;
    for (const SafeTensor &tensor : tensors_) {
      if (tensor.offset != covered)
        return tensor_error(tensor.name,
                            absl::StrCat("begins at offset ", tensor.offset, " of the file, ",
                                         tensor.offset < covered ? "inside" : "not at the end of",
                                         " the data before it, which ends at ", covered));
      covered += tensor.bytes;
    }
    if (covered != bytes_.size())
      return error(absl::StrCat("has ", bytes_.size(), " bytes, its tensors end at ", covered));
    return absl::OkStatus();
  }

  std::span<const std::byte> bytes_;
  const std::string &path_;
  uint64_t data_start_ = 0, data_bytes_ = 0;
  std::vector<SafeTensor> tensors_;
};

} // namespace

absl::StatusOr<std::vector<SafeTensor>> parse_safetensors(std::span<const std::byte> bytes,
                                                          const std::string &path) {
  return Header(bytes, path).parse();
}

} // namespace quern::hf
