// quern-gpu-kit: what benchmarks/gpu/run asks of a machine with a GPU and nothing else.
#include "benchmarks/gpu/Machine.h"
#include "runtime/cli/Report.h"

#include <cstdio>
#include <cstring>

int main(int argc, char **argv) {
  using Verb = int (*)(std::span<const char *const>);
  constexpr struct {
    const char *name;
    Verb verb;
    const char *what;
  } kVerbs[] = {
      {"environment", quern::kit::environment, "which GPU this is, and how fast it reads"},
      {"truth", quern::kit::truth, "what it answers to a corpus of PTX"},
      {"logits", quern::kit::logits, "a model's logits, written or compared"},
      {"kernels", quern::kit::kernels, "how fast kernels are, in all their configurations"}};
  for (const auto &verb : kVerbs)
    if (argc > 1 && std::strcmp(argv[1], verb.name) == 0)
      return verb.verb({argv + 2, static_cast<size_t>(argc - 2)});
  std::fprintf(stderr, "usage: quern-gpu-kit VERB [flags]\n\n");
  for (const auto &verb : kVerbs)
    std::fprintf(stderr, "  %-12s %s\n", verb.name, verb.what);
  return quern::cli::kWrongUsage;
}
