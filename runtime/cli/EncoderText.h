// Texts, and pairs of texts, as the sequences an encoder is given: with the model's tokens around
// and between them, and cut where they are too long.
#ifndef QUERN_RUNTIME_CLI_ENCODERTEXT_H
#define QUERN_RUNTIME_CLI_ENCODERTEXT_H

#include "runtime/text/Tokenizer.h"

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

struct EncoderText {
  std::vector<int32_t> tokens;
  size_t second = 0; ///< the first token that is of type 1; 0: none is
  size_t cut = 0;    ///< tokens that were left out
};

/// The sequence of a text, or of a text and its pair, of at most `longest` tokens: from the end of
/// the text tokens are left out, of a pair's from the longer one until both are as long, as
/// `tokenizers` cuts them (longest_first).
/// Errors: the tokenizer's; FailedPrecondition where it puts no texts together; OutOfRange where
/// not even the tokens around a text fit.
absl::StatusOr<EncoderText> encoder_text(const text::Tokenizer &tokenizer, const std::string &text,
                                         const std::optional<std::string> &pair, size_t longest);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_ENCODERTEXT_H
