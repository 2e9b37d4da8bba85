#include "runtime/cli/Generation.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace quern::cli {

std::vector<Flag> SamplingFlags::flags() {
  return {
      {"--temp", "T", "temperature; 0 is greedy (default 0.8)", &options.temperature},
      {"--top-k", "K", "keep the K likeliest; 0: all (default 40)", &options.top_k},
      {"--top-p", "P", "keep the likeliest that make up P (default 0.95)", &options.top_p},
      {"--min-p", "P", "drop what is below P times the likeliest (default 0.05)", &options.min_p},
      {"--repeat-penalty", "R", "above 1: make recent tokens less likely (default 1)",
       &options.repeat_penalty},
      {"--seed", "N", "makes an answer reproducible (default: a new one each time)", &seed},
  };
}

absl::StatusOr<session::Sampler> SamplingFlags::make_sampler(uint32_t vocab) {
  std::random_device random;
  options.seed = seed ? *seed : uint64_t{random()} << 32 | random();
  return session::Sampler::create(options, vocab);
}

absl::StatusOr<Generated> generate(session::Engine &engine, session::SlotId slot,
                                   session::Sampler &sampler, std::span<const int32_t> prompt,
                                   const GenerateOptions &options,
                                   const std::function<bool(int32_t)> &on_token) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<float> logits(engine.vocab());
  auto feed = [&](std::span<const int32_t> tokens, session::Rows rows) {
    const session::SequenceStep step{slot, tokens, rows};
    return engine.step(std::span(&step, 1), logits);
  };

  Generated generated;
  const auto start = Clock::now();
  if (absl::Status status = feed(prompt, session::Rows::last); !status.ok())
    return status;
  generated.prefill_seconds = since(start);
  // The last token of a full context has no position left, but is known.
  const uint64_t limit = std::min(options.max_tokens, engine.ctx() - engine.length(slot) + 1);
  generated.tokens.reserve(limit);
  const auto decode_start = Clock::now();
  while (generated.tokens.size() < limit) {
    absl::StatusOr<int32_t> token = sampler.sample(logits, engine.tokens(slot));
    if (!token.ok())
      return token.status();
    if (generated.tokens.empty())
      generated.first_token_seconds = since(start);
    if (options.tokenizer && options.tokenizer->is_end(*token)) {
      generated.stopped = true;
      break;
    }
    generated.tokens.push_back(*token);
    if (!on_token(*token)) {
      generated.stopped = true;
      break;
    }
    if (generated.tokens.size() == limit)
      break;
    if (absl::Status status = feed(std::span(&*token, 1), session::Rows::last); !status.ok())
      return status;
    ++generated.decode_steps;
  }
  generated.decode_seconds = since(decode_start);

  // Every token but the last was fed when the next one was asked for.
  const bool pending = generated.decode_steps < generated.tokens.size();
  if (options.feed_last && pending && engine.length(slot) < engine.ctx())
    if (absl::Status status = feed(std::span(generated.tokens).last(1), session::Rows::none);
        !status.ok())
      return status;
  return generated;
}

} // namespace quern::cli
