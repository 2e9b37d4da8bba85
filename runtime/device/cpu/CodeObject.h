// A variant's code: an ELF shared object, loaded from memory.
#ifndef QUERN_RUNTIME_DEVICE_CPU_CODEOBJECT_H
#define QUERN_RUNTIME_DEVICE_CPU_CODEOBJECT_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace quern::device {

class CodeObject {
public:
  /// Loads the shared object in `bytes` (it may not need other libraries' symbols beyond those of
  /// this process). `name` is for messages. Errors: DataLoss (not an x86-64 shared object, or the
  /// loader refuses it, with its words), Internal (the system gives no memory file).
  static absl::StatusOr<std::unique_ptr<CodeObject>> load(std::span<const uint8_t> bytes,
                                                          const std::string &name);
  ~CodeObject();
  CodeObject(const CodeObject &) = delete;
  CodeObject &operator=(const CodeObject &) = delete;

  /// The address of an exported function; null if there is none of that name.
  void *function(const std::string &symbol) const;

private:
  CodeObject(void *handle, int fd) : handle_(handle), fd_(fd) {}
  void *handle_;
  int fd_; ///< open as long as the code is loaded: the loader knows it by this number's name
};

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_CODEOBJECT_H
