#include "tests/ptx/driver/Context.h"

#include "tests/ptx/Schedules.h"

namespace quern::ptx::driver {
namespace {

constexpr ResultName kResults[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {kLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {kLaunchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {kMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kCooperativeLaunchTooLarge, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE",
     "too many blocks in cooperative launch"},
    {kStreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {kStreamCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {kStreamCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "the capture was not initiated in this stream"},
};

} // namespace

const ResultName *find_result(int result) {
  for (const ResultName &known : kResults)
    if (known.result == result)
      return &known;
  return nullptr;
}

LoadedFunction *Context::function(void *handle) {
  LoadedFunction *found = nullptr;
  modules.each([&](LoadedModule &module) {
    for (auto &[name, function] : module.functions)
      if (&function == handle)
        found = &function;
  });
  return found;
}

void Context::reset() {
  modules.clear();
  streams.clear();
  events.clear();
  graphs.clear();
  executables.clear();
  host.clear();
  default_stream = Stream();
  device.reset();
  watch.reset();
  schedule.reset();
  retained = 0;
  sticky = reported = kSuccess;
  report.clear();
}

Context &context() {
  // Never destroyed, so that programs may give back what they have as they end, in any order.
  static Context *const made = new Context;
  return *made;
}

bool &current() {
  thread_local bool made = false;
  return made;
}

Result ready(const Context &made) {
  if (!made.initialized)
    return kNotInitialized;
  if (!current() || made.device == nullptr)
    return kInvalidContext;
  return made.sticky;
}

void make_device(Context &made) {
  made.device = std::make_unique<Device>(made.settings.traits);
  made.watch = std::make_unique<Watch>(kDeviceBase, made.device->memory().reserve());
  made.device->set_observer(made.watch.get());
  const u32 seed = made.settings.seed;
  if (made.settings.perturbed)
    made.device->set_perturbation(seed * 2 + 1);
  made.schedule = seed != 0 ? new_schedule(seed) : nullptr;
  made.device->set_scheduler(made.schedule.get());
  made.counts = made.counts || made.settings.counts;
  made.watch->count(made.counts);
}

void host_copy(Context &made, u64 address, u64 bytes, bool write) {
  if (const auto race = made.watch->detectors().host_copy(made.at, address, bytes, write)) {
    made.report = "race: " + *race;
    made.sticky = made.reported = kLaunchFailed;
  }
}

Result issue(Stream &stream, Work work) {
  if (stream.capture == nullptr) {
    context().at = stream.time;
    return work();
  }
  stream.capture->work.push_back(std::move(work));
  return kSuccess;
}

} // namespace quern::ptx::driver
