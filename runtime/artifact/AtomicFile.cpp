#include "runtime/artifact/AtomicFile.h"

#include "absl/strings/str_cat.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace quern::artifact {

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string &path) {
  // A link is followed: renaming over /dev/stdout would replace the link for everybody.
  std::error_code unresolved;
  const std::filesystem::file_status link = std::filesystem::symlink_status(path, unresolved);
  std::filesystem::path target = path;
  if (std::filesystem::is_symlink(link))
    target = std::filesystem::canonical(path, unresolved);
  struct stat info;
  const bool special = unresolved ? std::filesystem::is_symlink(link)
                                  : stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  const std::string temporary = special ? "" : absl::StrCat(target.string(), ".tmp", getpid());
  const int fd = special ? open(path.c_str(), O_WRONLY | O_CLOEXEC)
                         : open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  return std::unique_ptr<AtomicFile>(
      new AtomicFile(special ? path : target.string(), temporary, fd));
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0)
    return;
  close(fd_);
  if (!temporary_.empty())
    unlink(temporary_.c_str());
}

absl::Status AtomicFile::write(const void *data, uint64_t bytes) {
  const auto *next = static_cast<const uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t written = ::write(fd_, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return error("cannot write");
    next += written;
    bytes -= static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::write_at(uint64_t offset, const void *data, uint64_t bytes) {
  const auto *next = static_cast<const uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t written = pwrite(fd_, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return error("cannot write");
    next += written;
    offset += static_cast<uint64_t>(written);
    bytes -= static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::read_at(uint64_t offset, void *data, uint64_t bytes) const {
  auto *next = static_cast<uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t got = pread(fd_, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return error("cannot read back what was written");
    if (got == 0)
      return absl::OutOfRangeError(absl::StrCat(path_, ": not that much was written"));
    next += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::commit() {
  // On the disk before it has the name: a crash must not leave the name on an empty file.
  if (!temporary_.empty() && fsync(fd_) != 0)
    return error("cannot write to the disk");
  if (!temporary_.empty() && rename(temporary_.c_str(), path_.c_str()) != 0)
    return error("cannot rename the finished file");
  const int fd = fd_;
  fd_ = -1; // named: nothing left to undo
  if (close(fd) != 0)
    return error("cannot finish writing");
  return absl::OkStatus();
}

absl::Status AtomicFile::error(const char *what) const {
  return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": ", what));
}

} // namespace quern::artifact
