// Long convolutions in modal form and by their taps, and what Monarch matrices are made of, against
// formulas written here.
#include "tests/ir/reference/TestModule.h"

#include <cmath>
#include <complex>

namespace quern::reference {
namespace {

constexpr int64_t kChannels = 6, kModes = 3;

/// quern.long_conv of 6 channels, `share` of which have a filter together.
std::string long_conv(int64_t share) {
  const std::string filters = std::to_string(kChannels / share);
  const std::string weight = "!quern.weight<3x2x" + filters + ", \"f32\">";
  return step_text(
      kChannels, kChannels,
      weight_text("p", "3x2x" + filters, 0.25) + weight_text("r", "3x2x" + filters, 0.6F) +
          weight_text("d", "6") + "quern.declare_state @s : !quern.state<recurrent, 3x2x6>\n",
      "%p = quern.weight_ref @p : " + weight + "\n%r = quern.weight_ref @r : " + weight +
          R"(
%d = quern.weight_ref @d : !quern.weight<6, "f32">
%s = quern.state_ref @s : !quern.state<recurrent, 3x2x6>
%y = quern.long_conv %x, %batch, %s, %p, %r, %d : (!T6, !quern.batch, !quern.state<recurrent, 3x2x6>, )" +
          weight + ", " + weight + ", !quern.weight<6, \"f32\">) -> !T6");
}

/// Tap i of the filters of `long_conv`: Re(sum of R p^i).
Matrix filters(int64_t share, int64_t taps) {
  const int64_t count = kChannels / share;
  const Matrix p = synthetic("p", 2 * kModes, count, 0.25),
               r = synthetic("r", 2 * kModes, count, 0.6F);
  Matrix h(kChannels, taps);
  for (int64_t c = 0; c < kChannels; ++c)
    for (int64_t n = 0; n < kModes; ++n) {
      const std::complex<double> pole(p.at(2 * n, c / share), p.at(2 * n + 1, c / share));
      std::complex<double> term(r.at(2 * n, c / share), r.at(2 * n + 1, c / share));
      for (int64_t i = 0; i < taps; ++i, term *= pole)
        h.at(c, i) += term.real();
    }
  return h;
}

Matrix convolved(const Matrix &x, const Matrix &h, const Matrix &d) {
  Matrix y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t c = 0; c < x.cols; ++c) {
      y.at(t, c) = d.at(0, c) * x.at(t, c);
      for (int64_t i = 0; i <= t && i < h.cols; ++i)
        y.at(t, c) += h.at(c, i) * x.at(t - i, c);
    }
  return y;
}

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7, 15, 2};

TEST(LongConvTest, IsTheConvolutionWithItsFilter) {
  for (const int64_t share : {1, 2, 6})
    expect_step(
        long_conv(share), {{{0, 0, kTokens}}, {}},
        convolved(lookup(kTokens, kChannels), filters(share, 7), synthetic("d", 1, kChannels)));
}

TEST(LongConvTest, GoesOnWhereItStopped) {
  // In three steps, the second beside another sequence.
  TestModule module(long_conv(2));
  const auto interpreter = module.interpreter();
  ReferenceState state;
  const Matrix h = filters(2, 7), d = synthetic("d", 1, kChannels);
  const Matrix all = convolved(lookup(kTokens, kChannels), h, d);
  const Matrix other = convolved(lookup({9, 4}, kChannels), h, d);
  const auto first = interpreter->step({{{0, 0, {3, 11}}}, {}}, state);
  const auto second = interpreter->step({{{1, 0, {9, 4}}, {0, 2, {0}}}, {}}, state);
  const auto third = interpreter->step({{{0, 3, {7, 7, 15, 2}}}, {}}, state);
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  for (int64_t c = 0; c < kChannels; ++c) {
    for (int64_t t = 0; t < 7; ++t) {
      const Output &output = t < 2 ? *first : t < 3 ? *second : *third;
      EXPECT_NEAR(output.at(t < 2 ? t : t < 3 ? 2 : t - 3, c), all.at(t, c), 1e-12);
    }
    EXPECT_NEAR(second->at(0, c), other.at(0, c), 1e-12);
    EXPECT_NEAR(second->at(1, c), other.at(1, c), 1e-12);
  }
}

TEST(LongConvTest, TapsAreACausalConvolutionsWeight) {
  // As many taps as there are tokens, the newest last.
  const Matrix w = synthetic("w", kChannels, 7);
  Matrix h(kChannels, 7);
  for (int64_t c = 0; c < kChannels; ++c)
    for (int64_t i = 0; i < 7; ++i)
      h.at(c, i) = w.at(c, 6 - i);
  expect_step(
      step_text(6, 6,
                weight_text("w", "6x7") + "quern.declare_state @s : !quern.state<window, 6x6>\n",
                R"(%w = quern.weight_ref @w : !quern.weight<6x7, "f32">
%s = quern.state_ref @s : !quern.state<window, 6x6>
%y = quern.causal_conv1d %x, %batch, %s, %w : (!T6, !quern.batch, !quern.state<window, 6x6>, !quern.weight<6x7, "f32">) -> !T6)"),
      {{{0, 0, kTokens}}, {}}, convolved(lookup(kTokens, kChannels), h, Matrix(1, kChannels)));
}

TEST(LongConvTest, TransposeReadsColumnsOfAMatrix) {
  const Matrix x = lookup(kTokens, 12);
  Matrix y(7, 12);
  for (int64_t t = 0; t < 7; ++t)
    for (int64_t g = 0; g < 3; ++g)
      for (int64_t j = 0; j < 4; ++j)
        y.at(t, j * 3 + g) = x.at(t, g * 4 + j);
  expect_step(step_text(12, 12, "", "%y = quern.transpose %x {groups = 3 : i64} : !T12"),
              {{{0, 0, kTokens}}, {}}, y);
}

TEST(LongConvTest, AMonarchMatrixIsTwoBlockLinearsAroundATranspose) {
  // M = P' L P R, dense: R has 3 blocks of 4x4 over 12 columns, L 4 blocks of 3x3, P transposes
  // 3x4.
  const Matrix x = lookup(kTokens, 12), r = synthetic("r", 12, 4), l = synthetic("l", 12, 3);
  Matrix m(12, 12), y(7, 12);
  for (int64_t g = 0; g < 3; ++g)     // a block of R
    for (int64_t j = 0; j < 4; ++j)   // its row, a block of L
      for (int64_t k = 0; k < 4; ++k) // its column
        for (int64_t i = 0; i < 3; ++i)
          m.at(i * 4 + j, g * 4 + k) += l.at(j * 3 + i, g) * r.at(g * 4 + j, k);
  for (int64_t t = 0; t < 7; ++t)
    for (int64_t n = 0; n < 12; ++n)
      for (int64_t k = 0; k < 12; ++k)
        y.at(t, n) += m.at(n, k) * x.at(t, k);
  expect_step(step_text(12, 12, weight_text("r", "3x4x4") + weight_text("l", "4x3x3"),
                        R"(%r = quern.weight_ref @r : !quern.weight<3x4x4, "f32">
%l = quern.weight_ref @l : !quern.weight<4x3x3, "f32">
%a = quern.block_linear %x, %r : (!T12, !quern.weight<3x4x4, "f32">) -> !T12
%b = quern.transpose %a {groups = 3 : i64} : !T12
%c = quern.block_linear %b, %l : (!T12, !quern.weight<4x3x3, "f32">) -> !T12
%y = quern.transpose %c {groups = 4 : i64} : !T12)"),
              {{{0, 0, kTokens}}, {}}, y);
}

TEST(LongConvTest, EpsMayBeAddedToANormsRoot) {
  const Matrix x = lookup(kTokens, 6);
  Matrix y(7, 6);
  for (int64_t t = 0; t < 7; ++t) {
    double squares = 0;
    for (int64_t c = 0; c < 6; ++c)
      squares += x.at(t, c) * x.at(t, c);
    for (int64_t c = 0; c < 6; ++c)
      y.at(t, c) = x.at(t, c) / (std::sqrt(squares / 6) + 0.5);
  }
  expect_step(
      step_text(6, 6, "", "%y = quern.rms_norm %x {eps = 0.5 : f32, root_eps} : (!T6) -> !T6"),
      {{{0, 0, kTokens}}, {}}, y);
}

} // namespace
} // namespace quern::reference
