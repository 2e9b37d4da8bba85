// The device that does nothing: what a new one must provide, in its smallest form. State lives in
// host memory and is moved truly; steps return zeros. Tests use it to exercise the session without
// code.
#ifndef QUERN_RUNTIME_DEVICE_NULL_NULLDEVICE_H
#define QUERN_RUNTIME_DEVICE_NULL_NULLDEVICE_H

#include "runtime/device/Device.h"

namespace quern::device {

class NullDevice final : public Device {
public:
  static constexpr std::string_view kTarget = "cpu"; ///< whose schedules it goes through
  static absl::StatusOr<std::unique_ptr<Device>> open(const DeviceOptions &options);

  std::string_view name() const override { return "null"; }
  std::string_view target() const override { return kTarget; }
  std::vector<VariantStatus> variants(const artifact::Artifact &artifact) const override;
  std::string when_none_runs() const override;
  std::optional<uint64_t> memory_available() const override { return std::nullopt; }
  absl::Status load(const artifact::Artifact &artifact, std::string_view variant) override;
  const uint8_t *weights() const override { return weights_; }
  absl::StatusOr<std::unique_ptr<Allocation>> allocate(uint64_t bytes) override;
  absl::Status prepare(uint8_t *, uint64_t) override { return absl::OkStatus(); }
  void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) override;
  void zero(uint8_t *to, uint64_t bytes) override;
  absl::Status to_host(void *to, const uint8_t *from, uint64_t bytes) override;
  absl::Status from_host(uint8_t *to, const void *from, uint64_t bytes) override;
  absl::Status run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) override;
  int threads() const override { return 1; }
  uint64_t ticks() const override { return 0; }
  double ticks_per_s() const override { return 1; }
  double probe_read_bytes_per_s(uint64_t bytes) override { return 0; }
  double probe_ops_per_s(bool integer) override { return 0; }

private:
  const artifact::Artifact *artifact_ = nullptr;
  const uint8_t *weights_ = nullptr;
};

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_NULL_NULLDEVICE_H
