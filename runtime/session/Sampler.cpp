#include "runtime/session/Sampler.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::session {
namespace {

// Times any count it is finite: what is added to a logit that is a number is one.
constexpr float kLargestPenalty = 1e6f;

template <typename... What> absl::Status refuse(const What &...what) {
  return absl::InvalidArgumentError(absl::StrCat(what...));
}

} // namespace

absl::Status not_numbers() {
  return absl::InternalError("the model's logits are not numbers: nothing can be sampled");
}

absl::Status Sampler::check(const SamplerOptions &options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    return refuse("--temp ", options.temperature,
                  " is not a temperature\nhint: 0 (greedy) or above");
  if (options.top_k < 0)
    return refuse("--top-k ", options.top_k, " is negative\nhint: 0 keeps all");
  if (!(options.top_p > 0 && options.top_p <= 1))
    return refuse("--top-p ", options.top_p, " is not in (0, 1]\nhint: 1 keeps all");
  if (!(options.min_p >= 0 && options.min_p <= 1))
    return refuse("--min-p ", options.min_p, " is not in [0, 1]\nhint: 0 keeps all");
  if (!(options.typical_p > 0 && options.typical_p <= 1))
    return refuse("--typical ", options.typical_p, " is not in (0, 1]\nhint: 1 keeps all");
  if (!(options.repeat_penalty > 0) || std::isinf(options.repeat_penalty))
    return refuse("--repeat-penalty ", options.repeat_penalty, " is not above 0\nhint: 1 is off");
  if (options.repeat_last < 0)
    return refuse("--repeat-last-n ", options.repeat_last, " is negative\nhint: 0 is none");
  if (!(std::abs(options.frequency_penalty) <= kLargestPenalty))
    return refuse("--frequency-penalty ", options.frequency_penalty,
                  " is no penalty\nhint: 0 is off, 1 is much");
  if (!(std::abs(options.presence_penalty) <= kLargestPenalty))
    return refuse("--presence-penalty ", options.presence_penalty,
                  " is no penalty\nhint: 0 is off, 1 is much");
  if (!(options.dry.multiplier >= 0) || std::isinf(options.dry.multiplier))
    return refuse("--dry-multiplier ", options.dry.multiplier, " is negative\nhint: 0 is off");
  if (!(options.dry.base >= 1) || std::isinf(options.dry.base))
    return refuse("--dry-base ", options.dry.base, " is below 1\nhint: 1.75 is usual");
  if (options.dry.allowed_length < 0)
    return refuse("--dry-allowed-length ", options.dry.allowed_length,
                  " is negative\nhint: 2 is usual");
  if (options.mirostat != 0 && options.mirostat != 2)
    return refuse("--mirostat ", options.mirostat, " is not known\nhint: 2, or 0 for none");
  if (!(options.mirostat_rate >= 0 && options.mirostat_rate <= 1))
    return refuse("--mirostat-lr ", options.mirostat_rate, " is not in [0, 1]\nhint: 0.1 is usual");
  if (!(options.mirostat_entropy >= 0) || std::isinf(options.mirostat_entropy))
    return refuse("--mirostat-ent ", options.mirostat_entropy, " is negative\nhint: 5 is usual");
  for (const LogitBias &bias : options.logit_bias)
    if (std::isnan(bias.bias) || bias.bias == std::numeric_limits<float>::infinity())
      return refuse("--logit-bias ", bias.token, "=", bias.bias,
                    ": not a bias\nhint: a number, or -inf to ban the token");
  return absl::OkStatus();
}

absl::StatusOr<Sampler> Sampler::create(const SamplerOptions &options, uint32_t vocab) {
  if (absl::Status status = check(options); !status.ok())
    return status;
  for (const LogitBias &bias : options.logit_bias)
    if (bias.token < 0 || static_cast<uint32_t>(bias.token) >= vocab)
      return refuse("--logit-bias ", bias.token, "=", bias.bias,
                    ": no such token\nhint: ids are 0 to ", int64_t{vocab} - 1);
  return Sampler(options, vocab);
}

Sampler::Sampler(const SamplerOptions &options, uint32_t vocab)
    : options_(options), scratch_(vocab), tally_(vocab), mu_(2.0 * options.mirostat_entropy) {
  candidates_.reserve(vocab);
  if (options.dry.multiplier > 0) {
    breaks_.resize(vocab);
    for (int32_t token : options.dry_breakers)
      if (token >= 0 && static_cast<uint32_t>(token) < vocab)
        breaks_[token] = 1;
  }
}

// SplitMix64 (Steele, Lea, Flood 2014) of the seed and the number of the draw: uniform in [0, 1).
double Sampler::next_uniform() {
  uint64_t z = options_.seed + ++draws_ * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

bool Sampler::changes_logits() const {
  return !options_.logit_bias.empty() || options_.repeat_penalty != 1 ||
         options_.frequency_penalty != 0 || options_.presence_penalty != 0 ||
         options_.dry.multiplier != 0;
}

void Sampler::change_logits(std::span<const int32_t> history) {
  stages::add_bias(candidates_, options_.logit_bias);
  const Penalties penalties{options_.repeat_penalty, options_.frequency_penalty,
                            options_.presence_penalty};
  if (penalties.repeat != 1 || penalties.frequency != 0 || penalties.presence != 0)
    stages::penalize(candidates_,
                     history.last(std::min<size_t>(history.size(), options_.repeat_last)),
                     penalties, tally_);
  if (options_.dry.multiplier != 0)
    stages::dont_repeat(candidates_, history, options_.dry, breaks_, tally_);
}

// Whether top-p is the first to cut, so that it can be carried out on the logits.
bool Sampler::takes_nucleus() const {
  return options_.temperature != 0 && options_.mirostat != 2 && !changes_logits() &&
         options_.top_k == 0 && options_.typical_p == 1 && options_.top_p < 1;
}

// Candidates in descending order, as many as top-k leaves; or top-p, where takes_nucleus.
void Sampler::take(std::span<const float> logits, std::span<const int32_t> history) {
  if (takes_nucleus())
    return stages::take_nucleus(logits, options_.top_p, candidates_, scratch_);
  const size_t k = options_.temperature == 0 ? 1
                   : options_.mirostat == 2  ? 0
                                             : static_cast<size_t>(options_.top_k);
  if (k > 0 && !changes_logits())
    return stages::take_likeliest(logits, k, candidates_, scratch_);
  stages::take_all(logits, candidates_);
  change_logits(history); // where nothing is to be changed, it changes nothing
  stages::keep_top_k(candidates_, k);
}

int32_t Sampler::draw() {
  if (options_.mirostat == 2) {
    stages::divide_by_temperature(candidates_, options_.temperature);
    const float highest = candidates_.front().logit;
    const double total = stages::keep_below_surprise(candidates_, mu_);
    const stages::Candidate &drawn = stages::draw(candidates_, next_uniform(), scratch_);
    mu_ -= options_.mirostat_rate *
           (stages::surprise(drawn, highest, total) - options_.mirostat_entropy);
    return drawn.token;
  }
  if (options_.typical_p < 1)
    stages::keep_typical(candidates_, options_.typical_p, scratch_);
  if (options_.top_p < 1 && !takes_nucleus())
    stages::keep_top_p(candidates_, options_.top_p, scratch_);
  stages::keep_min_p(candidates_, options_.min_p);
  stages::divide_by_temperature(candidates_, options_.temperature);
  return stages::draw(candidates_, next_uniform(), scratch_).token;
}

absl::StatusOr<int32_t> Sampler::sample(std::span<const float> logits,
                                        std::span<const int32_t> history) {
  take(logits.first(std::min(logits.size(), tally_.size())), history);
  if (candidates_.empty())
    return not_numbers();
  const stages::Candidate &best = candidates_.front();
  if (std::isinf(best.logit) && best.logit < 0)
    return not_numbers(); // all -inf
  // A logit of +inf leaves no probability to anything else.
  return options_.temperature == 0 || std::isinf(best.logit) ? best.token : draw();
}

} // namespace quern::session
