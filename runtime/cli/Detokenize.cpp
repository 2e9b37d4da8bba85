// quern-run detokenize: ids to text.
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

namespace quern::cli {

int detokenize(Args args) {
  ModelOptions model;
  std::string tokens;
  bool json = false;
  const Command command{"quern-run detokenize -m FILE --tokens 1,2,3",
                        "Prints the text of ids, special tokens by their spelling.",
                        {model.model_flag(),
                         {"--tokens", "1,2,3", "the ids", &tokens, true},
                         {"--json", "", "print {\"text\":\"..\"}", &json}},
                        "quern-run detokenize -m model.quern --tokens 504,3575,282"};
  if (auto code = parse(command, args))
    return *code;
  auto ids = parse_ids(tokens);
  if (!ids.ok())
    return wrong_usage(ids.status());
  auto artifact = artifact::Artifact::open(model.model);
  if (!artifact.ok())
    return fail(artifact.status());
  auto tokenizer = load_tokenizer(**artifact);
  if (!tokenizer.ok())
    return fail(tokenizer.status());
  for (int32_t id : *ids)
    if (!(*tokenizer)->contains(id))
      return fail(absl::InvalidArgumentError(
          absl::StrCat("token ", id, " is not in the vocabulary, which has ids 0 to ",
                       (*tokenizer)->vocab_size() - 1)));
  const std::string text = (*tokenizer)->decode(*ids);
  if (json)
    print_json({{"text", text}});
  else
    print(text + "\n");
  return kDone;
}

} // namespace quern::cli
