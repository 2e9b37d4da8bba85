// NVIDIA's driver as a table of functions: libcuda.so.1, or a library that answers as it does (the
// interpreter of PTX in tests/ptx). Found when it is asked for, so that nothing here needs a GPU or
// CUDA to be built; types and signatures are declared as the CUDA driver API's reference has them.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_DRIVER_H
#define QUERN_RUNTIME_DEVICE_CUDA_DRIVER_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace quern::device::cuda {

/// CUresult: 0 is success.
using Result = int;
inline constexpr Result kSuccess = 0;
inline constexpr Result kInvalidValue = 1;
inline constexpr Result kOutOfMemory = 2;
inline constexpr Result kStubLibrary = 34;
inline constexpr Result kDeviceUnavailable = 46;
inline constexpr Result kNoDevice = 100;
inline constexpr Result kInvalidImage = 200;
inline constexpr Result kNoBinaryForGpu = 209;
inline constexpr Result kInvalidPtx = 218;
inline constexpr Result kJitCompilerNotFound = 221;
inline constexpr Result kUnsupportedPtxVersion = 222;
inline constexpr Result kNotFound = 500;
inline constexpr Result kDriverMismatch = 803;

/// CUdeviceptr: an address of the device's memory.
using DevicePtr = unsigned long long;
/// CUdevice: the number of a device, as cuDeviceGet gives it.
using DeviceId = int;
/// CUcontext, CUmodule and so on: handles.
using Context = struct ContextTag *;
using Module = struct ModuleTag *;
using Function = struct FunctionTag *;
using Stream = struct StreamTag *;
using Event = struct EventTag *;
using Graph = struct GraphTag *;
using GraphExec = struct GraphExecTag *;

/// CUdevice_attribute, those that are asked for.
enum DeviceAttribute : int {
  kMultiprocessors = 16,
  kL2CacheBytes = 38,
  kCapabilityMajor = 75,
  kCapabilityMinor = 76,
  kCooperativeLaunch = 95,
  kMaxSharedPerBlock = 97, ///< that a kernel may opt in to
};

/// CUfunction_attribute.
enum FunctionAttribute : int {
  kStaticShared = 1,
  kLocalBytes = 3,
  kRegisters = 4,
  kMaxDynamicShared = 8,
};

/// CUjit_option.
enum JitOption : int { kErrorLog = 5, kErrorLogBytes = 6 };

/// CU_STREAM_NON_BLOCKING, CU_EVENT_DEFAULT, CU_EVENT_DISABLE_TIMING,
/// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL.
inline constexpr unsigned kNonBlocking = 1;
inline constexpr unsigned kTimed = 0;
inline constexpr unsigned kUntimed = 2;
inline constexpr int kCaptureThisThread = 1;

// One line a function: its name here, its symbol, its parameters. All return Result.
#define QUERN_CUDA_FUNCTIONS(X)                                                                    \
  X(init, "cuInit", (unsigned flags))                                                              \
  X(driver_version, "cuDriverGetVersion", (int *version))                                          \
  X(error_name, "cuGetErrorName", (Result, const char **name))                                     \
  X(error_string, "cuGetErrorString", (Result, const char **text))                                 \
  X(device_count, "cuDeviceGetCount", (int *count))                                                \
  X(device_get, "cuDeviceGet", (DeviceId *, int index))                                            \
  X(device_name, "cuDeviceGetName", (char *name, int bytes, DeviceId))                             \
  X(device_attribute, "cuDeviceGetAttribute", (int *value, DeviceAttribute, DeviceId))             \
  X(device_memory, "cuDeviceTotalMem_v2", (size_t *bytes, DeviceId))                               \
  X(context_retain, "cuDevicePrimaryCtxRetain", (Context *, DeviceId))                             \
  X(context_release, "cuDevicePrimaryCtxRelease_v2", (DeviceId))                                   \
  X(context_set, "cuCtxSetCurrent", (Context))                                                     \
  X(memory_info, "cuMemGetInfo_v2", (size_t *free, size_t *total))                                 \
  X(module_load, "cuModuleLoadDataEx",                                                             \
    (Module *, const void *image, unsigned num_options, JitOption *options, void **values))        \
  X(module_unload, "cuModuleUnload", (Module))                                                     \
  X(module_function, "cuModuleGetFunction", (Function *, Module, const char *name))                \
  X(function_attribute, "cuFuncGetAttribute", (int *value, FunctionAttribute, Function))           \
  X(function_set, "cuFuncSetAttribute", (Function, FunctionAttribute, int value))                  \
  X(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor",                                      \
    (int *blocks, Function, int threads, size_t dynamic_shared))                                   \
  X(allocate, "cuMemAlloc_v2", (DevicePtr *, size_t bytes))                                        \
  X(free, "cuMemFree_v2", (DevicePtr))                                                             \
  X(host_allocate, "cuMemHostAlloc", (void **, size_t bytes, unsigned flags))                      \
  X(host_free, "cuMemFreeHost", (void *))                                                          \
  X(to_device, "cuMemcpyHtoDAsync_v2", (DevicePtr to, const void *from, size_t bytes, Stream))     \
  X(to_host, "cuMemcpyDtoHAsync_v2", (void *to, DevicePtr from, size_t bytes, Stream))             \
  X(copy, "cuMemcpyDtoDAsync_v2", (DevicePtr to, DevicePtr from, size_t bytes, Stream))            \
  X(set, "cuMemsetD8Async", (DevicePtr to, unsigned char value, size_t bytes, Stream))             \
  X(stream_create, "cuStreamCreate", (Stream *, unsigned flags))                                   \
  X(stream_destroy, "cuStreamDestroy_v2", (Stream))                                                \
  X(stream_synchronize, "cuStreamSynchronize", (Stream))                                           \
  X(event_create, "cuEventCreate", (Event *, unsigned flags))                                      \
  X(event_record, "cuEventRecord", (Event, Stream))                                                \
  X(event_synchronize, "cuEventSynchronize", (Event))                                              \
  X(event_elapsed, "cuEventElapsedTime", (float *milliseconds, Event begin, Event end))            \
  X(event_destroy, "cuEventDestroy_v2", (Event))                                                   \
  X(launch, "cuLaunchKernel",                                                                      \
    (Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,                \
     unsigned block_y, unsigned block_z, unsigned shared, Stream, void **parameters,               \
     void **extra))                                                                                \
  X(launch_cooperative, "cuLaunchCooperativeKernel",                                               \
    (Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,                \
     unsigned block_y, unsigned block_z, unsigned shared, Stream, void **parameters))              \
  X(capture_begin, "cuStreamBeginCapture_v2", (Stream, int mode))                                  \
  X(capture_end, "cuStreamEndCapture", (Stream, Graph *))                                          \
  X(graph_instantiate, "cuGraphInstantiateWithFlags",                                              \
    (GraphExec *, Graph, unsigned long long flags))                                                \
  X(graph_launch, "cuGraphLaunch", (GraphExec, Stream))                                            \
  X(graph_exec_destroy, "cuGraphExecDestroy", (GraphExec))                                         \
  X(graph_destroy, "cuGraphDestroy", (Graph))

/// Which library answers.
enum class Library {
  driver,     ///< libcuda.so.1
  interpreter ///< libquern_ptx.so: $QUERN_PTX_LIBRARY, else beside the program or in ../lib
};

class Driver {
public:
  /// Loads the library, finds all functions, and initialises it. Errors: FailedPrecondition (not
  /// there; too old: says which CUDA it supports and which is needed; no device); InvalidArgument
  /// (what the environment says of the interpreter's device).
  static absl::StatusOr<std::shared_ptr<const Driver>> load(Library library);
  /// The same of the library at `path`.
  static absl::StatusOr<std::shared_ptr<const Driver>> load(Library library,
                                                            const std::string &path);
  ~Driver();
  Driver(const Driver &) = delete;
  Driver &operator=(const Driver &) = delete;

  Library library() const { return library_; }
  /// A function of the library that no driver has; null if it has none of that name.
  void *symbol(const char *name) const;
  /// 1000 * major + 10 * minor of the newest CUDA that it supports.
  int version() const { return version_; }

#define QUERN_CUDA_FIELD(name, symbol, parameters) Result(*name) parameters = nullptr;
  QUERN_CUDA_FUNCTIONS(QUERN_CUDA_FIELD)
#undef QUERN_CUDA_FIELD

  /// Ok for success; else "`what`: the driver's name and text for the error". ResourceExhausted for
  /// memory, Internal otherwise.
  absl::Status status(Result result, std::string_view what) const;
  /// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".
  std::string text(Result result) const;

private:
  Driver(Library library, void *handle) : library_(library), handle_(handle) {}
  absl::Status find_functions();
  absl::Status start();

  Library library_;
  void *handle_;
  int version_ = 0;
};

/// "13.0" of 13000.
std::string version_text(int version);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_DRIVER_H
