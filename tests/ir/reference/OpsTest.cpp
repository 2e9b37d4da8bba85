// Every op on activations against a formula written here, in float64 and float32.
#include "tests/ir/reference/TestModule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7};
const Batch kBatch = {{{0, 0, kTokens}}, {}};

TEST(OpsTest, EmbeddingLooksUpRows) {
  const std::string body = "%y = quern.scale %x {factor = 1.0 : f32} : !T6";
  expect_step(step_text(6, 6, "", body), kBatch, lookup(kTokens, 6));
}

TEST(OpsTest, LinearMultipliesByTheTransposeAndAddsTheBias) {
  // 37 columns: not a multiple of the interpreter's lanes.
  const Matrix x = lookup(kTokens, 37), w = synthetic("w", 5, 37), b = synthetic("b", 1, 5);
  Matrix y(5, 5);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t n = 0; n < 5; ++n) {
      y.at(t, n) = b.at(0, n);
      for (int64_t k = 0; k < 37; ++k)
        y.at(t, n) += x.at(t, k) * w.at(n, k);
    }
  expect_step(step_text(37, 5, weight_text("w", "5x37") + weight_text("b", "5"),
                        R"(%w = quern.weight_ref @w : !quern.weight<5x37, "f32">
%b = quern.weight_ref @b : !quern.weight<5, "f32">
%y = quern.linear %x, %w, %b : (!T37, !quern.weight<5x37, "f32">, !quern.weight<5, "f32">) -> !T5)"),
              kBatch, y);
}

TEST(OpsTest, LinearOfManyBlocks) {
  // 512 columns make blocks of 128 rows: the last of three is short.
  const Matrix x = lookup({4}, 512), w = synthetic("w", 300, 512, 0.05f);
  Matrix y(1, 300);
  for (int64_t n = 0; n < 300; ++n)
    for (int64_t k = 0; k < 512; ++k)
      y.at(0, n) += x.at(0, k) * w.at(n, k);
  expect_step(step_text(512, 300, weight_text("w", "300x512", 0.05f),
                        R"(%w = quern.weight_ref @w : !quern.weight<300x512, "f32">
%y = quern.linear %x, %w : (!T512, !quern.weight<300x512, "f32">) -> !T300)"),
              {{{0, 0, {4}}}, {}}, y);
}

TEST(OpsTest, QuantizeRowsRoundsPairsOfGroups) {
  // 40 columns: two whole groups and a short one by itself.
  const Matrix x = lookup(kTokens, 40);
  const std::string rows = R"(%q = quern.quantize_rows %x : !T40 -> !quern.q8_rows<"T", 40>
%w = quern.weight_ref @w : !quern.weight<40x40, "f32">
%y = quern.linear %q, %w : (!quern.q8_rows<"T", 40>, !quern.weight<40x40, "f32">) -> !T40)";
  const Matrix w = synthetic("w", 40, 40);
  Matrix y(5, 40);
  for (int64_t t = 0; t < 5; ++t) {
    std::vector<double> value(40);
    std::array<double, 4> largest = {};
    for (int64_t k = 0; k < 40; ++k)
      largest[static_cast<size_t>(k / 16)] =
          std::max(largest[static_cast<size_t>(k / 16)], std::fabs(x.at(t, k)));
    for (int64_t k = 0; k < 40; ++k) {
      const auto group = static_cast<size_t>(k / 16);
      const double of_pair = std::max(largest[group], largest[group ^ 1]);
      // The most that is the pair's, halved up to four times, and covers the group.
      double most = of_pair;
      for (int n = 0; n < 4 && largest[group] <= most / 2; ++n)
        most /= 2;
      value[static_cast<size_t>(k)] = most / 127 * std::rint(x.at(t, k) * 127 / most);
    }
    for (int64_t n = 0; n < 40; ++n)
      for (int64_t k = 0; k < 40; ++k)
        y.at(t, n) += value[static_cast<size_t>(k)] * w.at(n, k);
  }
  expect_step(step_text(40, 40, weight_text("w", "40x40"), rows), kBatch, y);
}

TEST(OpsTest, QuantizeRowsOfZerosAreZeros) {
  expect_step(step_text(32, 4, weight_text("w", "4x32"),
                        R"(%z = quern.scale %x {factor = 0.0 : f32} : !T32
%q = quern.quantize_rows %z : !T32 -> !quern.q8_rows<"T", 32>
%w = quern.weight_ref @w : !quern.weight<4x32, "f32">
%y = quern.linear %q, %w : (!quern.q8_rows<"T", 32>, !quern.weight<4x32, "f32">) -> !T4)"),
              kBatch, Matrix(5, 4));
}

/// Root-mean-square normalization of `group` columns at a time; `w` may be empty.
Matrix rms_norm(const Matrix &x, const std::vector<double> &w, double eps, int64_t group) {
  Matrix y = x;
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t c = 0; c < x.cols; ++c) {
      double mean = 0;
      for (int64_t i = c / group * group; i < c / group * group + group; ++i)
        mean += x.at(t, i) * x.at(t, i) / static_cast<double>(group);
      y.at(t, c) = x.at(t, c) / std::sqrt(mean + eps) *
                   (w.empty() ? 1 : w[static_cast<size_t>(c) % w.size()]);
    }
  return y;
}

TEST(OpsTest, RmsNormOfRows) {
  expect_step(step_text(24, 24, weight_text("w", "24", 0.5f, 1),
                        R"(%w = quern.weight_ref @w : !quern.weight<24, "f32">
%y = quern.rms_norm %x, %w {eps = 0.25 : f32} : (!T24, !quern.weight<24, "f32">) -> !T24)"),
              kBatch,
              rms_norm(lookup(kTokens, 24), synthetic("w", 1, 24, 0.5f, 1).values, 0.25, 24));
}

TEST(OpsTest, RmsNormOfGroupsSharesAGroupsWeight) {
  expect_step(step_text(24, 24, weight_text("w", "8", 0.5f, 1),
                        R"(%w = quern.weight_ref @w : !quern.weight<8, "f32">
%y = quern.rms_norm %x, %w {eps = 0.0 : f32, group = 8 : i64} : (!T24, !quern.weight<8, "f32">) -> !T24)"),
              kBatch, rms_norm(lookup(kTokens, 24), synthetic("w", 1, 8, 0.5f, 1).values, 0, 8));
}

TEST(OpsTest, RmsNormWithoutWeight) {
  expect_step(
      step_text(24, 24, "",
                "%y = quern.rms_norm %x {eps = 0.0 : f32, group = 12 : i64} : (!T24) -> !T24"),
      kBatch, rms_norm(lookup(kTokens, 24), {}, 0, 12));
}

TEST(OpsTest, RopeTurnsPairsByThePositionsAngle) {
  const Matrix x = lookup({3, 11, 0}, 12); // two heads of 6, of which 4 columns turn
  const float frequencies[] = {1.0f, 0.375f};
  for (bool interleaved : {false, true}) {
    Matrix y = x;
    for (int64_t t = 0; t < 3; ++t)
      for (int64_t head = 0; head < 2; ++head)
        for (int64_t i = 0; i < 2; ++i) {
          const double angle = static_cast<double>(t) * static_cast<double>(frequencies[i]);
          const int64_t a = head * 6 + (interleaved ? 2 * i : i);
          const int64_t b = head * 6 + (interleaved ? 2 * i + 1 : i + 2);
          y.at(t, a) = 2 * (x.at(t, a) * std::cos(angle) - x.at(t, b) * std::sin(angle));
          y.at(t, b) = 2 * (x.at(t, a) * std::sin(angle) + x.at(t, b) * std::cos(angle));
        }
    const std::string turned = interleaved ? "true" : "false";
    expect_step(
        step_text(
            12, 12, "",
            R"(%table = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.375>, scale = 2.0 : f32} : !T4
%y = quern.rope %x, %table {head_dim = 6 : i64, interleaved = )" +
                turned + "} : (!T12, !T4) -> !T12",
            {4}),
        {{{0, 0, {3, 11, 0}}}, {}}, y);
  }
}

TEST(OpsTest, RopeTableFollowsTheSequencesPositions) {
  // Two sequences: the second starts over at position 0.
  Matrix y(4, 2);
  const double positions[] = {0, 1, 2, 0};
  for (int64_t t = 0; t < 4; ++t) {
    y.at(t, 0) = std::cos(positions[t] * 0.5);
    y.at(t, 1) = std::sin(positions[t] * 0.5);
  }
  expect_step(
      step_text(2, 2, "", "%y = quern.rope_table %batch {inv_freq = array<f32: 0.5>} : !T2"),
      {{{5, 0, {1, 2, 3}}, {1, 0, {4}}}, {}}, y);
}

struct AttentionCase {
  int64_t window;
  double softcap;
};

class AttentionTest : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionTest, SoftmaxOverEarlierTokens) {
  // Four query heads on two kv heads, keys of 3, values of 2 columns: q [12], k [6], v [4] are
  // columns 0, 12 and 18 of x.
  const AttentionCase &param = GetParam();
  const Matrix x = lookup(kTokens, 22);
  const double scale = 0.75;
  Matrix y(5, 8);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t h = 0; h < 4; ++h) {
      double total = 0;
      std::vector<double> out(2);
      for (int64_t j = param.window ? std::max<int64_t>(0, t - param.window + 1) : 0; j <= t; ++j) {
        double score = 0;
        for (int64_t d = 0; d < 3; ++d)
          score += scale * x.at(t, h * 3 + d) * x.at(j, 12 + h / 2 * 3 + d);
        if (param.softcap > 0)
          score = param.softcap * std::tanh(score / param.softcap);
        total += std::exp(score);
        for (int64_t d = 0; d < 2; ++d)
          out[static_cast<size_t>(d)] += std::exp(score) * x.at(j, 18 + h / 2 * 2 + d);
      }
      for (int64_t d = 0; d < 2; ++d)
        y.at(t, h * 2 + d) = out[static_cast<size_t>(d)] / total;
    }
  expect_step(step_text(22, 8, "quern.declare_state @kv : !quern.state<kv, 2x3x2>\n",
                        R"(%kv = quern.state_ref @kv : !quern.state<kv, 2x3x2>
%q = quern.slice %x {offset = 0 : i64} : !T22 -> !T12
%k = quern.slice %x {offset = 12 : i64} : !T22 -> !T6
%v = quern.slice %x {offset = 18 : i64} : !T22 -> !T4
quern.kv_append %k, %v, %batch, %kv : !T6, !T4, !quern.batch, !quern.state<kv, 2x3x2>
%y = quern.attention %q, %batch, %kv {heads = 4 : i64, scale = 0.75 : f32, window = )" +
                            std::to_string(param.window) +
                            " : i64, softcap = " + std::to_string(param.softcap) +
                            " : f32} : (!T12, !quern.batch, !quern.state<kv, 2x3x2>) -> !T8",
                        {4, 6, 12}),
              kBatch, y);
}

INSTANTIATE_TEST_SUITE_P(Masks, AttentionTest,
                         ::testing::Values(AttentionCase{0, 0}, AttentionCase{2, 0},
                                           AttentionCase{0, 1.5}, AttentionCase{3, 0.5}));

// Tests that kv state keeps finite numbers finite, and counts those that it could not hold.
TEST(OpsTest, NumbersBeyondAStatesFormatBecomeItsLargest) {
  TestModule module(step_text(2, 1, "quern.declare_state @kv : !quern.state<kv, 1x1x1, f16>\n",
                              R"(%kv = quern.state_ref @kv : !quern.state<kv, 1x1x1, f16>
%big = quern.scale %x {factor = 1.0e6 : f32} : !T2
%k = quern.slice %x {offset = 0 : i64} : !T2 -> !T1
%v = quern.slice %big {offset = 1 : i64} : !T2 -> !T1
quern.kv_append %k, %v, %batch, %kv : !T1, !T1, !quern.batch, !quern.state<kv, 1x1x1, f16>
%y = quern.attention %k, %batch, %kv {heads = 1 : i64, scale = 1.0 : f32} : )"
                              R"((!T1, !quern.batch, !quern.state<kv, 1x1x1, f16>) -> !T1)",
                              {1}));
  const double value = 1e6 * lookup({3}, 2).at(0, 1);
  ASSERT_GT(std::abs(value), 65520);
  ReferenceState state;
  const auto output = module.interpreter()->step({{{0, 0, {3}}}, {}}, state);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->at(0, 0), std::copysign(65504.0, value));
  ASSERT_EQ(state.saturations().count("kv"), 1u);
  EXPECT_EQ(state.saturations().at("kv").count, 1);
  EXPECT_NEAR(state.saturations().at("kv").largest, std::abs(value), 1e-6 * std::abs(value));
}

/// Checks an op on one element at a time.
void expect_elementwise(const std::string &op, const std::function<double(double)> &fn) {
  Matrix y = lookup(kTokens, 6);
  for (double &value : y.values)
    value = fn(value);
  expect_step(step_text(6, 6, "", op), kBatch, y);
}

TEST(OpsTest, UnaryFunctions) {
  auto expect = [](const std::string &name, const std::function<double(double)> &fn) {
    SCOPED_TRACE(name);
    expect_elementwise("%y = quern.unary " + name + " %x : !T6", fn);
  };
  expect("silu", [](double x) { return x / (1 + std::exp(-x)); });
  expect("sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); });
  expect("gelu_erf", [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
  expect("gelu_tanh", [](double x) {
    return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * std::pow(x, 3))));
  });
  expect("relu", [](double x) { return x > 0 ? x : 0; });
  expect("tanh", [](double x) { return 1 - 2 / (std::exp(2 * x) + 1); });
  expect("softplus", [](double x) { return std::log(1 + std::exp(x)); });
  expect("exp", [](double x) { return std::exp(x); });
  expect("relu2", [](double x) { return x > 0 ? x * x : 0; });
  expect("quick_gelu", [](double x) { return x - x / (1 + std::exp(1.702 * x)); });
  expect("mish", [](double x) {
    const double square = std::pow(1 + std::exp(x), 2);
    return x * (square - 1) / (square + 1);
  });
  expect("relu6", [](double x) { return x > 0 ? x : 0; });
  expect("leaky_relu", [](double x) { return x > 0 ? x : x / 100; });
  expect("hardswish", [](double x) { return x * x / 6 + x / 2; });
  expect("gelu_10", [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
  expect("sin", [](double x) { return -std::cos(x + M_PI / 2); });
  expect("cos", [](double x) { return std::sin(x + M_PI / 2); });
}

TEST(OpsTest, SoftplusOfLargeNumbersIsTheNumber) {
  expect_elementwise("%s = quern.scale %x {factor = 1000.0 : f32} : !T6\n"
                     "%p = quern.unary softplus %s : !T6\n"
                     "%y = quern.scale %p {factor = 0.0009765625 : f32} : !T6",
                     [](double x) { return std::max(x * 1000, 0.0) / 1024; });
}

TEST(OpsTest, ScaleAndClamp) {
  expect_elementwise("%y = quern.scale %x {factor = -2.5 : f32} : !T6",
                     [](double x) { return -2.5 * x; });
  expect_elementwise("%y = quern.clamp %x {min = -0.25 : f32, max = 0.5 : f32} : !T6",
                     [](double x) { return std::fmin(0.5, std::fmax(-0.25, x)); });
}

TEST(OpsTest, BinaryWithRows) {
  expect_elementwise("%s = quern.unary silu %x : !T6\n%y = quern.binary sub %s, %x : !T6, !T6",
                     [](double x) { return x / (1 + std::exp(-x)) - x; });
  expect_elementwise("%y = quern.binary mul %x, %x : !T6, !T6", [](double x) { return x * x; });
}

TEST(OpsTest, BinaryRepeatsRowsOverNeighbours) {
  const Matrix x = lookup(kTokens, 6);
  Matrix y = x;
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 6; ++c)
      y.at(t, c) = x.at(t, c) + x.at(t, 4 + c / 3);
  expect_step(step_text(6, 6, "",
                        "%s = quern.slice %x {offset = 4 : i64} : !T6 -> !T2\n"
                        "%y = quern.binary add %x, %s {repeat = 3 : i64} : !T6, !T2",
                        {2}),
              kBatch, y);
}

TEST(OpsTest, BinaryWithAWeight) {
  const Matrix x = lookup(kTokens, 6), w = synthetic("w", 1, 3);
  Matrix y = x;
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 6; ++c)
      y.at(t, c) = x.at(t, c) * w.at(0, c / 2);
  expect_step(step_text(6, 6, weight_text("w", "3"),
                        "%w = quern.weight_ref @w : !quern.weight<3, \"f32\">\n"
                        "%y = quern.binary mul %x, %w {repeat = 2 : i64} : !T6, "
                        "!quern.weight<3, \"f32\">"),
              kBatch, y);
}

TEST(OpsTest, GatedActMultipliesByTheActivation) {
  const Matrix x = lookup(kTokens, 6);
  Matrix y(5, 3);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 3; ++c)
      y.at(t, c) = std::fmax(x.at(t, c), 0) * x.at(t, 3 + c);
  expect_step(step_text(6, 3, "",
                        "%g = quern.slice %x {offset = 0 : i64} : !T6 -> !T3\n"
                        "%u = quern.slice %x {offset = 3 : i64} : !T6 -> !T3\n"
                        "%y = quern.gated_act relu %g, %u : !T3"),
              kBatch, y);
}

TEST(OpsTest, GatherRowsPicksTheBatchsRows) {
  std::string text =
      step_text(6, 6, "",
                "%z = quern.gather_rows %x, %rows : (!T6, tensor<?xi32, #quern.dims<\"R\">>) -> "
                "!R6\n%y = quern.scale %x {factor = 1.0 : f32} : !T6");
  text = "!R6 = tensor<?x6xf32, #quern.dims<\"R\">>\n" + text;
  for (auto [from, to] : {std::pair<std::string, std::string>{"-> !T6 {\n%xw", "-> !R6 {\n%xw"},
                          {"return %y : !T6", "return %z : !R6"}})
    text.replace(text.find(from), from.size(), to);
  const Matrix x = lookup(kTokens, 6);
  Matrix y(2, 6);
  for (int64_t c = 0; c < 6; ++c) {
    y.at(0, c) = x.at(1, c);
    y.at(1, c) = x.at(4, c);
  }
  expect_step(text, {{{0, 0, kTokens}}, {1, 4}}, y);
}

} // namespace
} // namespace quern::reference
