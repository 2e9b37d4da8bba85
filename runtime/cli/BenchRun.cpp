#include "runtime/cli/BenchRun.h"

#include "runtime/cli/BenchWork.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

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

  struct Total {
    std::vector<std::vector<Work>> work; // of each bucket's dispatches
    double steps = 0;                    // of the device
  };

  // What one repetition does.
  Total total() const {
    Total total;
    total.work.resize(num_buckets());
    const uint64_t piece = test_.prefill ? test_.tokens : 1;
    for (uint64_t done = 0; done < test_.tokens; done += piece)
      for_each_device_step(engine_, test_.batch, test_.depth + done, piece,
                           [&](std::span<const StepPart> parts, uint64_t wanted) {
                             uint64_t tokens = 0;
                             for (const StepPart &part : parts)
                               tokens += part.count;
                             const auto num_tokens = static_cast<uint32_t>(tokens);
                             const auto num_seqs = static_cast<uint32_t>(parts.size());
                             const std::vector<Work> step = step_work(
                                 engine_, engine_.bucket(num_tokens, num_seqs), parts, wanted);
                             ++total.steps;
                             std::vector<Work> &sum =
                                 total.work[engine_.bucket_index(num_tokens, num_seqs)];
                             sum.resize(step.size());
                             for (size_t i = 0; i < step.size(); ++i)
                               sum[i] += step[i];
                           });
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

  size_t num_buckets() const { return items(engine_.artifact().entry("step")->buckets()).size(); }

  session::Engine &engine_;
  BenchTest test_;
  std::vector<float> logits_;
  std::vector<int32_t> tokens_;
  std::vector<SlotId> history_, slots_;
  std::vector<SequenceStep> batch_;
};

double bound_seconds(const Work &work, const Bounds &bounds) {
  auto at = [](double amount, double rate) { return rate > 0 ? amount / rate : 0; };
  return std::max(at(work.bytes, bounds.read_bytes_per_s),
                  at(work.integer_ops, bounds.ops_per_s) +
                      at(work.float_ops, bounds.float_ops_per_s));
}

// `label` where it equals `other`, with "*" for each part between dots that does not.
std::string common_label(const std::string &label, const std::string &other) {
  const std::vector<std::string> left = absl::StrSplit(label, '.');
  const std::vector<std::string> right = absl::StrSplit(other, '.');
  if (left.size() != right.size())
    return left.size() < right.size() ? label : other;
  std::vector<std::string> parts;
  for (size_t i = 0; i < left.size(); ++i)
    parts.push_back(left[i] == right[i] ? left[i] : "*");
  return absl::StrJoin(parts, ".");
}

// What a repetition's steps took before their first dispatch.
double host_seconds(session::Engine &engine, const session::StepTimes &times, double repetitions) {
  double ticks = 0;
  for (const session::StepTimes::Bucket &bucket : times.buckets)
    ticks += static_cast<double>(bucket.ticks_before);
  return ticks / engine.device().ticks_per_s() / repetitions;
}

// The dispatches' times and work, added up by kernel; both of one repetition.
std::vector<KernelRow> kernel_rows(session::Engine &engine, const session::StepTimes &times,
                                   const std::vector<std::vector<Work>> &work, double repetitions,
                                   const Bounds &bounds) {
  const double tick = 1 / engine.device().ticks_per_s();
  const auto kernels = items(engine.manifest().kernels());
  std::vector<KernelRow> rows;
  std::vector<double> bound;
  std::vector<int> row_of(kernels.size(), -1);
  const auto buckets = items(engine.artifact().entry("step")->buckets());
  for (uint32_t b = 0; b < buckets.size(); ++b) {
    const auto dispatches = items(buckets[b]->dispatches());
    if (times.buckets[b].steps == 0)
      continue;
    for (uint32_t i = 0; i < dispatches.size(); ++i) {
      const uint32_t kernel = dispatches[i]->kernel();
      const std::string label(artifact::text(dispatches[i]->label()));
      if (row_of[kernel] < 0) {
        row_of[kernel] = static_cast<int>(rows.size());
        rows.push_back({std::string(artifact::text(kernels[kernel]->name())), label});
        bound.push_back(0);
      }
      KernelRow &row = rows[row_of[kernel]];
      row.label = common_label(row.label, label);
      row.calls += times.buckets[b].steps / static_cast<uint64_t>(repetitions);
      row.seconds += static_cast<double>(times.buckets[b].ticks[i]) * tick / repetitions;
      row.bytes += work[b][i].bytes;
      bound[row_of[kernel]] += bound_seconds(work[b][i], bounds);
    }
  }
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i].share_of_bound = rows[i].seconds > 0 ? bound[i] / rows[i].seconds : 0;
  return rows;
}

} // namespace

std::string BenchTest::name() const { return absl::StrCat(prefill ? "pp" : "tg", tokens); }

absl::StatusOr<BenchRow> run_bench(session::Engine &engine, const BenchTest &test,
                                   uint64_t repetitions, Bounds bounds, bool kernels,
                                   const std::function<absl::Status()> &begin) {
  Bench bench(engine, test);
  const Bench::Total total = bench.total();
  const auto tokens = static_cast<double>(test.tokens * test.batch);
  double bytes = 0;
  for (const std::vector<Work> &bucket : total.work)
    for (const Work &dispatch : bucket)
      bytes += dispatch.bytes;
  bounds.read_bytes_per_s = engine.device().probe_read_bytes_per_s(
      std::max(engine.memory().weights, static_cast<uint64_t>(bytes / total.steps)));
  if (absl::Status status = bench.prepare(); !status.ok())
    return status;
  if (auto warm = bench.repeat(); !warm.ok())
    return warm.status();
  if (absl::Status status = begin(); !status.ok())
    return status;
  double sum = 0, squares = 0, first = 0, seconds = 0;
  session::StepTimes times;
  if (kernels)
    engine.record(&times);
  for (uint64_t i = 0; i < repetitions; ++i) {
    auto repetition = bench.repeat();
    if (!repetition.ok()) {
      engine.record(nullptr);
      return repetition.status();
    }
    const double rate = tokens / repetition->seconds;
    sum += rate;
    squares += rate * rate;
    first += repetition->first_seconds;
    seconds += repetition->seconds;
  }
  engine.record(nullptr);
  const auto n = static_cast<double>(repetitions);
  BenchRow row;
  row.test = test;
  row.tokens_per_s = sum / n;
  row.stddev = repetitions > 1 ? std::sqrt(std::max(0.0, (squares - sum * sum / n) / (n - 1))) : 0;
  row.first_token_seconds = first / n;
  row.seconds = seconds / n;
  row.steps = total.steps;
  row.bounds = bounds;
  row.bytes_per_token = bytes / tokens;
  if (kernels) {
    row.kernels = kernel_rows(engine, times, total.work, n, bounds);
    row.host_seconds = host_seconds(engine, times, n);
  }
  if (bounds.read_bytes_per_s > 0)
    row.mbu = row.tokens_per_s * row.bytes_per_token / bounds.read_bytes_per_s;
  if (bounds.ops_per_s > 0)
    row.mfu = row.tokens_per_s * static_cast<double>(engine.manifest().flops_per_token()) /
              bounds.ops_per_s;
  return row;
}

} // namespace quern::cli
