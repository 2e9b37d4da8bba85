// quern-run's verbs: one function and one file each. Each returns the exit code.
#ifndef QUERN_RUNTIME_CLI_VERBS_H
#define QUERN_RUNTIME_CLI_VERBS_H

#include "runtime/cli/Program.h"

namespace quern::cli {

int bench(Args args);
int call(Args args);
int chat(Args args);
int detokenize(Args args);
int devices(Args args);
int embed(Args args);
int logits(Args args);
int run(Args args);
int tokenize(Args args);
int verify(Args args);

/// quern-run itself: the table of the above.
Program quern_run();

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_VERBS_H
