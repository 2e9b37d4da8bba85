// quern-run tokenize: text to ids.
#include "runtime/cli/Model.h"
#include "runtime/cli/Prompt.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"

#include <nlohmann/json.hpp>

namespace quern::cli {

int tokenize(Args args) {
  ModelOptions model;
  PromptOptions prompt;
  bool json = false;
  const Command command{"quern-run tokenize -m FILE -p TEXT",
                        "Prints the ids of a text, separated by commas.",
                        std::vector<Flag>{model.model_flag()} + prompt.flags() +
                            std::vector<Flag>{{"--json", "", "print {\"tokens\":[..]}", &json}},
                        "quern-run tokenize -m model.quern -p 'The capital of France is'"};
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({prompt.check()}))
    return *code;
  auto artifact = artifact::Artifact::open(model.model);
  if (!artifact.ok())
    return fail(artifact.status());
  auto tokenizer = load_tokenizer(**artifact);
  if (!tokenizer.ok())
    return fail(tokenizer.status());
  auto text = prompt.text();
  if (!text.ok())
    return fail(text.status());
  auto ids = prompt.encode(**tokenizer, *text);
  if (!ids.ok())
    return fail(ids.status());
  if (json)
    print_json({{"tokens", *ids}});
  else
    print(format_ids(*ids) + "\n");
  return kDone;
}

} // namespace quern::cli
