#include "runtime/device/cpu/CodeObject.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace quern::device {
namespace {

bool is_shared_object(std::span<const uint8_t> bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header)
    return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
         header.e_type == ET_DYN && header.e_machine == EM_X86_64;
}

absl::Status write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return absl::InternalError("cannot write its code to memory");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::unique_ptr<CodeObject>> CodeObject::load(std::span<const uint8_t> bytes,
                                                             const std::string &name) {
  if (!is_shared_object(bytes))
    return absl::DataLossError(absl::StrCat("variant ", name,
                                            ": its code is not an x86-64 shared object\n"
                                            "hint: compile the model again"));
  const int fd = memfd_create("quern-code", MFD_CLOEXEC);
  if (fd < 0)
    return absl::InternalError(
        absl::StrCat("cannot make a memory file for the code: ", std::strerror(errno)));
  absl::Status written = write_all(fd, bytes);
  void *handle = nullptr;
  if (written.ok())
    handle = dlopen(absl::StrCat("/proc/self/fd/", fd).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    close(fd);
  if (!written.ok())
    return written;
  if (!handle) {
    const char *why = dlerror();
    return absl::DataLossError(
        absl::StrCat("variant ", name, ": the loader refuses its code: ", why ? why : "no reason"));
  }
  // glibc takes a path it has loaded before for the same library: the number must not be used again
  // while this one is loaded, or a second model would run the first one's code.
  return std::unique_ptr<CodeObject>(new CodeObject(handle, fd));
}

CodeObject::~CodeObject() {
  dlclose(handle_);
  close(fd_);
}

void *CodeObject::function(const std::string &symbol) const {
  return dlsym(handle_, symbol.c_str());
}

} // namespace quern::device
