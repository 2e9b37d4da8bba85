// What a model's tokenizer does to text before it looks for tokens.
#ifndef QUERN_RUNTIME_TEXT_NORMALIZE_H
#define QUERN_RUNTIME_TEXT_NORMALIZE_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

/// Appends `text` to `out` with each `from` (not empty) replaced by `to`.
void append_replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::string &out);

class Normalizer {
public:
  /// `keep`: what a SentencePiece step passes through as it is, the longest first.
  /// Fails where a pattern or a charsmap cannot be read.
  static absl::StatusOr<Normalizer> create(const std::vector<NormalizerStep> &steps,
                                           const std::vector<std::string_view> &keep);

  Normalizer(Normalizer &&) noexcept;
  Normalizer &operator=(Normalizer &&) noexcept;
  ~Normalizer();

  /// `text` (valid UTF-8) normalized: the steps in order, of the Unicode version that utf8proc
  /// knows. Fails where a pattern exceeds its work limit or where steps make far more text than
  /// they were given (64 bytes a byte), as no published tokenizer does.
  ///
  /// `goes_on`: something of the text lies before `text`, so nothing is put before it, and of its
  /// leading spaces one stays.
  absl::StatusOr<std::string> apply(std::string_view text, bool goes_on = false) const;

  /// The same for the content of a token that is found in normalized text: it is part of a text,
  /// so a SentencePiece step adds no space before it and takes none away.
  absl::StatusOr<std::string> apply_to_token(std::string_view content) const;

  bool empty() const { return steps_.empty(); }

  class Step;

private:
  explicit Normalizer(std::vector<std::unique_ptr<Step>> steps);
  std::vector<std::unique_ptr<Step>> steps_;
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_NORMALIZE_H
