#include "runtime/device/Device.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/null/NullDevice.h"

#include "absl/strings/str_cat.h"

namespace quern::device {
namespace {

struct Entry {
  std::string_view name;
  absl::StatusOr<std::unique_ptr<Device>> (*open)(const DeviceOptions &);
};

constexpr Entry kDevices[] = {
    {"cpu", CpuDevice::open},
    {"null", NullDevice::open},
};

} // namespace

absl::StatusOr<std::unique_ptr<Device>> open_device(std::string_view name,
                                                    const DeviceOptions &options) {
  for (const Entry &entry : kDevices)
    if (entry.name == name)
      return entry.open(options);
  return absl::InvalidArgumentError(
      absl::StrCat("device '", std::string(name), "' is not built in\nhint: --device cpu"));
}

} // namespace quern::device
