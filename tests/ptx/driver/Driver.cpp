// Functions of the driver: devices, the context, modules and memory. CUDA Driver API, chapters 6.2
// to 6.13.
#include "tests/ptx/driver/Context.h"

#include <algorithm>
#include <cstring>
#include <string>

using namespace quern::ptx;
using namespace quern::ptx::driver;

namespace {

struct Attribute {
  int number;
  i64 value;
};

// CUdevice_attribute.
i64 device_attribute(const DeviceTraits &traits, int attribute) {
  const Attribute known[] = {{1, 1024},
                             {2, 1024},
                             {3, 1024},
                             {4, 64},
                             {5, 2147483647},
                             {6, 65535},
                             {7, 65535},
                             {8, traits.shared_without_asking},
                             {9, 65536},
                             {10, kLanes},
                             {12, traits.registers},
                             {13, 1000000},
                             {16, traits.multiprocessors},
                             {17, 0},
                             {18, 0},
                             {19, 1},
                             {20, 0},
                             {31, 1},
                             {32, 0},
                             {33, 0},
                             {34, 0},
                             {36, 1000000},
                             {37, 4096},
                             {38, 40 << 20},
                             {39, traits.threads_per_multiprocessor},
                             {40, 1},
                             {41, 1},
                             {50, 0},
                             {75, traits.capability / 10},
                             {76, traits.capability % 10},
                             {81, traits.shared_per_multiprocessor},
                             {82, traits.registers},
                             {83, 0},
                             {95, 1},
                             {97, traits.shared_per_block},
                             {106, traits.blocks_per_multiprocessor},
                             {111, 1024},
                             {115, 0}};
  for (const Attribute &one : known)
    if (one.number == attribute)
      return one.value;
  return -1;
}

Result refused(Context &made, Result result, std::string why) {
  made.report = std::move(why);
  made.reported = result;
  return result;
}

} // namespace

QUERN_PTX_DRIVER int cuInit(unsigned flags) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (flags != 0)
    return kInvalidValue;
  auto settings = settings_from_environment();
  if (!settings.ok())
    return refused(made, kInvalidValue, std::string(settings.status().message()));
  // A process may have one device after another, but none changes while it is used.
  if (made.retained == 0)
    made.settings = *std::move(settings);
  made.initialized = true;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDriverGetVersion(int *version) {
  if (version == nullptr)
    return kInvalidValue;
  *version = 13000;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuGetErrorName(int error, const char **text) {
  if (text == nullptr)
    return kInvalidValue;
  const ResultName *known = find_result(error);
  *text = known != nullptr ? known->name : nullptr;
  return known != nullptr ? kSuccess : kInvalidValue;
}

// Of the last failure, all that is known; it holds until the next one.
QUERN_PTX_DRIVER int cuGetErrorString(int error, const char **text) {
  if (text == nullptr)
    return kInvalidValue;
  Context &made = context();
  const std::lock_guard hold(made.lock);
  const ResultName *known = find_result(error);
  *text = known == nullptr                              ? nullptr
          : error != kSuccess && made.reported == error ? made.report.c_str()
                                                        : known->text;
  return known != nullptr ? kSuccess : kInvalidValue;
}

QUERN_PTX_DRIVER int cuDeviceGetCount(int *count) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (count == nullptr)
    return kInvalidValue;
  *count = 1;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDeviceGet(int *device, int ordinal) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (device == nullptr)
    return kInvalidValue;
  if (ordinal != 0)
    return kInvalidDevice;
  *device = 0;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDeviceGetName(char *name, int bytes, int device) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (name == nullptr || bytes <= 0)
    return kInvalidValue;
  if (device != 0)
    return kInvalidDevice;
  const size_t length = std::min(made.settings.traits.name.size(), static_cast<size_t>(bytes) - 1);
  std::memcpy(name, made.settings.traits.name.data(), length);
  name[length] = '\0';
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDeviceGetAttribute(int *value, int attribute, int device) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (device != 0)
    return kInvalidDevice;
  const i64 found = device_attribute(made.settings.traits, attribute);
  if (value == nullptr || found < 0)
    return kInvalidValue;
  *value = static_cast<int>(found);
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (bytes == nullptr)
    return kInvalidValue;
  if (device != 0)
    return kInvalidDevice;
  *bytes = made.settings.traits.memory;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDevicePrimaryCtxRetain(void **handle, int device) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (handle == nullptr)
    return kInvalidValue;
  if (device != 0)
    return kInvalidDevice;
  if (made.retained++ == 0)
    make_device(made);
  *handle = &made;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuDevicePrimaryCtxRelease_v2(int device) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (device != 0)
    return kInvalidDevice;
  if (made.retained == 0)
    return kInvalidContext;
  if (--made.retained == 0)
    made.reset();
  return kSuccess;
}

QUERN_PTX_DRIVER int cuCtxSetCurrent(void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (handle != nullptr && (handle != &made || made.retained == 0))
    return kInvalidContext;
  current() = handle != nullptr;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuMemGetInfo_v2(size_t *free, size_t *total) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (free == nullptr || total == nullptr)
    return kInvalidValue;
  *total = made.device->memory().limit();
  *free = *total - made.device->memory().used();
  return kSuccess;
}

// The interpreter executes mbarriers, but for the detectors they order nothing yet: what is no race
// would be reported as one.
static absl::Status watchable(const Module &module) {
  for (const auto &[name, function] : module.functions)
    for (const std::string &opcode : function->names)
      if (opcode.starts_with("mbarrier.") || opcode.starts_with("cp.async.mbarrier."))
        return absl::UnimplementedError(
            name + ": " + opcode + ": the detectors of races do not know what an mbarrier orders");
  return absl::OkStatus();
}

// Options are those of the JIT; of them the buffer for errors counts (CU_JIT_ERROR_LOG_BUFFER and
// its size).
QUERN_PTX_DRIVER int cuModuleLoadDataEx(void **handle, const void *image, unsigned options,
                                        const int *names, void **values) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (handle == nullptr || image == nullptr ||
      (options != 0 && (names == nullptr || values == nullptr)))
    return kInvalidValue;
  constexpr u32 kElf = 0x464c457f, kFatBinary = 0xba55ed50;
  u32 magic = 0;
  std::memcpy(&magic, image,
              std::min<size_t>(4, std::strlen(static_cast<const char *>(image)) + 1));
  if (magic == kElf || magic == kFatBinary)
    return refused(made, kNoBinaryForGpu, "the interpreter of PTX runs no machine code");
  const auto loaded = made.device->load(static_cast<const char *>(image));
  if (const absl::Status status = loaded.ok() ? watchable(**loaded) : loaded.status();
      !status.ok()) {
    const std::string why(status.message());
    if (loaded.ok())
      made.device->unload(*loaded);
    char *buffer = nullptr;
    size_t size = 0;
    for (unsigned n = 0; n < options; ++n) {
      if (names[n] == 5)
        buffer = static_cast<char *>(values[n]);
      if (names[n] == 6)
        size = reinterpret_cast<size_t>(values[n]) & 0xffffffff;
    }
    if (buffer != nullptr && size != 0) {
      const size_t length = std::min(why.size(), size - 1);
      std::memcpy(buffer, why.data(), length);
      buffer[length] = '\0';
    }
    const bool fits = status.code() != absl::StatusCode::kFailedPrecondition;
    return refused(made, fits ? kInvalidPtx : kNoBinaryForGpu, why);
  }
  LoadedModule *module = made.modules.make();
  module->module = *loaded;
  for (const auto &[name, function] : (*loaded)->functions)
    if (function->entry)
      module->functions[name] = {
          module, function.get(),
          std::max(made.settings.traits.shared_without_asking, function->static_shared) -
              function->static_shared};
  *handle = module;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuModuleUnload(void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  LoadedModule *module = made.modules.find(handle);
  if (module == nullptr)
    return kInvalidHandle;
  made.device->unload(module->module);
  made.modules.erase(handle);
  return made.sticky;
}

QUERN_PTX_DRIVER int cuModuleGetFunction(void **handle, void *module, const char *name) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (handle == nullptr || name == nullptr)
    return kInvalidValue;
  LoadedModule *loaded = made.modules.find(module);
  if (loaded == nullptr)
    return kInvalidHandle;
  const auto at = loaded->functions.find(name);
  if (at == loaded->functions.end())
    return kNotFound;
  *handle = &at->second;
  return kSuccess;
}

// CUfunction_attribute.
QUERN_PTX_DRIVER int cuFuncGetAttribute(int *value, int attribute, void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const LoadedFunction *function = made.function(handle);
  if (function == nullptr)
    return kInvalidHandle;
  if (value == nullptr)
    return kInvalidValue;
  const Module &module = *function->module->module;
  switch (attribute) {
  case 0:
    *value = static_cast<int>(function->function->max_threads);
    return kSuccess;
  case 1:
    *value = static_cast<int>(function->function->static_shared);
    return kSuccess;
  case 2:
    *value = 0;
    return kSuccess;
  case 3:
    *value = static_cast<int>(module.local_bytes);
    return kSuccess;
  case 4:
    *value = static_cast<int>(made.device->registers(*function->function));
    return kSuccess;
  case 5:
    *value = module.target;
    return kSuccess;
  case 6:
    *value = made.settings.traits.capability;
    return kSuccess;
  case 7:
    *value = 0;
    return kSuccess;
  case 8:
    *value = static_cast<int>(function->most_dynamic);
    return kSuccess;
  default:
    return kInvalidValue;
  }
}

QUERN_PTX_DRIVER int cuFuncSetAttribute(void *handle, int attribute, int value) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  LoadedFunction *function = made.function(handle);
  if (function == nullptr)
    return kInvalidHandle;
  if (attribute == 9)
    return kSuccess; // how the cache is divided is a wish
  if (attribute != 8 || value < 0 ||
      static_cast<u32>(value) + function->function->static_shared >
          made.settings.traits.shared_per_block)
    return kInvalidValue;
  function->most_dynamic = static_cast<u32>(value);
  return kSuccess;
}

QUERN_PTX_DRIVER int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *handle,
                                                                 int threads, size_t dynamic) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const LoadedFunction *function = made.function(handle);
  if (function == nullptr)
    return kInvalidHandle;
  if (blocks == nullptr || threads <= 0 ||
      static_cast<u32>(threads) > function->function->max_threads)
    return kInvalidValue;
  const u32 asked = static_cast<u32>(std::min<size_t>(dynamic, u32{1} << 30));
  *blocks = static_cast<int>(made.device->occupancy(*function->module->module, *function->function,
                                                    static_cast<u32>(threads), asked));
  return kSuccess;
}

QUERN_PTX_DRIVER int cuMemAlloc_v2(u64 *address, size_t bytes) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (address == nullptr || bytes == 0)
    return kInvalidValue;
  *address = made.device->allocate(bytes);
  return *address != 0 ? kSuccess : kOutOfMemory;
}

QUERN_PTX_DRIVER int cuMemFree_v2(u64 address) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  if (made.device == nullptr)
    return kInvalidContext;
  if (address != 0 && !made.device->free(address))
    return kInvalidValue;
  return made.sticky;
}

QUERN_PTX_DRIVER int cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (address == nullptr || bytes == 0 || flags > 7)
    return kInvalidValue;
  auto storage = std::unique_ptr<u8[]>(new u8[bytes + 256]);
  u8 *aligned = reinterpret_cast<u8 *>((reinterpret_cast<u64>(storage.get()) + 255) / 256 * 256);
  made.host[aligned] = std::move(storage);
  *address = aligned;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuMemFreeHost(void *address) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  return made.host.erase(address) != 0 ? made.sticky : kInvalidValue;
}
