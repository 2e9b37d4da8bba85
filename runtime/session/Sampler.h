// Picks the next token from a row of logits.
#ifndef QUERN_RUNTIME_SESSION_SAMPLER_H
#define QUERN_RUNTIME_SESSION_SAMPLER_H

#include "runtime/session/SamplerStages.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace quern::session {

/// What choosing a token fails with where no logit is a number above -infinity.
absl::Status not_numbers();

struct SamplerOptions {
  float temperature = 0.8f;    ///< 0: greedy, the highest logit (the lowest id among equals)
  int top_k = 40;              ///< keep the k highest; 0: all
  float top_p = 0.95f;         ///< keep the fewest whose probability reaches p; 1: all
  float min_p = 0.05f;         ///< drop those below min_p times the highest probability; 0: none
  float repeat_penalty = 1.0f; ///< > 1 makes tokens of the last `repeat_last` less likely; 1: off
  int repeat_last = 64;        ///< how many tokens the three penalties look back; 0: none
  uint64_t seed = 0;
  float frequency_penalty = 0; ///< off each logit, times how often it is in `repeat_last`
  float presence_penalty = 0;  ///< off each logit that is there at all
  float typical_p = 1;         ///< keep the locally typical that make up this much; 1: all
  DryOptions dry = {};         ///< over the whole history
  std::vector<int32_t> dry_breakers = {}; ///< tokens across which DRY sees no repetition
  int mirostat = 0;                       ///< 2: mirostat 2 in place of top-k to min-p; 0: off
  float mirostat_rate = 0.1f;             ///< its learning rate, eta
  float mirostat_entropy = 5;             ///< its target, tau: bits of surprise a token
  std::vector<LogitBias> logit_bias = {}; ///< ids outside the vocabulary are refused
};

/// A chain of stages (SamplerStages.h defines each), in this order: logit bias, penalties, DRY;
/// then the highest logit where the temperature is 0, else top-k, typical, top-p, min-p,
/// temperature and the draw, or with mirostat: temperature, its cut, the draw, and
///   mu -= eta * (surprise of the draw before the cut - tau), mu beginning at 2 tau.
/// The draw uses a generator of our own (SplitMix64 over seed and draw number), so that an answer
/// can be reproduced on any machine. NaN logits are never picked.
class Sampler {
public:
  /// InvalidArgument for options that mean nothing to any model (negative, NaN, top_p of 0 ...),
  /// naming the flag.
  static absl::Status check(const SamplerOptions &options);

  /// Errors: check's, and a bias on an id outside the vocabulary.
  static absl::StatusOr<Sampler> create(const SamplerOptions &options, uint32_t vocab);

  /// `logits` has vocab entries; `history` are the tokens so far, newest last. Allocates nothing.
  /// Error: Internal, where no logit is a number.
  absl::StatusOr<int32_t> sample(std::span<const float> logits, std::span<const int32_t> history);

  /// Whether it takes the highest logit as it is, the lowest id among equals.
  bool is_greedy() const { return options_.temperature == 0 && !changes_logits(); }

private:
  Sampler(const SamplerOptions &options, uint32_t vocab);
  bool changes_logits() const;
  bool takes_nucleus() const;
  void change_logits(std::span<const int32_t> history);
  void take(std::span<const float> logits, std::span<const int32_t> history);
  int32_t draw();
  double next_uniform();

  SamplerOptions options_;
  stages::Candidates candidates_;
  std::vector<double> scratch_;
  stages::Tally tally_;
  std::vector<uint8_t> breaks_; ///< a token: whether DRY stops at it; empty without DRY
  double mu_;                   ///< mirostat's limit of surprise, in bits
  uint64_t draws_ = 0;
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_SAMPLER_H
