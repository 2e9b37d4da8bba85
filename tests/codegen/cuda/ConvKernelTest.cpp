// Causal convolutions as CUDA code, run by the PTX interpreter: against plain loops, on odd shapes,
// in steps cut in different ways.
#include "tests/codegen/cuda/Feed.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"

#include <cmath>

namespace quern::test {
namespace {

using cuda::Form;

struct ConvCase {
  const char *name;
  int channels, taps;
  bool bias = true;
};
const ConvCase kConvs[] = {{"mamba2", 288, 4}, {"two_taps", 40, 2}, {"many_taps", 300, 21, false}};

class ConvKernel : public testing::TestWithParam<ConvCase> {
protected:
  void SetUp() override { QUERN_NEEDS_NVRTC(); }

  static std::vector<std::vector<float>> run(const ConvCase &c, const Steps &steps,
                                             uint32_t workers) {
    const std::string type = rows(c.channels),
                      bias = absl::StrCat("!quern.weight<", c.channels, ", \"f32\">");
    const std::string state =
        absl::StrCat("!quern.state<window, ", c.channels, "x", c.taps - 1, ">");
    const std::string weight =
        absl::StrCat("!quern.weight<", c.channels, "x", c.taps, ", \"f32\">");
    auto kernel = KernelRun::create(
        absl::StrCat("quern.kernel @k causal_conv1d (%x: ", type, ", %b: !quern.batch, %s: ", state,
                     ", %w: ", weight, c.bias ? ", %c: " + bias : "", ") -> ", type,
                     " {\n  %y = quern.causal_conv1d %x, %b, %s, %w", c.bias ? ", %c" : "", " : (",
                     type, ", !quern.batch, ", state, ", ", weight, c.bias ? ", " + bias : "",
                     ") -> ", type, "\n  %z = quern.unary silu %y : ", type,
                     "\n  quern.yield %z : ", type, "\n}"),
        Form::Many);
    if (!kernel)
      return {};
    const auto channels = static_cast<size_t>(c.channels), past = static_cast<size_t>(c.taps - 1);
    std::vector<uint64_t> slots;
    for (uint32_t b = 0; b < 2; ++b) {
      slots.push_back(kernel->device.allocate(64 + 4 * std::max<size_t>(1, channels * past)));
      kernel->device.write(slots.back() + 64, random_floats(90 + b, channels * past).data(),
                           4 * channels * past);
    }
    kernel->setFixedStates(slots);
    return feed(steps, channels, [&](const std::vector<Sequence> &sequences) {
      kernel->setSequences(sequences);
      const auto count = static_cast<size_t>(kernel->numTokens()) * channels;
      const uint64_t result = kernel->device.allocate(4 * count);
      std::vector<uint64_t> operands = {
          kernel->device.put(rows_of(sequences, 1, channels)), 0, 64,
          kernel->device.put(random_floats(2, channels * static_cast<size_t>(c.taps)))};
      if (c.bias)
        operands.push_back(kernel->device.put(random_floats(3, channels)));
      operands.push_back(result);
      kernel->launch(workers, operands);
      return kernel->device.get<float>(result, count);
    });
  }
};

TEST_P(ConvKernel, GivesWhatPlainLoopsGive) {
  const ConvCase &c = GetParam();
  const auto got = run(c, kSteps[0], 3);
  ASSERT_EQ(got.size(), 2u);
  const auto channels = static_cast<size_t>(c.channels), taps = static_cast<size_t>(c.taps);
  const auto w = random_floats(2, channels * taps), bias = random_floats(3, channels);
  const auto x = rows_of({{0, 23}, {0, 4}}, 1, channels);
  const size_t lengths[] = {23, 4};
  for (size_t seq = 0; seq < 2; ++seq) {
    const auto window = random_floats(90 + static_cast<uint32_t>(seq), channels * (taps - 1));
    for (size_t t = 0; t < lengths[seq]; ++t)
      for (size_t n = 0; n < channels; ++n) {
        double y = c.bias ? bias[n] : 0;
        for (size_t i = 0; i < taps; ++i) {
          const bool now = t + i >= taps - 1;
          const float input = now ? x[(seq * 23 + t + i - (taps - 1)) * channels + n]
                                  : window[n * (taps - 1) + t + i];
          y += w[n * taps + i] * static_cast<double>(input);
        }
        ASSERT_NEAR(got[seq][t * channels + n], y / (1 + std::exp(-y)), 3e-6)
            << "sequence " << seq << ", token " << t << ", channel " << n;
      }
  }
}

TEST_P(ConvKernel, StepsAndWorkersDoNotMatter) {
  const auto whole = run(GetParam(), kSteps[0], 1);
  EXPECT_EQ(whole, run(GetParam(), kSteps[1], 2));
  EXPECT_EQ(whole, run(GetParam(), kSteps[0], 16));
}

INSTANTIATE_TEST_SUITE_P(Cuda, ConvKernel, testing::ValuesIn(kConvs),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
