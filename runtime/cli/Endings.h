// How a program ends when it cannot go on: with an error and exit code 1 rather than a crash, and
// without leaving half-written files.
#pragma once

namespace quern::cli {

// To be called once, before anything else is done. From then on
//   - a file that is cut short while it is mapped is an error that names it (SIGBUS);
//   - no memory on any thread is an error;
//   - Ctrl-C, SIGTERM and a closed terminal remove temporary files before they end the process;
//   - a closed pipe and a file-size limit are errors of the write, not signals;
//   - standard input, output and error are open, so that no file can take their numbers.
void end_with_errors();

// Ends the process with "error: WHAT" and, if it is not null, "hint: HINT". Removes temporary
// files. Safe in a signal handler.
[[noreturn]] void end_with_error(const char *what, const char *hint = nullptr);

} // namespace quern::cli
