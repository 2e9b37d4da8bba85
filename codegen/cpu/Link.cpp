// The last step: lld as a library.
#include "codegen/cpu/Backend.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <absl/strings/str_cat.h>

#include <mutex>

LLD_HAS_DRIVER(elf)

namespace quern::cpu {
namespace {

/// A scratch file, removed when it goes out of scope.
class ScratchFile {
public:
  static absl::StatusOr<ScratchFile> create(llvm::StringRef suffix) {
    ScratchFile file;
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("quern", suffix, file.path))
      return absl::InternalError(absl::StrCat("no temporary file could be made: ", error.message(),
                                              " (is TMPDIR writable?)"));
    return file;
  }
  ScratchFile() = default;
  ScratchFile(ScratchFile &&other) : path(std::move(other.path)) { other.path.clear(); }
  ~ScratchFile() {
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }
  llvm::SmallString<128> path;
};

} // namespace

absl::StatusOr<std::string> linkShared(const std::string &object) {
  auto input = ScratchFile::create("o");
  if (!input.ok())
    return input.status();
  auto output = ScratchFile::create("so");
  if (!output.ok())
    return output.status();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input->path, error);
    stream << object;
    stream.close();
    if (stream.has_error())
      error = stream.error();
    stream.clear_error();
    if (error)
      return absl::ResourceExhaustedError(absl::StrCat(input->path.str().str(),
                                                       ": cannot write: ", error.message(),
                                                       "\nhint: set TMPDIR to a folder with room"));
  }
  std::string messages;
  llvm::raw_string_ostream errors(messages);
  std::string in = input->path.str().str(), out = output->path.str().str();
  const char *args[] = {"ld.lld", "-shared",   "--build-id=none", "--hash-style=gnu", "-z",
                        "now",    "-z",        "noexecstack",     "-soname=quern",    "-s",
                        "-o",     out.c_str(), in.c_str()};
  static std::mutex lld; // lld's state is global
  std::lock_guard lock(lld);
  lld::Result result = lld::lldMain(args, errors, errors, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return absl::InternalError(absl::StrCat("lld: ", messages));
  auto buffer = llvm::MemoryBuffer::getFile(out);
  if (!buffer)
    return absl::InternalError("the linked object could not be read back");
  return (*buffer)->getBuffer().str();
}

} // namespace quern::cpu
