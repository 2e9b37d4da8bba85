#include "ir/weights/MappedFile.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quern::weights {
namespace {

absl::Status system_error(const std::string &path, const char *what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot ", what));
}

} // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string &path) {
  // O_NONBLOCK: opening a named pipe must fail below, not wait for its writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return system_error(path, "open it for reading");
  std::shared_ptr<MappedFile> file(new MappedFile(path, descriptor));
  struct stat info{};
  if (fstat(descriptor, &info) != 0)
    return system_error(path, "ask for its size");
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(
        absl::StrCat(path, S_ISDIR(info.st_mode) ? ": is a directory, not a file"
                                                 : ": is not a regular file; copy it to one"));
  file->size_ = static_cast<uint64_t>(info.st_size);
  file->modified_seconds_ = info.st_mtim.tv_sec;
  file->modified_nanoseconds_ = info.st_mtim.tv_nsec;
  if (file->size_ == 0)
    return file; // mmap refuses to map nothing
  void *data = mmap(nullptr, file->size_, PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED)
    return system_error(path, "map it into memory");
  file->data_ = static_cast<const std::byte *>(data);
  file->range_.emplace(data, file->size_, file->path_);
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr)
    munmap(const_cast<std::byte *>(data_), size_);
  ::close(descriptor_);
}

absl::StatusOr<std::span<const std::byte>> MappedFile::range(uint64_t offset,
                                                             uint64_t length) const {
  if (offset > size_ || length > size_ - offset)
    return absl::OutOfRangeError(absl::StrCat(path_, ": ", length, " bytes at offset ", offset,
                                              " do not lie inside its ", size_, " bytes"));
  return bytes().subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

absl::Status MappedFile::check_unchanged() const {
  struct stat info{};
  if (fstat(descriptor_, &info) != 0)
    return system_error(path_, "ask for its size");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size != size_)
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": had ", size_, " bytes when it was opened and has ", size,
                     " now; wait until it is no longer written to, then run again"));
  if (info.st_mtim.tv_sec != modified_seconds_ || info.st_mtim.tv_nsec != modified_nanoseconds_)
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": was written to since it was opened; run again"));
  return absl::OkStatus();
}

} // namespace quern::weights
