// Sessions on the device cuda: what the driver is asked for, and that the answers are the CPU's.
#include "runtime/device/cuda/Upload.h"
#include "tests/runtime/device/cuda/FakeGpuTest.h"

#include <algorithm>
#include <set>

namespace quern::device {
namespace {

using session::Engine;
using session::Rows;
using session::SequenceStep;
using test::fake_driver;
using test::fake_logits;
using test::fake_logits_of_all;
using test::FakeCall;
using test::some_tokens;
using testing::ElementsAre;
using testing::HasSubstr;

class CudaDevice : public test::FakeGpuTest {};

// Tests that prompts in pieces, batches and forks give what they give on the CPU, in each way of
// launching, with and without a window and recurrent state.
TEST_F(CudaDevice, GivesTheCpusLogits) {
  for (const char *mode : {"blocking", "discrete", "graph", "persistent"}) {
    setenv("QUERN_CUDA_LAUNCH", mode, 1);
    for (const uint32_t window : {0u, 70u})
      for (const bool recurrent : {false, true}) {
        SCOPED_TRACE(std::string(mode) + (recurrent ? " recurrent " : " ") +
                     std::to_string(window));
        auto engine = open({.recurrent = recurrent, .window = window, .cuda = true});
        ASSERT_TRUE(engine.ok()) << engine.status();
        const auto tokens = some_tokens(150);
        const auto all = std::span(tokens);
        const auto slot = *(*engine)->create_slot();
        EXPECT_EQ(feed(**engine, slot, all.first(100), Rows::all),
                  fake_logits_of_all(all.first(100), recurrent, window));
        const auto child = *(*engine)->fork(slot);
        for (size_t n = 100; n < 150; ++n) {
          EXPECT_EQ(feed(**engine, slot, all.subspan(n, 1)),
                    fake_logits(all.first(n + 1), recurrent, window));
        }
        const SequenceStep steps[] = {{child, all.subspan(100, 3), Rows::last},
                                      {slot, all.first(1), Rows::none}};
        std::vector<float> logits((*engine)->vocab());
        ASSERT_TRUE((*engine)->step(steps, logits).ok());
        EXPECT_EQ(logits, fake_logits(all.first(103), recurrent, window));
      }
  }
}

// Tests that a greedy step takes the token from the device, and copies no logits.
TEST_F(CudaDevice, TakesTheLargestFromTheDevice) {
  for (const char *mode : {"discrete", "persistent"}) {
    setenv("QUERN_CUDA_LAUNCH", mode, 1);
    auto engine = open();
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto slot = *(*engine)->create_slot();
    std::vector<int32_t> tokens = {5};
    std::vector<float> logits((*engine)->vocab());
    for (int i = 0; i < 20; ++i) {
      fake_driver().calls.clear();
      const auto next = (*engine)->step_greedy(slot, tokens.back(), logits);
      ASSERT_TRUE(next.ok()) << next.status();
      const auto expected = fake_logits(tokens);
      EXPECT_EQ(*next, std::ranges::max_element(expected) - expected.begin());
      const auto copied = calls("cuMemcpyDtoHAsync_v2");
      ASSERT_EQ(copied.size(), 1u);
      EXPECT_EQ(copied[0].number, 8u);
      tokens.push_back(*next);
    }
  }
}

// Tests that a step is one copy to the device, one launch, one copy back and one synchronisation,
// and takes no memory.
TEST_F(CudaDevice, AStepIsFourCalls) {
  setenv("QUERN_CUDA_LAUNCH", "graph", 1);
  auto engine = open();
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto slot = *(*engine)->create_slot();
  (void)feed(**engine, slot, some_tokens(10));
  fake_driver().calls.clear();
  (void)feed(**engine, slot, some_tokens(1));
  std::vector<std::string> names;
  for (const FakeCall &call : fake_driver().calls)
    names.push_back(call.name);
  EXPECT_THAT(names, ElementsAre("cuMemcpyHtoDAsync_v2", "cuGraphLaunch", "cuMemcpyDtoHAsync_v2",
                                 "cuStreamSynchronize"));
  // Of the block tables two groups' one page is copied, of the room for 200 positions.
  fake_driver().calls.clear();
  (void)feed(**engine, slot, some_tokens(1));
  const uint64_t short_step = calls("cuMemcpyHtoDAsync_v2").at(0).number;
  (void)feed(**engine, slot, some_tokens(100));
  fake_driver().calls.clear();
  (void)feed(**engine, slot, some_tokens(1));
  EXPECT_EQ(calls("cuMemcpyHtoDAsync_v2").at(0).number, short_step + 2 * 4);
}

// Tests what kernels are launched with: constant from step to step, blocks as many as there is work
// for and the GPU holds.
TEST_F(CudaDevice, LaunchesAsTheSectionSays) {
  setenv("QUERN_CUDA_LAUNCH", "discrete", 1);
  for (const int multiprocessors : {1, 4}) {
    fake_driver().gpu.multiprocessors = multiprocessors;
    auto engine = open();
    ASSERT_TRUE(engine.ok()) << engine.status();
    EXPECT_EQ(calls("cuFuncSetAttribute").at(0).number, 1024u); // what fake_logits needs
    const auto slot = *(*engine)->create_slot();
    std::set<std::vector<uint64_t>> parameters;
    for (int i = 0; i < 3; ++i) {
      fake_driver().calls.clear();
      (void)feed(**engine, slot, some_tokens(1));
      const auto launches = calls("cuLaunchKernel");
      ASSERT_EQ(launches.size(), 2u);
      EXPECT_EQ(launches[0].what, "fake_append");
      EXPECT_EQ(launches[0].number, 1u);
      EXPECT_EQ(launches[1].what, "fake_logits");
      EXPECT_EQ(launches[1].number, multiprocessors == 1 ? 2u : 5u); // of 5, two a multiprocessor
      parameters.insert(launches[1].parameters);
    }
    ASSERT_EQ(parameters.size(), 1u);
    const std::vector<uint64_t> &given = *parameters.begin();
    const auto weights = reinterpret_cast<uintptr_t>((*engine)->device().weights());
    EXPECT_EQ(given[1], weights);
    EXPECT_GT(given[3], given[0]); // rows lie in the step's block
    EXPECT_THAT(std::span(given).subspan(4, 4), ElementsAre(0, 0, 1, 0));
  }
}

TEST_F(CudaDevice, APersistentKernelHasNoMoreBlocksThanTheGpuHolds) {
  fake_driver().gpu.multiprocessors = 1;
  fake_driver().gpu.blocks = 2;
  auto engine = open();
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto slot = *(*engine)->create_slot();
  fake_driver().calls.clear();
  (void)feed(**engine, slot, some_tokens(1));
  EXPECT_EQ(calls("cuLaunchCooperativeKernel").at(0).number, 2u);
  (void)feed(**engine, slot, some_tokens(2)); // other buckets have none
  EXPECT_EQ(calls("cuLaunchCooperativeKernel").size(), 1u);
  EXPECT_EQ(calls("cuGraphLaunch").size(), 1u);
}

// Tests that state saved on either device goes on on the other.
TEST_F(CudaDevice, StateMovesBetweenDevices) {
  // So long that the window's group has given back a page: its pages are not numbered as the
  // others.
  const auto tokens = some_tokens(199);
  for (const auto &[from, to] : {std::pair("cpu", "ptx"), std::pair("ptx", "cpu")}) {
    SCOPED_TRACE(from);
    const std::string path = test::fresh_path("moving.state");
    {
      auto engine = open({.window = 70, .cuda = true}, from);
      ASSERT_TRUE(engine.ok()) << engine.status();
      const auto slot = *(*engine)->create_slot();
      (void)feed(**engine, slot, std::span(tokens).first(198));
      ASSERT_TRUE((*engine)->save_state(slot, path).ok());
    }
    auto engine = open({.window = 70, .cuda = true}, to);
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto slot = (*engine)->load_state(path);
    ASSERT_TRUE(slot.ok()) << slot.status();
    EXPECT_EQ(feed(**engine, *slot, std::span(tokens).subspan(198)), fake_logits(tokens, true, 70));
  }
}

// Tests that checkpoints lie on the device, that what is edited there goes on as on the CPU, and
// that a state that one device saved is edited on the other.
TEST_F(CudaDevice, GoesBackToCheckpoints) {
  const test::FakeOptions fake{.context = 900, .window = 70, .cuda = true};
  auto tokens = some_tokens(640);
  for (const auto &[from, to] : {std::pair("cpu", "ptx"), std::pair("ptx", "cpu")}) {
    SCOPED_TRACE(from);
    const std::string path = test::fresh_path("edited.state");
    {
      auto engine = open(fake, from, 1, 20000);
      ASSERT_TRUE(engine.ok()) << engine.status();
      ASSERT_EQ((*engine)->checkpoints().spacing, 256u);
      const auto slot = *(*engine)->create_slot();
      (void)feed(**engine, slot, tokens);
      ASSERT_TRUE((*engine)->save_state(slot, path).ok());
      tokens[630] ^= 1;
      EXPECT_EQ(*(*engine)->rewind_to_shared(slot, tokens), 512u);
      EXPECT_EQ(feed(**engine, slot, std::span(tokens).subspan(512)),
                fake_logits(tokens, true, 70));
    }
    auto engine = open(fake, to, 1, 20000);
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto slot = (*engine)->load_state(path);
    ASSERT_TRUE(slot.ok()) << slot.status();
    tokens[300] ^= 1;
    EXPECT_EQ(*(*engine)->rewind_to_shared(*slot, tokens), 256u);
    EXPECT_EQ(feed(**engine, *slot, std::span(tokens).subspan(256)), fake_logits(tokens, true, 70));
  }
}

TEST_F(CudaDevice, CallsEntriesOfPlainTensors) {
  auto engine = open({.main_entry = true, .cuda = true});
  ASSERT_TRUE(engine.ok()) << engine.status();
  std::vector<float> x = {1, 2, 3, 4, 5, 6}, y(6);
  float scale = 2;
  const session::Tensor inputs[] = {{artifact::ElementType::f32, {2, 3}, x.data(), 24},
                                    {artifact::ElementType::f32, {}, &scale, 4}};
  session::Tensor outputs[] = {{artifact::ElementType::f32, {2, 3}, y.data(), 24}};
  const absl::Status status = (*engine)->call("main", inputs, outputs);
  ASSERT_TRUE(status.ok()) << status;
  for (size_t i = 0; i < 6; ++i)
    EXPECT_EQ(y[i], x[i] * 2 + test::fake_weight(0));
}

// Tests that memory is zeros, and that state is zeroed and copied in the order of the calls.
TEST_F(CudaDevice, MovesState) {
  auto opened = open_device("ptx", {});
  ASSERT_TRUE(opened.ok()) << opened.status();
  Device &device = **opened;
  auto memory = device.allocate(1000);
  ASSERT_TRUE(memory.ok()) << memory.status();
  uint8_t *data = (*memory)->data();
  std::vector<uint8_t> host(1000, 1);
  ASSERT_TRUE(device.to_host(host.data(), data, 1000).ok());
  EXPECT_EQ(host, std::vector<uint8_t>(1000));
  std::vector<uint8_t> ones(500, 1);
  ASSERT_TRUE(device.from_host(data, ones.data(), 500).ok());
  std::ranges::fill(ones, 2); // the caller's again
  device.copy(data + 500, data, 500);
  device.zero(data + 100, 200);
  ASSERT_TRUE(device.to_host(host.data(), data, 1000).ok());
  for (size_t i = 0; i < 1000; ++i)
    EXPECT_EQ(host[i], i >= 100 && i < 300 ? 0 : 1) << i;
}

// Tests that a copy that fails is not forgotten.
TEST_F(CudaDevice, WhatCannotSayItsErrorSaysItLater) {
  auto opened = open_device("ptx", {});
  ASSERT_TRUE(opened.ok()) << opened.status();
  Device &device = **opened;
  auto memory = device.allocate(100);
  ASSERT_TRUE(memory.ok()) << memory.status();
  fake_driver().fail = "cuMemcpyDtoDAsync_v2";
  fake_driver().fail_after = 0;
  fake_driver().fail_result = 999;
  device.copy((*memory)->data(), (*memory)->data() + 50, 50);
  uint8_t byte = 0;
  const absl::Status status = device.to_host(&byte, (*memory)->data(), 1);
  EXPECT_THAT(message(status), HasSubstr("device ptx failed: copying state: "));
  EXPECT_EQ(device.from_host((*memory)->data(), &byte, 1), status);
}

// Tests that pieces of weights do not overtake each other in the buffers that they share, with a
// driver that copies as late as it may.
TEST_F(CudaDevice, UploadsInPieces) {
  auto driver = cuda::Driver::load(cuda::Library::interpreter);
  ASSERT_TRUE(driver.ok()) << driver.status();
  auto gpu = cuda::Gpu::open(*driver, 0);
  ASSERT_TRUE(gpu.ok()) << gpu.status();
  auto stream = cuda::make_stream(*gpu);
  ASSERT_TRUE(stream.ok()) << stream.status();
  constexpr uint64_t kBytes = (30u << 20) + 5;
  std::vector<uint8_t> weights(kBytes), read(kBytes);
  for (size_t i = 0; i < kBytes; ++i)
    weights[i] = static_cast<uint8_t>(i >> 17); // no two pieces are alike
  auto memory = cuda::allocate(*gpu, kBytes, "a test");
  ASSERT_TRUE(memory.ok()) << memory.status();
  ASSERT_TRUE(cuda::upload(*gpu, stream->get(), memory->get(), weights).ok());
  EXPECT_EQ(calls("cuMemcpyHtoDAsync_v2").size(), 4u);
  EXPECT_EQ(calls("cuMemHostAlloc").size(), 2u);
  ASSERT_EQ((*driver)->to_host(read.data(), memory->get(), kBytes, stream->get()), cuda::kSuccess);
  ASSERT_EQ((*driver)->stream_synchronize(stream->get()), cuda::kSuccess);
  EXPECT_TRUE(weights == read);
}

// Tests that each dispatch has its time.
TEST_F(CudaDevice, TimesDispatches) {
  auto engine = open();
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto slot = *(*engine)->create_slot();
  session::StepTimes times;
  (*engine)->record(&times);
  fake_driver().calls.clear();
  (void)feed(**engine, slot, some_tokens(1));
  EXPECT_EQ(calls("cuEventRecord").size(), 2u);
  EXPECT_EQ(calls("cuLaunchKernel").size(), 2u); // not the persistent one
  const session::StepTimes::Bucket &bucket = times.buckets.at((*engine)->bucket_index(1, 1));
  ASSERT_EQ(bucket.steps, 1u);
  EXPECT_GE(bucket.ticks.at(0), 1000u); // the fake driver's microsecond, in ns
}

// Tests that every call that opening makes can fail: the error says so, and nothing is kept.
TEST_F(CudaDevice, EveryCallMayFail) {
  int failed = 0;
  for (const int result : {2, 999})
    for (int n = 0;; ++n) {
      ASSERT_LT(n, 1000);
      fake_driver() = {};
      fake_driver().fail_after = n;
      fake_driver().fail_result = result;
      auto engine = open();
      if (fake_driver().fail_after >= 0)
        break; // there were no more calls
      // What is given back may fail without harm; nothing that is asked for may.
      if (engine.ok())
        continue;
      ++failed;
      EXPECT_THAT(message(engine.status()), testing::AnyOf(HasSubstr("as the test wants it"),
                                                           HasSubstr("Fake GPU has no memory for")))
          << n;
      EXPECT_EQ(absl::IsResourceExhausted(engine.status()), result == 2) << engine.status();
      EXPECT_EQ(fake_driver().live, 0) << n << " " << engine.status();
    }
  EXPECT_GT(failed, 60);
}

// Tests that after a failed step the device is of no more use, and says why.
TEST_F(CudaDevice, AFailedStepIsTheLast) {
  for (const char *mode : {"blocking", "graph"})
    for (int n = 0; n < 4; ++n) {
      setenv("QUERN_CUDA_LAUNCH", mode, 1);
      auto engine = open();
      ASSERT_TRUE(engine.ok()) << engine.status();
      const auto slot = *(*engine)->create_slot();
      (void)feed(**engine, slot, some_tokens(3));
      fake_driver().fail_after = n;
      fake_driver().fail_result = 700;
      const auto token = some_tokens(1);
      std::vector<float> logits((*engine)->vocab());
      const SequenceStep step{slot, token, Rows::last};
      const absl::Status status = (*engine)->step(std::span(&step, 1), logits);
      EXPECT_THAT(message(status), HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS")) << n;
      if (n == 1 && std::string_view(mode) == "blocking")
        EXPECT_THAT(message(status),
                    HasSubstr("kernel fake_append (dispatch 0, all) of bucket 'decode1'"));
      EXPECT_EQ((*engine)->step(std::span(&step, 1), logits), status);
      EXPECT_EQ((*engine)->save_state(slot, test::fresh_path("never.state")).message(),
                status.message());
    }
}

// Tests that the device's memory is what plan, inspect and the engine say, to the byte; code is the
// driver's.
TEST_F(CudaDevice, TakesWhatIsPlanned) {
  for (const uint64_t slots : {1, 5}) {
    auto engine = open({.window = 70, .cuda = true}, "ptx", slots, slots == 5 ? 20000 : 0);
    ASSERT_TRUE(engine.ok()) << engine.status();
    const session::MemoryUse &memory = (*engine)->memory();
    EXPECT_GT(memory.staging, 0u);
    EXPECT_EQ(memory.checkpoints != 0, slots == 5);
    EXPECT_EQ(fake_driver().bytes, memory.total - memory.code);
  }
}

TEST_F(CudaDevice, SaysWhatDoesNotFit) {
  fake_driver().gpu.memory = 100 << 10;
  EXPECT_THAT(message(open({.context = 200, .cuda = true}, "ptx", 1000).status()),
              HasSubstr("and the device has available 100.0 KiB"));
}

} // namespace
} // namespace quern::device
