// `--emit-dir`: what a compilation makes on its way, as numbered files.
#ifndef QUERN_COMPILER_DRIVER_DUMPS_H
#define QUERN_COMPILER_DRIVER_DUMPS_H

#include <absl/status/status.h>

#include <map>
#include <string>
#include <string_view>

namespace quern::driver {

class Dumps {
public:
  /// Files go to `folder`, which is made if it is not there; none are written where it is empty.
  explicit Dumps(std::string folder) : folder_(std::move(folder)) {}

  bool wanted() const { return !folder_.empty(); }
  /// From now on files go to this folder in the folder; "": to the folder itself.
  void enter(const std::string &inner) { inner_ = inner; }
  /// Writes `text` as "01-<name>", each folder's files numbered from 01 on. After the first error,
  /// which status() keeps, nothing more is written.
  void write(std::string_view name, std::string_view text);
  const absl::Status &status() const { return status_; }

private:
  std::string folder_, inner_;
  std::map<std::string, int> count_; ///< of each inner folder
  absl::Status status_;
};

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_DUMPS_H
