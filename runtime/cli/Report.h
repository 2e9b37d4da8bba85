// How commands speak: errors to stderr as "error: ..." and "hint: ...", and the exit codes.
#pragma once

#include "absl/status/status.h"

#include <initializer_list>
#include <optional>
#include <string>

namespace quern::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;     // it cannot be done
inline constexpr int kWrongUsage = 2; // the command line is wrong

// Prints "error: <message>" and returns kFailed. A hint is the message's line that begins with
// "hint: ".
int fail(const absl::Status &status);

// Prints the mistake and what to type instead, and returns kWrongUsage.
int wrong_usage(const std::string &what, const std::string &hint);
// The same for a status that has both, as fail prints it.
int wrong_usage(const absl::Status &status);

// kWrongUsage for the first of `checks` that is not ok, printed; nothing if all are.
std::optional<int> first_mistake(std::initializer_list<absl::Status> checks);

// Ok if everything printed to stdout so far has arrived: a full disk or a closed pipe is an error.
absl::Status flush_output();

} // namespace quern::cli
