// `--emit-dir`: what a compilation makes on its way, as numbered files.
#ifndef QUERN_COMPILER_DRIVER_DUMPS_H
#define QUERN_COMPILER_DRIVER_DUMPS_H

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace quern::driver {

class Dumps {
public:
  /// Files go to `folder`, which is made if it is not there; none are written where it is empty.
  explicit Dumps(std::string folder) : folder_(std::move(folder)) {}

  bool wanted() const { return !folder_.empty(); }
  /// Writes `text` as "<folder>/01-<name>", numbered from 01 on. After the first error, which
  /// status() keeps, nothing more is written.
  void write(std::string_view name, std::string_view text);
  const absl::Status &status() const { return status_; }

private:
  std::string folder_;
  int count_ = 0;
  absl::Status status_;
};

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_DUMPS_H
