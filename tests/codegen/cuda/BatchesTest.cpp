// Tests on the device ptx that a sequence's logits are the same bits in batches of one to eight, on
// any number of multiprocessors, in any order of warps and blocks, however launched.
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"
#include "tests/codegen/models/Sequences.h"

#include <absl/strings/str_replace.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <utility>

namespace quern::test {
namespace {

constexpr size_t kMost = 8;
/// Of the prompts: more and less than a page of kv state and than a window, none a multiple.
constexpr int kLengths[kMost] = {9, 66, 12, 3, 5, 2, 1, 17};

/// With a window that the prompts fill.
const std::string kNearGemma2 =
    absl::StrReplaceAll(kGemma2, {{"\"sliding_window\": 75", "\"sliding_window\": 13"}});

/// Steps after the prompts: how many tokens each sequence brings to them. A step of at most eight
/// tokens is of another bucket than one of more.
struct Steps {
  const char *name;
  std::vector<size_t> counts; ///< of sequences, whose steps are all the same bucket's
  size_t brings[kMost];
};
const Steps kSteps[] = {
    {"decoding", {1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 1, 1, 1, 1, 1}},
    {"few ragged", {1, 2, 3, 4}, {2, 1, 3, 2}},
    {"ragged", {1, 5, 8}, {9, 2, 1, 12, 4, 1, 3, 5}},
};

struct Where {
  const char *launch, *multiprocessors, *seed;
};

/// As the environment says how ptx runs, while it lives. Empty: as without it.
class Setting {
public:
  Setting(const Where &where, const char *mode) {
    set("QUERN_CUDA_LAUNCH", where.launch);
    set("QUERN_PTX_SMS", where.multiprocessors);
    set("QUERN_PTX_SEED", where.seed);
    set("QUERN_PTX_MODE", mode);
  }
  ~Setting() {
    for (const auto &[name, value] : before_)
      setenv(name, value.c_str(), 1);
  }

private:
  void set(const char *name, const char *value) {
    const char *old = std::getenv(name);
    before_.emplace_back(name, old ? old : "");
    setenv(name, value, 1);
  }
  std::vector<std::pair<const char *, std::string>> before_;
};

/// The logits of each sequence, by steps and number of sequences.
using Logits = std::map<std::pair<std::string, size_t>, std::vector<std::vector<float>>>;

class Batches : public testing::TestWithParam<ModelCase> {
protected:
  void SetUp() override {
    const char *variant = "sm_90a";
    if (const std::string why = CompiledModel::whyNotRun(variant, false); !why.empty())
      GTEST_SKIP() << why;
    static std::map<std::string, std::unique_ptr<CompiledModel>> compiled; // for all tests
    const ModelCase &which = GetParam();
    auto [entry, fresh] = compiled.try_emplace(which.name);
    if (fresh)
      entry->second =
          CompiledModel::create(which.model, which.quant, variant, CompiledModel::Windows::kept,
                                which.kv, "", {.tokens = 64, .seqs = kMost, .slots = 2 * kMost});
    model = entry->second.get();
    ASSERT_TRUE(model);
  }

  /// A step of forks of the first prompts.
  static void step(session::Engine &engine, const std::vector<session::SlotId> &prompts,
                   const Steps &steps, size_t count, std::vector<std::vector<float>> &found) {
    std::vector<std::vector<int32_t>> tokens;
    std::vector<session::SequenceStep> batch;
    size_t rows = 0;
    for (size_t i = 0; i < count; ++i) {
      tokens.push_back(randomTokens(static_cast<int>(100 + i), static_cast<int>(steps.brings[i]),
                                    engine.vocab()));
      const auto slot = engine.fork(prompts[i]);
      ASSERT_TRUE(slot.ok()) << slot.status();
      batch.push_back({*slot, tokens.back(), session::Rows::all});
      rows += steps.brings[i];
    }
    std::vector<float> logits(rows * engine.vocab());
    const auto status = engine.step(batch, logits);
    ASSERT_TRUE(status.ok()) << status;
    auto at = logits.begin();
    for (size_t i = 0; i < count; ++i) {
      const auto end = at + static_cast<ptrdiff_t>(steps.brings[i] * engine.vocab());
      found.emplace_back(at, end);
      at = end;
      ASSERT_TRUE(engine.free_slot(batch[i].slot).ok());
    }
  }

  /// `few`: of the smallest and the largest batches alone.
  Logits run(const Where &where, const char *mode, bool few) {
    const Setting setting(where, mode);
    Logits found;
    const auto engine = model->engine(1);
    EXPECT_TRUE(engine);
    if (!engine)
      return found;
    std::vector<session::SlotId> prompts;
    for (size_t i = 0; i < kMost; ++i) {
      prompts.push_back(*engine->create_slot());
      feed(*engine, prompts.back(), randomTokens(static_cast<int>(i), kLengths[i], engine->vocab()),
           64);
    }
    for (const Steps &steps : kSteps)
      for (const size_t count : steps.counts)
        if (!few || count == 1 || count == steps.counts.back())
          step(*engine, prompts, steps, count, found[{steps.name, count}]);
    return found;
  }

  /// That the sequences of all batches have the logits that they have in `want`, in its largest.
  static void same(const Logits &found, const Logits &want) {
    EXPECT_FALSE(found.empty());
    for (const auto &[which, logits] : found) {
      const auto &[steps, count] = which;
      size_t most = 0;
      for (const auto &[other, unused] : want)
        if (other.first == steps)
          most = std::max(most, other.second);
      const auto &all = want.at({steps, most});
      for (size_t i = 0; i < count; ++i)
        EXPECT_TRUE(logits[i] == all[i]) << steps << ", sequence " << i << " of " << count;
    }
  }

  /// Of all batches, where the environment says nothing.
  const Logits &plain() {
    static std::map<std::string, Logits> found; // for all tests
    auto [entry, fresh] = found.try_emplace(GetParam().name);
    if (fresh)
      entry->second = run({"", "", ""}, "exact", false);
    return entry->second;
  }

  CompiledModel *model = nullptr;
};

TEST_P(Batches, DoNotMatter) { same(plain(), plain()); }

// Seeds are policies of tests/ptx/Schedules.h. Tokens that come alone are one persistent launch
// else.
TEST_P(Batches, DoNotMatterInAnyGrid) {
  for (const Where &where : {Where{"discrete", "1", "1"}, {"graph", "7", "3"}}) {
    SCOPED_TRACE(testing::Message() << where.launch << " on " << where.multiprocessors
                                    << " multiprocessors, seed " << where.seed);
    same(run(where, "exact", true), plain());
  }
}

// Tests that decoding uses nothing that a device may round otherwise: no approximate instructions,
// and products of matrices of integers alone. So its bits are those of any device.
TEST_P(Batches, DoNotMatterToPerturbedNumerics) {
  same(run({"persistent", "3", "2"}, "perturbed", true), plain());
}

INSTANTIATE_TEST_SUITE_P(Cuda, Batches,
                         testing::Values(ModelCase{"llama_int4", kLlama, "int4", true},
                                         ModelCase{"qwen3_bf16", kQwen3, "bf16", false, "bf16"},
                                         ModelCase{"gemma2_int4", kNearGemma2.c_str(), "int4",
                                                   true},
                                         ModelCase{"mamba2_int4", kMamba2, "int4", true}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
