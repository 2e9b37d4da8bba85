// Attention among rows of a step and pooling, against formulas written here.
#include "tests/ir/reference/TestModule.h"

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kKey = 3, kValue = 2;
const std::vector<std::vector<int32_t>> kSequences = {{3, 11, 0, 7, 7, 15, 2}, {9}, {4, 4, 13}};

Batch batch_of(const std::vector<std::vector<int32_t>> &sequences) {
  Batch batch;
  for (const auto &tokens : sequences)
    batch.sequences.push_back(
        {.slot = static_cast<int64_t>(batch.sequences.size()), .tokens = tokens});
  return batch;
}

struct Sight {
  int64_t left = 0, right = 0;
  bool causal = false, biased = false;
  double softcap = 0;
};

/// Queries, keys and values are columns of x.
std::string attention(const Sight &s) {
  std::string attributes =
      "heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f32, left = " + std::to_string(s.left) +
      " : i64, right = " + std::to_string(s.right) +
      " : i64, softcap = " + std::to_string(s.softcap) + " : f32";
  if (s.causal)
    attributes += ", causal";
  std::string bias, types = "!T12, !T6, !T4, !quern.batch", operand;
  if (s.biased) {
    attributes += ", buckets = array<i32: 2, 0, 1, 1, 0>";
    bias = "%b = quern.weight_ref @b : !quern.weight<3x4, \"f32\">\n";
    operand = " bias %b";
    types += ", !quern.weight<3x4, \"f32\">";
  }
  return step_text(22, 8, weight_text("b", "3x4"),
                   bias + R"(
%q = quern.slice %x {offset = 0 : i64} : !T22 -> !T12
%k = quern.slice %x {offset = 12 : i64} : !T22 -> !T6
%v = quern.slice %x {offset = 18 : i64} : !T22 -> !T4
%y = quern.attention_rows %q, %k, %v batch %batch)" +
                       operand + " {" + attributes + "} : (" + types + ") -> !T8",
                   {4, 6, 8, 12, 22});
}

/// What one sequence attends to, row by row.
Matrix attended(const Matrix &x, const Sight &s) {
  const Matrix bias = synthetic("b", 3, kHeads);
  const int64_t buckets[] = {2, 0, 1, 1, 0};
  Matrix y(x.rows, kHeads * kValue);
  for (int64_t p = 0; p < x.rows; ++p)
    for (int64_t h = 0; h < kHeads; ++h) {
      const int64_t g = h / (kHeads / kKvHeads);
      double total = 0;
      for (int64_t j = 0; j < x.rows; ++j) {
        if ((s.left && j < p - s.left) || (s.right && j > p + s.right) || (s.causal && j > p))
          continue;
        double score = 0;
        for (int64_t d = 0; d < kKey; ++d)
          score += 0.7F * x.at(p, h * kKey + d) * x.at(j, 12 + g * kKey + d);
        if (s.softcap > 0)
          score = s.softcap * std::tanh(score / s.softcap);
        if (s.biased)
          score += bias.at(buckets[std::clamp<int64_t>(j - p, -2, 2) + 2], h);
        total += std::exp(score);
        for (int64_t d = 0; d < kValue; ++d)
          y.at(p, h * kValue + d) += std::exp(score) * x.at(j, 18 + g * kValue + d);
      }
      for (int64_t d = 0; d < kValue; ++d)
        y.at(p, h * kValue + d) /= total;
    }
  return y;
}

Matrix stacked(const std::vector<Matrix> &parts) {
  Matrix all(0, parts.front().cols);
  for (const Matrix &part : parts) {
    all.rows += part.rows;
    all.values.insert(all.values.end(), part.values.begin(), part.values.end());
  }
  return all;
}

TEST(AttentionRowsTest, EverySequenceSeesItsOwnRows) {
  for (const Sight &sight :
       {Sight{}, Sight{.left = 2, .right = 1}, Sight{.left = 3, .causal = true},
        Sight{.right = 1, .biased = true}, Sight{.biased = true, .softcap = 1.5}}) {
    std::vector<Matrix> expected;
    for (const auto &tokens : kSequences)
      expected.push_back(attended(lookup(tokens, 22), sight));
    expect_step(attention(sight), batch_of(kSequences), stacked(expected));
  }
}

TEST(AttentionRowsTest, DoesNotGoOnWithASequence) {
  TestModule module(attention({}));
  ReferenceState state;
  const auto interpreter = module.interpreter();
  ASSERT_TRUE(interpreter->step({{{0, 0, {3, 11}}}, {}}, state).ok());
  const auto further = interpreter->step({{{0, 2, {0}}}, {}}, state);
  ASSERT_FALSE(further.ok());
  EXPECT_NE(further.status().message().find("begins at position 0"), std::string::npos)
      << further.status();
}

std::string pooled(const std::string &kind) {
  return "!B6 = tensor<?x6xf32, #quern.dims<\"B\">>\n" +
         step_text(6, 6, "", "%y = quern.pool " + kind + " %x, %batch : !T6 -> !B6");
}

TEST(PoolTest, MakesARowOfEachSequence) {
  for (const std::string kind : {"mean", "first", "last", "max", "root_mean", "weighted_mean"}) {
    // The entry returns rows of sequences.
    std::string text = pooled(kind);
    for (size_t at = text.find("-> !T6 {"); at != std::string::npos; at = text.find("-> !T6 {"))
      text.replace(at, 8, "-> !B6 {");
    text.replace(text.find("return %y : !T6"), 15, "return %y : !B6");
    Matrix expected(static_cast<int64_t>(kSequences.size()), 6);
    for (int64_t b = 0; b < expected.rows; ++b) {
      const Matrix x = lookup(kSequences[static_cast<size_t>(b)], 6);
      const auto n = static_cast<double>(x.rows);
      for (int64_t c = 0; c < 6; ++c) {
        double sum = 0, weighted = 0, most = x.at(0, c);
        for (int64_t t = 0; t < x.rows; ++t) {
          sum += x.at(t, c);
          weighted += static_cast<double>(t + 1) * x.at(t, c);
          most = std::max(most, x.at(t, c));
        }
        expected.at(b, c) = kind == "mean"        ? sum / n
                            : kind == "first"     ? x.at(0, c)
                            : kind == "last"      ? x.at(x.rows - 1, c)
                            : kind == "max"       ? most
                            : kind == "root_mean" ? sum / std::sqrt(n)
                                                  : weighted / (n * (n + 1) / 2);
      }
    }
    expect_step(text, batch_of(kSequences), expected);
  }
}

} // namespace
} // namespace quern::reference
