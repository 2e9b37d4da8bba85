// 100,000 tokens through models whose state does not grow: the memory stays what it was, and the
// logits at the end are the interpreter's in float64 but for a drift that does not build up.
#include "frontends/Import.h"
#include "ir/reference/Interpreter.h"
#include "runtime/session/Engine.h"
#include "tests/conformance/Programs.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <algorithm>
#include <cmath>

namespace quern::conformance {
namespace {

constexpr size_t kTokens = 100'000, kStep = 500;
constexpr int32_t kVocab = 23;

std::vector<int32_t> text() {
  std::vector<int32_t> tokens;
  for (uint32_t i = 0, x = 7; i < kTokens; ++i) {
    x = x * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>(x >> 8) % kVocab);
  }
  return tokens;
}

/// Bytes of this process that lie in memory.
uint64_t resident() {
  std::ifstream statm("/proc/self/statm");
  uint64_t all = 0, pages = 0;
  statm >> all >> pages;
  return pages * 4096;
}

/// The logits behind the last token.
std::vector<double> reference(mlir::ModuleOp module, const std::vector<int32_t> &tokens) {
  auto interpreter = reference::Interpreter::create(module, {.float64 = true, .threads = 1});
  EXPECT_TRUE(interpreter.ok()) << interpreter.status();
  reference::ReferenceState state;
  std::vector<double> last;
  for (size_t at = 0; at < tokens.size(); at += kStep) {
    const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(at);
    auto logits = (*interpreter)
                      ->step({.sequences = {{.slot = 0,
                                             .start = static_cast<int32_t>(at),
                                             .tokens = {first, first + kStep}}},
                              .rows = {kStep - 1}},
                             state);
    EXPECT_TRUE(logits.ok()) << logits.status();
    last = std::move(logits->values);
  }
  return last;
}

class Long : public testing::TestWithParam<const char *> {};

TEST_P(Long, StateIsConstantAndDoesNotDrift) {
  const auto golden = read_golden(GetParam());
  const ModelFolder model;
  model.write_config(golden["config"]);
  model.write_tensors(golden["tensors"]);
  const std::string artifact = model.path("m.quern");
  done("quern",
       {"compile", model.path(), "-o", artifact, "-q", "--quant", "f32", "--variant", "native"});
  const std::vector<int32_t> tokens = text();

  std::vector<float> logits(kVocab);
  uint64_t state_bytes = 0;
  for (const uint64_t ctx : {uint64_t{1000}, uint64_t{kTokens}}) {
    auto engine = session::Engine::open(artifact, {.ctx = ctx, .threads = 1});
    ASSERT_TRUE(engine.ok()) << engine.status();
    // By accounting: a context a hundred times as long takes no more.
    if (state_bytes == 0)
      state_bytes = (*engine)->memory().state;
    EXPECT_EQ((*engine)->memory().state, state_bytes);
    const auto slot = (*engine)->create_slot();
    ASSERT_TRUE(slot.ok()) << slot.status();
    uint64_t before = 0;
    for (size_t at = 0; at < ctx; at += kStep) {
      const std::span<const int32_t> next(tokens.data() + at, kStep);
      const absl::Status status = (*engine)->step({{{.slot = *slot, .tokens = next}}}, logits);
      ASSERT_TRUE(status.ok()) << status;
      if (at == 2 * kStep)
        before = resident();
    }
    // By the system: what grows are the tokens that the engine remembers.
    if (ctx == kTokens)
      EXPECT_LT(resident(), before + kTokens * sizeof(int32_t) * 3 + (1 << 20));
  }

  mlir::MLIRContext context;
  auto imported = import_model(model.path(), {}, context);
  ASSERT_TRUE(imported.ok()) << imported.status();
  const std::vector<double> wanted = reference(*imported->module, tokens);
  ASSERT_EQ(wanted.size(), logits.size());
  double sum = 0, squares = 0, worst = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    sum += wanted[i];
    squares += wanted[i] * wanted[i];
    worst = std::max(worst, std::abs(wanted[i] - static_cast<double>(logits[i])));
  }
  const auto n = static_cast<double>(wanted.size());
  const double deviation = std::sqrt(squares / n - sum / n * (sum / n));
  RecordProperty("drift", std::to_string(worst / deviation));
  // 2e-6 and 1e-6 are measured, no more than after a few tokens.
  EXPECT_LT(worst, 1e-5 * deviation) << worst / deviation;
}

INSTANTIATE_TEST_SUITE_P(All, Long, testing::Values("names/rwkv7-package", "mamba2"),
                         [](const auto &info) {
                           std::string name = info.param;
                           name = name.substr(name.find('/') + 1);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
} // namespace quern::conformance
