// Tests on the device "ptx", with the fake driver for the interpreter.
#ifndef QUERN_TESTS_RUNTIME_DEVICE_CUDA_FAKEGPUTEST_H
#define QUERN_TESTS_RUNTIME_DEVICE_CUDA_FAKEGPUTEST_H

#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeDriver.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace quern::test {

class FakeGpuTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("QUERN_PTX_LIBRARY", fake_driver_path().c_str(), 1);
    unsetenv("QUERN_CUDA_LAUNCH");
    unsetenv("QUERN_CUDA_JIT");
    ASSERT_EQ(fake_driver().live, 0) << "a test before left something";
    fake_driver() = FakeDriver{};
  }
  // Whatever a test does, all is given back.
  void TearDown() override {
    EXPECT_EQ(fake_driver().live, 0);
    EXPECT_EQ(fake_driver().bytes, 0u);
  }

  static absl::StatusOr<std::unique_ptr<session::Engine>>
  open(const FakeOptions &fake = {.cuda = true}, const std::string &device = "ptx",
       uint64_t slots = 3, uint64_t checkpoints = 0) {
    return session::Engine::open(write_fake("gpu.quern", fake),
                                 {.device = device, .slots = slots, .checkpoints = checkpoints});
  }
  static std::string message(const absl::Status &status) { return std::string(status.message()); }

  // Calls of that name since the calls were cleared.
  static std::vector<FakeCall> calls(const std::string &name) {
    std::vector<FakeCall> found;
    for (const FakeCall &call : fake_driver().calls)
      if (call.name == name)
        found.push_back(call);
    return found;
  }

  static std::vector<float> feed(session::Engine &engine, session::SlotId slot,
                                 std::span<const int32_t> tokens,
                                 session::Rows rows = session::Rows::last) {
    const session::SequenceStep step{slot, tokens, rows};
    std::vector<float> logits(engine.vocab() * step.num_rows());
    const absl::Status status = engine.step(std::span(&step, 1), logits);
    EXPECT_TRUE(status.ok()) << status;
    return logits;
  }
};

inline std::vector<int32_t> some_tokens(size_t count) {
  std::vector<int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i)
    tokens[i] = static_cast<int32_t>((i * 7 + 3) % FAKE_VOCAB);
  return tokens;
}

} // namespace quern::test

#endif // QUERN_TESTS_RUNTIME_DEVICE_CUDA_FAKEGPUTEST_H
