// What this CPU, and the system it runs under, can execute.
#ifndef QUERN_RUNTIME_DEVICE_CPU_FEATURES_H
#define QUERN_RUNTIME_DEVICE_CPU_FEATURES_H

#include <span>
#include <string>
#include <string_view>

namespace quern::device {

/// A CPU feature by LLVM's name ("avx2", "avx512vnni", "amx-int8").
struct Feature {
  std::string_view name;
  bool present;
};

/// All features that this runtime knows of, in a fixed order. Asks the kernel for the AMX tile
/// state once, so that amx features are present only where tiles may really be used.
std::span<const Feature> cpu_features();

/// The CPU's own name, e.g. "AMD EPYC 7763 64-Core Processor".
std::string cpu_model();

/// Of `features`, those that are missing here, joined by ", "; empty if none is. A name that this
/// runtime does not know counts as missing.
std::string missing_features(std::span<const std::string_view> features);

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_FEATURES_H
