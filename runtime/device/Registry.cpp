#include "runtime/device/Device.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/null/NullDevice.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iterator>

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

absl::Status check_device(std::string_view name) {
  for (const Entry &entry : kDevices)
    if (entry.name == name)
      return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("device '", std::string(name), "' is not built in\nhint: --device cpu"));
}

absl::StatusOr<std::unique_ptr<Device>> open_device(std::string_view name,
                                                    const DeviceOptions &options) {
  if (absl::Status status = check_device(name); !status.ok())
    return status;
  return std::find_if(std::begin(kDevices), std::end(kDevices),
                      [&](const Entry &entry) { return entry.name == name; })
      ->open(options);
}

} // namespace quern::device
