// Recurrences and convolutions against loops written here, within a step and across steps.
#include "tests/ir/reference/TestModule.h"

#include <cmath>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7};

/// Two heads in `groups` groups, keys of 3, values of 2: columns of x are r, k (3 a group), v (4),
/// decay, and a, b (3 a group) where there is a correction.
struct RecurrenceCase {
  const char *kind;
  int64_t decays;
  int64_t groups;
  bool correction;
};

class RecurrenceTest : public ::testing::TestWithParam<RecurrenceCase> {
protected:
  const int64_t wide_ = 3 * GetParam().groups;
  const int64_t k_ = wide_, v_ = 2 * wide_, decay_ = v_ + 4, a_ = decay_ + GetParam().decays,
                b_ = a_ + wide_, cols_ = b_ + wide_;

  std::string slice(const std::string &name, int64_t offset, int64_t cols) const {
    return "%" + name + " = quern.slice %x {offset = " + std::to_string(offset) + " : i64} : !T" +
           std::to_string(cols_) + " -> !T" + std::to_string(cols) + "\n";
  }
  std::string text() const {
    const std::string wide = "!T" + std::to_string(wide_),
                      decays = "!T" + std::to_string(GetParam().decays);
    return step_text(cols_, 4, "quern.declare_state @s : !quern.state<recurrent, 2x3x2>\n",
                     "%s = quern.state_ref @s : !quern.state<recurrent, 2x3x2>\n" +
                         slice("r", 0, wide_) + slice("k", k_, wide_) + slice("v", v_, 4) +
                         slice("d", decay_, GetParam().decays) + slice("a", a_, wide_) +
                         slice("b", b_, wide_) + "%y = quern.linear_recurrence %r, %k, %v, %d" +
                         (GetParam().correction ? " correction %a, %b" : "") +
                         ", %batch, %s {groups = " + std::to_string(GetParam().groups) +
                         " : i64, decay_kind = #quern<decay_kind " + GetParam().kind + ">} : (" +
                         wide + ", " + wide + ", !T4, " + decays +
                         (GetParam().correction ? ", " + wide + ", " + wide : std::string()) +
                         ", !quern.batch, !quern.state<recurrent, 2x3x2>) -> !T4",
                     {wide_, GetParam().decays});
  }

  /// S = decay * S + b (a^T S) + k v^T; y = S^T r, on whole matrices.
  Matrix expected(const Matrix &x) const {
    Matrix y(x.rows, 4);
    for (int64_t h = 0; h < 2; ++h) {
      Matrix state(3, 2);
      const int64_t group = h * GetParam().groups / 2 * 3;
      for (int64_t t = 0; t < x.rows; ++t) {
        Matrix next(3, 2);
        for (int64_t i = 0; i < 3; ++i)
          for (int64_t j = 0; j < 2; ++j) {
            const std::string kind = GetParam().kind;
            const int64_t index = kind == "head"    ? h
                                  : kind == "key"   ? h * 3 + i
                                  : kind == "value" ? h * 2 + j
                                                    : (h * 3 + i) * 2 + j;
            next.at(i, j) = x.at(t, decay_ + index) * state.at(i, j) +
                            x.at(t, k_ + group + i) * x.at(t, v_ + h * 2 + j);
            if (GetParam().correction)
              for (int64_t m = 0; m < 3; ++m)
                next.at(i, j) += x.at(t, b_ + group + i) * x.at(t, a_ + group + m) * state.at(m, j);
          }
        state = next;
        for (int64_t j = 0; j < 2; ++j)
          for (int64_t i = 0; i < 3; ++i)
            y.at(t, h * 2 + j) += state.at(i, j) * x.at(t, group + i);
      }
    }
    return y;
  }
};

TEST_P(RecurrenceTest, FollowsTheFormula) {
  const Matrix x = lookup({3, 11, 0}, cols_);
  expect_step(text(), {{{0, 0, {3, 11, 0}}}, {}}, expected(x));
}

TEST_P(RecurrenceTest, CarriesItsStateFromStepToStep) {
  const Matrix whole = expected(lookup({3, 11, 0}, cols_));
  TestModule module(text());
  auto interpreter = module.interpreter();
  ReferenceState state;
  for (int64_t t = 0; t < 3; ++t) {
    // Another sequence beside it, which must not show.
    const auto output = interpreter->step(
        {{{8, t, {9}}, {0, t, {std::vector<int32_t>{3, 11, 0}[static_cast<size_t>(t)]}}}, {}},
        state);
    ASSERT_TRUE(output.ok()) << output.status();
    for (int64_t c = 0; c < 4; ++c)
      EXPECT_NEAR(output->at(1, c), whole.at(t, c), 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, RecurrenceTest,
                         ::testing::Values(RecurrenceCase{"head", 2, 1, false},
                                           RecurrenceCase{"key", 6, 2, false},
                                           RecurrenceCase{"value", 4, 1, false},
                                           RecurrenceCase{"elementwise", 12, 2, false},
                                           RecurrenceCase{"head", 2, 2, true},
                                           RecurrenceCase{"key", 6, 1, true}));

TEST(ConvTest, SumsTheLastInputsOfEachChannel) {
  const Matrix x = lookup(kTokens, 3), w = synthetic("w", 3, 4), b = synthetic("b", 1, 3);
  Matrix y(5, 3);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 3; ++c) {
      y.at(t, c) = b.at(0, c);
      for (int64_t i = 0; i < 4 && i <= t; ++i)
        y.at(t, c) += w.at(c, 3 - i) * x.at(t - i, c);
    }
  const std::string text = step_text(3, 3,
                                     weight_text("w", "3x4") + weight_text("b", "3") +
                                         "quern.declare_state @s : !quern.state<window, 3x3>\n",
                                     R"(%w = quern.weight_ref @w : !quern.weight<3x4, "f32">
%b = quern.weight_ref @b : !quern.weight<3, "f32">
%s = quern.state_ref @s : !quern.state<window, 3x3>
%y = quern.causal_conv1d %x, %batch, %s, %w, %b : (!T3, !quern.batch, !quern.state<window, 3x3>, !quern.weight<3x4, "f32">, !quern.weight<3, "f32">) -> !T3)");
  expect_step(text, {{{0, 0, kTokens}}, {}}, y);

  // The same in two steps: the window carries over.
  TestModule module(text);
  auto interpreter = module.interpreter();
  ReferenceState state;
  ASSERT_TRUE(interpreter->step({{{0, 0, {3, 11}}}, {}}, state).ok());
  const auto rest = interpreter->step({{{0, 2, {0, 7, 7}}}, {}}, state);
  ASSERT_TRUE(rest.ok()) << rest.status();
  for (int64_t t = 2; t < 5; ++t)
    for (int64_t c = 0; c < 3; ++c)
      EXPECT_NEAR(rest->at(t - 2, c), y.at(t, c), 1e-12);
}

} // namespace
} // namespace quern::reference
