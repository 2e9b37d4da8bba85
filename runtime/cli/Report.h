// How commands speak: errors to stderr as "error: ..." and "hint: ...", and the exit codes.
#ifndef QUERN_RUNTIME_CLI_REPORT_H
#define QUERN_RUNTIME_CLI_REPORT_H

#include <absl/status/status.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace quern::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;     ///< it cannot be done
inline constexpr int kWrongUsage = 2; ///< the command line is wrong

/// Prints "error: <message>" and returns kFailed. A hint is the message's line that begins with
/// "hint: ". The error begins on a line of its own, after all that was printed. Where
/// reader_gone() nothing is said: whoever closed a pipe knows that.
int fail(const absl::Status &status);
/// A line on stderr, on its own and after all that was printed to stdout: "note: ..." and the like.
void say(const std::string &line);

/// Prints the mistake and what to type instead, and returns kWrongUsage.
int wrong_usage(const std::string &what, const std::string &hint);
/// The same for a status that has both, as fail prints it.
int wrong_usage(const absl::Status &status);

/// kWrongUsage for the first of `checks` that is not ok, printed; nothing if all are.
std::optional<int> first_mistake(std::initializer_list<absl::Status> checks);

/// Prints to stdout what may be long; flush_output knows why, should it fail.
void print(std::string_view text);

/// Ok if everything printed to stdout so far has arrived: a full disk or a closed pipe is an error,
/// now and ever after. What takes long checks this after each piece that it prints, and ends.
absl::Status flush_output();
/// The error of flush_output where stdout is a pipe that nobody reads any more: run | head.
bool reader_gone(const absl::Status &status);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_REPORT_H
