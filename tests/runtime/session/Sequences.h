// Sequences of tokens for an engine that runs the fake model, and the logits of them.
#ifndef QUERN_TESTS_RUNTIME_SESSION_SEQUENCES_H
#define QUERN_TESTS_RUNTIME_SESSION_SEQUENCES_H

#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <string>
#include <vector>

namespace quern::test {

inline std::string message(const absl::Status &status) { return std::string(status.message()); }

inline std::vector<int32_t> random_tokens(std::mt19937 &random, size_t count) {
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % FAKE_VOCAB);
  return tokens;
}

/// The logits of one step of one sequence.
inline std::vector<float> feed(session::Engine &engine, session::SlotId slot,
                               std::span<const int32_t> tokens,
                               session::Rows rows = session::Rows::last) {
  const session::SequenceStep step{slot, tokens, rows};
  std::vector<float> logits(step.num_rows() * engine.vocab());
  const absl::Status status = engine.step(std::span(&step, 1), logits);
  EXPECT_TRUE(status.ok()) << status;
  return logits;
}

} // namespace quern::test

#endif // QUERN_TESTS_RUNTIME_SESSION_SEQUENCES_H
