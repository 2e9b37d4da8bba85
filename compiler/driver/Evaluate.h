// How well a model predicts a text, and how far it is from another one.
#ifndef QUERN_COMPILER_DRIVER_EVALUATE_H
#define QUERN_COMPILER_DRIVER_EVALUATE_H

#include "runtime/session/Engine.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace quern::driver {

/// Sums over the scored tokens of a text.
struct Evaluation {
  uint64_t tokens = 0;       ///< scored: all but those that nothing comes before
  double nats = 0;           ///< sum of -log p(token)
  double reference_nats = 0; ///< the same, of the model compared with
  uint64_t top1_equal = 0;   ///< tokens where both models' likeliest is the same
  std::vector<double>
      kl; ///< KL(reference || model) in nats, one a token; empty without a reference

  double perplexity() const;
  double reference_perplexity() const;
  double mean_kl() const;
  double max_kl() const;
  /// The `share` quantile (nearest rank).
  double kl_quantile(double share) const;
};

/// Adds one position: its logits, the reference's (empty: there is none), and the token that
/// follows.
void score(std::span<const float> logits, std::span<const float> reference, int32_t next,
           Evaluation &evaluation);

/// Cuts `tokens` into windows of `window` tokens, `prefix` (such as BOS) counted and put before
/// each, and scores every token from those before it in its window. `reference` may be null; its
/// vocabulary must be the same. Errors: Engine::step's, and a window that holds nothing but the
/// prefix.
absl::StatusOr<Evaluation> evaluate(session::Engine &engine, session::Engine *reference,
                                    std::span<const int32_t> tokens,
                                    std::span<const int32_t> prefix, uint64_t window);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_EVALUATE_H
