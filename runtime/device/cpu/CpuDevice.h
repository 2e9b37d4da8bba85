// The host's CPU: native code in the process, state in its memory, weights straight from the file.
#ifndef QUERN_RUNTIME_DEVICE_CPU_CPUDEVICE_H
#define QUERN_RUNTIME_DEVICE_CPU_CPUDEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/cpu/CodeObject.h"
#include "runtime/device/cpu/WorkerPool.h"

#include <vector>

namespace quern::device {

class CpuDevice final : public Device {
public:
  static constexpr std::string_view kTarget = "cpu";
  static absl::StatusOr<std::unique_ptr<Device>> open(const DeviceOptions &options);

  std::string_view name() const override { return "cpu"; }
  std::string_view target() const override { return kTarget; }
  std::vector<VariantStatus> variants(const artifact::Artifact &artifact) const override;
  std::string when_none_runs() const override;
  std::optional<uint64_t> memory_available() const override { return std::nullopt; }
  absl::Status load(const artifact::Artifact &artifact, std::string_view variant) override;
  const uint8_t *weights() const override { return weights_.data(); }
  absl::StatusOr<std::unique_ptr<Allocation>> allocate(uint64_t bytes) override;
  absl::Status prepare(uint8_t *, uint64_t) override { return absl::OkStatus(); }
  void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override;
  void zero(uint8_t *to, uint64_t bytes) override;
  absl::Status to_host(void *to, const uint8_t *from, uint64_t bytes) override;
  absl::Status from_host(uint8_t *to, const void *from, uint64_t bytes) override;
  absl::Status run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) override;
  int threads() const override { return pool_->size(); }
  uint64_t ticks() const override;
  double ticks_per_s() const override;
  double probe_read_bytes_per_s(uint64_t bytes) override;
  double probe_ops_per_s(bool integer) override;

private:
  explicit CpuDevice(std::unique_ptr<WorkerPool> pool) : pool_(std::move(pool)) {}
  absl::Status make_weights(const artifact::Artifact &artifact);

  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<CodeObject> code_;
  std::vector<std::vector<QuernBucketFn>> functions_; ///< [entry][bucket]
  std::span<const uint8_t> weights_;
  std::unique_ptr<Allocation> made_;  ///< the weights, where the artifact does not hold them
  std::vector<std::string> features_; ///< that the loaded variant's code uses
  alignas(64) QuernBarrier barrier_ = {};
};

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_CPUDEVICE_H
