#include "runtime/device/cuda/Interpreted.h"

#include "runtime/device/cuda/Driver.h"

#include <absl/strings/str_cat.h>

namespace quern::device::cuda {
namespace {

template <class Function>
absl::StatusOr<Function *> find(const char *name, std::shared_ptr<const Driver> &keep) {
  auto driver = Driver::load(Library::interpreter);
  if (!driver.ok())
    return driver.status();
  keep = *driver;
  auto *found = reinterpret_cast<Function *>(keep->symbol(name));
  if (!found)
    return absl::FailedPreconditionError(absl::StrCat("the interpreter of PTX has no ", name,
                                                      "\nhint: build it again: ninja -C build"));
  return found;
}

} // namespace

absl::Status count_interpreted() {
  std::shared_ptr<const Driver> driver;
  auto count = find<void(int)>("quern_ptx_count", driver);
  if (!count.ok())
    return count.status();
  (*count)(1);
  return absl::OkStatus();
}

absl::StatusOr<std::string> interpreted_counters(const std::string &gpu) {
  std::shared_ptr<const Driver> driver;
  auto counters = find<const char *(const char *)>("quern_ptx_counters", driver);
  if (!counters.ok())
    return counters.status();
  const char *text = (*counters)(gpu.c_str());
  if (!text)
    return absl::InvalidArgumentError(absl::StrCat("the interpreter of PTX has no numbers of '",
                                                   gpu, "'\nhint: --model-of a100 or h100"));
  return std::string(text);
}

} // namespace quern::device::cuda
