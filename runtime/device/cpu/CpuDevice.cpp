#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/abi/Variants.h"
#include "runtime/artifact/MadeWeights.h"
#include "runtime/device/cpu/Cores.h"
#include "runtime/device/cpu/Features.h"
#include "runtime/device/cpu/Peak.h"
#include "runtime/device/cpu/Probe.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <immintrin.h>
#include <sched.h>
#include <sys/mman.h>

namespace quern::device {
namespace {

using artifact::items;
using artifact::text;

// Lower is better; a variant that is not in the table ranks after all of it.
size_t rank(std::string_view variant) {
  const auto it = std::find_if(kCpuVariants.begin(), kCpuVariants.end(),
                               [&](const CpuVariant &v) { return v.name == variant; });
  return static_cast<size_t>(it - kCpuVariants.begin());
}

// Anonymous memory: zero, page-aligned, and taken from the system only where it is touched.
class HostAllocation final : public Allocation {
public:
  HostAllocation(void *data, uint64_t bytes) : Allocation(static_cast<uint8_t *>(data), bytes) {}
  ~HostAllocation() override {
    if (data())
      munmap(data(), bytes());
  }
};

struct Step {
  QuernBucketFn function;
  const QuernStepArgs *args;
};

void run_step(void *context, int worker, int num_workers) {
  const auto *step = static_cast<const Step *>(context);
  // Results must not depend on what the host program set (flush-to-zero, rounding) on its own
  // thread.
  const unsigned saved = _mm_getcsr();
  constexpr unsigned kDefault = 0x1f80;
  _mm_setcsr(kDefault);
  step->function(step->args, worker, num_workers);
  _mm_setcsr(saved);
}

void yield() { sched_yield(); }

} // namespace

absl::StatusOr<std::unique_ptr<Device>> CpuDevice::open(const DeviceOptions &options) {
  auto pool = WorkerPool::create(options.threads != 0 ? options.threads : usable_cores());
  if (!pool.ok())
    return pool.status();
  return std::unique_ptr<Device>(new CpuDevice(*std::move(pool)));
}

std::vector<VariantStatus> CpuDevice::variants(const artifact::Artifact &artifact) const {
  std::vector<VariantStatus> result;
  for (const artifact::Variant *variant : items(artifact.manifest().variants())) {
    if (text(variant->target()) != kTarget)
      continue;
    std::vector<std::string_view> features;
    for (const flatbuffers::String *feature : items(variant->features()))
      features.push_back(text(feature));
    const std::string missing = missing_features(features);
    VariantStatus &status = result.emplace_back();
    status.name = std::string(text(variant->name()));
    status.usable = missing.empty();
    if (!status.usable)
      status.why = absl::StrCat("needs ", missing, ", which this CPU does not have");
  }
  std::sort(result.begin(), result.end(), [](const VariantStatus &a, const VariantStatus &b) {
    return std::pair(rank(a.name), a.name) < std::pair(rank(b.name), b.name);
  });
  return result;
}

std::string CpuDevice::when_none_runs() const {
  const bool any =
      std::any_of(std::begin(kCpuVariants), std::end(kCpuVariants), [](const CpuVariant &variant) {
        return missing_features(variant.features).empty();
      });
  return any ? "compile it for this machine: quern compile --variant native"
             : "quern-run devices says what this CPU lacks; another machine may have it";
}

absl::Status CpuDevice::load(const artifact::Artifact &artifact, std::string_view variant) {
  const std::string name(variant);
  const auto all = variants(artifact);
  const auto it =
      std::find_if(all.begin(), all.end(), [&](const VariantStatus &v) { return v.name == name; });
  if (it == all.end()) {
    std::string names;
    for (const VariantStatus &v : all)
      if (v.usable)
        names += absl::StrCat(names.empty() ? "" : ", ", v.name);
    return absl::NotFoundError(
        absl::StrCat("the artifact has no CPU variant '", name, "'\nhint: it has ",
                     !names.empty() ? names
                     : all.empty()  ? "none; compile it with --target cpu"
                                    : "none that runs here; quern-run devices says why"));
  }
  if (!it->usable)
    return absl::FailedPreconditionError(
        absl::StrCat("variant ", name, " cannot run here: it ", it->why));
  auto code = CodeObject::load(artifact.code(variant), name);
  if (!code.ok())
    return code.status();
  for (const artifact::Entry *entry : items(artifact.manifest().entries())) {
    auto &functions = functions_.emplace_back();
    for (const artifact::Bucket *bucket : items(entry->buckets())) {
      if (text(bucket->target()) != kTarget) {
        functions.push_back(nullptr);
        continue;
      }
      const std::string symbol(text(bucket->symbol()));
      functions.push_back(reinterpret_cast<QuernBucketFn>((*code)->function(symbol)));
      if (!functions.back())
        return absl::NotFoundError(absl::StrCat("variant ", name, ": its code has no function ",
                                                symbol, "\nhint: compile the model again"));
    }
  }
  for (const artifact::Variant *v : items(artifact.manifest().variants()))
    if (text(v->name()) == variant)
      for (const flatbuffers::String *feature : items(v->features()))
        features_.push_back(feature->str());
  code_ = *std::move(code);
  weights_ = artifact.weights();
  if (artifact.weights_are_made())
    return make_weights(artifact);
  // Every weight is read in the first step: let the system fetch ahead while the rest is set up, in
  // huge pages where its files can have them. Only advice, as below.
  if (!weights_.empty())
    for (int advice : {MADV_HUGEPAGE, MADV_WILLNEED})
      madvise(const_cast<uint8_t *>(weights_.data()), weights_.size(), advice);
  return absl::OkStatus();
}

absl::Status CpuDevice::make_weights(const artifact::Artifact &artifact) {
  auto memory = allocate(artifact.weights_bytes());
  if (!memory.ok())
    return memory.status();
  made_ = *std::move(memory);
  struct Work {
    std::vector<artifact::MadeWeight> made;
    std::vector<artifact::KeptWeight> kept;
    std::span<const uint8_t> section;
    std::span<uint8_t> out;
  } work{artifact::made_weights(artifact.manifest()),
         artifact::kept_weights(artifact.manifest()),
         artifact.weights(),
         {made_->data(), made_->bytes()}};
  pool_->run(
      [](void *context, int worker, int num_workers) {
        const Work &work = *static_cast<const Work *>(context);
        const uint64_t size = work.out.size();
        const uint64_t piece = (size / static_cast<uint64_t>(num_workers) / 64 + 1) * 64;
        const uint64_t begin = std::min(piece * static_cast<uint64_t>(worker), size);
        artifact::make_weights(work.made, work.kept, work.section, begin,
                               work.out.subspan(begin, std::min(piece, size - begin)));
      },
      &work);
  weights_ = {made_->data(), made_->bytes()};
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Allocation>> CpuDevice::allocate(uint64_t bytes) {
  if (bytes == 0)
    return std::unique_ptr<Allocation>(new HostAllocation(nullptr, 0));
  void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return absl::ResourceExhaustedError(
        absl::StrCat("the system refuses ", bytes, " bytes of memory: ", std::strerror(errno)));
  // Fewer TLB misses on kv pages and activations; only advice, so its failure is nothing.
  madvise(data, bytes, MADV_HUGEPAGE);
  return std::unique_ptr<Allocation>(new HostAllocation(data, bytes));
}

void CpuDevice::copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  if (bytes != 0)
    std::memcpy(to, from, bytes);
}
void CpuDevice::zero(uint8_t *to, uint64_t bytes) {
  if (bytes != 0)
    std::memset(to, 0, bytes);
}
absl::Status CpuDevice::to_host(void *to, const uint8_t *from, uint64_t bytes) {
  copy(static_cast<uint8_t *>(to), from, bytes);
  return absl::OkStatus();
}
absl::Status CpuDevice::from_host(uint8_t *to, const void *from, uint64_t bytes) {
  copy(to, static_cast<const uint8_t *>(from), bytes);
  return absl::OkStatus();
}

absl::Status CpuDevice::run(uint32_t entry, uint32_t bucket, QuernStepArgs &args) {
  barrier_ = {};
  args.barrier = &barrier_;
  args.yield = yield;
  Step step{functions_[entry][bucket], &args};
  pool_->run(run_step, &step);
  return absl::OkStatus();
}

uint64_t CpuDevice::ticks() const { return __builtin_ia32_rdtsc(); }

// Counted against the system's clock: CPUID does not say it on all CPUs.
double CpuDevice::ticks_per_s() const {
  using Clock = std::chrono::steady_clock;
  constexpr double kSeconds = 0.02;
  const auto start = Clock::now();
  const uint64_t first = ticks();
  double seconds = 0;
  while (seconds < kSeconds)
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return static_cast<double>(ticks() - first) / seconds;
}

double CpuDevice::probe_read_bytes_per_s(uint64_t bytes) {
  constexpr uint64_t kMostMore = 512u << 20; // beyond any cache: still more would be as fast
  const uint64_t of_weights = std::min<uint64_t>(bytes, weights_.size());
  const auto more = allocate(std::min(bytes - of_weights, kMostMore));
  if (!more.ok())
    return probe_read(*pool_, weights_.first(of_weights), {});
  const std::span taken((*more)->data(), (*more)->bytes());
  std::fill(taken.begin(), taken.end(), 1); // pages never written are all the same memory
  return probe_read(*pool_, weights_.first(of_weights), taken);
}

double CpuDevice::probe_ops_per_s(bool integer) { return probe_ops(*pool_, integer, features_); }

} // namespace quern::device
