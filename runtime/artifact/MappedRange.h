// Which file an address is mapped from: what a process needs to know when one is cut short under
// it.
//
// Touching a page of a mapped file that lies beyond the file's present end raises SIGBUS. No check
// before the use can exclude it: the file may shrink in between. So whoever maps a file registers
// the range, and a program's handler (runtime/cli/Endings.h) turns the signal into an error that
// names the file.
#ifndef QUERN_RUNTIME_ARTIFACT_MAPPEDRANGE_H
#define QUERN_RUNTIME_ARTIFACT_MAPPEDRANGE_H

#include <cstddef>
#include <string>

namespace quern::artifact {

class MappedRange {
public:
  /// `bytes` at `data` are mapped from `path`, which must outlive this.
  MappedRange(const void *data, size_t bytes, const std::string &path);
  ~MappedRange();
  MappedRange(const MappedRange &) = delete;
  MappedRange &operator=(const MappedRange &) = delete;

  /// The path of the file that `address` is mapped from; null if it is none that was registered.
  /// Safe in a signal handler.
  static const char *file_at(const void *address);

private:
  const char *begin_;
  const char *end_;
  const char *path_;
  MappedRange *next_;
};

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_MAPPEDRANGE_H
