#include "runtime/device/null/NullDevice.h"

#include "runtime/device/Staging.h"

#include <cstdlib>
#include <cstring>

namespace quern::device {
namespace {

class HeapAllocation final : public Allocation {
public:
  HeapAllocation(uint8_t *data, uint64_t bytes) : Allocation(data, bytes) {}
  ~HeapAllocation() override { std::free(data()); }
};

constexpr uint64_t kAlignment = 64;

} // namespace

absl::StatusOr<std::unique_ptr<Device>> NullDevice::open(const DeviceOptions &) {
  return std::unique_ptr<Device>(new NullDevice());
}

// Nothing is executed, so every variant of its target will do.
std::vector<VariantStatus> NullDevice::variants(const artifact::Artifact &artifact) const {
  std::vector<VariantStatus> result;
  for (const artifact::Variant *variant : artifact::items(artifact.manifest().variants()))
    if (artifact::text(variant->target()) == kTarget)
      result.push_back({std::string(artifact::text(variant->name())), true, ""});
  return result;
}

std::string NullDevice::when_none_runs() const { return "compile it for any target"; }

absl::Status NullDevice::load(const artifact::Artifact &artifact, std::string_view) {
  artifact_ = &artifact;
  weights_ = artifact.weights().data();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Allocation>> NullDevice::allocate(uint64_t bytes) {
  const uint64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto *data = static_cast<uint8_t *>(std::aligned_alloc(kAlignment, rounded));
  if (!data && rounded != 0)
    return absl::ResourceExhaustedError("the system refuses the memory");
  zero(data, rounded);
  return std::unique_ptr<Allocation>(new HeapAllocation(data, bytes));
}

void NullDevice::copy(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  if (bytes != 0)
    std::memcpy(to, from, bytes);
}
void NullDevice::zero(uint8_t *to, uint64_t bytes) {
  if (bytes != 0)
    std::memset(to, 0, bytes);
}
absl::Status NullDevice::to_host(void *to, const uint8_t *from, uint64_t bytes) {
  copy(static_cast<uint8_t *>(to), from, bytes);
  return absl::OkStatus();
}
absl::Status NullDevice::from_host(uint8_t *to, const void *from, uint64_t bytes) {
  copy(to, static_cast<const uint8_t *>(from), bytes);
  return absl::OkStatus();
}

absl::Status NullDevice::run(uint32_t entry, uint32_t, QuernStepArgs &args) {
  const artifact::Entry &described = *artifact_->manifest().entries()->Get(entry);
  const auto outputs = artifact::items(described.outputs());
  for (uint32_t i = 0; i < outputs.size(); ++i)
    zero(static_cast<uint8_t *>(args.outputs[i]),
         tensor_bytes(*outputs[i], step_shape(described, args)));
  return absl::OkStatus();
}

} // namespace quern::device
