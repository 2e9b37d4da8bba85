// A bucket as launches with constant parameters: one CUDA graph, single launches, or one launch of
// all of it.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_SCHEDULE_H
#define QUERN_RUNTIME_DEVICE_CUDA_SCHEDULE_H

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Staging.h"
#include "runtime/device/cuda/CodeSection.h"
#include "runtime/device/cuda/Gpu.h"
#include "runtime/device/cuda/Kernels.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::device::cuda {

/// How a bucket is run. QUERN_CUDA_LAUNCH names one; what it does not have, it does in the way
/// before.
enum class LaunchMode {
  blocking,  ///< one launch after the other, each waited for: an error names its kernel
  discrete,  ///< one launch after the other
  graph,     ///< all launches as one graph
  persistent ///< one launch of a kernel that does them all
};

/// Where things lie on the device while a bucket runs.
struct Places {
  DevicePtr step = 0, weights = 0, arena = 0, results = 0;
};

class Schedule {
public:
  /// `kernels` must outlive it. Captures the graph, if that is how it will be run. Errors: the
  /// driver's.
  static absl::StatusOr<Schedule>
  create(const std::shared_ptr<const Gpu> &gpu, Stream stream, const Kernels &kernels,
         const CodeBucket &code, const artifact::Manifest &manifest, const artifact::Entry &entry,
         const artifact::Bucket &bucket, const Places &places, LaunchMode mode);

  /// Enqueues the bucket. Allocates nothing.
  absl::Status launch() const;
  /// The same by single launches, an event recorded before each dispatch and one behind the last.
  /// Requires events.size() > dispatches.
  absl::Status launch_timed(std::span<const OwnedEvent> events) const;

  const StepLayout &layout() const { return layout_; }
  size_t dispatches() const { return labels_.size(); }
  /// Of results behind the results' begin, and the bytes of all (Staging.h).
  std::span<const uint64_t> results() const { return results_; }
  LaunchMode mode() const { return mode_; }
  /// "bucket 'decode1' of entry 'step'".
  const std::string &name() const { return name_; }

private:
  struct Launch {
    const Kernel *kernel = nullptr;
    uint32_t dispatch = 0, blocks = 0;
    std::vector<uint64_t> parameters;
  };
  Launch bind(const CodeLaunch &launch, const Kernels &kernels, const Places &places) const;
  absl::Status enqueue(const Launch &launch, bool cooperative) const;
  absl::Status enqueue_all() const;
  absl::Status capture();
  std::string where(const Launch &launch) const;

  std::shared_ptr<const Gpu> gpu_;
  Stream stream_ = nullptr;
  LaunchMode mode_ = LaunchMode::discrete;
  std::string name_;
  std::vector<std::string> labels_; ///< of dispatches
  StepLayout layout_;
  std::vector<uint64_t> results_;
  std::vector<Launch> launches_, persistent_; ///< the latter one or none
  OwnedGraphExec graph_;
};

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_SCHEDULE_H
