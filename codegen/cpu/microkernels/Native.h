// The microkernels built natively, for tests and benchmarks: each variant in its own namespace,
// reached through a table of function pointers.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_NATIVE_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_NATIVE_H

#include "codegen/cpu/microkernels/Microkernels.h"

#include <span>
#include <string_view>

namespace quern::native {

/// A pointer to each function of Microkernels.h, under its name.
struct Kernels {
#define QK_FIELD(RESULT, NAME, PARAMETERS) decltype(&::NAME) NAME;
  QK_FOR_EACH_KERNEL(QK_FIELD)
#undef QK_FIELD
};

struct Build {
  std::string_view name; ///< a variant, or one and -emulated: its source over emulated instructions
  bool usable;           ///< whether this machine can run it
  const Kernels *kernels;
};

/// x86-64-v3, x86-64-v4, amx, and the last two emulated (VNNI, tiles).
std::span<const Build> builds();

} // namespace quern::native

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_NATIVE_H
