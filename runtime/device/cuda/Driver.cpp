#include "runtime/device/cuda/Driver.h"

#include <absl/strings/str_cat.h>

#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

namespace quern::device::cuda {
namespace {

// The first with cuGraphInstantiateWithFlags, and with PTX 7.4, which code for sm_80 is stamped
// with.
constexpr int kOldest = 11040;

absl::Status no_driver(const char *why) {
  return absl::FailedPreconditionError(
      absl::StrCat("no NVIDIA driver: libcuda.so.1 was not found or could not be loaded (",
                   why ? why : "no reason given", ")\nhint: install NVIDIA's driver"));
}

absl::Status no_interpreter(std::string_view places) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the interpreter of PTX, libquern_ptx.so, was not found or could not be loaded (",
      std::string(places),
      ")\nhint: it is built with the tests: ninja -C build quern_ptx; QUERN_PTX_LIBRARY names it "
      "where it lies elsewhere"));
}

absl::Status too_old(std::string what) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the NVIDIA driver is too old: ", what, "\nhint: update it to 470 (CUDA 11.4) or later"));
}

std::string program_folder() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length <= 0 ? "."
                     : std::filesystem::path(std::string(path, static_cast<size_t>(length)))
                           .parent_path()
                           .string();
}

} // namespace

std::string version_text(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

absl::StatusOr<std::shared_ptr<const Driver>> Driver::load(Library library) {
  if (library == Library::driver)
    return load(library, "libcuda.so.1");
  const char *named = std::getenv("QUERN_PTX_LIBRARY");
  if (named && *named)
    return load(library, named);
  std::string looked;
  for (const char *place : {"libquern_ptx.so", "../lib/libquern_ptx.so"}) {
    const std::string path = absl::StrCat(program_folder(), "/", place);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored))
      return load(library, path);
    looked += absl::StrCat(looked.empty() ? "looked for " : ", ", path);
  }
  return no_interpreter(looked);
}

absl::StatusOr<std::shared_ptr<const Driver>> Driver::load(Library library,
                                                           const std::string &path) {
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    return library == Library::driver ? no_driver(why) : no_interpreter(why ? why : path);
  }
  std::shared_ptr<Driver> driver(new Driver(library, handle));
  if (absl::Status status = driver->find_functions(); !status.ok())
    return status;
  if (absl::Status status = driver->start(); !status.ok())
    return status;
  return driver;
}

// The library stays loaded: NVIDIA's has threads of its own, and does not like to be unloaded.
Driver::~Driver() = default;

void *Driver::symbol(const char *name) const { return dlsym(handle_, name); }

absl::Status Driver::find_functions() {
  std::string missing;
  auto find = [&](const char *symbol) {
    void *found = dlsym(handle_, symbol);
    if (!found && missing.empty())
      missing = symbol;
    return found;
  };
#define QUERN_CUDA_FIND(name, symbol, parameters)                                                  \
  name = reinterpret_cast<decltype(name)>(find(symbol));
  QUERN_CUDA_FUNCTIONS(QUERN_CUDA_FIND)
#undef QUERN_CUDA_FIND
  if (missing.empty())
    return absl::OkStatus();
  if (library_ == Library::driver)
    return too_old(absl::StrCat("it has no ", missing));
  return absl::FailedPreconditionError(absl::StrCat("the interpreter of PTX has no ", missing,
                                                    "\nhint: build it again: ninja -C build"));
}

absl::Status Driver::start() {
  const Result result = init(0);
  // What the environment says of the interpreter's device is wrong: it tells what it may say.
  const char *why = nullptr;
  if (result == kInvalidValue && library_ == Library::interpreter &&
      error_string(result, &why) == kSuccess && why)
    return absl::InvalidArgumentError(why);
  if (result == kNoDevice)
    return absl::FailedPreconditionError(
        "there is no CUDA device\nhint: nvidia-smi lists GPUs; CUDA_VISIBLE_DEVICES may hide "
        "them");
  if (result == kStubLibrary)
    return no_driver("it is the CUDA toolkit's stub, not a driver");
  if (result == kDriverMismatch)
    return absl::FailedPreconditionError(absl::StrCat(
        "the NVIDIA driver's library and its kernel module are of different versions: ",
        text(result), "\nhint: restart the machine after updating the driver"));
  if (result != kSuccess)
    return absl::FailedPreconditionError(absl::StrCat(
        "the CUDA driver cannot start: ", text(result), "\nhint: nvidia-smi may say why"));
  if (absl::Status s = status(driver_version(&version_), "asking for the driver's version");
      !s.ok())
    return s;
  if (version_ < kOldest)
    return too_old(absl::StrCat("it supports CUDA ", version_text(version_), ", and ",
                                version_text(kOldest), " is needed"));
  return absl::OkStatus();
}

std::string Driver::text(Result result) const {
  const char *name = nullptr, *what = nullptr;
  if (error_name(result, &name) != kSuccess || !name)
    name = "unknown error";
  if (error_string(result, &what) != kSuccess || !what)
    what = "no text";
  return absl::StrCat(name, " ", result, ": ", what);
}

absl::Status Driver::status(Result result, std::string_view what) const {
  if (result == kSuccess)
    return absl::OkStatus();
  const std::string message = absl::StrCat(std::string(what), ": ", text(result));
  return result == kOutOfMemory ? absl::ResourceExhaustedError(message)
                                : absl::InternalError(message);
}

} // namespace quern::device::cuda
