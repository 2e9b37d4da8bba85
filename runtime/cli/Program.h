// A program of verbs: finds the verb, answers --help and --version, and keeps the exit codes.
#ifndef QUERN_RUNTIME_CLI_PROGRAM_H
#define QUERN_RUNTIME_CLI_PROGRAM_H

#include <span>
#include <string>
#include <string_view>

namespace quern::cli {

using Args = std::span<const char *const>; ///< without the program's and the verb's name

struct Verb {
  std::string_view name;
  std::string_view summary;
  int (*run)(Args args); // returns the exit code
};

struct Program {
  std::string_view name; ///< "quern-run"
  std::string_view summary;
  std::span<const Verb> verbs;
  std::string version; ///< what --version prints
};

/// Runs the verb that the command line names. Never throws: what a verb throws (out of memory)
/// becomes an error and exit code 1, and so does what else can befall a process (Endings.h).
int run_program(const Program &program, int argc, char **argv);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_PROGRAM_H
