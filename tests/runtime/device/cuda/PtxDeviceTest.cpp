// The device ptx with its interpreter: the runtime's own PTX, the fake model's, and what they leave
// in memory.
#include "runtime/artifact/MadeWeights.h"
#include "runtime/device/cuda/Probe.h"
#include "tests/runtime/device/cuda/FakeGpuTest.h"

namespace quern::device {
namespace {

using session::Engine;
using session::Rows;
using test::fake_logits;
using test::fake_logits_of_all;
using test::some_tokens;

class PtxDevice : public test::FakeGpuTest {
protected:
  void SetUp() override {
    test::FakeGpuTest::SetUp();
    setenv("QUERN_PTX_LIBRARY", QUERN_PTX_DRIVER, 1);
    forget();
  }
  void TearDown() override {
    forget();
    test::FakeGpuTest::TearDown();
  }
  static void forget() {
    for (const char *name : {"QUERN_PTX_DEVICE", "QUERN_PTX_SMS", "QUERN_PTX_SEED",
                             "QUERN_PTX_MODE", "QUERN_PTX_COUNT", "QUERN_PTX_LEVEL"})
      unsetenv(name);
  }
};

// Tests that what the environment says of the device is done or refused, as long as a process
// lives, and that the error says what may stand there.
TEST_F(PtxDevice, WrongSettingsAreRefused) {
  struct Setting {
    const char *name, *good, *wrong, *hint;
  };
  for (const auto &[name, good, wrong, hint] :
       {Setting{"QUERN_PTX_DEVICE", "h100", "b200", "a100 or h100"},
        Setting{"QUERN_PTX_DEVICE", "h100", "sm_90a", "a100 or h100"},
        Setting{"QUERN_PTX_SMS", "7", "0", "a number from 1 to 1024"},
        Setting{"QUERN_PTX_SMS", "1024", "1025", "a number from 1 to 1024"},
        Setting{"QUERN_PTX_SMS", "1", "4 ", "a number from 1 to 1024"},
        Setting{"QUERN_PTX_SEED", "4294967295", "4294967296", "a number from 0 to 4294967295"},
        Setting{"QUERN_PTX_SEED", "0", "-1", "a number from 0 to 4294967295"},
        Setting{"QUERN_PTX_SEED", "21", "one", "a number from 0 to 4294967295"},
        Setting{"QUERN_PTX_MODE", "perturbed", "perturb", "exact or perturbed"},
        Setting{"QUERN_PTX_MODE", "exact", "Exact", "exact or perturbed"},
        Setting{"QUERN_PTX_COUNT", "1", "yes", "0 or 1"},
        Setting{"QUERN_PTX_COUNT", "0", "2", "0 or 1"},
        Setting{"QUERN_PTX_LEVEL", "plain", "avx512", "plain, or be left out"}}) {
    SCOPED_TRACE(std::string(name) + "=" + wrong);
    setenv(name, wrong, 1);
    EXPECT_THAT(message(open().status()), testing::EndsWith(std::string(name) + " is '" + wrong +
                                                            "'\nhint: it may be " + hint));
    for (const char *right : {good, ""}) {
      setenv(name, right, 1);
      const auto engine = open();
      EXPECT_TRUE(engine.ok()) << engine.status();
    }
    unsetenv(name);
  }
}

// Tests that the fake model gives the CPU's logits and tokens in each way of launching: one launch
// of blocks that meet at a barrier gives those of many launches.
TEST_F(PtxDevice, GivesTheCpusLogits) {
  for (const char *mode : {"blocking", "discrete", "graph", "persistent"}) {
    SCOPED_TRACE(mode);
    setenv("QUERN_CUDA_LAUNCH", mode, 1);
    auto engine = open({.window = 70, .cuda = true});
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto tokens = some_tokens(90);
    const auto all = std::span(tokens);
    const auto slot = *(*engine)->create_slot();
    EXPECT_EQ(feed(**engine, slot, all.first(80), Rows::all),
              fake_logits_of_all(all.first(80), true, 70));
    for (size_t n = 80; n < 90; ++n)
      EXPECT_EQ(feed(**engine, slot, all.subspan(n, 1)), fake_logits(all.first(n + 1), true, 70));
    std::vector<float> logits((*engine)->vocab());
    const auto next = (*engine)->step_greedy(slot, 4, logits);
    ASSERT_TRUE(next.ok()) << next.status();
    auto longer = tokens;
    longer.push_back(4);
    const auto expected = fake_logits(longer, true, 70);
    EXPECT_EQ(*next, std::ranges::max_element(expected) - expected.begin());
  }
}

TEST_F(PtxDevice, StateMovesBetweenDevices) {
  const auto tokens = some_tokens(70);
  for (const auto &[from, to] : {std::pair("cpu", "ptx"), std::pair("ptx", "cpu")}) {
    SCOPED_TRACE(from);
    const std::string path = test::fresh_path("moving.state");
    {
      auto engine = open({.cuda = true}, from);
      ASSERT_TRUE(engine.ok()) << engine.status();
      const auto slot = *(*engine)->create_slot();
      (void)feed(**engine, slot, std::span(tokens).first(69));
      ASSERT_TRUE((*engine)->save_state(slot, path).ok());
    }
    auto engine = open({.cuda = true}, to);
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto slot = (*engine)->load_state(path);
    ASSERT_TRUE(slot.ok()) << slot.status();
    EXPECT_EQ(feed(**engine, *slot, std::span(tokens).subspan(69)), fake_logits(tokens));
  }
}

// Tests that weights which the artifact does not hold are the same bytes on every device, and read
// from anywhere.
TEST_F(PtxDevice, MakesWeights) {
  constexpr size_t kBytes = (FAKE_VOCAB + 1) * 4;
  const auto made = test::fake_made();
  std::vector<uint8_t> expected(kBytes);
  for (const char *device : {"cpu", "ptx"}) {
    auto engine = open({.window = 70, .made = true, .cuda = true}, device);
    ASSERT_TRUE(engine.ok()) << engine.status();
    EXPECT_EQ((*engine)->memory().weights, kBytes);
    const auto kept = artifact::kept_weights((*engine)->manifest());
    artifact::make_weights(made, kept, (*engine)->artifact().weights(), 0, expected);
    for (size_t begin = 0; begin < kBytes; begin += 7) {
      std::vector<uint8_t> part(std::min<size_t>(13, kBytes - begin));
      artifact::make_weights(made, kept, (*engine)->artifact().weights(), begin, part);
      EXPECT_TRUE(std::ranges::equal(part, std::span(expected).subspan(begin, part.size())));
    }
    std::vector<uint8_t> bytes(kBytes);
    ASSERT_TRUE(
        (*engine)->device().to_host(bytes.data(), (*engine)->device().weights(), kBytes).ok());
    EXPECT_EQ(bytes, expected) << device;
    int32_t window = 0;
    std::memcpy(&window, &bytes[kBytes - 4], sizeof window);
    EXPECT_EQ(window, 70); // kept
    const auto slot = *(*engine)->create_slot();
    const auto tokens = some_tokens(5);
    std::vector<float> logits = fake_logits(tokens, true, 70);
    for (uint32_t v = 0; v < FAKE_VOCAB; ++v) {
      float weight = 0;
      std::memcpy(&weight, &expected[4 * v], sizeof weight);
      logits[v] = logits[v] - test::fake_weight(v) + weight;
    }
    EXPECT_THAT(feed(**engine, slot, tokens),
                testing::Pointwise(testing::FloatNear(1e-5f), logits));
  }
}

// Tests that the probes' PTX is whole: an interpreter refuses what a GPU would, and reads nothing
// that is not there.
TEST_F(PtxDevice, RunsTheReadProbe) {
  auto driver = cuda::Driver::load(cuda::Library::interpreter);
  ASSERT_TRUE(driver.ok()) << driver.status();
  auto gpu = cuda::Gpu::open(*driver, 0);
  ASSERT_TRUE(gpu.ok()) << gpu.status();
  auto stream = cuda::make_stream(*gpu);
  ASSERT_TRUE(stream.ok()) << stream.status();
  for (const uint64_t bytes : {16u, 4096u, 300000u}) {
    auto memory = cuda::allocate(*gpu, bytes, "a test");
    ASSERT_TRUE(memory.ok()) << memory.status();
    ASSERT_EQ((*driver)->set(memory->get(), 1, bytes, stream->get()), cuda::kSuccess);
    const auto rate = cuda::probe_read(*gpu, stream->get(), memory->get(), bytes, 0, 0);
    EXPECT_TRUE(rate.ok()) << rate.status();
  }
}

} // namespace
} // namespace quern::device
