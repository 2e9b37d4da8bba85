#include "runtime/session/StateStream.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace quern::session {
namespace {

uint64_t checksum_of(const StateHeader &header) {
  return artifact::checksum(&header, offsetof(StateHeader, header_checksum));
}

absl::Status read_exactly(int fd, void *data, uint64_t bytes) {
  auto *next = static_cast<uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t got = ::read(fd, next, bytes);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return absl::ErrnoToStatus(errno, "cannot read it");
    if (got == 0)
      return absl::DataLossError("the file ends early");
    next += got;
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

} // namespace

absl::Status wrong_size(uint64_t size, uint64_t wanted) {
  return absl::DataLossError(absl::StrCat("it has ", size, " bytes, and should have ", wanted));
}

absl::StatusOr<StateWriter> StateWriter::create(const std::string &path) {
  auto file = artifact::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  StateWriter writer(*std::move(file));
  const StateHeader place = {}; // checksums come last
  if (absl::Status status = writer.file_->write(&place, sizeof place); !status.ok())
    return status;
  return writer;
}

absl::Status StateWriter::write(const void *data, uint64_t bytes) {
  sum_->add(data, bytes);
  return file_->write(data, bytes);
}

absl::Status StateWriter::write_device(device::Device &device, const uint8_t *from,
                                       uint64_t bytes) {
  buffer_.resize(bytes);
  if (absl::Status status = device.to_host(buffer_.data(), from, bytes); !status.ok())
    return status;
  return write(buffer_.data(), bytes);
}

absl::Status StateWriter::commit(const StateFileKind &kind, StateHeader header, bool durable) {
  header.magic = kind.magic;
  header.version = kind.version;
  header.header_bytes = sizeof header;
  header.body_checksum = sum_->value();
  header.header_checksum = checksum_of(header);
  if (absl::Status status = file_->write_at(0, &header, sizeof header); !status.ok())
    return status;
  return file_->commit(durable);
}

StateReader::StateReader(StateReader &&other) noexcept
    : fd_(std::exchange(other.fd_, -1)), header_(other.header_), read_(other.read_),
      sum_(std::move(other.sum_)) {}

StateReader::~StateReader() {
  if (fd_ >= 0)
    close(fd_);
}

absl::StatusOr<StateReader> StateReader::open(const std::string &path, const StateFileKind &kind,
                                              uint64_t identity, uint64_t slot_bytes) {
  StateReader reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (reader.fd_ < 0)
    return absl::ErrnoToStatus(errno, "cannot open");
  // Bytes of a regular file; what else there is has none that could be read twice.
  struct stat info;
  if (fstat(reader.fd_, &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size < static_cast<int64_t>(sizeof(StateHeader)))
    return absl::InvalidArgumentError(
        absl::StrCat("too short for a ", kind.name, ", or not a regular file"));
  StateHeader &header = reader.header_;
  if (absl::Status status = read_exactly(reader.fd_, &header, sizeof header); !status.ok())
    return status;
  if (header.magic != kind.magic)
    return absl::InvalidArgumentError(
        absl::StrCat("not a ", kind.name, " (it does not begin with ",
                     absl::string_view(reinterpret_cast<const char *>(kind.magic.data()), 7), ")"));
  // Before what a later version may have changed.
  if (header.version != kind.version)
    return absl::InvalidArgumentError(absl::StrCat(kind.name, " format version ", header.version,
                                                   ", and this build reads version ",
                                                   kind.version));
  if (checksum_of(header) != header.header_checksum || header.header_bytes != sizeof header)
    return absl::DataLossError("the header is damaged");
  if (header.identity != identity || header.slot_bytes != slot_bytes)
    return absl::InvalidArgumentError(
        "it was saved with another model, other weights or formats, to which this state would mean "
        "nothing\n"
        "hint: load it with the file that saved it, or one of the same model, --quant and --kv, or "
        "feed the tokens again");
  if (header.file_size != static_cast<uint64_t>(info.st_size))
    return wrong_size(static_cast<uint64_t>(info.st_size), header.file_size);
  return reader;
}

absl::Status StateReader::read(void *data, uint64_t bytes) {
  if (bytes > header_.file_size - read_)
    return absl::DataLossError("the file ends early");
  if (absl::Status status = read_exactly(fd_, data, bytes); !status.ok())
    return status;
  read_ += bytes;
  sum_->add(data, bytes);
  return absl::OkStatus();
}

absl::Status StateReader::read_device(device::Device &device, uint8_t *to, uint64_t bytes) {
  if (bytes > header_.file_size - read_)
    return absl::DataLossError("the file ends early");
  buffer_.resize(bytes);
  if (absl::Status status = read(buffer_.data(), bytes); !status.ok())
    return status;
  return device.from_host(to, buffer_.data(), bytes);
}

absl::Status StateReader::skip(uint64_t bytes) {
  constexpr uint64_t kPiece = 1 << 20;
  for (; bytes != 0; bytes -= std::min(bytes, kPiece)) {
    buffer_.resize(std::min(bytes, kPiece));
    if (absl::Status status = read(buffer_.data(), buffer_.size()); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status StateReader::finish() {
  if (read_ != header_.file_size)
    return wrong_size(header_.file_size, read_);
  if (sum_->value() != header_.body_checksum)
    return absl::DataLossError("its checksum does not match: the file is damaged");
  return absl::OkStatus();
}

} // namespace quern::session
