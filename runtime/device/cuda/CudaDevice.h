// An NVIDIA GPU: kernels of the artifact's code section through the driver, weights, state and
// activations in its memory. With the interpreter of PTX for a driver, a GPU that is none.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_CUDADEVICE_H
#define QUERN_RUNTIME_DEVICE_CUDA_CUDADEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/Staging.h"
#include "runtime/device/cuda/CodeSection.h"
#include "runtime/device/cuda/Gpu.h"
#include "runtime/device/cuda/Kernels.h"
#include "runtime/device/cuda/Schedule.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::device {

class CudaDevice final : public Device {
public:
  /// `name` is "cuda", "cuda:N" or "ptx". Errors: those of Driver::load and Gpu::open;
  /// InvalidArgument (QUERN_CUDA_LAUNCH is none of LaunchMode's names, QUERN_CUDA_JIT neither
  /// 0 nor 1).
  static absl::StatusOr<std::unique_ptr<Device>> open(std::string_view name,
                                                      const DeviceOptions &options);
  /// Whether `name` is of that form.
  static bool is_name(std::string_view name);

  ~CudaDevice() override;
  std::string_view name() const override { return name_; }
  std::string_view target() const override { return cuda::kTarget; }
  std::vector<VariantStatus> variants(const artifact::Artifact &artifact) const override;
  std::string when_none_runs() const override;
  std::optional<uint64_t> memory_available() const override;
  absl::Status load(const artifact::Artifact &artifact, std::string_view variant) override;
  const uint8_t *weights() const override;
  absl::StatusOr<std::unique_ptr<Allocation>> allocate(uint64_t bytes) override;
  absl::Status prepare(uint8_t *arena, uint64_t ctx) override;
  void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override;
  void zero(uint8_t *to, uint64_t bytes) override;
  absl::Status to_host(void *to, const uint8_t *from, uint64_t bytes) override;
  absl::Status from_host(uint8_t *to, const void *from, uint64_t bytes) override;
  absl::Status run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) override;
  int threads() const override { return 1; }
  uint64_t ticks() const override;
  double ticks_per_s() const override { return 1e9; }
  double probe_read_bytes_per_s(uint64_t bytes) override;
  double probe_ops_per_s(bool integer) override;

private:
  CudaDevice(std::string name, std::shared_ptr<const cuda::Gpu> gpu)
      : name_(std::move(name)), gpu_(std::move(gpu)) {}
  /// Remembers the first error of those calls that cannot say it, and of steps: after one the
  /// device's memory holds nobody knows what.
  void fail(const absl::Status &status) const;
  absl::Status synchronize(std::string_view what) const;
  absl::Status run_schedule(const cuda::Schedule &schedule, const artifact::Entry &entry,
                            QuernStepArgs &args);
  absl::Status take_results(const cuda::Schedule &schedule, const artifact::Entry &entry,
                            QuernStepArgs &args);
  absl::Status read_ticks(const cuda::Schedule &schedule, QuernStepArgs &args) const;

  std::string name_;
  std::shared_ptr<const cuda::Gpu> gpu_;
  cuda::LaunchMode mode_ = cuda::LaunchMode::persistent;
  bool only_ptx_ = false;
  mutable absl::Status failed_;

  // In the order in which they may be given back, last first.
  cuda::OwnedStream stream_;
  const artifact::Artifact *artifact_ = nullptr;
  cuda::Code code_;
  cuda::Kernels kernels_;
  cuda::OwnedMemory weights_, block_, results_;
  cuda::OwnedHostMemory block_on_host_, results_on_host_;
  uint64_t block_bytes_ = 0, results_on_host_bytes_ = 0;
  std::vector<cuda::OwnedEvent> events_; ///< one a dispatch of the longest bucket, and one
  /// By entry and bucket of the manifest; none for buckets of other targets.
  std::vector<std::vector<std::optional<cuda::Schedule>>> schedules_;
};

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CUDA_CUDADEVICE_H
