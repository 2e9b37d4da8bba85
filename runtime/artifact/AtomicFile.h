// A file that appears under its name whole or not at all.
#ifndef QUERN_RUNTIME_ARTIFACT_ATOMICFILE_H
#define QUERN_RUNTIME_ARTIFACT_ATOMICFILE_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>

namespace quern::artifact {

/// Bytes go to a temporary name in the same folder (PATH.quern-partial-N); `commit` gives the file
/// its name. Destroyed before that, it leaves nothing behind. A path that names something else than
/// a regular file (a terminal, /dev/null, a pipe) is written directly: renaming would replace the
/// device. Links are followed.
///
/// The temporary file is locked as long as it is written, so that any number of processes may write
/// the same path at once (the last to commit wins), and so that what a killed one left behind is
/// known: the next `create` of the same path removes it.
class AtomicFile {
public:
  /// Error: the system's (NotFound, PermissionDenied ...), naming `path`.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> create(const std::string &path);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;

  /// Appends. Errors: the system's (ResourceExhausted for a full disk).
  absl::Status write(const void *data, uint64_t bytes);
  /// Writes anywhere, also beyond the end (what lies between reads as zeros). From any thread.
  absl::Status write_at(uint64_t offset, const void *data, uint64_t bytes);
  /// Reads back what was written; not where a special file is written directly. From any thread.
  absl::Status read_at(uint64_t offset, void *data, uint64_t bytes) const;
  /// `durable`: on the disk before it has the name. Without that, a crash of the machine may leave
  /// the name on a file whose bytes never came: for what can be told and made again.
  absl::Status commit(bool durable = true);

  /// Removes the temporary files of all objects that are alive: for a process that is about to end
  /// without their destructors. Safe in a signal handler.
  static void remove_temporaries();

private:
  AtomicFile(std::string path, std::string temporary, int fd);
  absl::Status error(const char *what) const;

  std::string path_;
  std::string temporary_; ///< empty where written directly
  int fd_;
  AtomicFile *next_ = nullptr; ///< in the list that remove_temporaries walks
};

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_ATOMICFILE_H
