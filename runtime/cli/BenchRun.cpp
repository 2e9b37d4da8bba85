#include "runtime/cli/BenchRun.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace quern::cli {
namespace {

using artifact::items;
using session::Rows;
using session::SequenceStep;
using session::SlotId;

struct Repetition {
  double seconds = 0;
  double first_seconds = 0;
};

class Bench {
public:
  Bench(session::Engine &engine, const BenchTest &test)
      : engine_(engine), test_(test), logits_(test.batch * engine.vocab()) {
    std::mt19937 random(1);
    std::uniform_int_distribution<int32_t> token(0, static_cast<int32_t>(engine.vocab()) - 1);
    tokens_.resize(test.depth + test.tokens);
    for (int32_t &t : tokens_)
      t = token(random);
  }
  ~Bench() {
    free_all(slots_);
    free_all(history_);
  }

  // The sequences that repetitions start from, with `depth` tokens each.
  absl::Status prepare() {
    if (test_.depth == 0)
      return absl::OkStatus();
    for (uint64_t b = 0; b < test_.batch; ++b) {
      auto slot = engine_.create_slot();
      if (!slot.ok())
        return slot.status();
      history_.push_back(*slot);
    }
    return feed(history_, 0, test_.depth, Rows::none);
  }

  absl::StatusOr<Repetition> repeat() {
    for (uint64_t b = 0; b < test_.batch; ++b) {
      auto slot = test_.depth == 0 ? engine_.create_slot() : engine_.fork(history_[b]);
      if (!slot.ok())
        return slot.status();
      slots_.push_back(*slot);
    }
    using Clock = std::chrono::steady_clock;
    auto since = [](Clock::time_point start) {
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
    Repetition result;
    const uint64_t piece = test_.prefill ? test_.tokens : 1;
    const auto start = Clock::now();
    for (uint64_t done = 0; done < test_.tokens; done += piece) {
      if (absl::Status status = feed(slots_, test_.depth + done, piece, Rows::last); !status.ok())
        return status;
      if (done == 0)
        result.first_seconds = since(start);
    }
    result.seconds = since(start);
    free_all(slots_);
    return result;
  }

  // Bytes of weights and state that one repetition moves: each device step reads its weights once,
  // and of each of its sequences the kv so far; it writes the new kv, and reads and writes the
  // fixed state.
  double bytes() const {
    const uint64_t max_tokens = engine_.max_tokens(), max_seqs = engine_.max_seqs();
    const uint64_t piece = test_.prefill ? test_.tokens : 1;
    double total = 0;
    for (uint64_t done = 0; done < test_.tokens; done += piece) {
      // Engine::step packs the batch's tokens densely; a sequence is cut at most once a device
      // step.
      const uint64_t in_step = std::min(max_tokens, piece * std::min(test_.batch, max_seqs));
      const double steps = std::ceil(static_cast<double>(piece * test_.batch) / in_step);
      const auto seqs = static_cast<uint32_t>(std::min({test_.batch, max_seqs, in_step}));
      total += steps * weight_bytes(static_cast<uint32_t>(in_step), seqs);
      for (uint64_t p = 0; p < piece; p += std::min(piece, max_tokens))
        total += static_cast<double>(test_.batch) *
                 state_bytes(test_.depth + done + p, std::min(piece, max_tokens));
    }
    return total;
  }

private:
  absl::Status feed(std::span<const SlotId> slots, uint64_t begin, uint64_t count, Rows rows) {
    batch_.clear();
    for (SlotId slot : slots)
      batch_.push_back({slot, std::span(tokens_).subspan(begin, count), rows});
    return engine_.step(batch_, logits_);
  }

  void free_all(std::vector<SlotId> &slots) {
    for (SlotId slot : slots)
      (void)engine_.free_slot(slot);
    slots.clear();
  }

  double weight_bytes(uint32_t num_tokens, uint32_t num_seqs) const {
    double bytes = 0;
    for (const artifact::Dispatch *dispatch :
         items(engine_.bucket(num_tokens, num_seqs).dispatches()))
      bytes += static_cast<double>(dispatch->weight_bytes());
    return bytes;
  }

  // One sequence's, in a step that adds `count` positions after `position`.
  double state_bytes(uint64_t position, uint64_t count) const {
    double bytes = 2.0 * static_cast<double>(engine_.manifest().slot_bytes());
    for (const artifact::KvGroup *group : items(engine_.manifest().kv_groups())) {
      const uint64_t kept =
          group->window() == 0 ? position : std::min<uint64_t>(position, group->window());
      bytes += static_cast<double>(kept + count) * static_cast<double>(group->page_bytes()) /
               QUERN_KV_PAGE;
    }
    return bytes;
  }

  session::Engine &engine_;
  BenchTest test_;
  std::vector<float> logits_;
  std::vector<int32_t> tokens_;
  std::vector<SlotId> history_, slots_;
  std::vector<SequenceStep> batch_;
};

} // namespace

std::string BenchTest::name() const { return absl::StrCat(prefill ? "pp" : "tg", tokens); }

absl::StatusOr<BenchRow> run_bench(session::Engine &engine, const BenchTest &test,
                                   uint64_t repetitions, const Bounds &bounds) {
  Bench bench(engine, test);
  if (absl::Status status = bench.prepare(); !status.ok())
    return status;
  if (auto warm = bench.repeat(); !warm.ok())
    return warm.status();
  const auto tokens = static_cast<double>(test.tokens * test.batch);
  double sum = 0, squares = 0, first = 0;
  for (uint64_t i = 0; i < repetitions; ++i) {
    auto repetition = bench.repeat();
    if (!repetition.ok())
      return repetition.status();
    const double rate = tokens / repetition->seconds;
    sum += rate;
    squares += rate * rate;
    first += repetition->first_seconds;
  }
  const auto n = static_cast<double>(repetitions);
  BenchRow row;
  row.test = test;
  row.tokens_per_s = sum / n;
  row.stddev = repetitions > 1 ? std::sqrt(std::max(0.0, (squares - sum * sum / n) / (n - 1))) : 0;
  row.first_token_seconds = first / n;
  row.bytes_per_token = bench.bytes() / tokens;
  if (bounds.read_bytes_per_s > 0)
    row.mbu = row.tokens_per_s * row.bytes_per_token / bounds.read_bytes_per_s;
  if (bounds.ops_per_s > 0)
    row.mfu = row.tokens_per_s * static_cast<double>(engine.manifest().flops_per_token()) /
              bounds.ops_per_s;
  return row;
}

} // namespace quern::cli
