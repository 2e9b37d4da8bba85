// quern check: everything that would stop a compile, in one pass.
#include "compiler/driver/Examine.h"
#include "compiler/driver/Verbs.h"
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

void print_json(const Examination &found) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Problem &problem : found.problems)
    list.push_back({{"where", problem.where}, {"what", problem.what}, {"hint", problem.hint}});
  cli::print_json({{"ok", found.problems.empty()}, {"problems", list}, {"notes", found.notes}});
}

} // namespace

int check(Args args) {
  bool json = false;
  ModelFlags flags;
  TargetFlags targets;
  std::vector<std::string> models;
  const cli::Command command{
      "quern check MODEL [flags]",
      "Lists everything that would stop a compile, by the model's own names, with what to do about "
      "it: what\nimporting the model, every phase and every target would refuse. Reads no weights. "
      "Exit code 1 if\nthere is anything. Takes compile's flags for the model and the targets.",
      flags.flags() + targets.flags() +
          std::vector<cli::Flag>{
              {"--json", "", R"(print {"ok":..,"problems":[..],"notes":[..]})", &json}},
      "quern check models/smollm2-135m-instruct-q4_1.gguf", &models};
  if (auto code = cli::parse(command, args))
    return *code;
  if (models.size() != 1)
    return cli::wrong_usage(models.empty() ? "no model is given" : "more than one model is given",
                            "quern check MODEL");
  flags.identify = false;
  for (const absl::Status &status : {flags.check(), targets.check()})
    if (!status.ok())
      return cli::wrong_usage(status);
  const Examination found = examine(models[0], flags, targets);
  if (json) {
    print_json(found);
  } else {
    for (const std::string &note : found.notes)
      std::fprintf(stderr, "note: %s\n", note.c_str());
    print_table(models[0], found.problems);
  }
  return found.problems.empty() ? cli::kDone : cli::kFailed;
}

} // namespace quern::driver
