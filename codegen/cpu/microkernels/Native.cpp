#include "codegen/cpu/microkernels/Native.h"

#include <array>

namespace quern::native {

namespace v3 {
extern const Kernels kKernels;
}
namespace v4 {
extern const Kernels kKernels;
}
namespace v4_emulated {
extern const Kernels kKernels;
}

std::span<const Build> builds() {
  static const bool kHasV3 = __builtin_cpu_supports("x86-64-v3");
  static const bool kHasV4 =
      __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni");
  static const std::array<Build, 3> kBuilds = {
      {{"x86-64-v3", kHasV3, &v3::kKernels},
       {"x86-64-v4", kHasV4, &v4::kKernels},
       {"x86-64-v4-emulated", kHasV3, &v4_emulated::kKernels}}};
  return kBuilds;
}

} // namespace quern::native
