#include "runtime/device/cuda/Schedule.h"

#include "runtime/abi/CudaStep.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace quern::device::cuda {

using artifact::items;
using artifact::text;

namespace {

// A kernel takes the step's address and up to that many operands (CodeSection.cpp holds to it).
constexpr size_t kMaxParameters = 512;

} // namespace

absl::StatusOr<Schedule> Schedule::create(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                          const Kernels &kernels, const CodeBucket &code,
                                          const artifact::Manifest &manifest,
                                          const artifact::Entry &entry,
                                          const artifact::Bucket &bucket, const Places &places,
                                          LaunchMode mode) {
  Schedule schedule;
  schedule.gpu_ = gpu;
  schedule.stream_ = stream;
  schedule.name_ = absl::StrCat("bucket '", std::string(text(bucket.name())), "' of entry '",
                                std::string(text(entry.name())), "'");
  for (const artifact::Dispatch *dispatch : items(bucket.dispatches()))
    schedule.labels_.emplace_back(text(dispatch->label()));
  schedule.layout_ = step_layout(manifest, entry, bucket);
  schedule.results_ = result_layout(entry, bucket);
  for (const CodeLaunch &launch : code.launches)
    schedule.launches_.push_back(schedule.bind(launch, kernels, places));
  // All its blocks meet at barriers, so they must be there at once, which only a cooperative launch
  // is sure of.
  if (code.persistent && gpu->info().cooperative)
    schedule.persistent_.push_back(schedule.bind(*code.persistent, kernels, places));
  schedule.mode_ =
      mode == LaunchMode::persistent && schedule.persistent_.empty() ? LaunchMode::graph : mode;
  if (schedule.mode_ == LaunchMode::graph)
    if (absl::Status status = schedule.capture(); !status.ok())
      return status;
  return schedule;
}

Schedule::Launch Schedule::bind(const CodeLaunch &launch, const Kernels &kernels,
                                const Places &places) const {
  using artifact::CudaBase;
  Launch bound{&kernels[launch.function], launch.dispatch, 0, {places.step}};
  bound.blocks = std::min(launch.max_workers, bound.kernel->resident);
  for (const CodeOperand &operand : launch.operands) {
    const auto number = static_cast<uint64_t>(operand.number);
    uint64_t base = 0;
    switch (operand.base) {
    case CudaBase::number:
      break;
    case CudaBase::weights:
      base = places.weights;
      break;
    case CudaBase::arena:
      base = places.arena;
      break;
    case CudaBase::input:
      base = places.step + layout_.inputs[operand.index];
      break;
    case CudaBase::output:
      base = places.results + results_[operand.index];
      break;
    case CudaBase::rows:
      base = places.step + layout_.rows;
      break;
    }
    bound.parameters.push_back(base + number);
  }
  return bound;
}

std::string Schedule::where(const Launch &launch) const {
  const std::string &label = labels_[launch.dispatch];
  return absl::StrCat("kernel ", launch.kernel->name, " (dispatch ", launch.dispatch,
                      label.empty() ? "" : ", ", label, ") of ", name_);
}

absl::Status Schedule::enqueue(const Launch &launch, bool cooperative) const {
  // A kernel that takes more than it is given reads zeros, not what lies behind.
  static const uint64_t kNothing = 0;
  std::array<void *, kMaxParameters> parameters;
  parameters.fill(const_cast<uint64_t *>(&kNothing));
  for (size_t i = 0; i < launch.parameters.size(); ++i)
    parameters[i] = const_cast<uint64_t *>(&launch.parameters[i]);
  const Driver &driver = gpu_->driver();
  const Result result =
      cooperative ? driver.launch_cooperative(launch.kernel->function, launch.blocks, 1, 1,
                                              QUERN_CUDA_THREADS, 1, 1, launch.kernel->shared,
                                              stream_, parameters.data())
                  : driver.launch(launch.kernel->function, launch.blocks, 1, 1, QUERN_CUDA_THREADS,
                                  1, 1, launch.kernel->shared, stream_, parameters.data(), nullptr);
  return result == kSuccess ? absl::OkStatus() : driver.status(result, where(launch));
}

absl::Status Schedule::enqueue_all() const {
  for (const Launch &launch : launches_) {
    if (absl::Status status = enqueue(launch, /*cooperative=*/false); !status.ok())
      return status;
    if (mode_ != LaunchMode::blocking)
      continue;
    if (const Result result = gpu_->driver().stream_synchronize(stream_); result != kSuccess)
      return gpu_->driver().status(result, where(launch));
  }
  return absl::OkStatus();
}

absl::Status Schedule::capture() {
  const Driver &driver = gpu_->driver();
  const std::string what = absl::StrCat("making a graph of ", name_);
  if (absl::Status status = gpu_->status(driver.capture_begin(stream_, kCaptureThisThread), what);
      !status.ok())
    return status;
  absl::Status status = enqueue_all();
  Graph graph = nullptr;
  status.Update(gpu_->status(driver.capture_end(stream_, &graph), what));
  GraphExec exec = nullptr;
  if (status.ok())
    status = gpu_->status(driver.graph_instantiate(&exec, graph, 0), what);
  if (graph)
    driver.graph_destroy(graph);
  if (status.ok())
    graph_ = OwnedGraphExec(gpu_, exec, &Driver::graph_exec_destroy);
  return status;
}

absl::Status Schedule::launch() const {
  switch (mode_) {
  case LaunchMode::persistent:
    return enqueue(persistent_.front(), /*cooperative=*/true);
  case LaunchMode::graph: {
    const Result result = gpu_->driver().graph_launch(graph_.get(), stream_);
    return result == kSuccess ? absl::OkStatus() : gpu_->driver().status(result, name_);
  }
  case LaunchMode::discrete:
  case LaunchMode::blocking:
    break;
  }
  return enqueue_all();
}

absl::Status Schedule::launch_timed(std::span<const OwnedEvent> events) const {
  const auto record = [&](size_t event) {
    return gpu_->status(gpu_->driver().event_record(events[event].get(), stream_), name_);
  };
  auto next = launches_.begin();
  for (size_t dispatch = 0; dispatch < labels_.size(); ++dispatch) {
    if (absl::Status status = record(dispatch); !status.ok())
      return status;
    for (; next != launches_.end() && next->dispatch == dispatch; ++next)
      if (absl::Status status = enqueue(*next, /*cooperative=*/false); !status.ok())
        return status;
  }
  return record(labels_.size());
}

} // namespace quern::device::cuda
