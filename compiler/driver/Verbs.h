// quern's verbs: one function and one file each. Each returns the exit code.
#ifndef QUERN_COMPILER_DRIVER_VERBS_H
#define QUERN_COMPILER_DRIVER_VERBS_H

#include "runtime/cli/Program.h"

namespace quern::driver {

using cli::Args;

int check(Args args);
int compile(Args args);
int eval(Args args);
int inspect(Args args);
int plan(Args args);

/// Becomes `quern-run VERB ARGS...`, the program beside this one. Returns only if it cannot.
int become_runtime(std::string_view verb, Args args);

/// quern itself: runs the verb that the command line names. What LLVM cannot go on from is an error
/// like any other.
int run_quern(int argc, char **argv);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_VERBS_H
