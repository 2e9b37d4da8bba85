// Linear recurrences as CUDA code, run by the PTX interpreter: against plain loops, on odd shapes,
// in steps cut in different ways; a token after the other, and in chunks.
#include "tests/codegen/cuda/NeedsNvrtc.h"
#include "tests/codegen/cuda/RecurrenceRun.h"

#include <cmath>

namespace quern::test {
namespace {

const RecurrenceCase kRecurrences[] = {
    {"mamba2", "head", 4, 2, 24, 16},
    {"wide_values", "head", 2, 1, 8, 70},
    {"gla", "key", 2, 2, 33, 20},
    {"by_value", "value", 3, 3, 5, 45},
    {"elementwise", "elementwise", 2, 1, 7, 33},
    {"corrected", "head", 2, 2, 24, 40, true},
    {"rwkv7", "key", 2, 2, 16, 16, true},
    {"large_state", "head", 1, 1, 600, 33},
    {.name = "mamba",
     .decay = "value",
     .heads = 1,
     .groups = 1,
     .keyDim = 16,
     .valueDim = 80,
     .rate = true},
    {.name = "delta",
     .decay = "head",
     .heads = 4,
     .groups = 2,
     .keyDim = 24,
     .valueDim = 16,
     .delta = true},
    {.name = "kda",
     .decay = "key",
     .heads = 2,
     .groups = 2,
     .keyDim = 16,
     .valueDim = 40,
     .delta = true,
     .products = 2},
    {.name = "rwkv6",
     .decay = "key",
     .heads = 2,
     .groups = 2,
     .keyDim = 17,
     .valueDim = 20,
     .bonus = true},
    {.name = "mamba3",
     .decay = "head",
     .heads = 4,
     .groups = 2,
     .keyDim = 12,
     .valueDim = 16,
     .products = 2,
     .reads = 2,
     .decayHeads = 2},
    {.name = "gated_delta_net",
     .decay = "head",
     .heads = 1,
     .groups = 1,
     .keyDim = 128,
     .valueDim = 96,
     .delta = true},
    {.name = "long_keys",
     .decay = "head",
     .heads = 1,
     .groups = 1,
     .keyDim = 256,
     .valueDim = 40,
     .strong = true},
    {.name = "strong",
     .decay = "key",
     .heads = 2,
     .groups = 1,
     .keyDim = 40,
     .valueDim = 80,
     .delta = true,
     .decayHeads = 1,
     .strong = true},
    {.name = "rg_lru",
     .decay = "value",
     .heads = 2,
     .groups = 1,
     .keyDim = 1,
     .valueDim = 96,
     .decayHeads = 1},
};

/// Those that have a form in chunks, of 16 or 32 tokens.
const std::vector<RecurrenceCase> kInChunks = [] {
  std::vector<RecurrenceCase> all;
  for (const RecurrenceCase &c : kRecurrences)
    if (c.products == 1 && (std::string(c.decay) == "head" || std::string(c.decay) == "key") &&
        c.keyDim < 600)
      all.push_back(c);
  return all;
}();
/// Around a chunk, and two of them; the first and the last are too short.
const std::vector<int> kRagged = {1, 31, 32, 33, 67, 16, 15};

class RecurrenceKernel : public testing::TestWithParam<RecurrenceCase> {
protected:
  void SetUp() override { QUERN_NEEDS_NVRTC(); }
};
class RecurrenceInChunks : public RecurrenceKernel {};

/// That results and states are those that are wanted, within `most` of 1 or of themselves.
void expect_near(const Recurred &got, const Recurred &want, int cols, float most = 2e-5f) {
  ASSERT_EQ(got.results.size(), want.results.size());
  auto near = [&](const std::vector<float> &some, const std::vector<float> &others, int row,
                  const char *what, size_t seq) {
    ASSERT_EQ(some.size(), others.size());
    for (size_t i = 0; i < some.size(); ++i)
      ASSERT_NEAR(some[i], others[i], most * (1 + std::abs(others[i])))
          << "sequence " << seq << ", " << what << " " << i / static_cast<size_t>(row)
          << ", column " << i % static_cast<size_t>(row);
  };
  for (size_t seq = 0; seq < got.results.size(); ++seq) {
    near(got.results[seq], want.results[seq], cols, "token", seq);
    near(got.states[seq], want.states[seq], cols, "row of the state", seq);
  }
}

TEST_P(RecurrenceKernel, GivesWhatPlainLoopsGive) {
  const RecurrenceCase &c = GetParam();
  expect_near(run(c, kSteps[0], 3, true), loops(c, kSteps[0][0]), c.reads * c.cols());
}

// Tests that the state a step leaves is what the next begins with, to the bit.
TEST_P(RecurrenceKernel, StepsAndWorkersDoNotMatter) {
  const Recurred whole = run(GetParam(), kSteps[0], 1, true);
  EXPECT_TRUE(whole == run(GetParam(), kSteps[1], 2, true));
  EXPECT_TRUE(whole == run(GetParam(), kSteps[0], 16, true));
}

INSTANTIATE_TEST_SUITE_P(Cuda, RecurrenceKernel, testing::ValuesIn(kRecurrences),
                         [](const auto &info) { return std::string(info.param.name); });

// Tests that chunks are taken, and give what plain loops and the tokens one after the other give.
TEST_P(RecurrenceInChunks, GiveWhatTokensGive) {
  const RecurrenceCase &c = GetParam();
  const Recurred got = run(c, {kRagged}, 3, false);
  expect_near(got, loops(c, kRagged), c.cols());
  const std::vector<int> some = {1, 31, 0, 0, 0, 16, 15};
  const Recurred tokens = run(c, {some}, 5, true);
  for (const size_t seq : {0, 1, 5, 6}) {
    const Recurred one{{got.results[seq]}, {got.states[seq]}},
        other{{tokens.results[seq]}, {tokens.states[seq]}};
    EXPECT_EQ(one == other, some[seq] < 16) << "tokens: " << some[seq];
    expect_near(one, other, c.cols());
  }
}

// Tests that a sequence's bits depend neither on the grid nor on the batch, and that the state goes
// on from any step to any other.
TEST_P(RecurrenceInChunks, StepsAgreeAndWorkersDoNotMatter) {
  const RecurrenceCase &c = GetParam();
  const Recurred whole = run(c, {{67, 20}}, 1, false);
  EXPECT_TRUE(whole == run(c, {{67, 20}}, 16, false));
  EXPECT_TRUE(whole == run(c, {{0, 20}, {67, 0}}, 2, false));
  expect_near(run(c, {{17, 3}, {1, 16}, {49, 1}}, 2, false), whole, c.cols());
}

INSTANTIATE_TEST_SUITE_P(Cuda, RecurrenceInChunks, testing::ValuesIn(kInChunks),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
