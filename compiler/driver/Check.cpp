// quern check: everything that would stop a compile, in one pass.
#include "compiler/driver/Lowering.h"
#include "compiler/driver/Verbs.h"
#include "frontends/Import.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace quern::driver {
namespace {

void print_table(const std::string &model, const std::vector<Problem> &problems) {
  if (problems.empty()) {
    std::printf("%s: nothing stands in the way of a compile\n", model.c_str());
    return;
  }
  for (const Problem &problem : problems) {
    std::printf("%s: %s\n", problem.where.c_str(), problem.what.c_str());
    if (!problem.hint.empty())
      std::printf("    %s\n", problem.hint.c_str());
  }
  std::printf("%zu %s\n", problems.size(), problems.size() == 1 ? "problem" : "problems");
}

void print_json(const std::vector<Problem> &problems) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Problem &problem : problems)
    list.push_back({{"where", problem.where}, {"what", problem.what}, {"hint", problem.hint}});
  cli::print_json({{"ok", problems.empty()}, {"problems", list}});
}

} // namespace

int check(Args args) {
  bool json = false;
  ModelFlags flags;
  std::vector<std::string> models;
  const cli::Command command{
      "quern check MODEL [flags]",
      "Lists everything that would stop a compile, by the model's own names, with what to do about "
      "it.\nExit code 1 if there is anything.",
      {{"-c, --context", "N", "longest sequence (default: the model's)", &flags.context},
       {"--synthetic", "SEED", "make the weights up; config.json is enough", &flags.synthetic},
       {"--ignore-keys", "LIST", "keys of config.json, which Quern does not know, to go on without",
        &flags.ignored_keys},
       {"--json", "", R"(print {"ok":..,"problems":[..]})", &json}},
      "quern check models/smollm2-135m-instruct-q4_1.gguf",
      &models};
  if (auto code = cli::parse(command, args))
    return *code;
  if (models.size() != 1)
    return cli::wrong_usage(models.empty() ? "no model is given" : "more than one model is given",
                            "quern check MODEL");
  if (absl::Status status = flags.check(); !status.ok())
    return cli::wrong_usage(status);
  const std::vector<Problem> problems = checkModel(models[0], flags.import_options());
  if (json)
    print_json(problems);
  else
    print_table(models[0], problems);
  return problems.empty() ? cli::kDone : cli::kFailed;
}

} // namespace quern::driver
