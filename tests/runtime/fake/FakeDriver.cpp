#include "tests/runtime/fake/FakeDriver.h"

#include "tests/runtime/fake/FakeKernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using quern::test::FakeCall;
using quern::test::FakeDriver;

using Result = int;
using DevicePtr = unsigned long long;
using Work = std::function<Result()>;

constexpr Result kOk = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidDevice = 101,
                 kInvalidContext = 201, kUnsupportedPtx = 222, kNotFound = 500, kUnknown = 999;

// A test that runs a program says so in the environment: which of three devices does not answer.
FakeDriver from_environment() {
  FakeDriver made;
  if (const char *silent = std::getenv("QUERN_FAKE_SILENT_GPU")) {
    made.gpu.count = 3;
    made.gpu.silent = std::atoi(silent);
  }
  return made;
}

FakeDriver driver = from_environment();
bool current = false; // a context was made current
std::map<DevicePtr, uint64_t> memory;
std::vector<Work> pending; // of the one stream
std::vector<Work> *capturing = nullptr;

// What a call returns unless it was told to fail.
Result called(std::string name, std::string what = "", uint64_t number = 0) {
  const bool meant = driver.fail.empty() || driver.fail == name;
  driver.calls.push_back({std::move(name), std::move(what), number, {}});
  if (meant && driver.fail_after >= 0 && driver.fail_after-- == 0)
    return driver.fail_result;
  return kOk;
}

Result flush() {
  const std::vector<Work> work = std::exchange(pending, {});
  for (const Work &one : work)
    if (const Result result = one(); result != kOk)
      return result;
  return kOk;
}

Result enqueue(Work work) {
  (capturing ? *capturing : pending).push_back(std::move(work));
  return kOk;
}

// All of [at, at + bytes) lies in one allocation.
bool is_memory(DevicePtr at, uint64_t bytes) {
  auto after = memory.upper_bound(at);
  return after != memory.begin() && bytes <= std::prev(after)->second &&
         at - std::prev(after)->first <= std::prev(after)->second - bytes;
}

struct Function {
  std::string name;
};
const char *const kFunctions[] = {"fake_append", "fake_logits", "fake_persistent", "fake_scale"};

template <typename T> T *pointer(uint64_t number) {
  return reinterpret_cast<T *>(static_cast<uintptr_t>(number));
}
long long number(uint64_t value) { return static_cast<long long>(value); }

Result run(const std::string &name, const std::vector<uint64_t> &p) {
  const auto *step = pointer<const QuernCudaStep>(p[0]);
  if (!is_memory(p[0], sizeof *step))
    return 700;
  if (name == "fake_append" || name == "fake_persistent")
    fake_append_all(step, pointer<const int>(p[1]), number(p[2]), number(p[3]), number(p[4]),
                    number(p[5]), number(p[6]), pointer<unsigned>(p[7]));
  if (name == "fake_persistent" && *step->barrier != 0)
    return 719;
  if (name == "fake_persistent")
    fake_logits_of(step, pointer<const float>(p[8]), pointer<const unsigned>(p[7]),
                   pointer<const int>(p[9]), number(p[2]), number(p[3]), number(p[4]), number(p[5]),
                   pointer<float>(p[10]));
  if (name == "fake_logits")
    fake_logits_of(step, pointer<const float>(p[1]), pointer<const unsigned>(p[2]),
                   pointer<const int>(p[3]), number(p[4]), number(p[5]), number(p[6]), number(p[7]),
                   pointer<float>(p[8]));
  if (name == "fake_scale")
    fake_scale_all(step, pointer<const float>(p[1]), pointer<const float>(p[2]),
                   pointer<const float>(p[3]), pointer<float>(p[4]));
  return kOk;
}

size_t parameters_of(const std::string &name) {
  return name == "fake_append" ? 8 : name == "fake_persistent" ? 11 : name == "fake_logits" ? 9 : 5;
}

Result launch(const char *call, Function *function, unsigned grid, unsigned block, void **given) {
  if (const Result result = called(call, function->name, grid); result != kOk)
    return result;
  std::vector<uint64_t> parameters(parameters_of(function->name));
  for (size_t i = 0; i < parameters.size(); ++i)
    std::memcpy(&parameters[i], given[i], sizeof parameters[i]);
  driver.calls.back().parameters = parameters;
  if (block != QUERN_CUDA_THREADS)
    return kInvalidValue;
  return enqueue([name = function->name, parameters] { return run(name, parameters); });
}

// 74 of a text with ".version 7.4".
int ptx_version(const char *ptx) {
  const char *at = std::strstr(ptx, ".version ");
  return at ? 10 * (at[9] - '0') + (at[11] - '0') : 0;
}

template <typename T> Result made(T **handle, T *object) {
  *handle = object;
  ++driver.live;
  return kOk;
}

} // namespace

EXPORT FakeDriver *fake_driver_state() { return &driver; }

EXPORT Result cuInit(unsigned) { return driver.gpu.init_result; }
EXPORT Result cuDriverGetVersion(int *version) {
  *version = driver.gpu.version;
  return kOk;
}
EXPORT Result cuGetErrorName(Result result, const char **name) {
  *name = result == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == 700        ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                 : "CUDA_ERROR_FAKE";
  return kOk;
}
EXPORT Result cuGetErrorString(Result, const char **text) {
  *text = "as the test wants it";
  return kOk;
}
EXPORT Result cuDeviceGetCount(int *count) {
  *count = driver.gpu.count;
  return kOk;
}
EXPORT Result cuDeviceGet(int *device, int index) {
  *device = index;
  return index < driver.gpu.count ? kOk : kInvalidDevice;
}
EXPORT Result cuDeviceGetName(char *name, int bytes, int device) {
  if (device == driver.gpu.silent)
    return kUnknown;
  std::strncpy(name, "Fake GPU", static_cast<size_t>(bytes));
  return kOk;
}
EXPORT Result cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
  case 16:
    *value = driver.gpu.multiprocessors;
    return kOk;
  case 75:
    *value = driver.gpu.major;
    return kOk;
  case 76:
    *value = driver.gpu.minor;
    return kOk;
  case 95:
    *value = 1;
    return kOk;
  case 97:
    *value = driver.gpu.max_shared;
    return kOk;
  default:
    return kInvalidValue;
  }
}
EXPORT Result cuDeviceTotalMem_v2(size_t *bytes, int) {
  *bytes = driver.gpu.memory;
  return kOk;
}
EXPORT Result cuDevicePrimaryCtxRetain(void **context, int) {
  if (const Result result = called("cuDevicePrimaryCtxRetain"); result != kOk)
    return result;
  return made(context, static_cast<void *>(&driver));
}
EXPORT Result cuDevicePrimaryCtxRelease_v2(int) {
  --driver.live;
  current = false;
  return kOk;
}
EXPORT Result cuCtxSetCurrent(void *context) {
  current = context == &driver;
  return kOk;
}
EXPORT Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = driver.gpu.memory - driver.bytes;
  *total = driver.gpu.memory;
  return kOk;
}

EXPORT Result cuModuleLoadDataEx(void **module, const void *image, unsigned options, int *names,
                                 void **values) {
  const bool cubin = std::memcmp(image, "\177ELF", 4) == 0;
  if (const Result result = called("cuModuleLoadDataEx", cubin ? "cubin" : "ptx"); result != kOk)
    return result;
  for (unsigned i = 0; i < options; ++i)
    if (names[i] == 5) // the error log
      std::strcpy(static_cast<char *>(values[i]), "");
  if (cubin && !driver.gpu.takes_cubins)
    return driver.gpu.cubin_result;
  if (!cubin && ptx_version(static_cast<const char *>(image)) > driver.gpu.newest_ptx)
    return kUnsupportedPtx;
  return made(module, std::malloc(1));
}
EXPORT Result cuModuleUnload(void *module) {
  std::free(module);
  --driver.live;
  return kOk;
}
EXPORT Result cuModuleGetFunction(Function **function, void *, const char *name) {
  static std::map<std::string, std::unique_ptr<Function>> functions;
  if (const Result result = called("cuModuleGetFunction", name); result != kOk)
    return result;
  if (std::ranges::find(kFunctions, std::string_view(name)) == std::end(kFunctions))
    return kNotFound;
  auto &found = functions[name];
  if (!found)
    found.reset(new Function{name});
  *function = found.get();
  return kOk;
}
EXPORT Result cuFuncGetAttribute(int *value, int, Function *) {
  *value = 0;
  return called("cuFuncGetAttribute");
}
EXPORT Result cuFuncSetAttribute(Function *function, int attribute, int value) {
  return called("cuFuncSetAttribute", function->name,
                attribute == 8 ? static_cast<uint64_t>(value) : 0);
}
EXPORT Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Function *function, int,
                                                          size_t) {
  *blocks = driver.gpu.blocks;
  return called("cuOccupancyMaxActiveBlocksPerMultiprocessor", function->name);
}

EXPORT Result cuMemAlloc_v2(DevicePtr *address, size_t bytes) {
  if (const Result result = called("cuMemAlloc_v2", "", bytes); result != kOk)
    return result;
  if (!current)
    return kInvalidContext;
  if (bytes == 0)
    return kInvalidValue;
  if (bytes > driver.gpu.memory - driver.bytes)
    return kOutOfMemory;
  void *taken = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(taken, 0xcd, bytes); // it is not set
  *address = reinterpret_cast<uintptr_t>(taken);
  memory[*address] = bytes;
  driver.bytes += bytes;
  ++driver.live;
  return kOk;
}
// Giving memory back waits for what uses it, as the real one does.
EXPORT Result cuMemFree_v2(DevicePtr address) {
  (void)flush();
  const auto found = memory.find(address);
  if (!current || found == memory.end())
    return kInvalidValue;
  driver.bytes -= found->second;
  memory.erase(found);
  std::free(reinterpret_cast<void *>(static_cast<uintptr_t>(address)));
  --driver.live;
  return kOk;
}
EXPORT Result cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  if (const Result result = called("cuMemHostAlloc", "", bytes); result != kOk)
    return result;
  void *taken = std::malloc(bytes);
  std::memset(taken, 0xcd, bytes);
  return made(address, taken);
}
EXPORT Result cuMemFreeHost(void *address) {
  (void)flush();
  std::free(address);
  --driver.live;
  return kOk;
}
EXPORT Result cuMemcpyHtoDAsync_v2(DevicePtr to, const void *from, size_t bytes, void *) {
  if (const Result result = called("cuMemcpyHtoDAsync_v2", "", bytes); result != kOk)
    return result;
  if (!is_memory(to, bytes))
    return kInvalidValue;
  return enqueue([=] {
    std::memcpy(pointer<void>(to), from, bytes);
    return kOk;
  });
}
EXPORT Result cuMemcpyDtoHAsync_v2(void *to, DevicePtr from, size_t bytes, void *) {
  if (const Result result = called("cuMemcpyDtoHAsync_v2", "", bytes); result != kOk)
    return result;
  if (!is_memory(from, bytes))
    return kInvalidValue;
  return enqueue([=] {
    std::memcpy(to, pointer<const void>(from), bytes);
    return kOk;
  });
}
EXPORT Result cuMemcpyDtoDAsync_v2(DevicePtr to, DevicePtr from, size_t bytes, void *) {
  if (const Result result = called("cuMemcpyDtoDAsync_v2", "", bytes); result != kOk)
    return result;
  if (!is_memory(to, bytes) || !is_memory(from, bytes))
    return kInvalidValue;
  return enqueue([=] {
    std::memmove(pointer<void>(to), pointer<const void>(from), bytes);
    return kOk;
  });
}
EXPORT Result cuMemsetD8Async(DevicePtr to, unsigned char value, size_t bytes, void *) {
  if (const Result result = called("cuMemsetD8Async", "", bytes); result != kOk)
    return result;
  if (!is_memory(to, bytes))
    return kInvalidValue;
  return enqueue([=] {
    std::memset(pointer<void>(to), value, bytes);
    return kOk;
  });
}

EXPORT Result cuStreamCreate(void **stream, unsigned) {
  if (const Result result = called("cuStreamCreate"); result != kOk)
    return result;
  return made(stream, std::malloc(1));
}
EXPORT Result cuStreamDestroy_v2(void *stream) {
  std::free(stream);
  --driver.live;
  return kOk;
}
EXPORT Result cuStreamSynchronize(void *) {
  const Result done = flush();
  const Result result = called("cuStreamSynchronize");
  return result != kOk ? result : done;
}
EXPORT Result cuEventCreate(void **event, unsigned) {
  if (const Result result = called("cuEventCreate"); result != kOk)
    return result;
  return made(event, std::malloc(1));
}
EXPORT Result cuEventRecord(void *, void *) { return called("cuEventRecord"); }
EXPORT Result cuEventSynchronize(void *) {
  const Result done = flush();
  const Result result = called("cuEventSynchronize");
  return result != kOk ? result : done;
}
EXPORT Result cuEventElapsedTime(float *milliseconds, void *, void *) {
  *milliseconds = 0.001f;
  return called("cuEventElapsedTime");
}
EXPORT Result cuEventDestroy_v2(void *event) {
  std::free(event);
  --driver.live;
  return kOk;
}

EXPORT Result cuLaunchKernel(Function *function, unsigned x, unsigned, unsigned, unsigned block,
                             unsigned, unsigned, unsigned, void *, void **parameters, void **) {
  return launch("cuLaunchKernel", function, x, block, parameters);
}
EXPORT Result cuLaunchCooperativeKernel(Function *function, unsigned x, unsigned, unsigned,
                                        unsigned block, unsigned, unsigned, unsigned, void *,
                                        void **parameters) {
  if (x > static_cast<unsigned>(driver.gpu.blocks * driver.gpu.multiprocessors))
    return 720; // too many for all to be there at once
  return launch("cuLaunchCooperativeKernel", function, x, block, parameters);
}
EXPORT Result cuStreamBeginCapture_v2(void *, int) {
  if (const Result result = called("cuStreamBeginCapture_v2"); result != kOk)
    return result;
  capturing = new std::vector<Work>();
  ++driver.live;
  return kOk;
}
EXPORT Result cuStreamEndCapture(void *, std::vector<Work> **graph) {
  *graph = std::exchange(capturing, nullptr);
  return called("cuStreamEndCapture");
}
EXPORT Result cuGraphInstantiateWithFlags(std::vector<Work> **exec, const std::vector<Work> *graph,
                                          unsigned long long) {
  if (const Result result = called("cuGraphInstantiateWithFlags"); result != kOk)
    return result;
  return made(exec, new std::vector<Work>(*graph));
}
EXPORT Result cuGraphLaunch(const std::vector<Work> *exec, void *) {
  if (const Result result = called("cuGraphLaunch"); result != kOk)
    return result;
  pending.insert(pending.end(), exec->begin(), exec->end());
  return kOk;
}
EXPORT Result cuGraphExecDestroy(std::vector<Work> *exec) {
  delete exec;
  --driver.live;
  return kOk;
}
EXPORT Result cuGraphDestroy(std::vector<Work> *graph) {
  delete graph;
  --driver.live;
  return kOk;
}
