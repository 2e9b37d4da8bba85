// Sequences that tests feed to models, what the interpreter makes of them, and how near that is.
#ifndef QUERN_TESTS_CODEGEN_MODELS_SEQUENCES_H
#define QUERN_TESTS_CODEGEN_MODELS_SEQUENCES_H

#include "ir/reference/Interpreter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace quern::test {

inline std::vector<int32_t> randomTokens(int seed, int count, int64_t vocab) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random() % vocab));
  return tokens;
}

/// The logits of every token of one sequence.
inline std::vector<double> interpret(reference::Interpreter &interpreter,
                                     const std::vector<int32_t> &tokens) {
  reference::ReferenceState state;
  reference::Batch batch;
  batch.sequences.push_back({0, 0, tokens});
  for (size_t i = 0; i < tokens.size(); ++i)
    batch.rows.push_back(static_cast<int32_t>(i));
  auto output = interpreter.step(batch, state);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? output->values : std::vector<double>();
}

/// The largest difference, in standard deviations of `want`.
template <class A> double distance(const A &got, const std::vector<double> &want) {
  EXPECT_EQ(got.size(), want.size());
  if (got.size() != want.size())
    return INFINITY;
  double mean = 0, square = 0, worst = 0;
  for (double value : want)
    mean += value / want.size();
  for (size_t i = 0; i < want.size(); ++i) {
    square += (want[i] - mean) * (want[i] - mean) / want.size();
    double difference = std::fabs(got[i] - want[i]);
    if (!(difference <= worst))
      worst = difference;
  }
  return worst / std::sqrt(square);
}

inline std::vector<double> doubles(const std::vector<float> &values) {
  return {values.begin(), values.end()};
}

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_MODELS_SEQUENCES_H
