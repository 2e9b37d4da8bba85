#include "runtime/cli/Verbs.h"
#include "runtime/version/Version.h"

#include <absl/strings/str_cat.h>

namespace quern::cli {
namespace {

constexpr Verb kVerbs[] = {
    {"run", "continue a prompt", run},
    {"chat", "a conversation in the terminal", chat},
    {"logits", "logits of every position, as .npy", logits},
    {"tokenize", "text to ids", tokenize},
    {"detokenize", "ids to text", detokenize},
    {"call", "run any entry on .npy tensors", call},
    {"bench", "speed, next to what the machine allows", bench},
    {"verify", "replay the artifact's proof on this machine", verify},
    {"devices", "what this machine offers, and which variant would run", devices},
};

} // namespace

Program quern_run() {
  return {"quern-run", "Runs compiled models (.quern files).", kVerbs,
          absl::StrCat("quern-run ", std::string(version()), " (commit ", std::string(commit()),
                       "), LLVM: none linked, targets: cpu")};
}

} // namespace quern::cli
