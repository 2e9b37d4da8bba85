// A whole model: what a step means must not depend on how sequences are cut into steps, nor on what
// else is in the batch.
#include "tests/ir/reference/TestModule.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

namespace quern::reference {
namespace {

using ::testing::HasSubstr;

std::string hybrid_text() {
  std::ifstream file(QUERN_SOURCE_DIR "/tests/ir/Inputs/hybrid.mlir");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class StepTest : public ::testing::Test {
protected:
  TestModule module_{hybrid_text()};
  std::unique_ptr<Interpreter> interpreter_ = module_.interpreter();

  Output step(const Batch &batch, ReferenceState &state) {
    auto output = interpreter_->step(batch, state);
    EXPECT_TRUE(output.ok()) << output.status();
    return output.ok() ? *std::move(output) : Output();
  }
  std::string error(const Batch &batch, ReferenceState &state) {
    return interpreter_->step(batch, state).status().ToString();
  }
};

void expect_row(const Output &got, int64_t row, const Output &want, int64_t want_row,
                double tolerance = 1e-11) {
  ASSERT_LT(row, got.rows);
  for (int64_t col = 0; col < want.cols; ++col)
    ASSERT_NEAR(got.at(row, col), want.at(want_row, col), tolerance)
        << "row " << row << ", column " << col;
}

const std::vector<int32_t> kPrompt = {5, 17, 80, 3, 3, 41, 95, 0, 12};

TEST_F(StepTest, TokenByTokenEqualsThePromptAtOnce) {
  ReferenceState at_once, one_by_one;
  const Output whole = step({{{0, 0, kPrompt}}, {0, 1, 2, 3, 4, 5, 6, 7, 8}}, at_once);
  for (int32_t t = 0; t < 9; ++t)
    expect_row(step({{{0, t, {kPrompt[static_cast<size_t>(t)]}}}, {0}}, one_by_one), 0, whole, t);
  EXPECT_EQ(one_by_one.tokens(0), 9);
}

TEST_F(StepTest, ChunksEqualThePromptAtOnce) {
  ReferenceState at_once, in_chunks;
  const Output whole = step({{{0, 0, kPrompt}}, {2, 8}}, at_once);
  expect_row(step({{{0, 0, {5, 17, 80}}}, {2}}, in_chunks), 0, whole, 0);
  expect_row(step({{{0, 3, {3, 3, 41, 95, 0, 12}}}, {5}}, in_chunks), 0, whole, 1);
}

TEST_F(StepTest, ASequenceInARaggedBatchEqualsItAlone) {
  ReferenceState together, alone;
  const std::vector<int32_t> second = {7, 7, 1}, third = {60};
  step({{{4, 0, {9, 8}}}, {}}, together);
  step({{{4, 0, {9, 8}}}, {}}, alone);
  const Output mixed =
      step({{{2, 0, kPrompt}, {4, 2, second}, {0, 0, third}}, {8, 10, 11, 12}}, together);
  expect_row(mixed, 0, step({{{2, 0, kPrompt}}, {8}}, alone), 0);
  const Output of_second = step({{{4, 2, second}}, {1, 2}}, alone);
  expect_row(mixed, 1, of_second, 0);
  expect_row(mixed, 2, of_second, 1);
  expect_row(mixed, 3, step({{{0, 0, third}}, {0}}, alone), 0);
}

TEST_F(StepTest, AForkGoesItsOwnWay) {
  ReferenceState state;
  step({{{0, 0, {5, 17, 80}}}, {}}, state);
  state.fork(0, 1);
  step({{{1, 3, {44, 45}}}, {}}, state);
  ReferenceState alone;
  step({{{0, 0, {5, 17, 80}}}, {}}, alone);
  expect_row(step({{{0, 3, {6}}}, {0}}, state), 0, step({{{0, 3, {6}}}, {0}}, alone), 0);
  EXPECT_EQ(state.tokens(1), 5);
}

TEST_F(StepTest, StartingAtZeroBeginsAnew) {
  ReferenceState used, fresh;
  step({{{0, 0, {5, 17, 80}}}, {}}, used);
  expect_row(step({{{0, 0, {6}}}, {0}}, used), 0, step({{{0, 0, {6}}}, {0}}, fresh), 0);
}

TEST_F(StepTest, Float32IsCloseToFloat64) {
  ReferenceState doubles, floats;
  const Batch batch = {{{0, 0, kPrompt}}, {8}};
  const auto output = module_.interpreter({.float64 = false})->step(batch, floats);
  ASSERT_TRUE(output.ok()) << output.status();
  // Logits here are about 3; a few ulps of error grow through two layers.
  expect_row(*output, 0, step(batch, doubles), 0, 3e-5);
  for (double value : output->values)
    ASSERT_EQ(value, static_cast<double>(static_cast<float>(value)));
}

TEST_F(StepTest, NumbersDoNotDependOnThreadsOrCache) {
  ReferenceState one, other;
  const Batch batch = {{{0, 0, kPrompt}}, {8}};
  const auto plain = module_.interpreter({.float64 = false, .threads = 1})->step(batch, one);
  const auto odd =
      module_.interpreter({.float64 = false, .threads = 3, .cache_bytes = 0})->step(batch, other);
  ASSERT_TRUE(plain.ok() && odd.ok());
  EXPECT_EQ(plain->values, odd->values);
}

TEST_F(StepTest, RefusesBadBatches) {
  ReferenceState state;
  EXPECT_THAT(error({{}, {}}, state), HasSubstr("no sequences"));
  EXPECT_THAT(error({{{0, 0, {}}}, {}}, state), HasSubstr("has no tokens"));
  EXPECT_THAT(error({{{0, -1, {1}}}, {}}, state), HasSubstr("starts at -1"));
  EXPECT_THAT(error({{{0, 0, {1}}, {0, 0, {1}}}, {}}, state), HasSubstr("slot 0"));
  EXPECT_THAT(error({{{0, 0, {1, 2}}}, {2}}, state), HasSubstr("[0, 2)"));
  EXPECT_THAT(error({{{0, 0, {1, 2}}}, {1, 1}}, state), HasSubstr("row 1"));
  EXPECT_THAT(error({{{0, 4, {1}}}, {0}}, state), HasSubstr("slot 0 has 0 tokens"));
  EXPECT_THAT(error({{{0, 0, {96}}}, {0}}, state),
              HasSubstr("quern.embedding: token 0 is 96, outside [0, 96)"));
  const auto missing = interpreter_->run("main", {{{0, 0, {1}}}, {}}, state);
  EXPECT_THAT(missing.status().ToString(), HasSubstr("no entry main"));
}

TEST_F(StepTest, RecurrentStateCannotGoBack) {
  ReferenceState state;
  step({{{0, 0, {5, 17, 80}}}, {}}, state);
  EXPECT_THAT(error({{{0, 2, {1}}}, {0}}, state), HasSubstr("cannot go back to 2"));
}

} // namespace
} // namespace quern::reference
