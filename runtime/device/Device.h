// What the session needs of a device: code made ready to run, memory, and steps.
//
// To add a device, copy runtime/device/null and add a line to Registry.cpp.
#ifndef QUERN_RUNTIME_DEVICE_DEVICE_H
#define QUERN_RUNTIME_DEVICE_DEVICE_H

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::device {

/// Whether a variant runs here, and if not, why.
struct VariantStatus {
  std::string name;
  bool usable = false;
  std::string why; ///< "", or "needs avx512vnni, amx-int8, which this CPU does not have"
};

struct DeviceOptions {
  int threads = 0; ///< 0: the physical cores this process may use (host devices only)
};

/// Memory of a device, zeroed when allocated and freed with its owner. `data` is a device address.
class Allocation {
public:
  Allocation(uint8_t *data, uint64_t bytes) : data_(data), bytes_(bytes) {}
  virtual ~Allocation() = default;
  Allocation(const Allocation &) = delete;
  Allocation &operator=(const Allocation &) = delete;
  uint8_t *data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

private:
  uint8_t *data_;
  uint64_t bytes_;
};

/// One device, driven by one caller at a time.
class Device {
public:
  virtual ~Device() = default;

  virtual std::string_view name() const = 0;

  /// The target whose code it runs, as manifests name it: "cpu", "cuda".
  virtual std::string_view target() const = 0;

  /// Of the artifact's variants, those of this device's target, best first.
  virtual std::vector<VariantStatus> variants(const artifact::Artifact &artifact) const = 0;

  /// What to do about an artifact of whose variants none runs here: a hint's text.
  virtual std::string when_none_runs() const = 0;

  /// Bytes of memory of its own that nobody has taken; nullopt where it works in the host's.
  virtual std::optional<uint64_t> memory_available() const = 0;

  /// Makes `variant`'s code ready and the weights readable by the device. Called once.
  /// Errors: FailedPrecondition (the variant cannot run here, saying why), NotFound (the artifact
  /// has no such variant, or its code lacks a function the manifest names).
  virtual absl::Status load(const artifact::Artifact &artifact, std::string_view variant) = 0;

  /// The weights section as the device reads it. Valid after load.
  virtual const uint8_t *weights() const = 0;

  /// `bytes` of zeroed memory, at least 64-byte aligned. Error: ResourceExhausted, with the
  /// numbers.
  virtual absl::StatusOr<std::unique_ptr<Allocation>> allocate(uint64_t bytes) = 0;

  /// Takes what else steps need, which allocate nothing: what Staging.h counts, for sequences of up
  /// to `ctx` positions. All steps will have this arena. Called once, after load.
  virtual absl::Status prepare(uint8_t *arena, uint64_t ctx) = 0;

  /// Moves state. `to_host` and `from_host` are what snapshots use; `copy` serves forks. Where
  /// `copy` or `zero` fails, every later call that returns a status says so.
  virtual void copy(uint8_t *to, const uint8_t *from, uint64_t bytes) = 0;
  virtual void zero(uint8_t *to, uint64_t bytes) = 0;
  virtual absl::Status to_host(void *to, const uint8_t *from, uint64_t bytes) = 0;
  virtual absl::Status from_host(uint8_t *to, const void *from, uint64_t bytes) = 0;

  /// Runs the bucket to its end. `entry` and `bucket` index the manifest's. The caller fills all of
  /// `args` but `barrier` and `yield` (`ticks` may be null); inputs and outputs are host memory.
  /// Allocates nothing. Error: the device's, after which it is of no more use.
  virtual absl::Status run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) = 0;

  /// Workers that take part in a step (1 for devices that have none).
  virtual int threads() const = 0;

  /// The clock that QuernStepArgs::ticks are read from, and how fast it ticks.
  virtual uint64_t ticks() const = 0;
  virtual double ticks_per_s() const = 0;

  /// The bounds that bench compares with, measured now by the same workers; 0 where there is no
  /// probe. Bytes a second at which they read `bytes` bytes, again and again: the weights and, if
  /// that is more, up to 512 MiB taken for it, where the system gives them.
  virtual double probe_read_bytes_per_s(uint64_t bytes) = 0;
  /// Operations a second (a multiply-add is two) of the loaded variant's fastest instruction for
  /// products of 8-bit integers, or of floats (of a GPU bfloat16, added up in float32).
  virtual double probe_ops_per_s(bool integer) = 0;
};

/// Ok if a device of that name is built in; else InvalidArgument, with a hint.
absl::Status check_device(std::string_view name);

/// The target whose code the device of that name would run, without opening it. Requires that
/// check_device is ok.
std::string_view target_of_device(std::string_view name);

/// Opens "cpu", "cuda", "cuda:1", "ptx", ... by name. Errors: check_device's and the device's own.
absl::StatusOr<std::unique_ptr<Device>> open_device(std::string_view name,
                                                    const DeviceOptions &options);

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_DEVICE_H
