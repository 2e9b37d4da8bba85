// Forms of instructions by the thousand, from patterns; and which of them NVIDIA's assembler takes.
#ifndef QUERN_TESTS_PTX_ASSEMBLER_PATTERNS_H
#define QUERN_TESTS_PTX_ASSEMBLER_PATTERNS_H

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace quern::ptx {

/// A pattern is an instruction with alternatives: `(add|sub)(|.sat)@int $T, $T, $T`. `@name` stands
/// for alternatives that have a name; `$T` and `$D` for a register of the opcode's last and first
/// type, `$W` for one twice as wide as `$T`'s.
struct Pattern {
  std::string text;
  /// What the assembler says of its expansions, in their order: how many it refuses, then how many
  /// it takes, and so on.
  std::vector<size_t> runs;
};

struct Patterns {
  std::string head; ///< comments and names, as they stand in the file
  std::vector<std::pair<std::string, std::string>> names;
  std::vector<Pattern> patterns;
};

/// Reads patterns.txt. Errors: DataLoss, with the line.
absl::StatusOr<Patterns> read_patterns(std::string_view text);
/// The same text.
std::string write_patterns(const Patterns &patterns);

/// All instructions of a pattern, the last alternatives first; `$` replaced. An alternative of no
/// name, or brackets without an end, are DataLoss.
absl::StatusOr<std::vector<std::string>> expanded(const Patterns &patterns, const Pattern &pattern);

/// Runs as a truth for each expansion.
std::vector<bool> taken(const Pattern &pattern, size_t expansions);
std::vector<size_t> runs_of(const std::vector<bool> &taken);

/// A module with the instructions, each in a line of its own, the first in line kFirstLine. What
/// they name is declared: %p0-7, %h0-7 (16 bits), %r0-7, %d0-7, parameters `in` and `out`, the
/// label HERE.
std::string module_of(const std::vector<std::string> &instructions, std::string_view target);
constexpr int kFirstLine = 10;

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_ASSEMBLER_PATTERNS_H
