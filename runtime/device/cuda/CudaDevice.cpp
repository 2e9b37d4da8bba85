#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/device/cuda/MakeWeights.h"
#include "runtime/device/cuda/Probe.h"
#include "runtime/device/cuda/StepBlock.h"
#include "runtime/device/cuda/Upload.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace quern::device {

using artifact::items;
using artifact::text;
using cuda::DevicePtr;
using cuda::Driver;
using cuda::Gpu;
using cuda::GpuInfo;
using cuda::LaunchMode;
using cuda::Library;
using cuda::Result;
using cuda::Schedule;

namespace {

constexpr std::string_view kInterpreter = "ptx", kFirst = "cuda", kNumbered = "cuda:";

// Results up to this size come back through pinned memory: the logits of some rows, not of a whole
// prompt's.
constexpr uint64_t kPinnedResults = 4u << 20;

DevicePtr address_of(const uint8_t *data) {
  return static_cast<DevicePtr>(reinterpret_cast<uintptr_t>(data));
}
uint8_t *pointer_to(DevicePtr address) {
  return reinterpret_cast<uint8_t *>(static_cast<uintptr_t>(address));
}

// The N of "cuda:N"; -1 where it is none.
int index_of(std::string_view name) {
  if (name == kInterpreter || name == kFirst)
    return 0;
  int index = -1;
  if (!name.starts_with(kNumbered))
    return -1;
  const std::string_view digits = name.substr(kNumbered.size());
  const bool number = !digits.empty() && digits.size() <= 4 &&
                      std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  return number && absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &index) ? index
                                                                                             : -1;
}

constexpr std::array<std::pair<std::string_view, LaunchMode>, 4> kModes = {
    {{"blocking", LaunchMode::blocking},
     {"discrete", LaunchMode::discrete},
     {"graph", LaunchMode::graph},
     {"persistent", LaunchMode::persistent}}};

absl::StatusOr<LaunchMode> mode_from_environment() {
  const char *value = std::getenv("QUERN_CUDA_LAUNCH");
  if (!value || !*value)
    return LaunchMode::persistent;
  for (const auto &[name, mode] : kModes)
    if (name == value)
      return mode;
  return absl::InvalidArgumentError(
      absl::StrCat("QUERN_CUDA_LAUNCH is '", value,
                   "'\nhint: it may be blocking, discrete, graph or persistent"));
}

absl::StatusOr<bool> only_ptx_from_environment() {
  const char *value = std::getenv("QUERN_CUDA_JIT");
  const std::string_view said = value ? value : "";
  if (said.empty() || said == "0" || said == "1")
    return said == "1";
  return absl::InvalidArgumentError(
      absl::StrCat("QUERN_CUDA_JIT is '", value, "'\nhint: it may be 0 or 1"));
}

// A higher level first, and of two of one level the one for that alone.
std::pair<int, bool> level_of(std::string_view variant) {
  const bool exactly = variant.ends_with('a');
  const std::string_view digits = variant.substr(3, variant.size() - 3 - (exactly ? 1 : 0));
  int level = 0;
  if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &level))
    level = 0;
  return {level, exactly};
}

class CudaAllocation final : public Allocation {
public:
  CudaAllocation(cuda::OwnedMemory memory, uint64_t bytes)
      : Allocation(pointer_to(memory.get()), bytes), memory_(std::move(memory)) {}

private:
  cuda::OwnedMemory memory_;
};

} // namespace

bool CudaDevice::is_name(std::string_view name) { return index_of(name) >= 0; }

absl::StatusOr<std::unique_ptr<Device>> CudaDevice::open(std::string_view name,
                                                         const DeviceOptions &) {
  const auto mode = mode_from_environment();
  if (!mode.ok())
    return mode.status();
  const auto only_ptx = only_ptx_from_environment();
  if (!only_ptx.ok())
    return only_ptx.status();
  auto driver = Driver::load(name == kInterpreter ? Library::interpreter : Library::driver);
  if (!driver.ok())
    return driver.status();
  auto gpu = Gpu::open(*std::move(driver), index_of(name));
  if (!gpu.ok())
    return gpu.status();
  std::unique_ptr<CudaDevice> device(new CudaDevice(std::string(name), *std::move(gpu)));
  auto stream = cuda::make_stream(device->gpu_);
  if (!stream.ok())
    return stream.status();
  device->stream_ = *std::move(stream);
  device->mode_ = *mode;
  device->only_ptx_ = *only_ptx;
  return device;
}

// What is in flight still uses what is about to be given back.
CudaDevice::~CudaDevice() { (void)synchronize("closing the device"); }

std::vector<VariantStatus> CudaDevice::variants(const artifact::Artifact &artifact) const {
  std::vector<VariantStatus> result;
  for (const artifact::Variant *variant : items(artifact.manifest().variants())) {
    const std::string name(text(variant->name()));
    if (text(variant->target()) != cuda::kTarget)
      continue;
    const std::string why =
        cuda::why_not(name, gpu_->info(), cuda::largest_shared(artifact.code(name)));
    result.push_back({name, why.empty(), why});
  }
  std::sort(result.begin(), result.end(), [](const VariantStatus &a, const VariantStatus &b) {
    return std::pair(level_of(b.name), b.name) < std::pair(level_of(a.name), a.name);
  });
  return result;
}

std::string CudaDevice::when_none_runs() const {
  return gpu_->info().major >= 8
             ? "compile it with --variant a100, which every GPU since the A100 runs, or without "
               "--variant, for all"
             : "code for CUDA needs compute capability 8.0 or later";
}

std::optional<uint64_t> CudaDevice::memory_available() const {
  const auto free = gpu_->free_memory();
  fail(free.status());
  return free.ok() ? *free : 0;
}

absl::Status CudaDevice::load(const artifact::Artifact &artifact, std::string_view variant) {
  const std::string name(variant);
  const auto all = variants(artifact);
  const auto it = std::ranges::find(all, name, &VariantStatus::name);
  if (it == all.end()) {
    std::string names;
    for (const VariantStatus &v : all)
      if (v.usable)
        names += absl::StrCat(names.empty() ? "" : ", ", v.name);
    return absl::NotFoundError(
        absl::StrCat("the artifact has no CUDA variant '", name, "'\nhint: it has ",
                     !names.empty() ? names
                     : all.empty()  ? "none; compile it with --target cuda"
                                    : "none that runs here; quern-run devices -m says why"));
  }
  if (!it->usable)
    return absl::FailedPreconditionError(
        absl::StrCat("variant ", name, " cannot run here: it ", it->why));
  artifact_ = &artifact;
  const uint64_t bytes = artifact.weights_bytes();
  auto code = cuda::read_code(artifact.code(variant), artifact.manifest(), bytes);
  if (!code.ok())
    return absl::Status(code.status().code(),
                        absl::StrCat("variant ", name, ": ", code.status().message()));
  code_ = *std::move(code);
  auto kernels = cuda::Kernels::load(gpu_, code_, only_ptx_);
  if (!kernels.ok())
    return absl::Status(kernels.status().code(),
                        absl::StrCat("variant ", name, ": ", kernels.status().message()));
  kernels_ = *std::move(kernels);
  auto memory = cuda::allocate(gpu_, bytes, "weights");
  if (!memory.ok())
    return memory.status();
  weights_ = *std::move(memory);
  return artifact.weights_are_made()
             ? cuda::make_weights(gpu_, stream_.get(), artifact, weights_.get())
             : cuda::upload(gpu_, stream_.get(), weights_.get(), artifact.weights());
}

const uint8_t *CudaDevice::weights() const { return pointer_to(weights_.get()); }

absl::StatusOr<std::unique_ptr<Allocation>> CudaDevice::allocate(uint64_t bytes) {
  auto memory = cuda::allocate(gpu_, bytes, "activations and state");
  if (!memory.ok())
    return memory.status();
  std::unique_ptr<Allocation> allocation(new CudaAllocation(*std::move(memory), bytes));
  zero(allocation->data(), bytes);
  if (!failed_.ok())
    return failed_;
  return allocation;
}

absl::Status CudaDevice::prepare(uint8_t *arena, uint64_t ctx) {
  const artifact::Manifest &manifest = artifact_->manifest();
  const StagingSizes sizes = staging_sizes(manifest, cuda::kTarget);
  block_bytes_ = sizes.block(ctx / QUERN_KV_PAGE + (ctx % QUERN_KV_PAGE != 0));
  results_on_host_bytes_ = std::clamp<uint64_t>(sizes.results, sizeof(uint64_t), kPinnedResults);
  for (const auto &[memory, bytes, what] : {std::tuple{&block_, block_bytes_, "steps"},
                                            std::tuple{&results_, sizes.results, "results"}}) {
    auto taken = cuda::allocate(gpu_, bytes, what);
    if (!taken.ok())
      return taken.status();
    *memory = *std::move(taken);
  }
  for (const auto &[memory, bytes, what] :
       {std::tuple{&block_on_host_, block_bytes_, "steps"},
        std::tuple{&results_on_host_, results_on_host_bytes_, "results"}}) {
    auto taken = cuda::allocate_pinned(gpu_, bytes, what);
    if (!taken.ok())
      return taken.status();
    *memory = *std::move(taken);
  }
  const cuda::Places places{block_.get(), weights_.get(), address_of(arena), results_.get()};
  size_t longest = 0;
  const auto entries = items(manifest.entries());
  for (uint32_t e = 0; e < entries.size(); ++e) {
    auto &schedules = schedules_.emplace_back();
    const auto buckets = items(entries[e]->buckets());
    for (uint32_t b = 0; b < buckets.size(); ++b) {
      schedules.emplace_back();
      if (text(buckets[b]->target()) != cuda::kTarget)
        continue;
      auto schedule = Schedule::create(gpu_, stream_.get(), kernels_, code_.buckets[e][b], manifest,
                                       *entries[e], *buckets[b], places, mode_);
      if (!schedule.ok())
        return schedule.status();
      longest = std::max(longest, schedule->dispatches());
      schedules.back() = *std::move(schedule);
    }
  }
  for (size_t i = 0; i <= longest; ++i) {
    auto event = cuda::make_event(gpu_, /*timed=*/true);
    if (!event.ok())
      return event.status();
    events_.push_back(*std::move(event));
  }
  return synchronize("setting up the device");
}

void CudaDevice::fail(const absl::Status &status) const {
  if (failed_.ok() && !status.ok())
    failed_ =
        absl::Status(status.code(), absl::StrCat("device ", name_, " failed: ", status.message()));
}

absl::Status CudaDevice::synchronize(std::string_view what) const {
  if (!failed_.ok())
    return failed_;
  absl::Status status = gpu_->enter();
  if (status.ok() && stream_)
    status = gpu_->status(gpu_->driver().stream_synchronize(stream_.get()), what);
  fail(status);
  return failed_;
}

void CudaDevice::copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  if (bytes == 0 || !failed_.ok())
    return;
  fail(gpu_->enter());
  fail(gpu_->status(gpu_->driver().copy(address_of(to), address_of(from), bytes, stream_.get()),
                    "copying state"));
}

void CudaDevice::zero(uint8_t *to, uint64_t bytes) {
  if (bytes == 0 || !failed_.ok())
    return;
  fail(gpu_->enter());
  fail(gpu_->status(gpu_->driver().set(address_of(to), 0, bytes, stream_.get()), "zeroing state"));
}

absl::Status CudaDevice::to_host(void *to, const uint8_t *from, uint64_t bytes) {
  if (bytes == 0 || !failed_.ok())
    return failed_;
  fail(gpu_->enter());
  fail(gpu_->status(gpu_->driver().to_host(to, address_of(from), bytes, stream_.get()),
                    "copying state to the host"));
  return synchronize("copying state to the host");
}

absl::Status CudaDevice::from_host(uint8_t *to, const void *from, uint64_t bytes) {
  if (bytes == 0 || !failed_.ok())
    return failed_;
  fail(gpu_->enter());
  fail(gpu_->status(gpu_->driver().to_device(address_of(to), from, bytes, stream_.get()),
                    "copying state from the host"));
  return synchronize("copying state from the host"); // `from` is the caller's again
}

absl::Status CudaDevice::run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) {
  if (!failed_.ok())
    return failed_;
  fail(gpu_->enter());
  if (failed_.ok())
    fail(run_schedule(*schedules_[entry][bucket], *artifact_->manifest().entries()->Get(entry),
                      args));
  return failed_;
}

absl::Status CudaDevice::run_schedule(const Schedule &schedule, const artifact::Entry &entry,
                                      QuernStepArgs &args) {
  const auto bytes =
      cuda::fill_step({static_cast<uint8_t *>(block_on_host_.get()), block_bytes_}, block_.get(),
                      schedule.layout(), artifact_->manifest(), entry, args);
  if (!bytes.ok())
    return bytes.status();
  if (absl::Status status = gpu_->status(
          gpu_->driver().to_device(block_.get(), block_on_host_.get(), *bytes, stream_.get()),
          schedule.name());
      !status.ok())
    return status;
  if (absl::Status status = args.ticks ? schedule.launch_timed(events_) : schedule.launch();
      !status.ok())
    return status;
  if (absl::Status status = take_results(schedule, entry, args); !status.ok())
    return status;
  return args.ticks ? read_ticks(schedule, args) : absl::OkStatus();
}

absl::Status CudaDevice::take_results(const Schedule &schedule, const artifact::Entry &entry,
                                      QuernStepArgs &args) {
  const Driver &driver = gpu_->driver();
  const StepShape shape = step_shape(entry, args);
  const auto outputs = items(entry.outputs());
  auto *pinned = static_cast<uint8_t *>(results_on_host_.get());
  const bool through_pinned = schedule.results().back() <= results_on_host_bytes_;
  Result result = cuda::kSuccess;
  if (args.argmax) {
    result = driver.to_host(pinned, block_.get() + schedule.layout().argmax, sizeof(uint64_t),
                            stream_.get());
  } else {
    for (uint32_t i = 0; result == cuda::kSuccess && i < outputs.size(); ++i) {
      const uint64_t offset = schedule.results()[i];
      const uint64_t bytes = tensor_bytes(*outputs[i], shape);
      if (bytes != 0)
        result = driver.to_host(through_pinned ? pinned + offset : args.outputs[i],
                                results_.get() + offset, bytes, stream_.get());
    }
  }
  // Kernels' errors come here, whichever of them it was.
  if (result == cuda::kSuccess)
    result = driver.stream_synchronize(stream_.get());
  if (result != cuda::kSuccess)
    return absl::InternalError(absl::StrCat(
        schedule.name(), ": ", driver.text(result),
        schedule.mode() == LaunchMode::blocking
            ? ""
            : "\nhint: QUERN_CUDA_LAUNCH=blocking runs its kernels one by one and names the one "
              "that fails"));
  if (args.argmax) {
    uint64_t packed = 0;
    std::memcpy(&packed, pinned, sizeof packed);
    args.argmax[0] = cuda::read_argmax(packed);
    return absl::OkStatus();
  }
  for (uint32_t i = 0; through_pinned && i < outputs.size(); ++i)
    if (const uint64_t bytes = tensor_bytes(*outputs[i], shape); bytes != 0)
      std::memcpy(args.outputs[i], pinned + schedule.results()[i], bytes);
  return absl::OkStatus();
}

// Events know how far apart they are, not what time it was: the last is now.
absl::Status CudaDevice::read_ticks(const Schedule &schedule, QuernStepArgs &args) const {
  const uint64_t now = ticks();
  const size_t last = schedule.dispatches();
  for (size_t i = 0; i < last; ++i) {
    float milliseconds = 0;
    if (absl::Status status = gpu_->status(
            gpu_->driver().event_elapsed(&milliseconds, events_[i].get(), events_[last].get()),
            schedule.name());
        !status.ok())
      return status;
    args.ticks[i] = now - std::min(now, static_cast<uint64_t>(1e6 * milliseconds));
  }
  return absl::OkStatus();
}

uint64_t CudaDevice::ticks() const {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// An interpreter's speed bounds nothing.
double CudaDevice::probe_read_bytes_per_s(uint64_t bytes) {
  constexpr uint64_t kMostMore = 512u << 20; // beyond any cache: still more would be as fast
  if (gpu_->driver().library() == Library::interpreter)
    return 0;
  const uint64_t of_weights = std::min<uint64_t>(bytes, artifact_->weights_bytes());
  const uint64_t more_bytes = std::min(bytes - of_weights, kMostMore);
  auto more = cuda::allocate(gpu_, more_bytes, "a probe");
  if (!more.ok()) // the weights alone, then
    more = cuda::OwnedMemory();
  const auto rate = cuda::probe_read(gpu_, stream_.get(), weights_.get(), of_weights, more->get(),
                                     *more ? more_bytes : 0);
  fail(rate.status());
  return rate.ok() ? *rate : 0;
}

double CudaDevice::probe_ops_per_s(bool integer) {
  if (gpu_->driver().library() == Library::interpreter)
    return 0;
  const auto rate = cuda::probe_ops(gpu_, stream_.get(), integer);
  fail(rate.status());
  return rate.ok() ? *rate : 0;
}

} // namespace quern::device
