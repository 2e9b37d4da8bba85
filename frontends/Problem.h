// What stands between a model and its compilation, collected so that one look finds all of it.
#ifndef QUERN_FRONTENDS_PROBLEM_H
#define QUERN_FRONTENDS_PROBLEM_H

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace quern {

/// One thing that would stop a compile (an entry of `quern check`).
struct Problem {
  std::string where; ///< the model's own name for it: a tensor, a config key, a file
  std::string what;
  std::string hint; ///< what to do about it; may be empty
};

/// Problems in the order they were found. Importers go on after adding one, with a value that is
/// safe to go on with.
class Problems {
public:
  void add(std::string where, std::string what, std::string hint = "");
  /// A Status as a problem: its first line is the text, a line `hint: ...` the hint.
  void add(std::string where, const absl::Status &status);
  /// The same of an error about the file `where`, or one in that folder: where the text begins with
  /// the file's path, that is where.
  void add_file(std::string where, const absl::Status &status);

  bool empty() const { return list_.empty(); }
  size_t size() const { return list_.size(); }
  const std::vector<Problem> &list() const { return list_; }

  /// OK if there are none; else the first, and how many more there are.
  absl::Status status() const;

private:
  std::vector<Problem> list_;
};

} // namespace quern

#endif // QUERN_FRONTENDS_PROBLEM_H
