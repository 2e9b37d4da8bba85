#include "runtime/quern.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace quern {
namespace {

using test::fake_logits;
using test::write_fake;
using testing::HasSubstr;

struct Close {
  void operator()(QuernModel *model) const { quern_close(model); }
};
using Model = std::unique_ptr<QuernModel, Close>;

Model open(const test::FakeOptions &fake = {}, uint64_t slots = 2) {
  QuernOptions options = {};
  options.size = sizeof options;
  options.slots = slots;
  QuernModel *model = nullptr;
  EXPECT_EQ(quern_open(write_fake("capi.quern", fake).c_str(), &options, &model), QUERN_OK)
      << quern_last_error();
  return Model(model);
}

// Tests that the example, in C, gives the greedy continuation.
TEST(Capi, ExampleRuns) {
  const std::string out = test::fresh_path("example.out");
  const std::string command =
      std::string(EXAMPLE) + " " + write_fake("example.quern") + " 5 6 >" + out;
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::vector<int32_t> tokens = {5, 6};
  std::string expected;
  for (int i = 0; i < 8; ++i) {
    const auto logits = fake_logits(tokens);
    const auto best =
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (best == 26)
      break;
    expected += std::to_string(best) + "\n";
    tokens.push_back(best);
  }
  const auto bytes = test::read_file(out);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), expected);
}

TEST(Capi, GreedyStepsNeedNoSampler) {
  const Model model = open();
  QuernSlot slot;
  ASSERT_EQ(quern_slot_create(model.get(), &slot), QUERN_OK);
  std::vector<float> logits(FAKE_VOCAB);
  int32_t next = -1;
  ASSERT_EQ(quern_step_greedy(model.get(), slot, 7, logits.data(), &next), QUERN_OK);
  const auto expected = fake_logits(std::vector<int32_t>{7});
  EXPECT_EQ(next, std::max_element(expected.begin(), expected.end()) - expected.begin());
  EXPECT_EQ(quern_step_greedy(model.get(), slot, -1, logits.data(), &next), QUERN_INVALID_ARGUMENT);
  EXPECT_THAT(quern_last_error(), HasSubstr("not in the vocabulary"));
}

TEST(Capi, StepsSlotsAndStates) {
  const Model model = open({}, 3);
  EXPECT_EQ(quern_vocab(model.get()), FAKE_VOCAB);
  EXPECT_EQ(quern_ctx(model.get()), 200u);
  EXPECT_STREQ(quern_variant(model.get()), "x86-64-v3");
  QuernSlot a, b, c;
  ASSERT_EQ(quern_slot_create(model.get(), &a), QUERN_OK);
  const int32_t head[] = {1, 2, 3}, one[] = {4}, other[] = {5};
  std::vector<float> logits(FAKE_VOCAB * 3);
  const QuernSequence all = {a, QUERN_ROWS_ALL, head, 3};
  ASSERT_EQ(quern_step(model.get(), &all, 1, logits.data(), 3), QUERN_OK);
  EXPECT_EQ(logits, test::fake_logits_of_all(std::vector<int32_t>{1, 2, 3}));
  ASSERT_EQ(quern_slot_fork(model.get(), a, &b), QUERN_OK);
  const std::string state = test::fresh_path("capi.state");
  ASSERT_EQ(quern_slot_save(model.get(), a, state.c_str()), QUERN_OK);
  ASSERT_EQ(quern_slot_load(model.get(), state.c_str(), &c), QUERN_OK);
  const QuernSequence three[] = {
      {a, QUERN_ROWS_LAST, one, 1}, {b, QUERN_ROWS_LAST, other, 1}, {c, QUERN_ROWS_LAST, one, 1}};
  ASSERT_EQ(quern_step(model.get(), three, 3, logits.data(), 3), QUERN_OK);
  std::vector<float> expected;
  for (const auto &sequence : {std::vector<int32_t>{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 3, 4}})
    for (float logit : fake_logits(sequence))
      expected.push_back(logit);
  EXPECT_EQ(logits, expected);
  EXPECT_EQ(quern_slot_length(model.get(), b), 4u);
  EXPECT_EQ(quern_slot_truncate(model.get(), b, 2), QUERN_FAILED_PRECONDITION);
  EXPECT_EQ(quern_slot_free(model.get(), b), QUERN_OK);
  EXPECT_EQ(quern_slot_length(model.get(), b), 0u);
}

// Tests that a history is edited: what is kept is said, and what follows is as if it had always
// been.
TEST(Capi, HistoriesAreEdited) {
  QuernOptions options = {};
  options.size = sizeof options;
  options.slots = 2;
  options.checkpoints = 4000;
  QuernModel *opened = nullptr;
  ASSERT_EQ(quern_open(write_fake("edit.quern", {.context = 2000, .window = 64}).c_str(), &options,
                       &opened),
            QUERN_OK)
      << quern_last_error();
  const Model model(opened);
  const uint64_t spacing = quern_checkpoint_spacing(model.get());
  EXPECT_EQ(spacing, 2048u);
  QuernMemory memory;
  quern_memory(model.get(), &memory);
  EXPECT_EQ(quern_checkpoint_bytes(model.get()), 2u * 1 * (64 + 2 * 512));
  EXPECT_EQ(memory.total, memory.weights + memory.arena + memory.state + memory.code +
                              quern_checkpoint_bytes(model.get()));
  std::vector<int32_t> tokens(900);
  for (int i = 0; i < 900; ++i)
    tokens[i] = i * i % 31;
  QuernSlot slot;
  ASSERT_EQ(quern_slot_create(model.get(), &slot), QUERN_OK);
  std::vector<float> logits(FAKE_VOCAB);
  auto feed = [&](size_t begin, size_t end) {
    const QuernSequence part = {slot, QUERN_ROWS_LAST, tokens.data() + begin, end - begin};
    ASSERT_EQ(quern_step(model.get(), &part, 1, logits.data(), 1), QUERN_OK);
  };
  feed(0, 700);
  ASSERT_EQ(quern_slot_checkpoint(model.get(), slot), QUERN_OK);
  feed(700, 900);
  tokens[800] = 36;
  uint64_t reached = 0;
  ASSERT_EQ(quern_slot_rewind_to_shared(model.get(), slot, tokens.data(), 900, &reached), QUERN_OK);
  EXPECT_EQ(reached, 700u);
  feed(reached, 900);
  EXPECT_EQ(logits, fake_logits(tokens, true, 64));
  ASSERT_EQ(quern_slot_rewind(model.get(), slot, 750, &reached), QUERN_OK);
  EXPECT_EQ(reached, 700u);
  feed(700, 900);
  ASSERT_EQ(quern_slot_truncate(model.get(), slot, 850), QUERN_OK);
  EXPECT_EQ(quern_slot_length(model.get(), slot), 850u);
  feed(850, 900);
  EXPECT_EQ(logits, fake_logits(tokens, true, 64));
}

// Tests that tokens the context has no room for are refused with the numbers, and change nothing.
TEST(Capi, NothingIsCutToTheContext) {
  const Model model = open();
  QuernSlot slot;
  ASSERT_EQ(quern_slot_create(model.get(), &slot), QUERN_OK);
  const std::vector<int32_t> tokens(201, 1);
  std::vector<float> logits(FAKE_VOCAB);
  QuernSequence sequence = {slot, QUERN_ROWS_LAST, tokens.data(), tokens.size()};
  EXPECT_EQ(quern_step(model.get(), &sequence, 1, logits.data(), 1), QUERN_OUT_OF_RANGE);
  EXPECT_THAT(quern_last_error(), HasSubstr("201 tokens are more than the context, which has 200"));
  EXPECT_EQ(quern_slot_length(model.get(), slot), 0u);
  sequence.num_tokens = 199;
  ASSERT_EQ(quern_step(model.get(), &sequence, 1, logits.data(), 1), QUERN_OK);
  sequence.num_tokens = 2;
  EXPECT_EQ(quern_step(model.get(), &sequence, 1, logits.data(), 1), QUERN_OUT_OF_RANGE);
  EXPECT_THAT(quern_last_error(), HasSubstr("199 positions and 2 more tokens exceed 200"));
  EXPECT_EQ(quern_slot_length(model.get(), slot), 199u);
}

// Tests that failures are codes and messages.
TEST(Capi, FailuresSayWhatAndWhere) {
  QuernModel *none = nullptr;
  EXPECT_EQ(quern_open("/nonexistent.quern", nullptr, &none), QUERN_NOT_FOUND);
  EXPECT_THAT(quern_last_error(), HasSubstr("/nonexistent.quern"));
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(quern_open(nullptr, nullptr, &none), QUERN_INVALID_ARGUMENT);
  const Model model = open();
  QuernSlot slot;
  ASSERT_EQ(quern_slot_create(model.get(), &slot), QUERN_OK);
  const int32_t bad[] = {1000};
  float logits[FAKE_VOCAB];
  QuernSequence sequence = {slot, QUERN_ROWS_LAST, bad, 1};
  EXPECT_EQ(quern_step(model.get(), &sequence, 1, logits, 1), QUERN_INVALID_ARGUMENT);
  EXPECT_THAT(quern_last_error(), HasSubstr("token 1000"));
  sequence.rows = 7;
  EXPECT_EQ(quern_step(model.get(), &sequence, 1, logits, 1), QUERN_INVALID_ARGUMENT);
  QuernSampling nonsense;
  quern_sampling_defaults(&nonsense);
  nonsense.top_p = -1;
  QuernSampler *sampler;
  EXPECT_EQ(quern_sampler_create(model.get(), &nonsense, &sampler), QUERN_INVALID_ARGUMENT);
  EXPECT_EQ(sampler, nullptr);
}

TEST(Capi, TextBothWays) {
  const Model model = open();
  int32_t ids[3];
  size_t count;
  ASSERT_EQ(quern_encode(model.get(), "cab", 3, 1, ids, 3, &count), QUERN_OK);
  EXPECT_THAT(ids, testing::ElementsAre(2, 0, 1));
  EXPECT_EQ(quern_encode(model.get(), "cab", 3, 1, ids, 2, &count), QUERN_RESOURCE_EXHAUSTED);
  EXPECT_EQ(count, 3u);
  char text[8];
  ASSERT_EQ(quern_decode(model.get(), ids, 3, text, sizeof text, &count), QUERN_OK);
  EXPECT_EQ(std::string(text, count), "cab");
  EXPECT_TRUE(quern_is_end(model.get(), 26));
  EXPECT_FALSE(quern_is_end(model.get(), 3));
  const Model mute = open({.tokenizer = false});
  EXPECT_EQ(quern_encode(mute.get(), "a", 1, 1, ids, 3, &count), QUERN_FAILED_PRECONDITION);
  EXPECT_FALSE(quern_is_end(mute.get(), 26));
}

// Tests that text that goes on gets no BOS, and the first text of a slot does.
TEST(Capi, TextThatGoesOn) {
  const Model model = open({.bos = true});
  QuernSlot slot;
  ASSERT_EQ(quern_slot_create(model.get(), &slot), QUERN_OK);
  int32_t ids[3];
  size_t count;
  ASSERT_EQ(quern_encode_next(model.get(), slot, "ab", 2, ids, 3, &count), QUERN_OK);
  EXPECT_THAT(ids, testing::ElementsAre(26, 0, 1));
  float logits[FAKE_VOCAB];
  QuernSequence sequence = {slot, QUERN_ROWS_LAST, ids, count};
  ASSERT_EQ(quern_step(model.get(), &sequence, 1, logits, 1), QUERN_OK);
  ASSERT_EQ(quern_encode_next(model.get(), slot, "c", 1, ids, 3, &count), QUERN_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(ids[0], 2);
}

// Tests that a model describes its entries well enough to be called by someone who knows nothing of
// it.
TEST(Capi, DescribesAndCallsEntries) {
  const Model model = open({.main_entry = true});
  ASSERT_EQ(quern_num_entries(model.get()), 1u);
  EXPECT_STREQ(quern_entry_name(model.get(), 0), "main");
  EXPECT_EQ(quern_entry_name(model.get(), 1), nullptr);
  ASSERT_EQ(quern_num_inputs(model.get(), 0), 2u);
  ASSERT_EQ(quern_num_outputs(model.get(), 0), 1u);
  QuernTensorInfo info;
  ASSERT_EQ(quern_input_info(model.get(), 0, 0, &info), QUERN_OK);
  EXPECT_STREQ(info.name, "x");
  EXPECT_EQ(info.type, QUERN_F32);
  EXPECT_EQ(info.rank, 2);
  EXPECT_EQ(info.shape[0], -1);
  EXPECT_STREQ(info.symbols[0], "T");
  EXPECT_EQ(info.shape[1], 3);
  EXPECT_EQ(quern_output_info(model.get(), 0, 5, &info), QUERN_INVALID_ARGUMENT);
  EXPECT_EQ(quern_input_info(model.get(), 3, 0, &info), QUERN_NOT_FOUND);

  float x[] = {1, 2, 3, 4, 5, 6}, scale = 2, y[6];
  QuernTensor inputs[] = {{QUERN_F32, 2, {2, 3}, x, sizeof x}, {QUERN_F32, 0, {}, &scale, 4}};
  QuernTensor output = {};
  ASSERT_EQ(quern_output_shapes(model.get(), 0, inputs, 2, &output), QUERN_OK)
      << quern_last_error();
  EXPECT_EQ(output.rank, 2);
  EXPECT_EQ(output.bytes, sizeof y);
  output.data = y;
  ASSERT_EQ(quern_call(model.get(), 0, inputs, 2, &output, 1), QUERN_OK) << quern_last_error();
  EXPECT_THAT(y, testing::ElementsAre(2, 4, 6, 8, 10, 12));
  inputs[0].rank = 99;
  EXPECT_EQ(quern_call(model.get(), 0, inputs, 2, &output, 1), QUERN_INVALID_ARGUMENT);
}

// Tests that outputs get the shapes that the model counted, time after time in the same memory, and
// that a fault is an error with the node's name.
TEST(Capi, CallsWhatCounts) {
  const Model model = open({.counted_entry = true});
  int64_t ids[] = {0, 7, 8, 0, 0, 9}, kept[6];
  const QuernTensor input = {QUERN_I64, 2, {2, 3}, ids, sizeof ids};
  QuernTensor output = {};
  ASSERT_EQ(quern_output_shapes(model.get(), 0, &input, 1, &output), QUERN_OK);
  EXPECT_EQ(output.shape[0], 6);
  output.data = kept;
  for (const int64_t count : {3, 2}) {
    ASSERT_EQ(quern_call(model.get(), 0, &input, 1, &output, 1), QUERN_OK) << quern_last_error();
    EXPECT_EQ(output.shape[0], count);
    ids[1] = 0;
  }
  EXPECT_EQ(kept[0], 8);
  ids[5] = -7;
  EXPECT_EQ(quern_call(model.get(), 0, &input, 1, &output, 1), QUERN_INVALID_ARGUMENT);
  EXPECT_THAT(quern_last_error(), testing::HasSubstr("'/table/Gather': index -7"));
}

// Tests that a caller finds the sizes of an entry, and what becomes of shapes.
TEST(Capi, DescribesSizes) {
  const Model model = open({.sized_entry = true});
  const char *name = nullptr;
  uint64_t most = 0;
  ASSERT_EQ(quern_size_info(model.get(), 0, 1, &name, &most), QUERN_OK) << quern_last_error();
  EXPECT_STREQ(name, "s");
  EXPECT_EQ(most, 8u);
  EXPECT_EQ(quern_size_info(model.get(), 0, 3, &name, &most), QUERN_NOT_FOUND);
  EXPECT_EQ(quern_size_info(model.get(), 1, 0, &name, &most), QUERN_NOT_FOUND);
  QuernTensorInfo info;
  ASSERT_EQ(quern_input_info(model.get(), 0, 2, &info), QUERN_OK);
  EXPECT_EQ(info.shape[0], -1);
  EXPECT_STREQ(info.symbols[0], "s + 2");
  const QuernTensor inputs[] = {{QUERN_I64, 2, {2, 5}, nullptr, 80},
                                {QUERN_BOOL, 2, {2, 5}, nullptr, 10},
                                {QUERN_F32, 2, {7, 3}, nullptr, 84}};
  QuernTensor outputs[2] = {};
  ASSERT_EQ(quern_output_shapes(model.get(), 0, inputs, 3, outputs), QUERN_OK)
      << quern_last_error();
  EXPECT_EQ(outputs[0].shape[0], 10);
  EXPECT_EQ(outputs[1].shape[0], 2);
  EXPECT_EQ(outputs[1].type, QUERN_BF16);
}

TEST(Capi, SaysWhatItIs) {
  EXPECT_EQ(quern_api_version(), QUERN_API_VERSION);
  EXPECT_THAT(quern_version(), HasSubstr("commit"));
}

} // namespace
} // namespace quern
