// See Assembler.h.
#include "codegen/cuda/Assembler.h"

#include "codegen/cuda/NvrtcLibrary.h"

#include <absl/strings/str_cat.h>

#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

namespace quern::cuda {
namespace {

/// A file in memory, which programs that are started meanwhile can open by its path.
class MemoryFile {
public:
  MemoryFile() : fd_(memfd_create("quern-ptx", 0)) {}
  MemoryFile(const MemoryFile &) = delete;
  MemoryFile &operator=(const MemoryFile &) = delete;
  ~MemoryFile() {
    if (fd_ >= 0)
      close(fd_);
  }

  bool ok() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  std::string path() const { return absl::StrCat("/dev/fd/", fd_); }

  bool write(std::string_view bytes) const {
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t now =
          pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (now <= 0)
        return false;
      done += static_cast<size_t>(now);
    }
    return true;
  }
  std::string read() const {
    const off_t size = lseek(fd_, 0, SEEK_END);
    std::string bytes(size > 0 ? static_cast<size_t>(size) : 0, '\0');
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t now =
          pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (now <= 0)
        return "";
      done += static_cast<size_t>(now);
    }
    return bytes;
  }

private:
  int fd_;
};

/// Runs a program to its end, without input. What it says goes to `log`. Whether it ended well.
bool run(const std::vector<std::string> &command, const MemoryFile &log) {
  std::vector<char *> arguments;
  for (const std::string &argument : command)
    arguments.push_back(const_cast<char *>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log.fd(), 1);
  posix_spawn_file_actions_adddup2(&actions, log.fd(), 2);
  pid_t child = 0;
  const int failed =
      posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return false;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Folders above a loaded library, where it really lies.
std::vector<fs::path> folders_above(const void *of_library) {
  Dl_info info;
  if (dladdr(of_library, &info) == 0 || info.dli_fname == nullptr)
    return {};
  std::error_code error;
  fs::path folder = fs::canonical(info.dli_fname, error).parent_path();
  std::vector<fs::path> folders;
  for (int up = 0; up < 3 && folder.has_relative_path(); ++up) { // targets/x86_64-linux/lib
    folder = folder.parent_path();
    folders.push_back(folder);
  }
  return folders;
}

const Assembler *find(const NvrtcLibrary &library) {
  std::vector<fs::path> toolkits = folders_above(reinterpret_cast<const void *>(library.Version));
  for (const char *name : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *home = std::getenv(name); home != nullptr && *home != '\0')
      toolkits.emplace_back(home);
  toolkits.emplace_back("/usr/local/cuda");
  for (const fs::path &toolkit : toolkits) {
    const fs::path path = toolkit / "bin" / "ptxas";
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored))
      continue;
    if (std::optional<Assembler> found = Assembler::at(path, library.version()))
      return new Assembler(*std::move(found)); // for good
  }
  return nullptr;
}

} // namespace

std::optional<Assembler> Assembler::at(const std::string &path, std::string_view release) {
  const MemoryFile said;
  if (!said.ok() || !run({path, "--version"}, said))
    return std::nullopt;
  const std::string text = said.read();
  const size_t begin = text.find("Cuda compilation tools, ");
  if (begin == std::string::npos)
    return std::nullopt;
  std::string version = text.substr(begin, text.find('\n', begin) - begin);
  if (version.find("release " + std::string(release) + ",") == std::string::npos)
    return std::nullopt;
  return Assembler(path, std::move(version));
}

absl::StatusOr<Assembled> Assembler::assemble(std::string_view ptx, std::string_view arch,
                                              bool lines) const {
  const MemoryFile input, output, log;
  if (!input.ok() || !output.ok() || !log.ok() || !input.write(ptx))
    return absl::ResourceExhaustedError(
        "there is no memory for what is handed to the assembler\nhint: use fewer threads (--jobs)");
  std::vector<std::string> command = {path_, "-v", "-arch=" + std::string(arch)};
  if (lines)
    command.emplace_back("-lineinfo");
  command.insert(command.end(), {input.path(), "-o", output.path()});
  const bool done = run(command, log);
  Assembled assembled{output.read(), log.read()};
  if (!done || assembled.cubin.empty())
    return absl::InternalError(absl::StrCat(path_, " fails\n", assembled.log));
  return assembled;
}

const Assembler *assembler_of(const NvrtcLibrary &library) {
  static const Assembler *const found = find(library);
  return found;
}

} // namespace quern::cuda
