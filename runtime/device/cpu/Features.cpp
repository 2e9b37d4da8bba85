#include "runtime/device/cpu/Features.h"

#include <algorithm>
#include <cpuid.h>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace quern::device {
namespace {

// Tiles are 8 KiB of state a thread; Linux hands them out on request, once for the whole process.
bool may_use_amx_tiles() {
  constexpr int kRequestPermission = 0x1023; // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;              // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// __builtin_cpu_supports also asks whether the system saves the registers (XCR0). It takes literals
// only, hence the macro.
std::vector<Feature> detect() {
  __builtin_cpu_init();
#define QUERN_FEATURE(name) Feature{name, __builtin_cpu_supports(name) != 0}
  std::vector<Feature> features = {
      QUERN_FEATURE("sse3"),       QUERN_FEATURE("ssse3"),      QUERN_FEATURE("sse4.1"),
      QUERN_FEATURE("sse4.2"),     QUERN_FEATURE("popcnt"),     QUERN_FEATURE("avx"),
      QUERN_FEATURE("avx2"),       QUERN_FEATURE("bmi"),        QUERN_FEATURE("bmi2"),
      QUERN_FEATURE("f16c"),       QUERN_FEATURE("fma"),        QUERN_FEATURE("lzcnt"),
      QUERN_FEATURE("movbe"),      QUERN_FEATURE("avxvnni"),    QUERN_FEATURE("avx512f"),
      QUERN_FEATURE("avx512bw"),   QUERN_FEATURE("avx512cd"),   QUERN_FEATURE("avx512dq"),
      QUERN_FEATURE("avx512vl"),   QUERN_FEATURE("avx512vbmi"), QUERN_FEATURE("avx512vnni"),
      QUERN_FEATURE("avx512bf16"), QUERN_FEATURE("avx512fp16"), QUERN_FEATURE("amx-tile"),
      QUERN_FEATURE("amx-int8"),   QUERN_FEATURE("amx-bf16"),
  };
#undef QUERN_FEATURE
  const bool has_tiles = std::any_of(features.begin(), features.end(), [](const Feature &feature) {
    return feature.name == "amx-tile" && feature.present;
  });
  const bool amx = has_tiles && may_use_amx_tiles();
  for (Feature &feature : features)
    if (feature.name.starts_with("amx"))
      feature.present = feature.present && amx;
  return features;
}

} // namespace

std::span<const Feature> cpu_features() {
  static const std::vector<Feature> features = detect();
  return features;
}

std::string cpu_model() {
  unsigned registers[12];
  for (unsigned i = 0; i < 3; ++i)
    if (!__get_cpuid(0x80000002 + i, &registers[4 * i], &registers[4 * i + 1],
                     &registers[4 * i + 2], &registers[4 * i + 3]))
      return "unknown";
  char name[sizeof registers + 1] = {};
  std::memcpy(name, registers, sizeof registers);
  std::string text(name);
  text.erase(text.find_last_not_of(' ') + 1);
  text.erase(0, text.find_first_not_of(' '));
  return text;
}

std::string missing_features(std::span<const std::string_view> features) {
  std::string missing;
  for (std::string_view name : features) {
    const auto known = cpu_features();
    const bool present = std::any_of(known.begin(), known.end(), [&](const Feature &feature) {
      return feature.name == name && feature.present;
    });
    if (!present)
      missing.append(missing.empty() ? "" : ", ").append(name);
  }
  return missing;
}

} // namespace quern::device
