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
#include <set>
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
    "(scripts/get-nvrtc does that), the CUDA toolkit, or Debian 13's libnvrtc12 (non-free; Debian "
    "12's libnvrtc11.2 is too old), each with its libnvrtc-builtins; QUERN_NVRTC names a "
    "libnvrtc.so, or its folder, that lies elsewhere";

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
  for (const char *wheel : {"cu13", "cu12", "cuda_nvrtc"})
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

/// What pip leaves in the environments of each Python 3 under a folder.
void add_pythons(const fs::path &prefix, std::vector<std::string> &to) {
  for (const fs::path &python : entries(prefix / "lib", "python3"))
    for (const char *packages : {"site-packages", "dist-packages"})
      add_packages(python / packages, to);
}

/// The file that a function of a loaded library is in, links resolved; empty if nobody knows.
fs::path file_of(const void *function) {
  Dl_info found{};
  std::error_code ignored;
  return dladdr(function, &found) == 0 || found.dli_fname == nullptr
             ? fs::path()
             : fs::canonical(found.dli_fname, ignored);
}

std::string builtins_of(const NvrtcLibrary &library) {
  return "libnvrtc-builtins.so." + library.version();
}

/// NVRTC loads a library of its own by name when it first compiles. The toolkit's NVRTC looks
/// beside itself for it; the wheels' since 13 have no such path, so that only the system's loader
/// looks, where nothing is. One of that name that is loaded already is the one it gets.
void load_builtins(const NvrtcLibrary &library) {
  const fs::path file = file_of(reinterpret_cast<const void *>(library.Version));
  if (!file.empty())
    dlopen((file.parent_path() / builtins_of(library)).c_str(), RTLD_NOW | RTLD_LOCAL);
}

/// Compiles a kernel of nothing: what cannot do that is no compiler.
absl::Status try_out(const NvrtcLibrary &library) {
  const char *option = "--gpu-architecture=compute_80";
  NvrtcProgram program = nullptr;
  int result = library.CreateProgram(&program, "extern \"C\" __global__ void nothing() {}\n",
                                     "nothing.cu", 0, nullptr, nullptr);
  if (result == 0) {
    result = library.CompileProgram(program, 1, &option);
    library.DestroyProgram(&program);
  }
  if (result == 0)
    return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      library.path, " compiles nothing: ", library.GetErrorString(result),
      result == kNvrtcBuiltinsFailed
          ? absl::StrCat(" (", builtins_of(library), ", which belongs beside it, does not load)")
          : ""));
}

/// Finds the functions of a library that is loaded, and tries them.
absl::StatusOr<NvrtcLibrary> take(void *handle, const std::string &path) {
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
  load_builtins(library);
  if (absl::Status works = try_out(library); !works.ok())
    return works;
  return library;
}

/// Loads it, or says why not: NotFound if there is none.
absl::StatusOr<NvrtcLibrary> load(const std::string &path) {
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return absl::NotFoundError(dlerror());
  auto library = take(handle, path);
  // One that is taken stays loaded: it keeps threads and caches of its own. One that is refused
  // must go, or the loader would give it again for its name.
  if (!library.ok())
    dlclose(handle);
  return library;
}

} // namespace

std::vector<std::string> nvrtc_candidates() {
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
  for (const char *name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string prefix = from_environment(name); !prefix.empty()) {
      add_folder(fs::path(prefix) / "lib", all);
      add_pythons(prefix, all);
    }
  if (const std::string home = from_environment("HOME"); !home.empty())
    add_pythons(fs::path(home) / ".local", all);
  add_pythons("/usr/local", all);
  return all;
}

absl::StatusOr<NvrtcLibrary> first_nvrtc(std::span<const std::string> paths) {
  std::vector<std::string> refused;
  std::set<fs::path> tried; // a toolkit has many names
  for (const std::string &path : paths) {
    std::error_code ignored;
    if (const fs::path file = fs::canonical(path, ignored);
        !file.empty() && !tried.insert(file).second)
      continue;
    auto library = load(path);
    if (library.ok())
      return library;
    if (!absl::IsNotFound(library.status()))
      refused.emplace_back(library.status().message());
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the target cuda needs NVRTC, and ",
      refused.empty() ? "it is not on this machine" : "what is on this machine is no use: ",
      absl::StrJoin(refused, "; "), kHint));
}

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
  return first_nvrtc(nvrtc_candidates());
}

absl::StatusOr<const NvrtcLibrary *> nvrtc_library() {
  static const absl::StatusOr<NvrtcLibrary> library = find_nvrtc();
  if (!library.ok())
    return library.status();
  return &*library;
}

} // namespace quern::cuda
