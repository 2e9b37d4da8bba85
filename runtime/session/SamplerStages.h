// The stages of a Sampler, each a function on the candidates that are left. A stage either changes
// logits or drops candidates; none looks at another. Candidates hold no NaN. Where no logit is to
// be changed, take_likeliest or take_nucleus makes candidates of a few logits at once: a vocabulary
// of candidates takes a fifth of a small model's step.
//
// Below, p is the softmax of the logits of the candidates that are left when the stage begins.
#ifndef QUERN_RUNTIME_SESSION_SAMPLERSTAGES_H
#define QUERN_RUNTIME_SESSION_SAMPLERSTAGES_H

#include <cstdint>
#include <span>
#include <vector>

namespace quern::session {

struct LogitBias {
  int32_t token;
  float bias; ///< added to the logit; -infinity bans the token
};

struct Penalties {
  float repeat = 1;    ///< R > 0; 1: off
  float frequency = 0; ///< 0: off
  float presence = 0;  ///< 0: off
};

struct DryOptions {
  float multiplier = 0; ///< M >= 0; 0: off
  float base = 1.75f;   ///< B >= 1
  int allowed_length = 2;
};

namespace stages {

struct Candidate {
  float logit;
  int32_t token;
  float rank; ///< what sorting goes by; free for any stage
};
using Candidates = std::vector<Candidate>;

/// A number a token, all 0 between stages: setting and clearing cost what is touched, not a
/// vocabulary.
using Tally = std::vector<uint32_t>;

/// DRY counts a repetition up to this length, which bounds its work a token.
inline constexpr uint32_t kLongestRepetition = 1024;

/// All logits, by their ids.
void take_all(std::span<const float> logits, Candidates &candidates);

/// The same as take_all and keep_top_k. Requires k > 0. `scratch` holds a number a logit.
void take_likeliest(std::span<const float> logits, size_t k, Candidates &candidates,
                    std::span<double> scratch);

/// The same as take_all, keep_top_k of 0 and keep_top_p, but that the sum of all weights is added
/// up by ids.
void take_nucleus(std::span<const float> logits, double mass, Candidates &candidates,
                  std::span<double> scratch);

void add_bias(Candidates &candidates, std::span<const LogitBias> bias);

/// For a token that occurs n > 0 times in `recent`: its logit is divided by R if positive and
/// multiplied by R if not (Keskar et al. 2019, CTRL), then less by n * frequency + presence.
void penalize(Candidates &candidates, std::span<const int32_t> recent, const Penalties &penalties,
              Tally &tally);

/// "Don't repeat yourself": where a token would go on with a repetition of length L, that is, where
/// the last L tokens stand elsewhere in `history` with that token after them, L as large as it can
/// be and at least allowed_length, its logit becomes less by M * B^(L - allowed_length). What is
/// repeated holds no token that `breaks` marks (a flag a token).
void dont_repeat(Candidates &candidates, std::span<const int32_t> history,
                 const DryOptions &options, std::span<const uint8_t> breaks, Tally &tally);

/// The k likeliest, in descending order; the lower id first among equals, so that order is total.
/// k of 0 keeps all. The stages from here to min_p need and keep this order.
void keep_top_k(Candidates &candidates, size_t k);

/// The locally typical (Meister et al. 2022): in ascending order of |-ln p - H|, with H the entropy
/// of p in nats, the fewest whose p adds up to at least `mass`. `scratch` holds a number a
/// candidate.
void keep_typical(Candidates &candidates, double mass, std::span<double> scratch);

/// The nucleus (Holtzman et al. 2020): the fewest of the likeliest whose p adds up to at least
/// `mass`.
void keep_top_p(Candidates &candidates, double mass, std::span<double> scratch);

/// Those with p of at least `ratio` times the highest p (Nguyen et al. 2024).
void keep_min_p(Candidates &candidates, double ratio);

void divide_by_temperature(Candidates &candidates, float temperature);

/// Mirostat 2 (Basu et al. 2021): drops what has a surprise -log2 p above `mu`, but for the
/// likeliest, and returns the sum of weights e^(logit - highest) before the cut, from which
/// surprise() follows.
double keep_below_surprise(Candidates &candidates, double mu);

/// -log2 p of a candidate, where the weights of p add up to `total`.
double surprise(const Candidate &candidate, float highest, double total);

/// The candidate at `point` in [0, 1) of the cumulative p.
const Candidate &draw(const Candidates &candidates, double point, std::span<double> scratch);

} // namespace stages
} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_SAMPLERSTAGES_H
