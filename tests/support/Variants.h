// Which variants' code tests run on this machine.
#ifndef QUERN_TESTS_SUPPORT_VARIANTS_H
#define QUERN_TESTS_SUPPORT_VARIANTS_H

#include "runtime/abi/Variants.h"
#include "runtime/device/cpu/Features.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace quern::test {

/// The environment variable that names the widest variant that tests run: with x86-64-v3, they do
/// on any machine what they do on one with AVX2 alone. Only what tests run in their own process
/// knows of it.
inline constexpr const char *kWidest = "QUERN_TEST_WIDEST";

/// Why code of the variant is not run here: what the CPU lacks, or that kWidest masks it; empty if
/// it is run.
inline std::string whyNotRun(std::string_view variant) {
  const char *widest = std::getenv(kWidest);
  bool masked = false, known = !widest || !*widest;
  // The best is first.
  for (const CpuVariant &candidate : kCpuVariants) {
    if (widest && candidate.name == widest)
      known = true;
    if (candidate.name != variant)
      continue;
    masked = !known;
    if (const std::string missing = device::missing_features(candidate.features);
        !missing.empty() && !masked)
      return "this CPU cannot run " + std::string(variant) + ": it has no " + missing;
  }
  if (!known) {
    std::fprintf(stderr, "%s=%s: there is no such variant\n", kWidest, widest);
    std::exit(2);
  }
  return masked ? std::string(variant) + " is masked by " + kWidest + "=" + widest : "";
}

} // namespace quern::test

#endif // QUERN_TESTS_SUPPORT_VARIANTS_H
