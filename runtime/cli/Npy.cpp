#include "runtime/cli/Npy.h"

#include "runtime/cli/Model.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <cstring>

namespace quern::cli {
namespace {

using artifact::ElementType;

constexpr std::string_view kMagic = "\x93NUMPY";

struct TypeName {
  ElementType type;
  std::string_view descr;
};
constexpr TypeName kTypes[] = {
    {ElementType::f32, "<f4"},     {ElementType::i32, "<i4"}, {ElementType::i64, "<i8"},
    {ElementType::f16, "<f2"},     {ElementType::i8, "|i1"},  {ElementType::u8, "|u1"},
    {ElementType::boolean, "|b1"}, {ElementType::f64, "<f8"},
};

absl::Status refuse(const std::string &path, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(what)));
}

// The text after 'key': in the header's dictionary; empty if it is not there.
std::string_view value_of(std::string_view header, std::string_view key) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos)
    return {};
  std::string_view rest = header.substr(at + key.size());
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == ':'))
    rest.remove_prefix(1);
  return rest;
}

// "(2, 3)" -> {2, 3}
bool parse_shape(std::string_view text, std::vector<int64_t> *shape) {
  const size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos)
    return false;
  text = text.substr(1, end - 1);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string number(text.substr(0, comma));
    int64_t dim;
    if (absl::SimpleAtoi(number, &dim) && dim >= 0)
      shape->push_back(dim);
    else if (number.find_first_not_of(' ') != std::string::npos)
      return false;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

std::string header_of(ElementType type, std::span<const int64_t> shape) {
  std::string_view descr;
  for (const TypeName &name : kTypes)
    if (name.type == type)
      descr = name.descr;
  std::string dims;
  for (int64_t dim : shape)
    absl::StrAppend(&dims, dim, ", ");
  if (shape.size() > 1)
    dims.resize(dims.size() - 2); // Python writes (2, 3) but (2,)
  else if (shape.size() == 1)
    dims.pop_back();
  std::string dictionary = absl::StrCat("{'descr': '", std::string(descr),
                                        "', 'fortran_order': False, 'shape': (", dims, "), }");
  // Magic, version and length are 10 bytes; the whole is padded to a multiple of 64.
  dictionary.resize((10 + dictionary.size() + 1 + 63) / 64 * 64 - 10, ' ');
  dictionary.back() = '\n';
  std::string header(kMagic);
  header += {1, 0};
  header += static_cast<char>(dictionary.size() & 0xff);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

} // namespace

absl::StatusOr<NpyArray> read_npy(const std::string &path) {
  absl::StatusOr<std::string> file = read_text(path);
  if (!file.ok())
    return file.status();
  const std::string_view bytes = *file;
  if (bytes.size() < 12 || !bytes.starts_with(kMagic))
    return refuse(path, "not a .npy file");
  const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])); };
  const bool wide = byte(6) >= 2; // versions 2 and 3 have four bytes of header length
  const uint64_t header_bytes =
      wide ? byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24 : byte(8) | byte(9) << 8;
  const uint64_t start = wide ? 12 : 10;
  if (byte(6) > 3 || header_bytes > bytes.size() - start)
    return refuse(path, "its .npy header is damaged");
  const std::string_view header = bytes.substr(start, header_bytes);
  const std::string_view data = bytes.substr(start + header_bytes);

  NpyArray array;
  const std::string_view descr = value_of(header, "'descr'");
  bool known = false;
  for (const TypeName &name : kTypes)
    if (descr.size() > 4 && descr.substr(1, 3) == name.descr) {
      array.type = name.type;
      known = true;
    }
  if (!known)
    return refuse(path,
                  absl::StrCat("its elements are ", std::string(descr.substr(0, 5)),
                               ", which no tensor has\nhint: convert it: x.astype('float32')"));
  if (!value_of(header, "'fortran_order'").starts_with("False"))
    return refuse(path, "it is in Fortran order\nhint: save numpy.ascontiguousarray(x)");
  if (!parse_shape(value_of(header, "'shape'"), &array.shape))
    return refuse(path, "its .npy header has no shape");
  uint64_t size = artifact::element_bytes(array.type);
  for (int64_t dim : array.shape)
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(dim), &size))
      return refuse(path, "its shape is impossible");
  if (size != data.size())
    return absl::DataLossError(
        absl::StrCat(path, ": its shape needs ", size, " bytes, and it has ", data.size()));
  array.bytes.assign(data.begin(), data.end());
  return array;
}

absl::StatusOr<std::unique_ptr<NpyWriter>>
NpyWriter::create(const std::string &path, ElementType type, std::span<const int64_t> shape) {
  auto file = artifact::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  auto writer = std::make_unique<NpyWriter>();
  writer->file_ = *std::move(file);
  const std::string header = header_of(type, shape);
  if (absl::Status status = writer->append(header.data(), header.size()); !status.ok())
    return status;
  return writer;
}

absl::Status write_npy(const std::string &path, const NpyArray &array) {
  if (array.type == ElementType::bf16) {
    NpyArray wide{ElementType::f32, array.shape, std::vector<uint8_t>(array.bytes.size() * 2)};
    for (size_t i = 0; i + 1 < array.bytes.size(); i += 2) // a bfloat16 is a float32's upper half
      std::memcpy(&wide.bytes[2 * i + 2], &array.bytes[i], 2);
    return write_npy(path, wide);
  }
  auto writer = NpyWriter::create(path, array.type, array.shape);
  if (!writer.ok())
    return writer.status();
  if (absl::Status status = (*writer)->append(array.bytes.data(), array.bytes.size()); !status.ok())
    return status;
  return (*writer)->commit();
}

} // namespace quern::cli
