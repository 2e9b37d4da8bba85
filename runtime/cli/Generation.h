// The loop that `run` and `chat` share: feed a prompt, then sample and feed one token after the
// other.
#ifndef QUERN_RUNTIME_CLI_GENERATION_H
#define QUERN_RUNTIME_CLI_GENERATION_H

#include "runtime/cli/Flags.h"
#include "runtime/session/Engine.h"
#include "runtime/session/Sampler.h"
#include "runtime/text/Tokenizer.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace quern::cli {

/// The sampling flags; without --seed, one is drawn from the system.
struct SamplingFlags {
  session::SamplerOptions options;
  std::optional<uint64_t> seed;
  std::vector<std::string> logit_bias; ///< "ID=+B,ID=-B"

  std::vector<Flag> flags();
  /// Completes `options` from the other fields. InvalidArgument for values that mean nothing.
  absl::Status check();
  /// DRY takes no repetition across line ends, ':', '"', '*' and special tokens, which it finds
  /// with `tokenizer` (null: the model has none). `check` has passed. InvalidArgument for what
  /// means nothing to this vocabulary.
  absl::StatusOr<session::Sampler> make_sampler(uint32_t vocab, const text::Tokenizer *tokenizer);
};

struct GenerateOptions {
  uint64_t max_tokens = UINT64_MAX;           ///< and never beyond the context
  const text::Tokenizer *tokenizer = nullptr; ///< its end tokens end the answer; null: nothing does
  bool feed_last = false; ///< also feed the last token, so that the slot holds the whole answer
  bool logits = false;    ///< on_token wants them
  /// Called when all of the prompt but its last token is fed; null: nothing waits for that.
  std::function<void()> before_last = nullptr;
};

struct Generated {
  std::vector<int32_t> tokens; ///< without the one that ended it
  bool stopped = false;        ///< by an end token or by on_token, rather than by length
  bool context_full = false;   ///< the context ended it before max_tokens did
  double prefill_seconds = 0;
  double decode_seconds = 0;
  uint64_t decode_steps = 0;
  double first_token_seconds = 0; ///< from the start of the prompt to the first token

  double decode_tokens_per_s() const {
    return decode_seconds > 0 ? static_cast<double>(decode_steps) / decode_seconds : 0;
  }
};

/// Sees each token as it comes, and, if they are wanted, the logits it was drawn from; false ends
/// the answer.
using OnToken = std::function<bool(int32_t token, std::span<const float> logits)>;

/// Feeds `prompt` (at least one token) to `slot` and answers. Where the engine has checkpoints, two
/// are kept: where the prompt begins, and before its last token.
absl::StatusOr<Generated> generate(session::Engine &engine, session::SlotId slot,
                                   session::Sampler &sampler, std::span<const int32_t> prompt,
                                   const GenerateOptions &options, const OnToken &on_token);

/// The error of generate, with what is known of why where the model's logits are not numbers.
absl::Status explain(const session::Engine &engine, const absl::Status &status);

/// Says on stderr that an answer ended because the context is full.
void note_full_context(const session::Engine &engine);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_GENERATION_H
