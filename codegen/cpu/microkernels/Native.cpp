#include "codegen/cpu/microkernels/Native.h"

#include "runtime/abi/Variants.h"
#include "runtime/device/cpu/Features.h"

#include <array>

namespace quern::native {

namespace v3 {
extern const Kernels kKernels;
}
namespace v4 {
extern const Kernels kKernels;
}
namespace amx {
extern const Kernels kKernels;
}
namespace v4_emulated {
extern const Kernels kKernels;
}
namespace amx_emulated {
extern const Kernels kKernels;
}

static bool is_usable(std::string_view variant) {
  for (const CpuVariant &known : kCpuVariants)
    if (known.name == variant)
      return device::missing_features(known.features).empty();
  return false;
}

std::span<const Build> builds() {
  static const std::array<Build, 5> kBuilds = {
      {{"x86-64-v3", is_usable("x86-64-v3"), &v3::kKernels},
       {"x86-64-v4", is_usable("x86-64-v4"), &v4::kKernels},
       {"amx", is_usable("amx"), &amx::kKernels},
       {"x86-64-v4-emulated", is_usable("x86-64-v3"), &v4_emulated::kKernels},
       {"amx-emulated", is_usable("x86-64-v3"), &amx_emulated::kKernels}}};
  return kBuilds;
}

} // namespace quern::native
