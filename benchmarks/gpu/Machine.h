// The device that the kit measures: the driver, or the interpreter of PTX in its place.
#ifndef QUERN_BENCHMARKS_GPU_MACHINE_H
#define QUERN_BENCHMARKS_GPU_MACHINE_H

#include "runtime/device/cuda/Gpu.h"
#include "runtime/device/cuda/Kernels.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace quern::kit {

/// "cuda", "cuda:1" or "ptx", and a stream on it.
class Machine {
public:
  static absl::StatusOr<Machine> open(const std::string &name);

  const std::shared_ptr<const device::cuda::Gpu> &gpu() const { return gpu_; }
  const device::cuda::Driver &driver() const { return gpu_->driver(); }
  device::cuda::Stream stream() const { return stream_.get(); }
  bool is_interpreter() const { return driver().library() == device::cuda::Library::interpreter; }

  /// Of uninitialised memory; waits for it.
  absl::Status write(device::cuda::DevicePtr to, const void *from, uint64_t bytes) const;
  absl::Status read(void *to, device::cuda::DevicePtr from, uint64_t bytes) const;
  absl::Status zero(device::cuda::DevicePtr to, uint64_t bytes) const;
  absl::Status wait(std::string_view what) const;
  absl::Status launch(const device::cuda::Kernel &kernel, uint32_t blocks, uint32_t threads,
                      std::vector<uint64_t> parameters) const;
  int attribute(int which) const;

  /// Bytes a second of the read probe over `bytes` of memory; 0 on the interpreter, whose speed
  /// says nothing.
  absl::StatusOr<double> read_probe(uint64_t bytes) const;

private:
  std::shared_ptr<const device::cuda::Gpu> gpu_;
  device::cuda::OwnedStream stream_;
};

/// Results as lines, each on the disk before the next begins. A file that is there is gone on with:
/// what was cut off in the middle of a line is cut off.
class Lines {
public:
  static absl::StatusOr<Lines> open(const std::string &path);
  /// What the file held.
  const std::string &before() const { return before_; }
  absl::Status add(const std::string &line);

private:
  std::string path_, before_;
  std::shared_ptr<void> held_; ///< the file, locked
  std::ofstream out_;
};

/// A time that is over some seconds from now; never, for 0.
class Deadline {
public:
  explicit Deadline(double seconds)
      : end_(std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                 std::chrono::duration<double>(seconds == 0 ? 1e6 : seconds))) {}
  bool over() const { return std::chrono::steady_clock::now() >= end_; }

private:
  std::chrono::steady_clock::time_point end_;
};

// Verbs of quern-gpu-kit: exit codes as runtime/cli/Report.h has them.
int environment(std::span<const char *const> args);
int truth(std::span<const char *const> args);
int logits(std::span<const char *const> args);
int kernels(std::span<const char *const> args);

} // namespace quern::kit

#endif // QUERN_BENCHMARKS_GPU_MACHINE_H
