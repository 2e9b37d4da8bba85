#include "runtime/cli/Generation.h"

#include "runtime/cli/Report.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

namespace quern::cli {
namespace {

absl::StatusOr<std::vector<session::LogitBias>> parse_bias(const std::vector<std::string> &lists) {
  std::vector<session::LogitBias> result;
  for (const std::string &list : lists)
    for (absl::string_view entry : absl::StrSplit(list, ',')) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(entry, absl::MaxSplits('=', 1));
      session::LogitBias bias{};
      if (!absl::SimpleAtoi(parts.first, &bias.token) ||
          !absl::SimpleAtof(parts.second, &bias.bias))
        return absl::InvalidArgumentError(absl::StrCat("--logit-bias ", list,
                                                       " is not a list of biases\n",
                                                       "hint: --logit-bias 15=+2.5,198=-inf"));
      result.push_back(bias);
    }
  return result;
}

std::vector<int32_t> breakers(const text::Tokenizer &tokenizer) {
  std::vector<int32_t> result;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (tokenizer.is_special(id) || tokenizer.is_end(id) ||
        tokenizer.piece(id).find_first_of("\n:\"*") != std::string_view::npos)
      result.push_back(id);
  return result;
}

} // namespace

std::vector<Flag> SamplingFlags::flags() {
  return {
      {"--temp", "T", "temperature; 0 is greedy (default 0.8)", &options.temperature},
      {"--seed", "N", "makes an answer reproducible (default: a new one each time)", &seed},
      // docs/guides/sampling.md says what each does; the help only names them.
      {"--top-k", "K", "", &options.top_k},
      {"--top-p", "P", "", &options.top_p},
      {"--min-p", "P", "", &options.min_p},
      {"--typical", "P", "", &options.typical_p},
      {"--repeat-penalty", "R", "", &options.repeat_penalty},
      {"--repeat-last-n", "N", "", &options.repeat_last},
      {"--frequency-penalty", "F", "", &options.frequency_penalty},
      {"--presence-penalty", "F", "", &options.presence_penalty},
      {"--dry-multiplier", "M", "", &options.dry.multiplier},
      {"--dry-base", "B", "", &options.dry.base},
      {"--dry-allowed-length", "N", "", &options.dry.allowed_length},
      {"--mirostat", "2", "", &options.mirostat},
      {"--mirostat-lr", "ETA", "", &options.mirostat_rate},
      {"--mirostat-ent", "TAU", "", &options.mirostat_entropy},
      {"--logit-bias", "ID=+B,..", "", &logit_bias},
  };
}

absl::Status SamplingFlags::check() {
  std::random_device random;
  options.seed = seed ? *seed : uint64_t{random()} << 32 | random();
  auto bias = parse_bias(logit_bias);
  if (!bias.ok())
    return bias.status();
  options.logit_bias = *std::move(bias);
  return session::Sampler::check(options);
}

absl::StatusOr<session::Sampler> SamplingFlags::make_sampler(uint32_t vocab,
                                                             const text::Tokenizer *tokenizer) {
  if (tokenizer && options.dry.multiplier > 0)
    options.dry_breakers = breakers(*tokenizer);
  return session::Sampler::create(options, vocab);
}

absl::StatusOr<Generated> generate(session::Engine &engine, session::SlotId slot,
                                   session::Sampler &sampler, std::span<const int32_t> prompt,
                                   const GenerateOptions &options, const OnToken &on_token) {
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
  // Refused before anything changes, should it not fit.
  if (absl::Status status = engine.check_room(slot, prompt.size()); !status.ok())
    return status;
  if (options.before_last || engine.checkpoints().per_slot != 0) {
    absl::Status status = engine.checkpoint(slot);
    if (status.ok() && prompt.size() > 1)
      status = feed(prompt.first(prompt.size() - 1), session::Rows::none);
    if (status.ok())
      status = engine.checkpoint(slot);
    if (!status.ok())
      return status;
    if (options.before_last)
      options.before_last();
    prompt = prompt.last(1);
  }
  if (absl::Status status = feed(prompt, session::Rows::last); !status.ok())
    return status;
  generated.prefill_seconds = since(start);
  // The last token of a full context has no position left, but is known.
  const uint64_t limit = std::min(options.max_tokens, engine.ctx() - engine.length(slot) + 1);
  generated.tokens.reserve(limit);
  const auto decode_start = Clock::now();
  // A step may choose the next token itself.
  const bool greedy = sampler.is_greedy() && !options.logits;
  std::optional<int32_t> chosen;
  while (generated.tokens.size() < limit) {
    absl::StatusOr<int32_t> token =
        chosen ? absl::StatusOr<int32_t>(*chosen) : sampler.sample(logits, engine.tokens(slot));
    if (!token.ok())
      return token.status();
    if (generated.tokens.empty())
      generated.first_token_seconds = since(start);
    if (options.tokenizer && options.tokenizer->is_end(*token)) {
      generated.stopped = true;
      break;
    }
    generated.tokens.push_back(*token);
    if (!on_token(*token, logits)) {
      generated.stopped = true;
      break;
    }
    if (generated.tokens.size() == limit)
      break;
    if (greedy) {
      absl::StatusOr<int32_t> next = engine.step_greedy(slot, *token, logits);
      if (!next.ok())
        return next.status();
      chosen = *next;
    } else if (absl::Status status = feed(std::span(&*token, 1), session::Rows::last);
               !status.ok()) {
      return status;
    }
    ++generated.decode_steps;
  }
  generated.decode_seconds = since(decode_start);
  generated.context_full = !generated.stopped && limit < options.max_tokens;

  // Every token but the last was fed when the next one was asked for.
  const bool pending = generated.decode_steps < generated.tokens.size();
  if (options.feed_last && pending && engine.length(slot) < engine.ctx())
    if (absl::Status status = feed(std::span(generated.tokens).last(1), session::Rows::none);
        !status.ok())
      return status;
  return generated;
}

absl::Status explain(const session::Engine &engine, const absl::Status &status) {
  if (status != session::not_numbers())
    return status;
  const artifact::Artifact &artifact = engine.artifact();
  std::string what(status.message());
  if (artifact.proof() && !artifact::items(artifact.proof()->notes()).empty())
    return absl::InternalError(absl::StrCat(
        what, "; when it was compiled, this was noted: ",
        std::string(artifact::text(artifact.proof()->notes()->Get(0))), "\nhint: quern inspect ",
        artifact.path(), " lists all that was noted; mend the model"));
  return absl::InternalError(absl::StrCat(
      what, "\nhint: quern-run verify -m ", artifact.path(),
      " tells a damaged file from numbers that overflow; --quant bf16 --kv f32, when the model is "
      "compiled, have the widest range"));
}

void note_full_context(const session::Engine &engine) {
  say(absl::StrCat("note: the answer ends here: the context of ", engine.ctx(),
                   " positions is full"));
}

} // namespace quern::cli
