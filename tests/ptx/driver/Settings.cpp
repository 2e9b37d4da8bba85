#include "tests/ptx/driver/Settings.h"

#include "tests/ptx/FormTable.h"
#include "tests/ptx/Words.h"

#include <charconv>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>

namespace quern::ptx::driver {
namespace {

constexpr u64 kMostMultiprocessors = 1024;

std::string_view value_of(const char *name) {
  const char *text = std::getenv(name);
  return text != nullptr ? text : "";
}

absl::Status refused(std::string_view name, std::string_view value, std::string_view allowed) {
  return absl::InvalidArgumentError(concat(name, " is '", value, "'\nhint: it may be ", allowed));
}

// Which of two words: the second is `true`, the first what holds without the variable.
absl::Status choose(const char *name, std::string_view first, std::string_view second,
                    bool &chosen) {
  const std::string_view value = value_of(name);
  if (!value.empty() && value != first && value != second)
    return refused(name, value, concat(first, " or ", second));
  chosen = value == second;
  return absl::OkStatus();
}

// Leaves `number` alone where there is no variable.
absl::Status number(const char *name, u64 least, u64 most, u32 &number) {
  const std::string_view value = value_of(name);
  if (value.empty())
    return absl::OkStatus();
  u64 read = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), read);
  if (error != std::errc() || end != value.data() + value.size() || read < least || read > most)
    return refused(name, value, concat("a number from ", least, " to ", most));
  number = static_cast<u32>(read);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<Settings> settings_from_environment() {
  Settings made;
  const std::string_view device = value_of("QUERN_PTX_DEVICE");
  auto traits = device_traits(device.empty() ? "h100" : device);
  if (!traits.ok())
    return refused("QUERN_PTX_DEVICE", device, "a100 or h100");
  made.traits = *std::move(traits);
  made.traits.name = concat("PTX interpreter (", made.traits.name, ")");
  for (const absl::Status &status :
       {number("QUERN_PTX_SMS", 1, kMostMultiprocessors, made.traits.multiprocessors),
        number("QUERN_PTX_SEED", 0, std::numeric_limits<u32>::max(), made.seed),
        choose("QUERN_PTX_MODE", "exact", "perturbed", made.perturbed),
        choose("QUERN_PTX_COUNT", "0", "1", made.counts), check_level()})
    if (!status.ok())
      return status;
  return made;
}

} // namespace quern::ptx::driver
