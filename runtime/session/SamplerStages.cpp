#include "runtime/session/SamplerStages.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

namespace quern::session::stages {
namespace {

bool known(const Tally &tally, int32_t token) {
  return token >= 0 && static_cast<size_t>(token) < tally.size();
}

void clear(Tally &tally, std::span<const int32_t> tokens) {
  for (int32_t token : tokens)
    if (known(tally, token))
      tally[token] = 0;
}

// By rank; the lower id first among equals.
bool before(const Candidate &a, const Candidate &b) {
  return a.rank != b.rank ? a.rank > b.rank : a.token < b.token;
}

void rank_by_logit(Candidates &candidates) {
  for (Candidate &candidate : candidates)
    candidate.rank = candidate.logit;
}

double weight(const Candidate &candidate, float highest) {
  return std::exp(static_cast<double>(candidate.logit) - highest);
}

// Writes the weights e^(logit - highest), which are p times the sum that is returned.
double weigh(const Candidates &candidates, std::span<double> weights) {
  const float highest = candidates.front().logit;
  double total = 0;
  for (size_t i = 0; i < candidates.size(); ++i)
    total += weights[i] = weight(candidates[i], highest);
  return total;
}

// The length of the run that ends before `end` and equals the one that ends `history`.
uint32_t repetition(std::span<const int32_t> history, size_t end, uint32_t limit) {
  uint32_t length = 0;
  while (length < limit && length < end &&
         history[end - 1 - length] == history[history.size() - 1 - length])
    ++length;
  return length;
}

// Logits of which the highest is looked at first.
constexpr size_t kBlock = 64;

float highest_of(std::span<const float> logits) {
  constexpr size_t kLanes = 16; // independent, so that the compiler may take them side by side
  float most[kLanes];
  std::fill_n(most, kLanes, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) // a NaN is not above anything
      most[lane] = logits[i + lane] > most[lane] ? logits[i + lane] : most[lane];
  for (; i < logits.size(); ++i)
    most[0] = logits[i] > most[0] ? logits[i] : most[0];
  return *std::max_element(most, most + kLanes);
}

} // namespace

void take_all(std::span<const float> logits, Candidates &candidates) {
  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]))
      candidates.push_back({logits[i], static_cast<int32_t>(i), 0});
}

void take_likeliest(std::span<const float> logits, size_t k, Candidates &candidates,
                    std::span<double> scratch) {
  const size_t blocks = (logits.size() + kBlock - 1) / kBlock;
  if (blocks <= k) {
    take_all(logits, candidates);
    return keep_top_k(candidates, k);
  }
  auto block = [&](size_t b) {
    return logits.subspan(b * kBlock, std::min(kBlock, logits.size() - b * kBlock));
  };
  const std::span<double> highest = scratch.first(blocks), ranked = scratch.subspan(blocks, blocks);
  for (size_t b = 0; b < blocks; ++b)
    ranked[b] = highest[b] = highest_of(block(b));
  // k blocks have a logit that is not below the k-th highest of them: so have all k likeliest.
  std::nth_element(ranked.begin(), ranked.begin() + static_cast<int64_t>(k - 1), ranked.end(),
                   std::greater<>());
  const double least = ranked[k - 1];
  candidates.clear();
  for (size_t b = 0; b < blocks; ++b)
    if (highest[b] >= least)
      for (size_t i = 0; i < block(b).size(); ++i)
        if (block(b)[i] >= least) // so it is a number
          candidates.push_back({block(b)[i], static_cast<int32_t>(b * kBlock + i), 0});
  keep_top_k(candidates, k);
}

void take_nucleus(std::span<const float> logits, double mass, Candidates &candidates,
                  std::span<double> scratch) {
  const float highest = highest_of(logits);
  if (std::isinf(highest)) // which leaves no probability to anything else, or is all there is
    return take_likeliest(logits, 1, candidates, scratch);
  double total = 0;
  for (float logit : logits)
    if (!std::isnan(logit))
      total += weight({logit, 0, 0}, highest);
  for (size_t k = kBlock;; k *= 4) {
    take_likeliest(logits, k, candidates, scratch);
    size_t kept = 0;
    double sum = 0;
    for (; kept < candidates.size() && sum < mass * total; ++kept)
      sum += weight(candidates[kept], highest);
    if (sum >= mass * total || candidates.size() < k)
      return candidates.resize(kept);
  }
}

void add_bias(Candidates &candidates, std::span<const LogitBias> bias) {
  for (const LogitBias &entry : bias) {
    // Candidates are in the order of their ids still.
    const auto at =
        std::lower_bound(candidates.begin(), candidates.end(), entry.token,
                         [](const Candidate &a, int32_t token) { return a.token < token; });
    if (at != candidates.end() && at->token == entry.token)
      at->logit = std::isinf(entry.bias) ? entry.bias : at->logit + entry.bias;
  }
}

void penalize(Candidates &candidates, std::span<const int32_t> recent, const Penalties &penalties,
              Tally &tally) {
  for (int32_t token : recent)
    if (known(tally, token))
      ++tally[token];
  for (Candidate &candidate : candidates) {
    const uint32_t count = tally[candidate.token];
    if (count == 0)
      continue;
    float &logit = candidate.logit;
    logit = logit > 0 ? logit / penalties.repeat : logit * penalties.repeat;
    logit -= static_cast<float>(count) * penalties.frequency + penalties.presence;
  }
  clear(tally, recent);
}

void dont_repeat(Candidates &candidates, std::span<const int32_t> history,
                 const DryOptions &options, std::span<const uint8_t> breaks, Tally &tally) {
  uint32_t limit = 0; // what ends the history without a break
  while (limit < kLongestRepetition && limit < history.size()) {
    const int32_t token = history[history.size() - 1 - limit];
    if (token >= 0 && static_cast<size_t>(token) < breaks.size() && breaks[token])
      break;
    ++limit;
  }
  const auto allowed = static_cast<uint32_t>(options.allowed_length);
  if (limit < allowed)
    return;
  bool any = false;
  for (size_t next = 1; next < history.size(); ++next) {
    if (!known(tally, history[next]))
      continue;
    const uint32_t length = repetition(history, next, limit);
    if (length == 0 || length < allowed)
      continue;
    tally[history[next]] = std::max(tally[history[next]], length);
    any = true;
  }
  if (!any)
    return;
  for (Candidate &candidate : candidates) {
    const uint32_t length = tally[candidate.token];
    if (length == 0)
      continue;
    // Finite: what is unlikely beyond measure can still be chosen where there is nothing else.
    const double penalty = options.multiplier * std::pow(options.base, length - allowed);
    candidate.logit -= static_cast<float>(std::min(penalty, 1e30));
  }
  clear(tally, history);
}

void keep_top_k(Candidates &candidates, size_t k) {
  rank_by_logit(candidates);
  if (k > 0 && k < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<int64_t>(k),
                     candidates.end(), before);
    candidates.resize(k);
  }
  std::sort(candidates.begin(), candidates.end(), before);
}

void keep_typical(Candidates &candidates, double mass, std::span<double> scratch) {
  const float highest = candidates.front().logit;
  const double total = weigh(candidates, scratch);
  double entropy = 0;
  for (size_t i = 0; i < candidates.size(); ++i)
    if (const double p = scratch[i] / total; p > 0)
      entropy -= p * std::log(p);
  for (Candidate &candidate : candidates) {
    const double information = std::log(total) - (static_cast<double>(candidate.logit) - highest);
    candidate.rank = static_cast<float>(-std::abs(information - entropy));
  }
  std::sort(candidates.begin(), candidates.end(), before);
  size_t kept = 0;
  for (double sum = 0; kept < candidates.size() && sum < mass * total; ++kept)
    sum += weight(candidates[kept], highest);
  candidates.resize(kept);
  keep_top_k(candidates, 0);
}

void keep_top_p(Candidates &candidates, double mass, std::span<double> scratch) {
  const double total = weigh(candidates, scratch);
  size_t kept = 0;
  for (double sum = 0; kept < candidates.size() && sum < mass * total; ++kept)
    sum += scratch[kept];
  candidates.resize(kept);
}

void keep_min_p(Candidates &candidates, double ratio) {
  while (candidates.size() > 1 && weight(candidates.back(), candidates.front().logit) < ratio)
    candidates.pop_back();
}

void divide_by_temperature(Candidates &candidates, float temperature) {
  // From the highest down, so that no temperature makes the highest infinite.
  const float highest = candidates.front().logit;
  for (Candidate &candidate : candidates)
    candidate.logit = (candidate.logit - highest) / temperature;
}

double surprise(const Candidate &candidate, float highest, double total) {
  const double below = static_cast<double>(candidate.logit) - highest;
  return (std::log(total) - below) / std::numbers::ln2;
}

double keep_below_surprise(Candidates &candidates, double mu) {
  const float highest = candidates.front().logit;
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += weight(candidate, highest);
  while (candidates.size() > 1 && surprise(candidates.back(), highest, total) > mu)
    candidates.pop_back();
  return total;
}

const Candidate &draw(const Candidates &candidates, double point, std::span<double> scratch) {
  point *= weigh(candidates, scratch);
  for (size_t i = 0; i + 1 < candidates.size(); ++i) {
    point -= scratch[i];
    if (point < 0)
      return candidates[i];
  }
  return candidates.back();
}

} // namespace quern::session::stages
