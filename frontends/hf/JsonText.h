// The one reader of JSON that someone else wrote: config.json and all that lies beside it, the
// tokenizer's files, a checkpoint's index, the headers of weights. Bounded in size and depth;
// errors name the file and the place.
#ifndef QUERN_FRONTENDS_HF_JSONTEXT_H
#define QUERN_FRONTENDS_HF_JSONTEXT_H

#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::hf {

/// Objects and arrays inside each other, at most. Model files have under ten.
inline constexpr int kMaxJsonDepth = 64;

enum class JsonDialect {
  /// What Python's json module reads and writes, with which these files are made: a bare NaN,
  /// Infinity and -Infinity are floats, and of a key that is there twice the last value counts.
  /// So is {"__float__": "Infinity"}, which is how transformers 5 writes such a float. A byte order
  /// mark, which editors leave and Python refuses, is passed over.
  Python,
  /// JSON as its standard has it, a key that is there twice refused: readers would pick different
  /// ones. For headers of weights, whose format asks for it.
  Strict,
};

/// Parses `text`, refusing deep nesting. `path` is for messages.
absl::StatusOr<nlohmann::json> parse_json(std::string_view text, const std::string &path,
                                          JsonDialect dialect = JsonDialect::Python);

/// The same of the Python dialect, with the keys of objects in the order in which they stand.
absl::StatusOr<nlohmann::ordered_json> parse_ordered_json(std::string_view text,
                                                          const std::string &path);

/// Reads and parses the file at `path`, of at most `max_bytes`.
absl::StatusOr<nlohmann::json> read_json(const std::string &path, uint64_t max_bytes);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_JSONTEXT_H
