// What the verbs that run a model share: its flags, opening it, its tokenizer, ids on the command
// line.
#ifndef QUERN_RUNTIME_CLI_MODEL_H
#define QUERN_RUNTIME_CLI_MODEL_H

#include "runtime/cli/Flags.h"
#include "runtime/session/Engine.h"
#include "runtime/text/Tokenizer.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quern::cli {

/// The budget of checkpoints of verbs and flags that go back in a sequence, where none is given.
inline constexpr uint64_t kDefaultCheckpoints = uint64_t{256} << 20;

/// The flags that INTERFACE calls common.
struct ModelOptions {
  std::string model;
  std::string device;
  std::string variant;
  int threads = 0;
  uint64_t ctx = 0;
  uint64_t slots = 1;
  Bytes memory;
  Bytes checkpoints;
  uint64_t default_checkpoints = 0; ///< the budget where none is given: of no use, no error

  ModelOptions(); // the device's default is QUERN_DEVICE, or cpu
  Flag model_flag();
  /// -m and all others, in the order of the help.
  std::vector<Flag> flags();
  /// The first value that makes sense for no artifact, with a line "hint: ...": wrong usage.
  absl::Status check() const;
  session::EngineOptions engine() const;
};

/// `flags` followed by `more`.
std::vector<Flag> operator+(std::vector<Flag> flags, std::vector<Flag> more);

/// The artifact's tokenizer. Error FailedPrecondition if it has none, with a hint: what can be done
/// about it, or, of verbs that take ids too, what to use instead.
absl::StatusOr<std::unique_ptr<text::Tokenizer>>
load_tokenizer(const artifact::Artifact &artifact,
               std::string_view hint = "compile the model again, its tokenizer's files beside it");

/// "5,6,7" -> ids. InvalidArgument for what is not a list of numbers that could be ids.
absl::StatusOr<std::vector<int32_t>> parse_ids(const std::string &list);

/// {5, 6, 7} -> "5,6,7"
std::string format_ids(std::span<const int32_t> ids);

/// The whole of a file, or of standard input for "-".
absl::StatusOr<std::string> read_text(const std::string &path);

/// Says on stderr if a text begins with a byte order mark, which some editors write and models see
/// as a character of the text.
void note_byte_order_mark(const std::string &path, std::string_view text);

/// Ok if `path` can be written, or is empty: to be asked before long work that ends in writing it.
absl::Status check_writable(const std::string &path);

/// {"weights":..,"arena":..,"state":..,"code":..,"total":..}
nlohmann::ordered_json to_json(const session::MemoryUse &memory);

/// Prints one JSON object and a newline. Text that is not UTF-8 is replaced, never thrown over.
void print_json(const nlohmann::ordered_json &json);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_MODEL_H
