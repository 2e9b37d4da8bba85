// The variants of the targets, best first, and the CPU features each of the cpu's needs: what the
// compiler makes code for, what the runtime looks for. Names of features are those of
// runtime/device/cpu/Features.cpp.
#ifndef QUERN_RUNTIME_ABI_VARIANTS_H
#define QUERN_RUNTIME_ABI_VARIANTS_H

#include <array>
#include <span>
#include <string_view>

namespace quern {

struct CpuVariant {
  std::string_view name;
  std::span<const std::string_view> features;
};

inline constexpr std::array<std::string_view, 13> kAmxFeatures = {
    "avx2",     "fma",      "f16c",       "bmi2",     "avx512f",  "avx512bw", "avx512cd",
    "avx512dq", "avx512vl", "avx512vnni", "amx-tile", "amx-int8", "amx-bf16"};
inline constexpr std::array<std::string_view, 10> kV4Features = {
    "avx2",     "fma",      "f16c",     "bmi2",     "avx512f",
    "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni"};
inline constexpr std::array<std::string_view, 8> kV3Features = {"avx2", "fma",   "f16c",  "bmi",
                                                                "bmi2", "lzcnt", "movbe", "popcnt"};

inline constexpr std::array<CpuVariant, 3> kCpuVariants = {
    {{"amx", kAmxFeatures}, {"x86-64-v4", kV4Features}, {"x86-64-v3", kV3Features}}};

/// Other names that flags take for a variant: of GPUs that it is for.
struct VariantSpelling {
  std::string_view spelling, name;
};
inline constexpr std::array<VariantSpelling, 3> kVariantSpellings = {
    {{"a100", "sm_80"}, {"h100", "sm_90a"}, {"sm_90", "sm_90a"}}};
/// What `--variant native` stands for: the best that runs on this machine.
inline constexpr std::string_view kNativeVariant = "native";

/// Which GPUs each runs on: why_not of runtime/device/cuda/Gpu.h.
inline constexpr std::array<std::string_view, 2> kCudaVariants = {"sm_90a", "sm_80"};

} // namespace quern

#endif // QUERN_RUNTIME_ABI_VARIANTS_H
