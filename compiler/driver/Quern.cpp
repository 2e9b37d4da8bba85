// The table of verbs.
#include "codegen/Target.h"
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Endings.h"
#include "runtime/version/Version.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/ErrorHandling.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <sys/mman.h>

namespace quern::driver {
namespace {

// A verb's name as a template argument, so that each hand-over is a function of its own.
template <size_t N> struct Name {
  constexpr Name(const char (&text)[N]) { std::copy_n(text, N, value); }
  char value[N];
};

template <Name verb> int hand_over(Args args) { return become_runtime(verb.value, args); }

constexpr cli::Verb kVerbs[] = {
    {"compile", "a model to a .quern file", compile},
    {"check", "list everything that would stop a compile", check},
    {"plan", "exact memory, before compiling", plan},
    {"inspect", "what is in a .quern file", inspect},
    {"eval", "perplexity, and the distance from another artifact", eval},
    {"run", "continue a prompt (quern-run)", hand_over<"run">},
    {"chat", "a conversation in the terminal (quern-run)", hand_over<"chat">},
    {"logits", "logits of every position, as .npy (quern-run)", hand_over<"logits">},
    {"tokenize", "text to ids (quern-run)", hand_over<"tokenize">},
    {"detokenize", "ids to text (quern-run)", hand_over<"detokenize">},
    {"embed", "an encoder's vectors of texts, or its scores (quern-run)", hand_over<"embed">},
    {"call", "run any entry on .npy tensors (quern-run)", hand_over<"call">},
    {"bench", "speed, next to what the machine allows (quern-run)", hand_over<"bench">},
    {"verify", "replay an artifact's proof on this machine (quern-run)", hand_over<"verify">},
    {"devices", "what this machine offers (quern-run)", hand_over<"devices">},
};

void on_fatal_error(void *, const char *reason, bool) { cli::end_with_error(reason); }
void on_no_memory(void *, const char *, bool) { cli::end_with_error("out of memory"); }

// The smallest model takes more. Not every allocation in MLIR is checked, so with less it may crash
// where it could say why.
constexpr size_t kLeastMemory = 24 << 20;

bool has_memory() {
  void *data = mmap(nullptr, kLeastMemory, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data != MAP_FAILED && munmap(data, kLeastMemory) == 0;
}

cli::Program quern() {
  std::vector<std::string> targets;
  for (const codegen::Target *target : codegen::targets())
    targets.push_back(absl::StrCat(
        std::string(target->name()), " (",
        absl::StrJoin(target->variants(), ", ",
                      [](std::string *out, const auto &variant) { out->append(variant.name); }),
        ")"));
  return {
      "quern", "Compiles language models, encoders and ONNX graphs to one file that runs.", kVerbs,
      absl::StrCat("quern ", std::string(version()), " (commit ", std::string(commit()), "), LLVM ",
                   LLVM_VERSION_STRING, ", targets: ", absl::StrJoin(targets, ", "))};
}

} // namespace

int run_quern(int argc, char **argv) {
  llvm::install_fatal_error_handler(on_fatal_error);
  llvm::install_bad_alloc_error_handler(on_no_memory);
  if (!has_memory())
    cli::end_with_error("out of memory");
  return cli::run_program(quern(), argc, argv);
}

} // namespace quern::driver
