#include "runtime/cli/Npy.h"

#include "runtime/cli/Model.h"
#include "runtime/cli/NpyTypes.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

namespace quern::cli {
namespace {

using artifact::ElementType;

constexpr std::string_view kMagic = "\x93NUMPY";

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
  std::string dims;
  for (int64_t dim : shape)
    absl::StrAppend(&dims, dim, ", ");
  if (shape.size() > 1)
    dims.resize(dims.size() - 2); // Python writes (2, 3) but (2,)
  else if (shape.size() == 1)
    dims.pop_back();
  std::string dictionary = absl::StrCat("{'descr': '", std::string(npy_descr(type)),
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

void swap_bytes(NpyArray &array) {
  const size_t size = artifact::element_bytes(array.type);
  for (size_t at = 0; at + size <= array.bytes.size(); at += size)
    std::reverse(array.bytes.begin() + static_cast<ptrdiff_t>(at),
                 array.bytes.begin() + static_cast<ptrdiff_t>(at + size));
}

// Of elements with the first dimension innermost.
void to_row_major(NpyArray &array) {
  const size_t size = artifact::element_bytes(array.type), rank = array.shape.size();
  std::vector<uint8_t> result(array.bytes.size());
  std::vector<int64_t> index(rank), stride(rank);
  int64_t elements = 1;
  for (size_t d = 0; d < rank; ++d) {
    stride[d] = elements;
    elements *= array.shape[d]; // read_npy has looked at the product
  }
  int64_t from = 0;
  for (size_t to = 0; to < result.size(); to += size) {
    std::memcpy(&result[to], &array.bytes[static_cast<size_t>(from) * size], size);
    for (size_t d = rank; d-- > 0;) {
      from += stride[d];
      if (++index[d] < array.shape[d])
        break;
      from -= stride[d] * array.shape[d];
      index[d] = 0;
    }
  }
  array.bytes = std::move(result);
}

} // namespace

absl::StatusOr<NpyArray> read_npy(const std::string &path, std::optional<ElementType> wanted) {
  absl::StatusOr<std::string> file = read_text(path);
  if (!file.ok())
    return file.status();
  const std::string_view bytes = *file;
  if (bytes.size() < 12 || !bytes.starts_with(kMagic))
    return refuse(path, bytes.starts_with("PK")
                            ? "not a .npy file but an archive of some\nhint: numpy.savez and zip "
                              "make those: save each array by numpy.save"
                            : "not a .npy file\nhint: numpy.save makes one");
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
  const std::string_view quoted = value_of(header, "'descr'");
  const std::string_view descr =
      quoted.starts_with('\'') ? quoted.substr(1, quoted.find('\'', 1) - 1) : std::string_view();
  const std::optional<NpyDescr> known = parse_descr(descr, wanted);
  if (!known)
    return refuse(path, absl::StrCat("its elements are ",
                                     std::string(quoted.substr(0, quoted.find_first_of(",}"))),
                                     ", which no tensor has", wanted ? " that is asked for" : "",
                                     "\nhint: convert it: x.astype('float32')"));
  array.type = known->type;
  const std::string_view fortran = value_of(header, "'fortran_order'");
  if (!fortran.starts_with("True") && !fortran.starts_with("False"))
    return refuse(path, "its .npy header does not say its order");
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
  if (known->swapped)
    swap_bytes(array);
  if (fortran.starts_with("True"))
    to_row_major(array);
  if (!wanted || written_as(*wanted) == *wanted)
    return array;
  if (absl::Status status = to_wanted(*wanted, &array.type, &array.bytes); !status.ok())
    return refuse(path, std::string(status.message()));
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

absl::Status write_npy(const std::string &path, NpyArray array) {
  array.bytes = as_written(array.type, std::move(array.bytes));
  auto writer = NpyWriter::create(path, array.type, array.shape);
  if (!writer.ok())
    return writer.status();
  if (absl::Status status = (*writer)->append(array.bytes.data(), array.bytes.size()); !status.ok())
    return status;
  return (*writer)->commit();
}

} // namespace quern::cli
