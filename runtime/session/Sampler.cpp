#include "runtime/session/Sampler.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::session {
namespace {

absl::Status not_numbers() {
  return absl::InternalError("the model's logits are not numbers: nothing can be sampled");
}

} // namespace

absl::StatusOr<Sampler> Sampler::create(const SamplerOptions &options, uint32_t vocab) {
  auto refuse = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    return refuse("--temp ", options.temperature,
                  " is not a temperature\nhint: 0 (greedy) or above");
  if (options.top_k < 0)
    return refuse("--top-k ", options.top_k, " is negative\nhint: 0 keeps all");
  if (!(options.top_p > 0 && options.top_p <= 1))
    return refuse("--top-p ", options.top_p, " is not in (0, 1]\nhint: 1 keeps all");
  if (!(options.min_p >= 0 && options.min_p <= 1))
    return refuse("--min-p ", options.min_p, " is not in [0, 1]\nhint: 0 keeps all");
  if (!(options.repeat_penalty > 0) || std::isinf(options.repeat_penalty))
    return refuse("--repeat-penalty ", options.repeat_penalty, " is not above 0\nhint: 1 is off");
  if (options.repeat_last < 0)
    return refuse("a negative number of tokens to penalize: ", options.repeat_last);
  return Sampler(options, vocab);
}

Sampler::Sampler(const SamplerOptions &options, uint32_t vocab)
    : options_(options), weights_(vocab), seen_(vocab) {
  candidates_.reserve(vocab);
}

// SplitMix64 (Steele, Lea, Flood 2014) of the seed and the number of the draw: uniform in [0, 1).
double Sampler::next_uniform() {
  uint64_t z = options_.seed + ++draws_ * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

// Divides positive and multiplies negative logits of recent tokens (Keskar et al. 2019, CTRL).
void Sampler::penalize(std::span<const int32_t> history) {
  const size_t recent = std::min<size_t>(history.size(), options_.repeat_last);
  const auto last = history.last(recent);
  for (int32_t token : last)
    if (token >= 0 && static_cast<size_t>(token) < seen_.size())
      seen_[token] = 1;
  for (Candidate &candidate : candidates_)
    if (seen_[candidate.token])
      candidate.logit = candidate.logit > 0 ? candidate.logit / options_.repeat_penalty
                                            : candidate.logit * options_.repeat_penalty;
  for (int32_t token : last)
    if (token >= 0 && static_cast<size_t>(token) < seen_.size())
      seen_[token] = 0;
}

// The k highest, in descending order; the lower id first among equals, so that order is total.
void Sampler::keep_top(size_t k) {
  auto higher = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  if (k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<int64_t>(k),
                     candidates_.end(), higher);
    candidates_.resize(k);
  }
  std::sort(candidates_.begin(), candidates_.end(), higher);
}

absl::StatusOr<int32_t> Sampler::sample(std::span<const float> logits,
                                        std::span<const int32_t> history) {
  candidates_.clear();
  const size_t vocab = std::min(logits.size(), seen_.size());
  if (options_.temperature == 0 && options_.repeat_penalty == 1) {
    // One pass, the usual case of tests and benchmarks. Comparisons with NaN are false.
    size_t best = vocab;
    for (size_t i = 0; i < vocab; ++i)
      if (logits[i] > (best == vocab ? -std::numeric_limits<float>::infinity() : logits[best]))
        best = i;
    if (best == vocab)
      return not_numbers();
    return static_cast<int32_t>(best);
  }
  for (size_t i = 0; i < vocab; ++i)
    if (!std::isnan(logits[i]))
      candidates_.push_back({logits[i], static_cast<int32_t>(i)});
  if (options_.repeat_penalty != 1 && options_.repeat_last > 0)
    penalize(history);
  const auto best =
      std::max_element(candidates_.begin(), candidates_.end(),
                       [](const Candidate &a, const Candidate &b) { return a.logit < b.logit; });
  if (best == candidates_.end() || std::isinf(best->logit)) {
    // All NaN, all -inf, or a +inf that leaves no probability to anything else.
    if (best != candidates_.end() && best->logit > 0)
      return best->token;
    return not_numbers();
  }
  if (options_.temperature == 0)
    return best->token;
  const float highest = best->logit;

  // Sorting a whole vocabulary costs milliseconds: only where top-k does not cut it short.
  keep_top(options_.top_k > 0 ? static_cast<size_t>(options_.top_k) : candidates_.size());
  double total = 0;
  for (size_t i = 0; i < candidates_.size(); ++i)
    total += weights_[i] = std::exp(static_cast<double>(candidates_[i].logit) - highest);
  size_t kept = candidates_.size();
  if (options_.top_p < 1) {
    double sum = 0;
    for (kept = 0; kept < candidates_.size() && sum < options_.top_p * total; ++kept)
      sum += weights_[kept];
  }
  while (kept > 1 &&
         weights_[kept - 1] < options_.min_p) // relative to the highest, whose weight is 1
    --kept;

  total = 0;
  for (size_t i = 0; i < kept; ++i)
    total += weights_[i] =
        std::exp((static_cast<double>(candidates_[i].logit) - highest) / options_.temperature);
  double point = next_uniform() * total;
  for (size_t i = 0; i + 1 < kept; ++i) {
    point -= weights_[i];
    if (point < 0)
      return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}

} // namespace quern::session
