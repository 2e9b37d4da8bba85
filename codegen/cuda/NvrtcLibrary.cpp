// See NvrtcLibrary.h.
#include "codegen/cuda/NvrtcLibrary.h"

#include "codegen/cuda/Nvrtc.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

namespace quern::cuda {
namespace {

/// Names that the library has had, newest first; the last is of a version that is refused, with
/// its reason.
constexpr const char *kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
                                  "libnvrtc.so.11.2"};

constexpr const char *kHint =
    "\nhint: install NVIDIA's runtime compiler, 12.4 or newer: PyPI's nvidia-cuda-nvrtc "
    "(scripts/get-nvrtc does that), Debian's libnvrtc12 (non-free), or the CUDA toolkit; "
    "QUERN_NVRTC names a libnvrtc.so, or its folder, that lies elsewhere";

std::string from_environment(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Libraries in a folder, as kNames has them.
void add_folder(const fs::path &folder, std::vector<std::string> &to) {
  std::error_code ignored;
  for (const char *name : kNames)
    if (fs::exists(folder / name, ignored))
      to.push_back(folder / name);
}

/// What wheels leave in a folder of Python packages: nvidia/cu13/lib, nvidia/cuda_nvrtc/lib.
void add_packages(const fs::path &packages, std::vector<std::string> &to) {
  for (const char *wheel : {"cu13", "cuda_nvrtc"})
    add_folder(packages / "nvidia" / wheel / "lib", to);
}

/// The entries of a folder whose names begin so, the last in the alphabet first.
std::vector<fs::path> entries(const fs::path &folder, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with(prefix))
      found.push_back(at->path());
  std::ranges::sort(found, std::greater<>());
  return found;
}

std::vector<std::string> candidates() {
  std::vector<std::string> all;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) // build/bin/quern, in a tree that has a .nvrtc
    add_packages(program.parent_path().parent_path().parent_path() / ".nvrtc", all);
  all.insert(all.end(), std::begin(kNames), std::end(kNames));
  std::vector<fs::path> toolkits;
  for (const char *name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string home = from_environment(name); !home.empty())
      toolkits.emplace_back(home);
  toolkits.emplace_back("/usr/local/cuda");
  for (fs::path &versioned : entries("/usr/local", "cuda-"))
    toolkits.push_back(std::move(versioned));
  toolkits.emplace_back("/opt/cuda");
  toolkits.emplace_back("/usr/lib/cuda");
  for (const fs::path &toolkit : toolkits)
    for (const char *folder : {"lib64", "lib", "targets/x86_64-linux/lib"})
      add_folder(toolkit / folder, all);
  if (const std::string venv = from_environment("VIRTUAL_ENV"); !venv.empty())
    for (const fs::path &python : entries(fs::path(venv) / "lib", "python3"))
      add_packages(python / "site-packages", all);
  return all;
}

/// Loads it, or says why not.
absl::StatusOr<NvrtcLibrary> load(const std::string &path) {
  // It stays loaded: it keeps threads and caches of its own.
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return absl::NotFoundError(dlerror());
  NvrtcLibrary library;
  library.path = path;
#define QUERN_NVRTC_SYMBOL(RESULT, NAME, PARAMETERS)                                               \
  library.NAME = reinterpret_cast<decltype(library.NAME)>(dlsym(handle, "nvrtc" #NAME));           \
  if (library.NAME == nullptr)                                                                     \
    return absl::FailedPreconditionError(absl::StrCat(path, " has no nvrtc" #NAME));
  QUERN_FOR_EACH_NVRTC_FUNCTION(QUERN_NVRTC_SYMBOL)
#undef QUERN_NVRTC_SYMBOL
  if (library.Version(&library.major, &library.minor) != 0)
    return absl::FailedPreconditionError(absl::StrCat(path, " does not say its version"));
  if (std::pair(library.major, library.minor) < std::pair(kOldestNvrtcMajor, kOldestNvrtcMinor))
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is NVRTC ", library.version(), ", whose C++ is too old: it must be ",
                     kOldestNvrtcMajor, ".", kOldestNvrtcMinor, " or newer"));
  return library;
}

} // namespace

absl::StatusOr<NvrtcLibrary> find_nvrtc() {
  // Who says which one wants that one.
  if (const std::string asked = from_environment("QUERN_NVRTC"); !asked.empty()) {
    std::vector<std::string> paths;
    std::error_code ignored;
    if (!fs::is_directory(asked, ignored))
      paths.push_back(asked);
    else
      add_folder(asked, paths);
    if (paths.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("QUERN_NVRTC is ", asked, ", a folder without a libnvrtc.so", kHint));
    auto library = load(paths.front());
    if (library.ok())
      return library;
    return absl::FailedPreconditionError(absl::StrCat(
        "the library that QUERN_NVRTC names is no use: ", library.status().message(), kHint));
  }
  std::vector<std::string> refused;
  for (const std::string &path : candidates()) {
    auto library = load(path);
    if (library.ok())
      return library;
    if (!absl::IsNotFound(library.status()))
      refused.emplace_back(library.status().message());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the target cuda needs NVRTC, which is not on this machine",
                   refused.empty() ? "" : "; ", absl::StrJoin(refused, "; "), kHint));
}

absl::StatusOr<const NvrtcLibrary *> nvrtc_library() {
  static const absl::StatusOr<NvrtcLibrary> library = find_nvrtc();
  if (!library.ok())
    return library.status();
  return &*library;
}

} // namespace quern::cuda
