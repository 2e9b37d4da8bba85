#include "runtime/device/cuda/Gpu.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

namespace quern::device::cuda {
namespace {

/// Code for one architecture alone (sm_90a) is PTX 8.0.
constexpr int kOldestForOneArchitecture = 12000;

constexpr const char *kAskNvidiaSmi =
    "\nhint: nvidia-smi may say why; quern-run devices lists the GPUs that answer";

absl::Status with_hint(const absl::Status &status, std::string_view hint) {
  return absl::Status(status.code(), absl::StrCat(status.message(), std::string(hint)));
}

/// Why a GPU that is there cannot be had.
absl::Status not_taken(const Driver &driver, int index, Result result) {
  const absl::Status status = driver.status(result, absl::StrCat("taking CUDA device ", index));
  if (result == kDeviceUnavailable)
    return with_hint(status,
                     "\nhint: another process has it to itself (exclusive mode), or none may: "
                     "nvidia-smi shows who; nvidia-smi -c 0 lets several share it");
  if (result == kOutOfMemory)
    return with_hint(status, "\nhint: its memory is taken: nvidia-smi shows by whom");
  return with_hint(status, kAskNvidiaSmi);
}

absl::StatusOr<GpuInfo> describe(const Driver &driver, int index, DeviceId id) {
  GpuInfo info;
  info.index = index;
  std::array<char, 256> name{};
  size_t memory = 0;
  int cooperative = 0;
  const auto attribute = [&](int *value, DeviceAttribute which) {
    return driver.device_attribute(value, which, id);
  };
  for (const Result result :
       {driver.device_name(name.data(), static_cast<int>(name.size()) - 1, id),
        driver.device_memory(&memory, id), attribute(&info.major, kCapabilityMajor),
        attribute(&info.minor, kCapabilityMinor),
        attribute(&info.multiprocessors, kMultiprocessors),
        attribute(&info.max_shared, kMaxSharedPerBlock),
        attribute(&cooperative, kCooperativeLaunch)})
    if (result != kSuccess)
      return driver.status(result, absl::StrCat("asking what CUDA device ", index, " can do"));
  info.name = name.data();
  info.memory = memory;
  info.cooperative = cooperative != 0;
  info.driver = driver.version();
  return info;
}

absl::StatusOr<int> count_gpus(const Driver &driver) {
  int count = 0;
  const Result result = driver.device_count(&count);
  if (result == kNoDevice)
    return 0;
  if (absl::Status status = driver.status(result, "counting CUDA devices"); !status.ok())
    return status;
  return count;
}

} // namespace

std::string GpuInfo::capability() const { return absl::StrCat(major, ".", minor); }

absl::StatusOr<Gpus> list_gpus(const Driver &driver) {
  auto count = count_gpus(driver);
  if (!count.ok())
    return count.status();
  Gpus gpus;
  for (int i = 0; i < *count; ++i) {
    DeviceId id = 0;
    absl::Status status =
        driver.status(driver.device_get(&id, i), absl::StrCat("opening CUDA device ", i));
    if (status.ok()) {
      auto info = describe(driver, i, id);
      if (info.ok())
        gpus.answering.push_back(*std::move(info));
      status = info.status();
    }
    if (!status.ok())
      gpus.silent.push_back({i, std::string(status.message())});
  }
  return gpus;
}

std::string why_not(std::string_view variant, const GpuInfo &gpu, uint32_t shared) {
  std::string_view number = variant;
  const bool exactly = number.ends_with('a');
  if (exactly)
    number.remove_suffix(1);
  int level = 0;
  if (!number.starts_with("sm_") ||
      !absl::SimpleAtoi(absl::string_view(number.data() + 3, number.size() - 3), &level) ||
      level < 10)
    return "is for no GPU that is known here";
  const int has = gpu.major * 10 + gpu.minor;
  if (exactly ? has != level : has < level)
    return absl::StrCat("needs compute capability ", level / 10, ".", level % 10,
                        exactly ? " exactly" : " or later", ", and ", gpu.name, " has ",
                        gpu.capability());
  if (exactly && gpu.driver != 0 && gpu.driver < kOldestForOneArchitecture)
    return absl::StrCat("needs a driver that supports CUDA ",
                        version_text(kOldestForOneArchitecture), ", and this one supports ",
                        version_text(gpu.driver));
  if (shared > static_cast<uint32_t>(std::max(0, gpu.max_shared)))
    return absl::StrCat("needs ", shared, " bytes of shared memory a block, and ", gpu.name,
                        " has ", gpu.max_shared);
  return "";
}

absl::StatusOr<std::shared_ptr<const Gpu>> Gpu::open(std::shared_ptr<const Driver> driver,
                                                     int index) {
  auto count = count_gpus(*driver);
  if (!count.ok())
    return count.status();
  if (*count == 0)
    return absl::FailedPreconditionError(
        "there is no CUDA device\nhint: nvidia-smi lists GPUs; CUDA_VISIBLE_DEVICES may hide "
        "them");
  if (index < 0 || index >= *count)
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no CUDA device ", index, ": the driver shows ", *count, "\nhint: --device cuda",
        *count > 1 ? absl::StrCat(":0 to cuda:", *count - 1) : "",
        "; quern-run devices lists them"));
  DeviceId id = 0;
  if (absl::Status status = driver->status(driver->device_get(&id, index),
                                           absl::StrCat("opening CUDA device ", index));
      !status.ok())
    return with_hint(status, kAskNvidiaSmi);
  auto info = describe(*driver, index, id);
  if (!info.ok())
    return with_hint(info.status(), kAskNvidiaSmi);
  std::shared_ptr<Gpu> gpu(new Gpu(driver, *std::move(info), id));
  if (const Result result = driver->context_retain(&gpu->context_, id); result != kSuccess)
    return not_taken(*driver, index, result);
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  return gpu;
}

Gpu::~Gpu() {
  if (context_)
    driver_->context_release(id_);
}

absl::Status Gpu::enter() const {
  return status(driver_->context_set(context_), "making the device current");
}

absl::StatusOr<uint64_t> Gpu::free_memory() const {
  if (absl::Status status = enter(); !status.ok())
    return status;
  size_t free = 0, total = 0;
  if (absl::Status s = status(driver_->memory_info(&free, &total), "asking for free memory");
      !s.ok())
    return s;
  return free;
}

absl::StatusOr<OwnedMemory> allocate(const std::shared_ptr<const Gpu> &gpu, uint64_t bytes,
                                     std::string_view what) {
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  if (bytes == 0)
    return OwnedMemory();
  DevicePtr address = 0;
  const Result result = gpu->driver().allocate(&address, bytes);
  if (result == kOutOfMemory) {
    const auto free = gpu->free_memory();
    return absl::ResourceExhaustedError(
        absl::StrCat(gpu->info().name, " has no memory for ", std::string(what), ": ", bytes,
                     " bytes are needed, ", free.ok() ? *free : 0, " of ", gpu->info().memory,
                     " are free\nhint: nvidia-smi shows who has the rest; a shorter -c and fewer "
                     "--slots take less"));
  }
  if (absl::Status status =
          gpu->status(result, absl::StrCat("taking ", bytes, " bytes for ", std::string(what)));
      !status.ok())
    return status;
  return OwnedMemory(gpu, address, &Driver::free);
}

absl::StatusOr<OwnedHostMemory> allocate_pinned(const std::shared_ptr<const Gpu> &gpu,
                                                uint64_t bytes, std::string_view what) {
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  if (bytes == 0)
    return OwnedHostMemory();
  void *address = nullptr;
  if (absl::Status status = gpu->status(
          gpu->driver().host_allocate(&address, bytes, 0),
          absl::StrCat("pinning ", bytes, " bytes of the host's memory for ", std::string(what)));
      !status.ok())
    return with_hint(status, "\nhint: the host, or the container, has no memory left that may be "
                             "locked: end what takes it, or allow more");
  return OwnedHostMemory(gpu, address, &Driver::host_free);
}

absl::StatusOr<OwnedStream> make_stream(const std::shared_ptr<const Gpu> &gpu) {
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  Stream stream = nullptr;
  if (absl::Status status =
          gpu->status(gpu->driver().stream_create(&stream, kNonBlocking), "making a stream");
      !status.ok())
    return status;
  return OwnedStream(gpu, stream, &Driver::stream_destroy);
}

absl::StatusOr<OwnedEvent> make_event(const std::shared_ptr<const Gpu> &gpu, bool timed) {
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  Event event = nullptr;
  if (absl::Status status = gpu->status(
          gpu->driver().event_create(&event, timed ? kTimed : kUntimed), "making an event");
      !status.ok())
    return status;
  return OwnedEvent(gpu, event, &Driver::event_destroy);
}

} // namespace quern::device::cuda
