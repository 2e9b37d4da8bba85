// Where positions come in but by rope: learned ones, ALiBi, and the sinks of a softmax.
#include "tests/ir/reference/TestModule.h"

#include <bit>
#include <cmath>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7, 2};

TEST(PositionsTest, LookUpRowsOfEachTokensOwnSequence) {
  const Matrix table = synthetic("p", 9, 4);
  Matrix y = lookup({1, 2, 3, 4}, 4);
  const int64_t positions[] = {0, 1, 2, 0};
  for (int64_t t = 0; t < 4; ++t)
    for (int64_t c = 0; c < 4; ++c)
      y.at(t, c) += table.at(positions[t] + 2, c);
  expect_step(step_text(4, 4, weight_text("p", "9x4"),
                        R"(%p = quern.weight_ref @p : !quern.weight<9x4, "f32">
%ids = quern.positions %batch {offset = 2 : i64} : tensor<?xi32, #quern.dims<"T">>
%at = quern.embedding %ids, %p : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<9x4, "f32">) -> !T4
%y = quern.binary add %x, %at : !T4, !T4)"),
              {{{5, 0, {1, 2, 3}}, {1, 0, {4}}}, {}}, y);
}

TEST(PositionsTest, BeyondTheTableIsAnError) {
  TestModule module(step_text(4, 4, weight_text("p", "2x4"),
                              R"(%p = quern.weight_ref @p : !quern.weight<2x4, "f32">
%ids = quern.positions %batch : tensor<?xi32, #quern.dims<"T">>
%y = quern.embedding %ids, %p : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<2x4, "f32">) -> !T4)"));
  ReferenceState state;
  const auto output = module.interpreter()->step({{{0, 0, {1, 2, 3}}}, {}}, state);
  EXPECT_NE(output.status().ToString().find("token 2 is 2, outside [0, 2)"), std::string::npos)
      << output.status();
}

double bf16(double x) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

/// Two query heads on one kv head: q [6], k [3], v [2] are columns 0, 6 and 9 of x. `bias(h, j)` is
/// added to the scores before the softmax, which takes in `sinks`, if there are any.
template <class Bias> Matrix attend(Bias bias, const std::vector<double> &sinks) {
  const Matrix x = lookup(kTokens, 11);
  Matrix y(6, 4);
  for (int64_t t = 0; t < 6; ++t)
    for (int64_t h = 0; h < 2; ++h) {
      double total = sinks.empty() ? 0 : std::exp(sinks[static_cast<size_t>(h)]);
      double out[2] = {};
      for (int64_t j = 0; j <= t; ++j) {
        double score = bias(h, j);
        for (int64_t d = 0; d < 3; ++d)
          score += 0.5 * x.at(t, h * 3 + d) * x.at(j, 6 + d);
        total += std::exp(score);
        for (int64_t d = 0; d < 2; ++d)
          out[d] += std::exp(score) * x.at(j, 9 + d);
      }
      for (int64_t d = 0; d < 2; ++d)
        y.at(t, h * 2 + d) = out[d] / total;
    }
  return y;
}

std::string attention_text(const std::string &operands, const std::string &attributes,
                           const std::string &types, const std::string &declarations = "") {
  return step_text(11, 4, "quern.declare_state @kv : !quern.state<kv, 1x3x2>\n" + declarations,
                   R"(%kv = quern.state_ref @kv : !quern.state<kv, 1x3x2>
%q = quern.slice %x {offset = 0 : i64} : !T11 -> !T6
%k = quern.slice %x {offset = 6 : i64} : !T11 -> !T3
%v = quern.slice %x {offset = 9 : i64} : !T11 -> !T2
quern.kv_append %k, %v, %batch, %kv : !T3, !T2, !quern.batch, !quern.state<kv, 1x3x2>
)" +
                       (declarations.empty()
                            ? std::string()
                            : "%sinks = quern.weight_ref @sinks : !quern.weight<2, \"f32\">\n") +
                       "%y = quern.attention %q, %batch, %kv" + operands +
                       " {heads = 2 : i64, scale = 0.5 : f32" + attributes +
                       "} : (!T6, !quern.batch, !quern.state<kv, 1x3x2>" + types + ") -> !T4",
                   {2, 3, 6});
}

// Tests that a bias of the distance equals one that grows with the key's position alone, as BLOOM
// adds it.
TEST(PositionsTest, AlibiIsALineOfThePosition) {
  const double slopes[] = {0.25, -1.5};
  expect_step(attention_text("", ", alibi = array<f32: 0.25, -1.5>", ""), {{{0, 0, kTokens}}, {}},
              attend([&](int64_t h, int64_t j) { return slopes[h] * static_cast<double>(j); }, {}));
}

TEST(PositionsTest, AlibiOfFalconIsRoundedToBf16) {
  // 0.70703125 is a bfloat16; its multiples are not.
  const double slopes[] = {0.70703125, 0.125};
  auto bias = [&](int64_t h, int64_t j) { return 0.5 * bf16(slopes[h] * static_cast<double>(j)); };
  EXPECT_NE(bias(0, 5), 0.5 * slopes[0] * 5);
  expect_step(attention_text("", ", alibi = array<f32: 0.70703125, 0.125>, alibi_bf16 = true", ""),
              {{{0, 0, kTokens}}, {}}, attend(bias, {}));
}

TEST(PositionsTest, SinksTakeAShareOfTheSoftmax) {
  expect_step(
      attention_text(", %sinks", "", ", !quern.weight<2, \"f32\">", weight_text("sinks", "2", 2)),
      {{{0, 0, kTokens}}, {}},
      attend([](int64_t, int64_t) { return 0.0; }, synthetic("sinks", 1, 2, 2).values));
}

} // namespace
} // namespace quern::reference
