#include "runtime/cli/EncoderText.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::cli {
namespace {

/// What is left of two texts of these lengths in `room` tokens.
std::pair<size_t, size_t> longest_first(size_t first, size_t second, size_t room) {
  if (first + second <= room)
    return {first, second};
  size_t less = std::min(first, second), more = room > less ? room - less : 0;
  if (more < less) { // both are cut
    less = room / 2;
    more = room - less;
  }
  return first <= second ? std::pair(less, more) : std::pair(more, less);
}

} // namespace

absl::StatusOr<EncoderText> encoder_text(const text::Tokenizer &tokenizer, const std::string &text,
                                         const std::optional<std::string> &pair, size_t longest) {
  const text::TokenizerSpec &spec = tokenizer.spec();
  if (pair && spec.pair_ids.empty())
    return absl::FailedPreconditionError(
        "the model's tokenizer does not say how two texts are put together\n"
        "hint: leave --pair out");
  const text::EncodeOptions plain{.add_special = false};
  auto first = tokenizer.encode(text, plain);
  if (!first.ok())
    return first.status();
  absl::StatusOr<std::vector<int32_t>> second = std::vector<int32_t>();
  if (pair)
    second = tokenizer.encode(*pair, plain);
  if (!second.ok())
    return second.status();
  const size_t around =
      spec.prefix_ids.size() + spec.suffix_ids.size() + (pair ? spec.pair_ids.size() : 0);
  if (around > longest)
    return absl::OutOfRangeError(absl::StrCat("the ", around,
                                              " tokens around a text are more than ", longest,
                                              ", which is all that fits"));
  const auto [kept, kept_second] = longest_first(first->size(), second->size(), longest - around);
  EncoderText result;
  result.cut = first->size() - kept + second->size() - kept_second;
  first->resize(kept);
  second->resize(kept_second);
  result.tokens = spec.prefix_ids;
  const auto append = [&](const std::vector<int32_t> &ids) {
    result.tokens.insert(result.tokens.end(), ids.begin(), ids.end());
  };
  append(*first);
  if (pair) {
    append(spec.pair_ids);
    if (spec.pair_types)
      result.second = result.tokens.size();
    append(*second);
  }
  append(spec.suffix_ids);
  return result;
}

} // namespace quern::cli
