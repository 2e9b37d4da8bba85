// Where a prompt's text comes from, and how it becomes ids.
#ifndef QUERN_RUNTIME_CLI_PROMPT_H
#define QUERN_RUNTIME_CLI_PROMPT_H

#include "runtime/cli/Flags.h"
#include "runtime/text/Tokenizer.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

struct PromptOptions {
  std::optional<std::string> given; ///< -p
  std::optional<std::string> file;  ///< -f
  bool chat = false;
  bool no_special = false;

  std::vector<Flag> flags();

  /// InvalidArgument where more than one text is given, or none.
  absl::Status check() const;

  /// The text of -p, of the file of -f, or of standard input ("-p -", or where it is no terminal):
  /// as it is, lines' ends and a byte order mark included, though of that a note is given. Error:
  /// the system's.
  absl::StatusOr<std::string> text() const;

  /// Its ids: as one message of the user, in the model's chat template, with --chat. Where it goes
  /// on after the tokens `before`, nothing is put before it: no BOS, nor a template's.
  absl::StatusOr<std::vector<int32_t>> encode(const text::Tokenizer &tokenizer,
                                              const std::string &text,
                                              std::span<const int32_t> before = {}) const;
};

/// A message of a conversation; roles are "system", "user" and "assistant".
struct Message {
  std::string role;
  std::string content;
};

/// The ids of a conversation in the model's chat template, up to where the assistant's answer
/// begins. Error FailedPrecondition if the model has no template. `before` as above.
absl::StatusOr<std::vector<int32_t>> encode_conversation(const text::Tokenizer &tokenizer,
                                                         const std::vector<Message> &messages,
                                                         std::span<const int32_t> before = {});

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_PROMPT_H
