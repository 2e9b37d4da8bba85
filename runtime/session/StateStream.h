// What files of state have in common: a header, and a body that is read once, from its beginning to
// its end, and checksummed on the way.
#ifndef QUERN_RUNTIME_SESSION_STATESTREAM_H
#define QUERN_RUNTIME_SESSION_STATESTREAM_H

#include "runtime/artifact/AtomicFile.h"
#include "runtime/artifact/Layout.h"
#include "runtime/device/Device.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern::session {

/// Which files these are. The name is said of a file that is none of them.
struct StateFileKind {
  std::array<uint8_t, 8> magic;
  uint32_t version;
  const char *name;
};

struct StateHeader {
  std::array<uint8_t, 8> magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t identity;   ///< Artifact::identity
  uint64_t length;     ///< positions
  uint64_t slot_bytes; ///< fixed state
  uint64_t file_size;
  uint64_t count; ///< the kind says of what
  uint64_t body_checksum;
  uint64_t header_checksum; ///< of the bytes before it
};
static_assert(sizeof(StateHeader) == 72);

/// Writes to a temporary name, which commit() makes the file's.
class StateWriter {
public:
  static absl::StatusOr<StateWriter> create(const std::string &path);

  absl::Status write(const void *data, uint64_t bytes);
  absl::Status write_device(device::Device &device, const uint8_t *from, uint64_t bytes);
  /// Fills in what is known by now: the header's size and the checksums. `durable`: on the disk
  /// before it has the name, so that a crash cannot leave it torn; else a torn one is found out
  /// when it is read.
  absl::Status commit(const StateFileKind &kind, StateHeader header, bool durable);

private:
  explicit StateWriter(std::unique_ptr<artifact::AtomicFile> file) : file_(std::move(file)) {}

  std::unique_ptr<artifact::AtomicFile> file_;
  std::unique_ptr<artifact::Checksum> sum_ = std::make_unique<artifact::Checksum>();
  std::vector<uint8_t> buffer_;
};

/// Reads a file of a kind that an artifact of this identity wrote. Errors do not name the file.
class StateReader {
public:
  /// Errors: the system's (NotFound ...); InvalidArgument (of no such kind, of another version, of
  /// another model); DataLoss (damaged). What the header says is then believed to be what was
  /// written, but for what only the body can show.
  static absl::StatusOr<StateReader> open(const std::string &path, const StateFileKind &kind,
                                          uint64_t identity, uint64_t slot_bytes);
  StateReader(StateReader &&other) noexcept;
  StateReader &operator=(StateReader &&) = delete;
  ~StateReader();

  const StateHeader &header() const { return header_; }
  absl::Status read(void *data, uint64_t bytes);
  absl::Status read_device(device::Device &device, uint8_t *to, uint64_t bytes);
  absl::Status skip(uint64_t bytes);
  /// Whether that was all, and as it was written.
  absl::Status finish();

private:
  explicit StateReader(int fd) : fd_(fd) {}

  int fd_;
  StateHeader header_{};
  uint64_t read_ = sizeof(StateHeader);
  std::unique_ptr<artifact::Checksum> sum_ = std::make_unique<artifact::Checksum>();
  std::vector<uint8_t> buffer_;
};

/// The error of a file that should have another size.
absl::Status wrong_size(uint64_t size, uint64_t wanted);

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_STATESTREAM_H
