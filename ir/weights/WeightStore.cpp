#include "ir/weights/WeightStore.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <limits>

namespace quern::weights {
namespace {

/// Keeps element counts and byte counts well inside int64, whatever the format.
constexpr int64_t kMaxElements = int64_t{1} << 48;

} // namespace

std::string describe(const WeightRef &ref) {
  const std::string where =
      ref.file == WeightRef::kSynthetic
          ? absl::StrCat("synthetic weight ", ref.synthetic.name)
          : absl::StrCat("weight at offset ", ref.offset, " of file ", ref.file);
  return absl::StrCat(where, " [", absl::StrJoin(ref.shape, ", "), "] ", ref.format);
}

absl::StatusOr<int> WeightStore::add(const std::string &path) {
  for (size_t i = 0; i < files_.size(); ++i)
    if (files_[i]->path() == path)
      return static_cast<int>(i);
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  return add(*std::move(file));
}

int WeightStore::add(std::shared_ptr<const MappedFile> file) {
  files_.push_back(std::move(file));
  return static_cast<int>(files_.size()) - 1;
}

absl::StatusOr<WeightStore::Checked> WeightStore::checked(const WeightRef &ref) const {
  const absl::StatusOr<const formats::Format *> format = formats::require_format(ref.format);
  if (!format.ok())
    return absl::Status(format.status().code(),
                        absl::StrCat(describe(ref), ": ", std::string(format.status().message())));
  int64_t elements = 1;
  for (const int64_t dim : ref.shape) {
    if (dim < 0 || dim > kMaxElements || (dim > 0 && elements > kMaxElements / dim))
      return absl::InvalidArgumentError(
          absl::StrCat(describe(ref), ": the shape is negative or larger than any memory"));
    elements *= dim;
  }
  Checked result{
      .format = *format, .row_bytes = (*format)->row_bytes(ref.row_elements()), .bytes = 0};
  // Padding a row to whole blocks multiplies its bytes by at most a block: still far from overflow
  // unless there are very many tiny rows.
  if (elements > 0 && ref.rows() > kMaxElements / result.row_bytes)
    return absl::InvalidArgumentError(
        absl::StrCat(describe(ref), ": its rows, padded to blocks, are larger than any memory"));
  result.bytes = elements == 0 ? 0 : ref.rows() * result.row_bytes;

  if (ref.coded) {
    if (absl::StatusOr<PartBytes> parts = part_bytes(*ref.coded, ref.shape); !parts.ok())
      return absl::Status(parts.status().code(),
                          absl::StrCat(describe(ref), ": ", std::string(parts.status().message())));
    if (!can_hold(*ref.coded, ref.shape, ref.format))
      return absl::InvalidArgumentError(
          absl::StrCat(describe(ref), ": this format does not hold its codes"));
    return result;
  }
  if (ref.file == WeightRef::kSynthetic) {
    if (!(*format)->can_encode())
      return absl::InvalidArgumentError(
          absl::StrCat(describe(ref),
                       ": Quern cannot make weights in this format; use f32, bf16, int8 or int4"));
    return result;
  }
  const std::vector<WeightRef::Place> one{{ref.file, ref.offset}};
  const auto &places = ref.places.empty() ? one : ref.places;
  if (ref.rows() % static_cast<int64_t>(places.size()) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat(describe(ref), ": ", places.size(), " tensors do not make up its rows"));
  for (const WeightRef::Place &place : places) {
    if (place.file < 0 || place.file >= files())
      return absl::InvalidArgumentError(
          absl::StrCat(describe(ref), ": there are ", files(), " files"));
    const auto range =
        file(place.file).range(place.offset, static_cast<uint64_t>(result.bytes) / places.size());
    if (!range.ok())
      return absl::Status(range.status().code(),
                          absl::StrCat(describe(ref), ": ", std::string(range.status().message())));
  }
  return result;
}

absl::Status WeightStore::check(const WeightRef &ref) const { return checked(ref).status(); }

absl::StatusOr<int64_t> WeightStore::bytes(const WeightRef &ref) const {
  const absl::StatusOr<Checked> weight = checked(ref);
  if (!weight.ok())
    return weight.status();
  return weight->bytes;
}

absl::StatusOr<PartBytes> WeightStore::part_bytes(const Coded &coded,
                                                  std::span<const int64_t> shape) const {
  const absl::StatusOr<std::vector<SizedPart>> parts = parts_of(coded, shape);
  if (!parts.ok())
    return parts.status();
  PartBytes bytes;
  for (const SizedPart &part : *parts) {
    const auto in_part = [&](const absl::Status &status) {
      return absl::Status(
          status.code(), absl::StrCat(std::string(part.name), ": ", std::string(status.message())));
    };
    if (part.part.file < 0 || part.part.file >= files())
      return in_part(absl::InvalidArgumentError(absl::StrCat("there are ", files(), " files")));
    const MappedFile &mapped = file(part.part.file);
    if (absl::Status status = mapped.check_unchanged(); !status.ok())
      return in_part(status);
    const auto range = mapped.range(part.part.offset, static_cast<uint64_t>(part.bytes));
    if (!range.ok())
      return in_part(range.status());
    bytes.push_back(*range);
  }
  return bytes;
}

absl::StatusOr<std::span<const std::byte>>
WeightStore::encoded_rows(const WeightRef &ref, int64_t first, int64_t count,
                          std::vector<std::byte> &scratch) const {
  const absl::StatusOr<Checked> weight = checked(ref);
  if (!weight.ok())
    return weight.status();
  if (first < 0 || count < 0 || first > ref.rows() || count > ref.rows() - first)
    return absl::OutOfRangeError(absl::StrCat(describe(ref), ": ", count, " rows from row ", first,
                                              " on are not in its ", ref.rows(), " rows"));
  const auto offset = static_cast<uint64_t>(first * weight->row_bytes);
  const auto length = static_cast<uint64_t>(count * weight->row_bytes);
  if (ref.coded) {
    const absl::StatusOr<PartBytes> parts = part_bytes(*ref.coded, ref.shape);
    if (!parts.ok())
      return parts.status();
    scratch.resize(static_cast<size_t>(length));
    if (absl::Status status = coded_rows(*ref.coded, ref.shape, *parts, *weight->format, first,
                                         count, scratch.data());
        !status.ok())
      return absl::Status(status.code(),
                          absl::StrCat(describe(ref), ": ", std::string(status.message())));
    return std::span<const std::byte>(scratch);
  }
  if (!ref.places.empty()) {
    // What is asked for is in one tensor's rows mostly, and then lies in its file.
    const int64_t of_one = ref.rows() / static_cast<int64_t>(ref.places.size());
    const bool one = of_one > 0 && count > 0 && first / of_one == (first + count - 1) / of_one;
    scratch.resize(one || count == 0 ? 0 : static_cast<size_t>(length));
    for (int64_t row = first; row < first + count;) {
      const WeightRef::Place &place = ref.places[static_cast<size_t>(row / of_one)];
      const int64_t here = std::min(first + count - row, of_one - row % of_one);
      const MappedFile &mapped = file(place.file);
      if (absl::Status status = mapped.check_unchanged(); !status.ok())
        return status;
      const auto range =
          mapped.range(place.offset + static_cast<uint64_t>(row % of_one * weight->row_bytes),
                       static_cast<uint64_t>(here * weight->row_bytes));
      if (one || !range.ok())
        return range;
      std::copy(range->begin(), range->end(), scratch.begin() + (row - first) * weight->row_bytes);
      row += here;
    }
    return std::span<const std::byte>(scratch);
  }
  if (ref.file != WeightRef::kSynthetic) {
    const MappedFile &mapped = file(ref.file);
    if (absl::Status status = mapped.check_unchanged(); !status.ok())
      return status;
    return mapped.range(ref.offset + offset, length);
  }
  const int64_t n = ref.row_elements();
  scratch.resize(static_cast<size_t>(length));
  std::vector<float> row(static_cast<size_t>(n));
  for (int64_t i = 0; i < count; ++i) {
    generate(ref.synthetic, (first + i) * n, n, row.data());
    std::byte *dst = scratch.data() + i * weight->row_bytes;
    if (absl::Status status = weight->format->encode_row(row.data(), n, dst); !status.ok())
      return absl::Status(status.code(), absl::StrCat(describe(ref), ": row ", first + i, ": ",
                                                      std::string(status.message())));
  }
  return std::span<const std::byte>(scratch);
}

absl::Status WeightStore::read_rows(const WeightRef &ref, int64_t first, int64_t count,
                                    float *out) const {
  std::vector<std::byte> scratch;
  const absl::StatusOr<std::span<const std::byte>> rows = encoded_rows(ref, first, count, scratch);
  if (!rows.ok())
    return rows.status();
  const formats::Format &format = *formats::find_format(ref.format);
  const int64_t n = ref.row_elements();
  for (int64_t i = 0; i < count; ++i)
    format.decode_row(rows->data() + i * format.row_bytes(n), n, out + i * n);
  return absl::OkStatus();
}

} // namespace quern::weights
