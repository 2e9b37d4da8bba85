#include "runtime/session/Engine.h"

#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace quern::session {
namespace {

using test::fake_logits;
using test::fake_logits_of_all;
using test::write_fake;
using testing::ElementsAreArray;
using testing::HasSubstr;

std::string message(const absl::Status &status) { return std::string(status.message()); }

std::vector<int32_t> sequence(size_t length, int32_t seed) {
  std::vector<int32_t> tokens(length);
  for (size_t i = 0; i < length; ++i)
    tokens[i] = static_cast<int32_t>((i * i + 7 * i * static_cast<size_t>(seed) + 3) % FAKE_VOCAB);
  return tokens;
}

std::unique_ptr<Engine> open(const EngineOptions &options, const test::FakeOptions &fake = {}) {
  auto engine = Engine::open(write_fake("engine.quern", fake), options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// The logits of one step of one sequence.
std::vector<float> feed(Engine &engine, SlotId slot, std::span<const int32_t> tokens,
                        Rows rows = Rows::all) {
  const SequenceStep step{slot, tokens, rows};
  std::vector<float> logits(step.num_rows() * engine.vocab());
  const absl::Status status = engine.step(std::span(&step, 1), logits);
  EXPECT_TRUE(status.ok()) << status;
  return logits;
}

// Tests that a sequence's logits depend on its tokens alone: any chunking, on 1 to 5 workers,
// across page and step borders.
TEST(Engine, ChunksAndThreadsDoNotMatter) {
  const std::vector<int32_t> tokens = sequence(150, 1);
  const std::vector<float> expected = fake_logits_of_all(tokens);
  for (int threads : {1, 2, 5}) {
    auto engine = open({.threads = threads});
    for (size_t chunk : {1u, 3u, 16u, 17u, 150u}) {
      const SlotId slot = *engine->create_slot();
      std::vector<float> logits;
      for (size_t i = 0; i < tokens.size(); i += chunk)
        for (float logit :
             feed(*engine, slot, std::span(tokens).subspan(i, std::min(chunk, tokens.size() - i))))
          logits.push_back(logit);
      EXPECT_EQ(logits, expected) << "chunks of " << chunk << ", " << threads << " threads";
      EXPECT_EQ(engine->length(slot), 150u);
      EXPECT_THAT(engine->tokens(slot), ElementsAreArray(tokens));
      ASSERT_TRUE(engine->free_slot(slot).ok());
    }
  }
}

// Tests a ragged batch, larger than the device step takes at once (T 16, B 3), with each kind of
// rows.
TEST(Engine, RaggedBatchesAreCut) {
  auto engine = open({.slots = 5});
  const size_t lengths[] = {41, 1, 70, 17, 2};
  std::vector<std::vector<int32_t>> sequences;
  std::vector<SequenceStep> batch;
  std::vector<float> expected;
  for (int i = 0; i < 5; ++i)
    sequences.push_back(sequence(lengths[i], i));
  const Rows rows[] = {Rows::all, Rows::last, Rows::last, Rows::none, Rows::all};
  for (int i = 0; i < 5; ++i) {
    batch.push_back({*engine->create_slot(), sequences[i], rows[i]});
    const auto wanted = rows[i] == Rows::all    ? fake_logits_of_all(sequences[i])
                        : rows[i] == Rows::last ? fake_logits(sequences[i])
                                                : std::vector<float>();
    expected.insert(expected.end(), wanted.begin(), wanted.end());
  }
  std::vector<float> logits(expected.size());
  ASSERT_TRUE(engine->step(batch, logits).ok());
  EXPECT_EQ(logits, expected);
}

// Tests a greedy step's choice, and that nothing changes when it is refused.
TEST(Engine, GreedyStepsGiveTheFirstLargestLogit) {
  auto engine = open({});
  const SlotId slot = *engine->create_slot();
  std::vector<float> logits(engine->vocab());
  std::vector<int32_t> tokens;
  for (int32_t token = 5; tokens.size() < 12;) {
    tokens.push_back(token);
    const auto expected = fake_logits(tokens);
    const auto next = engine->step_greedy(slot, token, logits);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(*next, std::ranges::max_element(expected) - expected.begin());
    token = *next;
  }
  EXPECT_THAT(engine->tokens(slot), ElementsAreArray(tokens));
  EXPECT_THAT(message(engine->step_greedy(slot, FAKE_VOCAB, logits).status()),
              HasSubstr("not in the vocabulary"));
  EXPECT_THAT(message(engine->step_greedy(slot, 1, std::span(logits).first(3)).status()),
              HasSubstr("room for 0"));
  EXPECT_EQ(engine->length(slot), tokens.size());
}

// Tests that nothing changes when a step is refused, and that each refusal has its numbers.
TEST(Engine, RefusesBadSteps) {
  auto engine = open({.ctx = 20, .slots = 2});
  const SlotId slot = *engine->create_slot();
  const std::vector<int32_t> some = sequence(12, 2);
  feed(*engine, slot, some);
  std::vector<float> room(64 * FAKE_VOCAB);
  auto refuse = [&](std::vector<SequenceStep> batch, std::span<float> logits) {
    const absl::Status status = engine->step(batch, logits);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(engine->length(slot), 12u);
    return message(status);
  };
  const std::vector<int32_t> huge = {5, 999999999}, negative = {-1}, nine = sequence(9, 1);
  EXPECT_THAT(refuse({{slot, huge}}, room), HasSubstr("token 999999999 is not in the vocabulary"));
  EXPECT_THAT(refuse({{slot, negative}}, room), HasSubstr("ids 0 to 36"));
  EXPECT_THAT(refuse({{slot, nine}}, room), HasSubstr("12 positions and 9 more tokens exceed 20"));
  EXPECT_THAT(refuse({{slot, {}}}, room), HasSubstr("no tokens"));
  EXPECT_THAT(refuse({{slot + 1, some}}, room), HasSubstr("not alive"));
  EXPECT_THAT(refuse({{-5, some}}, room), HasSubstr("not alive"));
  const auto two = std::span(some).first(2);
  EXPECT_THAT(refuse({{slot, two}, {slot, two}}, room), HasSubstr("twice"));
  EXPECT_THAT(refuse({{slot, two, Rows::all}}, std::span(room).first(FAKE_VOCAB)),
              HasSubstr("2 rows"));
}

// Tests what cannot be opened, with the numbers and the remedy.
TEST(Engine, RefusesToOpen) {
  const std::string path = write_fake("open.quern");
  auto refuse = [&](const EngineOptions &options) {
    return message(Engine::open(path, options).status());
  };
  EXPECT_THAT(refuse({.ctx = uint64_t{1} << 30}), HasSubstr("1073741824"));
  EXPECT_THAT(refuse({.ctx = uint64_t{1} << 30}), HasSubstr("hint: -c 200 fits"));
  EXPECT_THAT(refuse({.slots = 0}), HasSubstr("0 slots"));
  EXPECT_THAT(refuse({.slots = uint64_t{1} << 40}), HasSubstr("--slots takes"));
  EXPECT_THAT(refuse({.memory = 4096}), HasSubstr("--memory allows 4.0 KiB"));
  EXPECT_THAT(refuse({.device = "abacus"}), HasSubstr("--device cpu"));
  EXPECT_THAT(refuse({.variant = "sm_90a"}), HasSubstr("it has x86-64-v3"));
  EXPECT_THAT(refuse({.variant = "h100"}), HasSubstr("no CPU variant 'sm_90a'"));
  EXPECT_TRUE(Engine::open(path, {.variant = "native"}).ok());
  const std::string both = write_fake("both.quern", {.cuda = true});
  for (const char *name : {"sm_80", "a100"})
    EXPECT_EQ(message(Engine::open(both, {.variant = name}).status()),
              std::string("variant ") + name +
                  " is code for cuda, which device cpu does not run\n"
                  "hint: --device cuda, or leave --variant out");
  EXPECT_THAT(refuse({.threads = 100000}), HasSubstr("100000 threads"));
  EXPECT_THAT(
      message(Engine::open(write_fake("odd.quern", {.features = {"warp-drive"}}), {}).status()),
      HasSubstr("x86-64-v3 needs warp-drive"));
  EXPECT_THAT(message(Engine::open(write_fake("odd.quern", {.symbol = "quern_gone"}), {}).status()),
              HasSubstr("no function quern_gone"));
}

// Tests that a device whose code the artifact lacks is refused without looking for the device, with
// what there is and what to do.
TEST(Engine, RefusesDevicesOfOtherTargets) {
  const std::string path = write_fake("cpu-only.quern");
  for (const char *device : {"cuda", "cuda:3", "ptx"})
    EXPECT_THAT(message(Engine::open(path, {.device = device}).status()),
                HasSubstr(std::string("has no code for cuda, which device ") + device +
                          " runs; it has code for x86-64-v3\nhint: --device cpu, or compile the "
                          "model with --target cpu,cuda"));
}

// Tests that of an artifact for several targets a device runs its own's buckets: the CPU finds no
// function for others.
TEST(Engine, RunsItsTargetsBuckets) {
  auto alone = open({}), both = open({}, {.cuda = true});
  EXPECT_EQ(both->variant(), "x86-64-v3");
  const std::vector<int32_t> tokens = sequence(20, 1);
  EXPECT_EQ(feed(*both, *both->create_slot(), tokens), feed(*alone, *alone->create_slot(), tokens));
  EXPECT_EQ(both->memory().staging, 0u);
  EXPECT_EQ(both->memory().total, alone->memory().total);
}

// Tests that memory is what the plan says: slots * (slot_bytes + pages * page_bytes).
TEST(Engine, AccountsForItsMemory) {
  auto engine = open({.ctx = 130, .slots = 3});
  const MemoryUse &memory = engine->memory();
  EXPECT_EQ(memory.state, 3u * (64 + 3 * (256 + 512)));
  EXPECT_EQ(memory.arena, 256u);
  EXPECT_EQ(memory.weights, FAKE_VOCAB * 4u + 4);
  EXPECT_EQ(memory.total, memory.state + memory.arena + memory.weights + memory.code);
}

// Tests the null device: a session on it goes through all motions and answers zeros.
TEST(Engine, NullDeviceAnswersZeros) {
  auto engine = open({.device = "null"});
  const SlotId slot = *engine->create_slot();
  const std::vector<int32_t> tokens = sequence(20, 1);
  EXPECT_THAT(feed(*engine, slot, tokens), testing::Each(0.0f));
  EXPECT_EQ(engine->length(slot), 20u);
}

std::vector<Tensor> main_inputs(std::vector<float> &x, float &scale, int64_t rows) {
  return {{artifact::ElementType::f32, {rows, 3}, x.data(), x.size() * 4},
          {artifact::ElementType::f32, {}, &scale, 4}};
}

// Tests an entry of plain tensors, with a symbolic dimension and a scalar.
TEST(Engine, CallsPlainEntries) {
  auto engine = open({}, {.main_entry = true});
  EXPECT_EQ(engine->vocab(), 0u);
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  float scale = 10;
  const auto inputs = main_inputs(x, scale, 2);
  auto outputs = engine->output_shapes("main", inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->size(), 1u);
  EXPECT_THAT((*outputs)[0].shape, testing::ElementsAre(2, 3));
  std::vector<float> y(6);
  (*outputs)[0].data = y.data();
  ASSERT_TRUE(engine->call("main", inputs, *outputs).ok());
  EXPECT_THAT(y, testing::ElementsAre(10, 20, 30, 40, 50, 60));
  const SequenceStep step;
  EXPECT_THAT(message(engine->step(std::span(&step, 1), {})), HasSubstr("no entry 'step'"));
}

// Tests that tensors that do not match are named.
TEST(Engine, RefusesBadCalls) {
  auto engine = open({}, {.main_entry = true});
  std::vector<float> x(3 * 20);
  float scale = 1;
  auto refuse = [&](std::string_view entry, std::vector<Tensor> inputs) {
    auto outputs = engine->output_shapes(entry, inputs);
    if (!outputs.ok())
      return message(outputs.status());
    std::vector<float> y(100);
    (*outputs)[0].data = y.data();
    return message(engine->call(entry, inputs, *outputs));
  };
  auto inputs = main_inputs(x, scale, 2);
  EXPECT_THAT(refuse("mian", inputs), HasSubstr("no entry 'mian'"));
  EXPECT_THAT(refuse("main", main_inputs(x, scale, 20)), HasSubstr("not compiled for 20 tokens"));
  EXPECT_THAT(refuse("main", main_inputs(x, scale, 21)), HasSubstr("does not fit"));
  EXPECT_THAT(refuse("main", main_inputs(x, scale, -1)), HasSubstr("must have shape [T, 3]"));
  inputs[0].shape = {3, 2};
  EXPECT_THAT(refuse("main", inputs), HasSubstr("must have shape [T, 3], not [3, 2]"));
  inputs[0].type = artifact::ElementType::i8;
  EXPECT_THAT(refuse("main", inputs), HasSubstr("must be f32, not i8"));
  inputs.pop_back();
  EXPECT_THAT(refuse("main", inputs), HasSubstr("takes 2 inputs, not 1"));
  auto step = open({});
  EXPECT_THAT(message(step->call("step", {}, {})), HasSubstr("carries state"));
}

} // namespace
} // namespace quern::session
