// Cuts text into words by the steps of a TokenizerSpec.
#ifndef QUERN_RUNTIME_TEXT_PRETOKENIZER_H
#define QUERN_RUNTIME_TEXT_PRETOKENIZER_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

class PreTokenizer {
public:
  /// Where in what is encoded a text lies: at its beginning, at its beginning but behind text that
  /// was encoded before (nothing is put before it), or further on.
  enum class Place : uint8_t { First, GoesOn, Further };

  /// Compiles the patterns. An error names the pattern and what is wrong with it.
  static absl::StatusOr<PreTokenizer> create(const std::vector<PreTokenizerStep> &steps);

  PreTokenizer(PreTokenizer &&) noexcept;
  PreTokenizer &operator=(PreTokenizer &&) noexcept;
  ~PreTokenizer();

  /// Appends the words of `text`, which must be valid UTF-8 and outlive them, to `words`. Words
  /// that are not parts of `text` lie in `storage`. No word is empty. Each step sees a word alone:
  /// what a pattern looks ahead or behind at ends where the word does. `place` is for steps that
  /// treat the first word apart. Fails only where a pattern exceeds its work limit.
  absl::Status split(std::string_view text, Place place, std::deque<std::string> &storage,
                     std::vector<std::string_view> &words) const;

private:
  class Step;
  explicit PreTokenizer(std::vector<std::unique_ptr<Step>> steps);
  std::vector<std::unique_ptr<Step>> steps_;
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_PRETOKENIZER_H
