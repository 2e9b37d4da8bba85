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
  bool rate = false, delta = false, bonus = false;
  int products = 1, reads = 1;
  int decayHeads = 0; ///< 0: as many as the state

  int decayCols() const { return (decayHeads ? decayHeads : heads) * perHead(); }
  int perHead() const {
    const std::string kind = decay;
    return kind == "head"    ? 1
           : kind == "key"   ? keyDim
           : kind == "value" ? valueDim
                             : keyDim * valueDim;
  }
  /// Columns of k for one product, of v for one product.
  int keys() const { return groups * keyDim; }
  int cols() const { return heads * valueDim; }
};
const RecurrenceCase kRecurrences[] = {
    {"mamba2", "head", 4, 2, 24, 16},
    {"wide_values", "head", 2, 1, 8, 70},
    {"gla", "key", 2, 2, 33, 20},
    {"by_value", "value", 3, 3, 5, 45},
    {"elementwise", "elementwise", 2, 1, 7, 33},
    {"corrected", "head", 2, 2, 24, 40, true},
    {"rwkv7", "key", 2, 2, 16, 16, true},
    {"large_state", "head", 1, 1, 600, 33},
    {.name = "mamba",
     .decay = "value",
     .heads = 1,
     .groups = 1,
     .keyDim = 16,
     .valueDim = 80,
     .rate = true},
    {.name = "delta",
     .decay = "head",
     .heads = 4,
     .groups = 2,
     .keyDim = 24,
     .valueDim = 16,
     .delta = true},
    {.name = "kda",
     .decay = "key",
     .heads = 2,
     .groups = 2,
     .keyDim = 16,
     .valueDim = 40,
     .delta = true,
     .products = 2},
    {.name = "rwkv6",
     .decay = "key",
     .heads = 2,
     .groups = 2,
     .keyDim = 17,
     .valueDim = 20,
     .bonus = true},
    {.name = "mamba3",
     .decay = "head",
     .heads = 4,
     .groups = 2,
     .keyDim = 12,
     .valueDim = 16,
     .products = 2,
     .reads = 2,
     .decayHeads = 2},
    {.name = "rg_lru",
     .decay = "value",
     .heads = 2,
     .groups = 1,
     .keyDim = 1,
     .valueDim = 96,
     .decayHeads = 1},
};

class RecurrenceKernel : public testing::TestWithParam<RecurrenceCase> {
protected:
  void SetUp() override { QUERN_NEEDS_NVRTC(); }

  static std::string text(const RecurrenceCase &c) {
    std::string parameters, operands, types;
    auto operand = [&](const char *before, const char *name, const std::string &type) {
      absl::StrAppend(&parameters, parameters.empty() ? "" : ", ", "%", name, ": ", type);
      absl::StrAppend(&operands, before, "%", name);
      absl::StrAppend(&types, types.empty() ? "" : ", ", type);
    };
    auto weight = [](const std::string &shape) {
      return absl::StrCat("!quern.weight<", shape, ", \"f32\">");
    };
    operand("", "r", rows(c.reads * c.keys()));
    operand(", ", "k", rows(c.products * c.keys()));
    operand(", ", "v", rows(c.products * c.cols()));
    operand(", ", "d", rows(c.decayCols()));
    if (c.rate)
      operand(" rate ", "w", weight(absl::StrCat(c.heads, "x", c.keyDim, "x", c.valueDim)));
    if (c.delta)
      operand(" delta ", "e", rows(c.products * c.heads));
    if (c.corrected) {
      operand(" correction ", "a", rows(c.keys()));
      operand(", ", "c", rows(c.keys()));
    }
    if (c.bonus)
      operand(" bonus ", "u", weight(absl::StrCat(c.heads, "x", c.keyDim)));
    operand(", ", "b", "!quern.batch");
    operand(", ", "s",
            absl::StrCat("!quern.state<recurrent, ", c.heads, "x", c.keyDim, "x", c.valueDim, ">"));
    const std::string result = rows(c.reads * c.cols());
    return absl::StrCat("quern.kernel @k linear_recurrence (", parameters, ") -> ", result,
                        " {\n  %y = quern.linear_recurrence ", operands, " {groups = ", c.groups,
                        " : i64, decay_kind = #quern<decay_kind ", c.decay, ">} : (", types,
                        ") -> ", result, "\n  %z = quern.unary silu %y : ", result,
                        "\n  quern.yield %z : ", result, "\n}");
  }

  /// Weights, the same in all steps.
  static std::vector<float> rates(const RecurrenceCase &c) {
    std::vector<float> all =
        random_floats(70, static_cast<size_t>(c.heads * c.keyDim * c.valueDim));
    for (float &x : all)
      x = -0.5f + 0.4f * x;
    return all;
  }
  static std::vector<float> bonuses(const RecurrenceCase &c) {
    return random_floats(71, static_cast<size_t>(c.heads * c.keyDim));
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
    const auto cols = static_cast<size_t>(c.reads * c.cols());
    return feed(steps, cols, [&](const std::vector<Sequence> &sequences) {
      kernel->setSequences(sequences);
      auto put = [&](uint32_t seed, int count, float scale = 1, float shift = 0) {
        return kernel->device.put(
            rows_of(sequences, seed, static_cast<size_t>(count), scale, shift));
      };
      std::vector<uint64_t> operands = {
          put(1, c.reads * c.keys()), put(2, c.products * c.keys(), c.delta ? 0.3f : 1.0f),
          put(3, c.products * c.cols()), put(4, c.decayCols(), 0.4f, 0.5f)};
      if (c.rate)
        operands.push_back(kernel->device.put(rates(c)));
      if (c.delta)
        operands.push_back(put(7, c.products * c.heads, 0.4f, 0.5f));
      if (c.corrected) {
        operands.push_back(put(5, c.keys(), 0.2f));
        operands.push_back(put(6, c.keys(), 0.2f));
      }
      if (c.bonus)
        operands.push_back(kernel->device.put(bonuses(c)));
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
  auto put = [&](uint32_t seed, int count, float scale = 1, float shift = 0) {
    return rows_of(sequences, seed, static_cast<size_t>(count), scale, shift);
  };
  const auto r = put(1, c.reads * c.keys());
  const auto k = put(2, c.products * c.keys(), c.delta ? 0.3f : 1.0f);
  const auto v = put(3, c.products * c.cols()), d = put(4, c.decayCols(), 0.4f, 0.5f);
  const auto a = put(5, c.keys(), 0.2f), b = put(6, c.keys(), 0.2f);
  const auto beta = put(7, c.products * c.heads, 0.4f, 0.5f);
  const auto rate = rates(c), bonus = bonuses(c);
  const std::string kind = c.decay;
  const int decayHeads = c.decayHeads ? c.decayHeads : c.heads;
  int token = 0;
  for (uint32_t seq = 0; seq < 2; ++seq) {
    const auto begin =
        random_floats(90 + seq, static_cast<size_t>(c.heads * c.keyDim * c.valueDim));
    std::vector<double> s(begin.begin(), begin.end());
    for (int t = 0; t < lengths[seq]; ++t, ++token)
      for (int h = 0; h < c.heads; ++h)
        for (int j = 0; j < c.valueDim; ++j) {
          auto at = [&](int i) -> double & {
            return s[static_cast<size_t>((h * c.keyDim + i) * c.valueDim + j)];
          };
          // Key i of block `block` of `blocks`.
          auto key = [&](const std::vector<float> &of, int i, int block = 0, int blocks = 1) {
            const int group = h / (c.heads / c.groups);
            return static_cast<double>(of[static_cast<size_t>(
                token * blocks * c.keys() + block * c.keys() + group * c.keyDim + i)]);
          };
          double u = 0, read = 0;
          for (int i = 0; i < c.keyDim; ++i) {
            if (c.corrected)
              u += key(a, i) * at(i);
            if (c.bonus)
              read +=
                  (at(i) + static_cast<double>(bonus[static_cast<size_t>(h * c.keyDim + i)]) *
                               key(k, i) *
                               static_cast<double>(
                                   v[static_cast<size_t>(token * c.cols() + h * c.valueDim + j)])) *
                  key(r, i);
          }
          for (int i = 0; i < c.keyDim; ++i) {
            const int column = kind == "head"    ? 0
                               : kind == "key"   ? i
                               : kind == "value" ? j
                                                 : i * c.valueDim + j;
            double decay = static_cast<double>(d[static_cast<size_t>(
                token * c.decayCols() + h / (c.heads / decayHeads) * c.perHead() + column)]);
            if (c.rate)
              decay = std::exp(decay *
                               static_cast<double>(
                                   rate[static_cast<size_t>((h * c.keyDim + i) * c.valueDim + j)]));
            at(i) *= decay;
            if (c.corrected)
              at(i) += key(b, i) * u;
          }
          for (int p = 0; p < c.products; ++p) {
            double value = static_cast<double>(
                v[static_cast<size_t>((token * c.products + p) * c.cols() + h * c.valueDim + j)]);
            if (c.delta) {
              double known = 0;
              for (int i = 0; i < c.keyDim; ++i)
                known += key(k, i, p, c.products) * at(i);
              value = static_cast<double>(
                          beta[static_cast<size_t>((token * c.products + p) * c.heads + h)]) *
                      (value - known);
            }
            for (int i = 0; i < c.keyDim; ++i)
              at(i) += key(k, i, p, c.products) * value;
          }
          for (int q = 0; q < c.reads; ++q) {
            double out = read;
            for (int i = 0; i < c.keyDim && !c.bonus; ++i)
              out += at(i) * key(r, i, q, c.reads);
            const double want = out / (1 + std::exp(-out));
            ASSERT_NEAR(
                got[seq][static_cast<size_t>((t * c.reads + q) * c.cols() + h * c.valueDim + j)],
                want, 2e-5 * (1 + std::abs(out)))
                << "sequence " << seq << ", token " << t << ", head " << h << ", column " << j
                << ", read " << q;
          }
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
