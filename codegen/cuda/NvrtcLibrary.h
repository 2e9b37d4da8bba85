// The library that Nvrtc.h compiles with: found, loaded once, its functions by name.
#ifndef QUERN_CODEGEN_CUDA_NVRTCLIBRARY_H
#define QUERN_CODEGEN_CUDA_NVRTCLIBRARY_H

#include <absl/status/statusor.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace quern::cuda {

/// A program of NVRTC; its own name for it is nvrtcProgram.
using NvrtcProgram = struct _nvrtcProgram *;

// The functions that are used: result, name without "nvrtc", parameters. A result of 0 is success.
#define QUERN_FOR_EACH_NVRTC_FUNCTION(X)                                                           \
  X(const char *, GetErrorString, (int result))                                                    \
  X(int, Version, (int *major, int *minor))                                                        \
  X(int, CreateProgram,                                                                            \
    (NvrtcProgram * program, const char *source, const char *name, int headers,                    \
     const char *const *texts, const char *const *names))                                          \
  X(int, DestroyProgram, (NvrtcProgram * program))                                                 \
  X(int, CompileProgram, (NvrtcProgram program, int options, const char *const *values))           \
  X(int, GetProgramLogSize, (NvrtcProgram program, size_t *size))                                  \
  X(int, GetProgramLog, (NvrtcProgram program, char *log))                                         \
  X(int, GetPTXSize, (NvrtcProgram program, size_t *size))                                         \
  X(int, GetPTX, (NvrtcProgram program, char *ptx))                                                \
  X(int, GetCUBINSize, (NvrtcProgram program, size_t *size))                                       \
  X(int, GetCUBIN, (NvrtcProgram program, char *cubin))

struct NvrtcLibrary {
  std::string path;
  int major = 0, minor = 0;
#define QUERN_NVRTC_POINTER(RESULT, NAME, PARAMETERS) RESULT(*NAME) PARAMETERS = nullptr;
  QUERN_FOR_EACH_NVRTC_FUNCTION(QUERN_NVRTC_POINTER)
#undef QUERN_NVRTC_POINTER

  std::string version() const { return std::to_string(major) + "." + std::to_string(minor); }
};

/// NVRTC_ERROR_BUILTIN_OPERATION_FAILURE: there is no libnvrtc-builtins of its version.
inline constexpr int kNvrtcBuiltinsFailed = 7;

/// The first that is new enough and compiles, of where Nvrtc.h says; found once, and kept for good.
/// Error: FailedPrecondition, with what was found instead and what to install.
absl::StatusOr<const NvrtcLibrary *> nvrtc_library();

/// The same, by what the environment says now; not kept. For tests.
absl::StatusOr<NvrtcLibrary> find_nvrtc();

/// Where it looks if QUERN_NVRTC says nothing, in order: names for the system's loader, and files
/// that there are.
std::vector<std::string> nvrtc_candidates();

/// The first of these that is new enough and compiles; those before it that are not are unloaded.
absl::StatusOr<NvrtcLibrary> first_nvrtc(std::span<const std::string> paths);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_NVRTCLIBRARY_H
