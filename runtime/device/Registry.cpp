#include "runtime/device/Device.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/null/NullDevice.h"

#include <absl/strings/str_cat.h>

#include <string>

namespace quern::device {
namespace {

struct Entry {
  std::string_view target;
  /// Whether it is opened by that name.
  bool (*has)(std::string_view name);
  absl::StatusOr<std::unique_ptr<Device>> (*open)(std::string_view name, const DeviceOptions &);
};

constexpr Entry kDevices[] = {
    {CpuDevice::kTarget, [](std::string_view name) { return name == "cpu"; },
     [](std::string_view, const DeviceOptions &options) { return CpuDevice::open(options); }},
    {cuda::kTarget, CudaDevice::is_name, CudaDevice::open},
    {NullDevice::kTarget, [](std::string_view name) { return name == "null"; },
     [](std::string_view, const DeviceOptions &options) { return NullDevice::open(options); }},
};

const Entry *find(std::string_view name) {
  for (const Entry &entry : kDevices)
    if (entry.has(name))
      return &entry;
  return nullptr;
}

} // namespace

absl::Status check_device(std::string_view name) {
  if (find(name))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("there is no device '", std::string(name),
                   "'\nhint: --device cpu, cuda (the first GPU), cuda:1 (the second) or ptx (an "
                   "interpreter of CUDA code)"));
}

std::string_view target_of_device(std::string_view name) { return find(name)->target; }

absl::StatusOr<std::unique_ptr<Device>> open_device(std::string_view name,
                                                    const DeviceOptions &options) {
  if (absl::Status status = check_device(name); !status.ok())
    return status;
  return find(name)->open(name, options);
}

} // namespace quern::device
