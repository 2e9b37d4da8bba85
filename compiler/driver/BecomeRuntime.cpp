// Verbs of quern-run, typed as quern's.
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Report.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <filesystem>
#include <unistd.h>
#include <vector>

namespace quern::driver {

int become_runtime(std::string_view verb, Args args) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / "quern-run").string();
  const std::string name(verb);
  std::vector<char *> words = {const_cast<char *>(program.c_str()),
                               const_cast<char *>(name.c_str())};
  for (const char *arg : args)
    words.push_back(const_cast<char *>(arg));
  words.push_back(nullptr);
  execv(program.c_str(), words.data());
  return cli::fail(absl::ErrnoToStatus(
      errno, absl::StrCat(program, ": cannot start it, and '", name, "' is one of its verbs")));
}

} // namespace quern::driver
