#include "frontends/Problem.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace quern {

namespace {
/// More than anyone reads; a hostile file must not fill memory with complaints.
constexpr size_t kMaxProblems = 1000;
} // namespace

void Problems::add(std::string where, std::string what, std::string hint) {
  if (list_.size() < kMaxProblems)
    list_.push_back({std::move(where), std::move(what), std::move(hint)});
}

void Problems::add(std::string where, const absl::Status &status) {
  std::string text(status.message());
  std::string hint;
  static constexpr std::string_view kHint = "\nhint: ";
  if (size_t at = text.find(kHint); at != std::string::npos) {
    hint = text.substr(at + kHint.size());
    text.resize(at);
  }
  add(std::move(where), std::move(text), std::move(hint));
}

void Problems::add_file(std::string where, const absl::Status &status) {
  const std::string text(status.message());
  const size_t colon = text.starts_with(where) ? text.find(": ", where.size()) : text.npos;
  if (colon == text.npos)
    return add(std::move(where), status);
  add(text.substr(0, colon), absl::Status(status.code(), text.substr(colon + 2)));
}

absl::Status Problems::status() const {
  if (list_.empty())
    return absl::OkStatus();
  const Problem &first = list_.front();
  std::string text = absl::StrCat(first.where, ": ", first.what);
  if (list_.size() > 1)
    absl::StrAppend(&text, " (and ", list_.size() - 1, " more: quern check lists them)");
  if (!first.hint.empty())
    absl::StrAppend(&text, "\nhint: ", first.hint);
  return absl::InvalidArgumentError(text);
}

} // namespace quern
