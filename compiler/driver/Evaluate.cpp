#include "compiler/driver/Evaluate.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::driver {
namespace {

// Logits that are held at a time, of one model.
constexpr uint64_t kBufferBytes = 64 << 20;

// log(sum(exp(x))).
double log_sum(std::span<const float> logits) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float x : logits)
    sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum);
}

size_t likeliest(std::span<const float> logits) {
  return static_cast<size_t>(std::ranges::max_element(logits) - logits.begin());
}

// A model with one sequence, fed a piece at a time.
struct Reader {
  session::Engine *engine;
  session::SlotId slot;
  std::vector<float> logits;

  absl::Status feed(std::span<const int32_t> tokens) {
    logits.resize(tokens.size() * engine->vocab());
    const session::SequenceStep step{slot, tokens, session::Rows::all};
    return engine->step({&step, 1}, logits);
  }
  std::span<const float> row(size_t i) const {
    return std::span(logits).subspan(i * engine->vocab(), engine->vocab());
  }
};

absl::StatusOr<Reader> reader(session::Engine &engine) {
  auto slot = engine.create_slot();
  if (!slot.ok())
    return slot.status();
  return Reader{&engine, *slot, {}};
}

absl::Status not_numbers(const std::string &path, size_t position) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": the logits at position ", position,
      " of a window are not numbers, and there is no perplexity\nhint: quern-run verify -m ", path,
      " says what was known when it was compiled"));
}

absl::Status score_window(std::span<const int32_t> window, size_t first_scored,
                          std::vector<Reader> &readers, Evaluation &evaluation) {
  const session::Engine &engine = *readers[0].engine;
  const uint64_t piece =
      std::clamp<uint64_t>(kBufferBytes / (engine.vocab() * sizeof(float)), 1, engine.max_tokens());
  for (Reader &r : readers)
    if (absl::Status status = r.engine->truncate(r.slot, 0); !status.ok())
      return status;
  for (size_t at = 0; at < window.size(); at += piece) {
    const auto tokens = window.subspan(at, std::min<size_t>(piece, window.size() - at));
    for (Reader &r : readers)
      if (absl::Status status = r.feed(tokens); !status.ok())
        return status;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const size_t next = at + i + 1;
      if (next < first_scored || next >= window.size())
        continue;
      score(readers[0].row(i), readers.size() > 1 ? readers[1].row(i) : std::span<const float>(),
            window[next], evaluation);
      if (std::isnan(evaluation.nats) || std::isnan(evaluation.reference_nats))
        return not_numbers(readers[std::isnan(evaluation.nats) ? 0 : 1].engine->artifact().path(),
                           at + i);
    }
  }
  return absl::OkStatus();
}

} // namespace

double Evaluation::perplexity() const {
  return std::exp(nats / static_cast<double>(std::max<uint64_t>(1, tokens)));
}
double Evaluation::reference_perplexity() const {
  return std::exp(reference_nats / static_cast<double>(std::max<uint64_t>(1, tokens)));
}
double Evaluation::mean_kl() const {
  return std::accumulate(kl.begin(), kl.end(), 0.0) /
         static_cast<double>(std::max<size_t>(1, kl.size()));
}
double Evaluation::max_kl() const { return kl.empty() ? 0 : *std::ranges::max_element(kl); }
double Evaluation::kl_quantile(double share) const {
  if (kl.empty())
    return 0;
  std::vector<double> sorted = kl;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(kl.size())));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(1, rank) - 1);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

void score(std::span<const float> logits, std::span<const float> reference, int32_t next,
           Evaluation &evaluation) {
  const auto token = static_cast<size_t>(next);
  const double sum = log_sum(logits);
  ++evaluation.tokens;
  evaluation.nats += sum - static_cast<double>(logits[token]);
  if (reference.empty())
    return;
  const double reference_sum = log_sum(reference);
  evaluation.reference_nats += reference_sum - static_cast<double>(reference[token]);
  evaluation.top1_equal += likeliest(logits) == likeliest(reference);
  double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double p = static_cast<double>(reference[i]) - reference_sum;
    const double q = static_cast<double>(logits[i]) - sum;
    kl += std::exp(p) * (p - q);
  }
  evaluation.kl.push_back(std::max(0.0, kl)); // rounding may take it below zero
}

absl::StatusOr<Evaluation> evaluate(session::Engine &engine, session::Engine *reference,
                                    std::span<const int32_t> tokens,
                                    std::span<const int32_t> prefix, uint64_t window) {
  if (window < prefix.size() + 2)
    return absl::InvalidArgumentError(
        absl::StrCat("a window of ", window, " tokens has nothing to predict\nhint: ",
                     prefix.size() + 2 <= engine.manifest().context()
                         ? absl::StrCat("-c ", prefix.size() + 2, " or more")
                         : absl::StrCat("compile the model with a longer -c: it has ",
                                        engine.manifest().context(), " positions")));
  std::vector<Reader> readers;
  for (session::Engine *e : {&engine, reference}) {
    if (!e)
      continue;
    auto r = reader(*e);
    if (!r.ok())
      return r.status();
    readers.push_back(*std::move(r));
  }
  Evaluation evaluation;
  std::vector<int32_t> buffer;
  for (size_t at = 0; at < tokens.size();) {
    const size_t take = std::min<size_t>(window - prefix.size(), tokens.size() - at);
    buffer.assign(prefix.begin(), prefix.end());
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(at);
    buffer.insert(buffer.end(), begin, begin + static_cast<std::ptrdiff_t>(take));
    if (absl::Status status =
            score_window(buffer, std::max<size_t>(1, prefix.size()), readers, evaluation);
        !status.ok())
      return status;
    at += take;
  }
  return evaluation;
}

} // namespace quern::driver
