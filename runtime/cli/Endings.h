// How a program ends when it cannot go on: with an error and exit code 1 rather than a crash, and
// without leaving half-written files.
#ifndef QUERN_RUNTIME_CLI_ENDINGS_H
#define QUERN_RUNTIME_CLI_ENDINGS_H

namespace quern::cli {

/// To be called once, before anything else is done. From then on
///   - a file that is cut short while it is mapped is an error that names it (SIGBUS);
///   - no memory on any thread is an error;
///   - Ctrl-C, SIGTERM and a closed terminal remove temporary files before they end the process;
///   - a closed pipe and a file-size limit are errors of the write, not signals;
///   - standard input, output and error are open, so that no file can take their numbers.
void end_with_errors();

/// From now on the first Ctrl-C is only remembered, so that what was made so far can be shown and
/// saved; a second one ends the process as before. Nothing changes where Ctrl-C is ignored (nohup).
void catch_interrupt();
/// Whether there was one since.
bool interrupted();
/// Ends the process as the Ctrl-C that was caught would have, which is what shells go by. Returns
/// if there was none.
void end_if_interrupted();

/// Ends the process with "error: WHAT" and, if it is not null, "hint: HINT". Removes temporary
/// files. Safe in a signal handler.
[[noreturn]] void end_with_error(const char *what, const char *hint = nullptr);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_ENDINGS_H
