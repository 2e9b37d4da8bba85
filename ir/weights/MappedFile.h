// A file mapped read-only, whose pages the system reads when they are touched.
#ifndef QUERN_IR_WEIGHTS_MAPPEDFILE_H
#define QUERN_IR_WEIGHTS_MAPPEDFILE_H

#include "runtime/artifact/MappedRange.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace quern::weights {

class MappedFile {
public:
  /// Maps the regular file at `path`. Errors name the path and the system's reason.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> open(const std::string &path);

  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const std::string &path() const { return path_; }
  uint64_t size() const { return size_; }

  /// The whole file. Touching it after the file was cut short is a SIGBUS, which the programs turn
  /// into an error (runtime/artifact/MappedRange.h).
  std::span<const std::byte> bytes() const { return {data_, static_cast<size_t>(size_)}; }

  /// `length` bytes at `offset`; an error if they do not lie inside the file.
  absl::StatusOr<std::span<const std::byte>> range(uint64_t offset, uint64_t length) const;

  /// Fails if the file's size or modification time is no longer what it was when it was opened. A
  /// file that is replaced by renaming another over it stays as it was, and passes.
  absl::Status check_unchanged() const;

private:
  MappedFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
  const std::byte *data_ = nullptr;
  uint64_t size_ = 0;
  std::optional<artifact::MappedRange> range_;
  int64_t modified_seconds_ = 0;
  int64_t modified_nanoseconds_ = 0;
};

} // namespace quern::weights

#endif // QUERN_IR_WEIGHTS_MAPPEDFILE_H
