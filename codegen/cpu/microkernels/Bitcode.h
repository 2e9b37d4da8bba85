// The microkernels as LLVM bitcode, one module a variant, for the compiler to link into what it
// generates.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_BITCODE_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_BITCODE_H

#include <span>
#include <string_view>

namespace quern::codegen {

/// The variants there is bitcode for: x86-64-v3, x86-64-v4, amx.
std::span<const std::string_view> microkernel_variants();

/// The bitcode of a variant, aligned to 16 bytes and followed by a zero byte; empty for a name not
/// in microkernel_variants().
///
/// The module defines the functions of Microkernels.h, hidden, and refers to nothing else but
/// memcpy and memset. They carry the function attributes "target-cpu", "target-features",
/// "tune-cpu", "prefer-vector-width" and "min-legal-vector-width": LLVM inlines one only into a
/// function with the same target, so callers must copy these from any of them. They stop where
/// LLVM's link-time pipeline takes over (not yet vectorized or unrolled), so the module they are
/// linked into needs the O3 pipeline.
std::string_view microkernel_bitcode(std::string_view variant);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_BITCODE_H
