// Reading JSON that someone else wrote: bounded in size and depth, errors that name the file and
// the place.
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

/// Parses `text`, refusing duplicate keys (of which readers would pick different ones) and deep
/// nesting. `path` is for messages.
/// A bare Infinity, which Python writes though JSON has none, is read as transformers 5 spells it:
/// {"__float__": "Infinity"}.
absl::StatusOr<nlohmann::json> parse_json(std::string_view text, const std::string &path);

/// Reads and parses the file at `path`, of at most `max_bytes`.
absl::StatusOr<nlohmann::json> read_json(const std::string &path, uint64_t max_bytes);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_JSONTEXT_H
