#include "runtime/abi/Variants.h"
#include "runtime/cli/Verbs.h"
#include "runtime/version/Version.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <string>
#include <string_view>
#include <vector>

namespace quern::cli {
namespace {

constexpr Verb kVerbs[] = {
    {"run", "continue a prompt", run},
    {"chat", "a conversation in the terminal", chat},
    {"logits", "logits of every position, as .npy", logits},
    {"tokenize", "text to ids", tokenize},
    {"detokenize", "ids to text", detokenize},
    {"embed", "an encoder's vectors of texts, or its scores", embed},
    {"call", "run any entry on .npy tensors", call},
    {"bench", "speed, next to what the machine allows", bench},
    {"verify", "replay the artifact's proof on this machine", verify},
    {"devices", "what this machine offers, and which variant would run", devices},
};

} // namespace

Program quern_run() {
  std::vector<std::string> cpu, cuda; // the least first, as the compiler lists them
  for (const CpuVariant &variant : kCpuVariants)
    cpu.insert(cpu.begin(), std::string(variant.name));
  for (const std::string_view variant : kCudaVariants)
    cuda.insert(cuda.begin(), std::string(variant));
  return {"quern-run", "Runs compiled models (.quern files).", kVerbs,
          absl::StrCat("quern-run ", std::string(version()), " (commit ", std::string(commit()),
                       "), LLVM: none linked, targets: cpu (", absl::StrJoin(cpu, ", "),
                       "), cuda (", absl::StrJoin(cuda, ", "), ")")};
}

} // namespace quern::cli
