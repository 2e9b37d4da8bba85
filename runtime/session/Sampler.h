// Picks the next token from a row of logits.
#pragma once

#include "absl/status/statusor.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern::session {

struct SamplerOptions {
  float temperature = 0.8f;    // 0: greedy, the highest logit (the lowest id among equals)
  int top_k = 40;              // keep the k highest; 0: all
  float top_p = 0.95f;         // keep the fewest whose probability reaches p; 1: all
  float min_p = 0.05f;         // drop those below min_p times the highest probability; 0: none
  float repeat_penalty = 1.0f; // > 1 makes tokens of the last `repeat_last` less likely; 1: off
  int repeat_last = 64;
  uint64_t seed = 0;
};

// Applied in this order: repeat penalty, top-k, top-p, min-p, temperature, draw. The draw uses a
// generator of our own (SplitMix64 over seed and draw number), so that an answer can be reproduced
// on any machine. NaN logits are never picked.
class Sampler {
public:
  // InvalidArgument for options that mean nothing (negative, NaN, top_p of 0 ...), naming the flag.
  static absl::StatusOr<Sampler> create(const SamplerOptions &options, uint32_t vocab);

  // `logits` has vocab entries; `history` are the tokens so far, newest last. Allocates nothing.
  // Error: Internal, where no logit is a number.
  absl::StatusOr<int32_t> sample(std::span<const float> logits, std::span<const int32_t> history);

private:
  struct Candidate {
    float logit;
    int32_t token;
  };
  Sampler(const SamplerOptions &options, uint32_t vocab);
  void penalize(std::span<const int32_t> history);
  void keep_top(size_t k);
  double next_uniform();

  SamplerOptions options_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
  std::vector<uint8_t> seen_; // a token: already penalized in this call
  uint64_t draws_ = 0;
};

} // namespace quern::session
