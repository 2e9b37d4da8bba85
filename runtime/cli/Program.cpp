#include "runtime/cli/Program.h"

#include "runtime/cli/Endings.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

namespace quern::cli {
namespace {

std::string overview(const Program &program) {
  std::string text = absl::StrCat("usage: ", std::string(program.name), " VERB [flags]\n\n",
                                  std::string(program.summary), "\n\n");
  size_t width = 0;
  for (const Verb &verb : program.verbs)
    width = std::max(width, verb.name.size());
  for (const Verb &verb : program.verbs) {
    std::string name(verb.name);
    name.resize(width, ' ');
    absl::StrAppend(&text, "  ", name, "  ", std::string(verb.summary), "\n");
  }
  absl::StrAppend(&text, "\n", std::string(program.name), " VERB -h lists a verb's flags; ",
                  std::string(program.name), " --version says what this is.\n");
  return text;
}

int dispatch(const Program &program, Args args) {
  if (args.empty()) {
    std::fputs(overview(program).c_str(), stderr);
    return kWrongUsage;
  }
  const std::string_view word = args[0];
  if (word == "-h" || word == "--help" || word == "help") {
    std::fputs(overview(program).c_str(), stdout);
    return kDone;
  }
  if (word == "--version" || word == "version") {
    std::printf("%s\n", program.version.c_str());
    return kDone;
  }
  std::vector<std::string_view> names;
  for (const Verb &verb : program.verbs) {
    if (verb.name == word)
      return verb.run(args.subspan(1));
    names.push_back(verb.name);
  }
  const std::string_view near = nearest(word, names);
  return wrong_usage(absl::StrCat("unknown verb '", std::string(word), "'"),
                     near.empty() ? absl::StrCat(std::string(program.name), " -h lists the verbs")
                                  : absl::StrCat("did you mean ", std::string(near), "?"));
}

} // namespace

int run_program(const Program &program, int argc, char **argv) {
  end_with_errors();
  const Args args(argv, static_cast<size_t>(std::max(argc, 0)));
  int code = kFailed;
  try {
    code = dispatch(program, args.empty() ? args : args.subspan(1));
  } catch (const std::bad_alloc &) {
    return fail(absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception &error) {
    return fail(absl::InternalError(error.what()));
  }
  if (absl::Status status = flush_output(); !status.ok() && code == kDone)
    return fail(status);
  return code;
}

} // namespace quern::cli
