// The optimizer driver as a function, so that a test program can add passes of its own.
#ifndef QUERN_COMPILER_OPT_QUERNOPT_H
#define QUERN_COMPILER_OPT_QUERNOPT_H

namespace quern {

/// Parses the command line of quern-opt (mlir-opt's, and --verify-semantics), runs the passes it
/// names and returns the exit code. Passes registered before are known to it.
int run_quern_opt(int argc, char **argv);

} // namespace quern

#endif // QUERN_COMPILER_OPT_QUERNOPT_H
