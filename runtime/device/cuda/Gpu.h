// One GPU, opened: its context, what it can do, and handles that give themselves back.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_GPU_H
#define QUERN_RUNTIME_DEVICE_CUDA_GPU_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/Driver.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace quern::device::cuda {

struct GpuInfo {
  int index = 0; ///< as in `cuda:1`
  std::string name;
  int major = 0, minor = 0; ///< compute capability
  uint64_t memory = 0;      ///< bytes, all of it
  int multiprocessors = 0;
  int max_shared = 0; ///< bytes of shared memory that a block may take
  bool cooperative = false;
  int driver = 0; ///< the driver's version, as Driver::version()

  /// "9.0".
  std::string capability() const;
};

/// A GPU that the driver counts and can say nothing of: one that fell off the bus, say.
struct SilentGpu {
  int index = 0;
  std::string why;
};
struct Gpus {
  std::vector<GpuInfo> answering;
  std::vector<SilentGpu> silent;
};

/// All that the driver shows. None is no error.
absl::StatusOr<Gpus> list_gpus(const Driver &driver);

/// Whether code of a variant (sm_80, sm_90a) runs on a GPU: "" or why not. sm_90a has instructions
/// that no other compute capability has, and drivers before CUDA 12.0 do not know; sm_80 runs on
/// all that came later, as PTX where its cubin does not. `shared`: bytes of shared memory that
/// blocks of the code take, of which GPUs have unlike much.
std::string why_not(std::string_view variant, const GpuInfo &gpu, uint32_t shared = 0);

class Gpu {
public:
  /// Errors: Driver::load's; FailedPrecondition (no such device: says how many there are).
  static absl::StatusOr<std::shared_ptr<const Gpu>> open(std::shared_ptr<const Driver> driver,
                                                         int index);
  ~Gpu();
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;

  const Driver &driver() const { return *driver_; }
  const GpuInfo &info() const { return info_; }

  /// Makes it the calling thread's: before any call of the driver.
  absl::Status enter() const;
  absl::Status status(Result result, std::string_view what) const {
    return result == kSuccess ? absl::OkStatus() : driver_->status(result, what);
  }
  /// Bytes of its memory that nobody has taken.
  absl::StatusOr<uint64_t> free_memory() const;

private:
  Gpu(std::shared_ptr<const Driver> driver, GpuInfo info, DeviceId id)
      : driver_(std::move(driver)), info_(std::move(info)), id_(id) {}

  std::shared_ptr<const Driver> driver_;
  GpuInfo info_;
  DeviceId id_;
  Context context_ = nullptr;
};

/// A handle of the driver's, given back with its owner.
template <typename Handle> class Owned {
public:
  Owned() = default;
  Owned(std::shared_ptr<const Gpu> gpu, Handle handle, Result (*const Driver::*release)(Handle))
      : gpu_(std::move(gpu)), handle_(handle), release_(gpu_->driver().*release) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(handle_, other.handle_);
    std::swap(release_, other.release_);
    return *this;
  }
  ~Owned() {
    if (handle_ && gpu_->enter().ok())
      release_(handle_);
  }
  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != Handle{}; }

private:
  std::shared_ptr<const Gpu> gpu_;
  Handle handle_{};
  Result (*release_)(Handle) = nullptr;
};

using OwnedMemory = Owned<DevicePtr>;
using OwnedHostMemory = Owned<void *>;
using OwnedModule = Owned<Module>;
using OwnedStream = Owned<Stream>;
using OwnedEvent = Owned<Event>;
using OwnedGraphExec = Owned<GraphExec>;

/// `bytes` of the device's memory, not set; 256-byte aligned. Nothing for 0 bytes. Error:
/// ResourceExhausted, with what is free; `what` names it: "weights".
absl::StatusOr<OwnedMemory> allocate(const std::shared_ptr<const Gpu> &gpu, uint64_t bytes,
                                     std::string_view what);
/// Memory of the host that the device reads and writes by itself, at the bus's speed.
absl::StatusOr<OwnedHostMemory> allocate_pinned(const std::shared_ptr<const Gpu> &gpu,
                                                uint64_t bytes, std::string_view what);
absl::StatusOr<OwnedStream> make_stream(const std::shared_ptr<const Gpu> &gpu);
absl::StatusOr<OwnedEvent> make_event(const std::shared_ptr<const Gpu> &gpu, bool timed);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_GPU_H
