// The bitcode files are taken in by the assembler, which is quicker and smaller than an array; the
// build gives their paths.
#include "codegen/cpu/microkernels/Bitcode.h"

#include <array>

#define QK_EMBED(SYMBOL, PATH)                                                                     \
  __asm__(".section .rodata." #SYMBOL ",\"a\",@progbits\n"                                         \
          ".hidden " #SYMBOL "\n.hidden " #SYMBOL "_end\n"                                         \
          ".globl " #SYMBOL "\n.globl " #SYMBOL "_end\n"                                           \
          ".balign 16\n" #SYMBOL ":\n"                                                             \
          ".incbin \"" PATH "\"\n" #SYMBOL "_end:\n"                                               \
          ".byte 0\n"                                                                              \
          ".text\n");                                                                              \
  extern "C" __attribute__((visibility("hidden"))) const char SYMBOL[], SYMBOL##_end[]

QK_EMBED(quern_microkernels_x86_64_v3, QUERN_BITCODE_X86_64_V3);
QK_EMBED(quern_microkernels_x86_64_v4, QUERN_BITCODE_X86_64_V4);
QK_EMBED(quern_microkernels_amx, QUERN_BITCODE_AMX);

namespace quern::codegen {

std::span<const std::string_view> microkernel_variants() {
  static constexpr std::array<std::string_view, 3> kVariants = {"x86-64-v3", "x86-64-v4", "amx"};
  return kVariants;
}

std::string_view microkernel_bitcode(std::string_view variant) {
  if (variant == "x86-64-v3")
    return {quern_microkernels_x86_64_v3, quern_microkernels_x86_64_v3_end};
  if (variant == "x86-64-v4")
    return {quern_microkernels_x86_64_v4, quern_microkernels_x86_64_v4_end};
  if (variant == "amx")
    return {quern_microkernels_amx, quern_microkernels_amx_end};
  return {};
}

} // namespace quern::codegen
