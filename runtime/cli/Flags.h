// Command lines by table: a verb lists its flags once, and parsing, -h and the nearest suggestion
// follow. Used by quern-run's verbs and by the compiler driver's alike.
#ifndef QUERN_RUNTIME_CLI_FLAGS_H
#define QUERN_RUNTIME_CLI_FLAGS_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace quern::cli {

/// A number of bytes on the command line: "4096", or with a binary suffix, "512M", "4G".
struct Bytes {
  uint64_t value = 0;
  bool given = false; ///< 0 that was asked for is another than the default
};

/// Where a flag's value goes. A switch (bool) takes none; a vector collects repetitions.
/// An optional string tells "" from not given.
using Target = std::variant<bool *, int *, int64_t *, uint64_t *, float *, double *, Bytes *,
                            std::string *, std::optional<std::string> *, std::optional<uint64_t> *,
                            std::vector<std::string> *>;

struct Flag {
  std::string_view names; ///< "-m, --model": any number, the first one is used in messages
  std::string_view value; ///< what the help calls its value, "FILE"; empty for a switch
  std::string_view help;  ///< empty: the help names it, in a list with others that need no words
  Target target;
  bool required = false;
};

/// What a verb takes. Everything it points to must outlive the parse.
struct Command {
  std::string_view usage;   ///< "quern-run tokenize -m FILE -p TEXT"
  std::string_view summary; ///< what it does, in a sentence or two
  std::vector<Flag> flags;
  std::string_view example;                       ///< a whole command line that works
  std::vector<std::string> *positional = nullptr; ///< null: there are none
};

/// Stores the values of `args` where the flags say. Nothing if the verb should go on; otherwise the
/// exit code to leave with: 0 after -h (the help is on stdout), 2 after a mistake (it and its hint
/// are on stderr). Accepts "--flag value" and "--flag=value"; what follows "--" is positional.
/// Values may begin with '-'.
std::optional<int> parse(const Command &command, std::span<const char *const> args);

/// The help text, as -h prints it.
std::string help(const Command &command);

/// Of `candidates`, the one that `word` most likely meant: fewest edits (a transposition is one);
/// empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_FLAGS_H
