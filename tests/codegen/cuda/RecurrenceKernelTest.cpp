// Linear recurrences and causal convolutions as CUDA code, run by the PTX interpreter: against
// plain loops, on odd shapes, in steps cut in different ways.
#include "tests/codegen/cuda/KernelRun.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::test {
namespace {

using cuda::Form;

std::string rows(int cols) { return absl::StrCat("tensor<?x", cols, "xf32, #quern.dims<\"T\">>"); }

/// Lengths of the steps that sequences are fed in, one after the other.
using Steps = std::vector<std::vector<int>>;
/// The same tokens, two sequences of 23 and 4, in other steps.
const Steps kSteps[] = {{{23, 4}}, {{1, 0}, {3, 4}, {17, 0}, {2, 0}}};

/// Runs steps of two sequences, each with a slot. `call`: launches the kernel for tokens, of which
/// it gets each sequence's first; returns the results of one step, `cols` a token.
template <class Call>
std::vector<std::vector<float>> feed(const Steps &steps, size_t cols, Call call) {
  std::vector<std::vector<float>> results(2);
  std::vector<int> before(2, 0);
  for (const auto &step : steps) {
    std::vector<Sequence> sequences;
    for (size_t b = 0; b < 2; ++b)
      sequences.push_back({before[b], step[b]});
    const std::vector<float> got = call(sequences);
    size_t at = 0;
    for (size_t b = 0; b < 2; ++b) {
      const auto count = static_cast<size_t>(step[b]) * cols;
      results[b].insert(results[b].end(), got.begin() + static_cast<int64_t>(at),
                        got.begin() + static_cast<int64_t>(at + count));
      at += count;
      before[b] += step[b];
    }
  }
  return results;
}

/// Rows for a step's tokens: a token's depend on its sequence and position alone.
std::vector<float> rows_of(const std::vector<Sequence> &sequences, uint32_t seed, size_t cols,
                           float scale = 1, float shift = 0) {
  std::vector<float> all;
  for (size_t b = 0; b < sequences.size(); ++b)
    for (int t = 0; t < sequences[b].tokens; ++t)
      for (const float x :
           random_floats(seed + 17 * static_cast<uint32_t>(sequences[b].before + t) +
                             7919 * static_cast<uint32_t>(b),
                         cols))
        all.push_back(x * scale + shift);
  return all;
}

struct RecurrenceCase {
  const char *name;
  const char *decay;
  int heads, groups, keyDim, valueDim;
  bool corrected = false;

  int decayCols() const {
    const std::string kind = decay;
    return heads * (kind == "head"    ? 1
                    : kind == "key"   ? keyDim
                    : kind == "value" ? valueDim
                                      : keyDim * valueDim);
  }
};
const RecurrenceCase kRecurrences[] = {
    {"mamba2", "head", 4, 2, 24, 16},
    {"wide_values", "head", 2, 1, 8, 70},
    {"gla", "key", 2, 2, 33, 20},
    {"by_value", "value", 3, 3, 5, 45},
    {"elementwise", "elementwise", 2, 1, 7, 33},
    {"delta", "head", 2, 2, 24, 40, true},
    {"rwkv7", "key", 2, 2, 16, 16, true},
    {"large_state", "head", 1, 1, 600, 33},
};

class RecurrenceKernel : public testing::TestWithParam<RecurrenceCase> {
protected:
  void SetUp() override { QUERN_NEEDS_NVRTC(); }

  static std::string text(const RecurrenceCase &c) {
    const std::string keys = rows(c.groups * c.keyDim), values = rows(c.heads * c.valueDim);
    const std::string decay = rows(c.decayCols());
    const std::string state =
        absl::StrCat("!quern.state<recurrent, ", c.heads, "x", c.keyDim, "x", c.valueDim, ">");
    const std::string more = c.corrected ? absl::StrCat(", ", keys, ", ", keys) : "";
    return absl::StrCat(
        "quern.kernel @k linear_recurrence (%r: ", keys, ", %k: ", keys, ", %v: ", values,
        ", %d: ", decay, c.corrected ? absl::StrCat(", %a: ", keys, ", %c: ", keys) : "",
        ", %b: !quern.batch, %s: ", state, ") -> ", values,
        " {\n  %y = quern.linear_recurrence %r, %k, %v, %d",
        c.corrected ? " correction %a, %c" : "", ", %b, %s {groups = ", c.groups,
        " : i64, decay_kind = #quern<decay_kind ", c.decay, ">} : (", keys, ", ", keys, ", ",
        values, ", ", decay, more, ", !quern.batch, ", state, ") -> ", values,
        "\n  %z = quern.unary silu %y : ", values, "\n  quern.yield %z : ", values, "\n}");
  }

  static std::vector<std::vector<float>> run(const RecurrenceCase &c, const Steps &steps,
                                             uint32_t workers) {
    auto kernel = KernelRun::create(text(c), Form::Many);
    if (!kernel)
      return {};
    kernel->count();
    const auto state = static_cast<size_t>(c.heads * c.keyDim * c.valueDim);
    // Something else lies before the state in a slot.
    constexpr size_t kOffset = 64;
    std::vector<uint64_t> slots;
    for (uint32_t b = 0; b < 2; ++b) {
      slots.push_back(kernel->device.allocate(kOffset + 4 * state));
      kernel->device.write(slots.back() + kOffset, random_floats(90 + b, state).data(), 4 * state);
    }
    kernel->setFixedStates(slots);
    const auto keys = static_cast<size_t>(c.groups * c.keyDim);
    const auto cols = static_cast<size_t>(c.heads * c.valueDim);
    return feed(steps, cols, [&](const std::vector<Sequence> &sequences) {
      kernel->setSequences(sequences);
      auto put = [&](uint32_t seed, size_t count, float scale = 1, float shift = 0) {
        return kernel->device.put(rows_of(sequences, seed, count, scale, shift));
      };
      std::vector<uint64_t> operands = {put(1, keys), put(2, keys), put(3, cols),
                                        put(4, static_cast<size_t>(c.decayCols()), 0.4f, 0.5f)};
      if (c.corrected) {
        operands.push_back(put(5, keys, 0.2f));
        operands.push_back(put(6, keys, 0.2f));
      }
      const auto count = static_cast<size_t>(kernel->numTokens()) * cols;
      const uint64_t result = kernel->device.allocate(4 * count);
      operands.insert(operands.end(), {0, kOffset, result});
      kernel->launch(workers, operands);
      return kernel->device.get<float>(result, count);
    });
  }
};

TEST_P(RecurrenceKernel, GivesWhatPlainLoopsGive) {
  const RecurrenceCase &c = GetParam();
  const auto got = run(c, kSteps[0], 3);
  ASSERT_EQ(got.size(), 2u);
  const int lengths[] = {23, 4};
  const std::vector<Sequence> sequences = {{0, 23}, {0, 4}};
  const auto keys = static_cast<size_t>(c.groups * c.keyDim);
  const auto cols = static_cast<size_t>(c.heads * c.valueDim);
  const auto r = rows_of(sequences, 1, keys), k = rows_of(sequences, 2, keys);
  const auto v = rows_of(sequences, 3, cols);
  const auto d = rows_of(sequences, 4, static_cast<size_t>(c.decayCols()), 0.4f, 0.5f);
  const auto a = rows_of(sequences, 5, keys, 0.2f), b = rows_of(sequences, 6, keys, 0.2f);
  const std::string kind = c.decay;
  int token = 0;
  for (uint32_t seq = 0; seq < 2; ++seq) {
    const auto begin =
        random_floats(90 + seq, static_cast<size_t>(c.heads * c.keyDim * c.valueDim));
    std::vector<double> s(begin.begin(), begin.end());
    for (int t = 0; t < lengths[seq]; ++t, ++token)
      for (int h = 0; h < c.heads; ++h)
        for (int j = 0; j < c.valueDim; ++j) {
          const int from = token * static_cast<int>(keys) + h / (c.heads / c.groups) * c.keyDim;
          const int column = token * static_cast<int>(cols) + h * c.valueDim + j;
          auto at = [&](int i) -> double & {
            return s[static_cast<size_t>((h * c.keyDim + i) * c.valueDim + j)];
          };
          double u = 0, out = 0;
          for (int i = 0; c.corrected && i < c.keyDim; ++i)
            u += a[static_cast<size_t>(from + i)] * at(i);
          for (int i = 0; i < c.keyDim; ++i) {
            const int decay =
                token * c.decayCols() + (kind == "head"    ? h
                                         : kind == "key"   ? h * c.keyDim + i
                                         : kind == "value" ? h * c.valueDim + j
                                                           : (h * c.keyDim + i) * c.valueDim + j);
            at(i) = at(i) * d[static_cast<size_t>(decay)] +
                    k[static_cast<size_t>(from + i)] * v[static_cast<size_t>(column)];
            if (c.corrected)
              at(i) += b[static_cast<size_t>(from + i)] * u;
            out += at(i) * r[static_cast<size_t>(from + i)];
          }
          const double want = out / (1 + std::exp(-out));
          ASSERT_NEAR(
              got[seq][static_cast<size_t>(t * static_cast<int>(cols) + h * c.valueDim + j)], want,
              2e-5 * (1 + std::abs(out)))
              << "sequence " << seq << ", token " << t << ", head " << h << ", column " << j;
        }
  }
}

// Tests that the state a step leaves is what the next begins with, to the bit.
TEST_P(RecurrenceKernel, StepsAndWorkersDoNotMatter) {
  const auto whole = run(GetParam(), kSteps[0], 1);
  EXPECT_EQ(whole, run(GetParam(), kSteps[1], 2));
  EXPECT_EQ(whole, run(GetParam(), kSteps[0], 16));
}

INSTANTIATE_TEST_SUITE_P(Cuda, RecurrenceKernel, testing::ValuesIn(kRecurrences),
                         [](const auto &info) { return std::string(info.param.name); });

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
