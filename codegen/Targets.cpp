// The registry of Target.h.
#include "codegen/Target.h"
#include "codegen/cpu/CpuTarget.h"
#include "codegen/cuda/CudaTarget.h"

#include <algorithm>
#include <array>

namespace quern::codegen {

std::span<const Target *const> targets() {
  static const cpu::CpuTarget cpu;
  static const cuda::CudaTarget cuda;
  static constexpr std::array<const Target *, 2> all = {&cpu, &cuda};
  return all;
}

const Target *find_target(std::string_view name) {
  const auto all = targets();
  const auto found = std::ranges::find(all, name, &Target::name);
  return found == all.end() ? nullptr : *found;
}

} // namespace quern::codegen
