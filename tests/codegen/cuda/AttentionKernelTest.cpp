// Attention and kv_append as CUDA code, run by the PTX interpreter: against plain loops in double
// and the CPU's bytes, on odd shapes; and that a row's bits depend on what it sees alone.
#include "passes/target/BlockScratch.h"
#include "runtime/abi/StepArgs.h"
#include "tests/codegen/cuda/KernelRun.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"
#include "tests/codegen/microkernels/Support.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::test {
namespace {

using cuda::Form;

struct AttentionCase {
  const char *name;
  const char *format;
  int kvHeads, group, keyDim, valueDim;
  int window = 0;
  float softcap = 0;
  bool alibi = false, alibiBf16 = false, sinks = false;

  int heads() const { return kvHeads * group; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(keyDim)); }
  std::vector<float> slopes() const {
    std::vector<float> all;
    for (int h = 0; alibi && h < heads(); ++h)
      all.push_back(std::exp2(-static_cast<float>(h + 1) / 3));
    return all;
  }
};

const AttentionCase kCases[] = {
    {"gqa_f32", "f32", 2, 3, 16, 16},
    {"mqa_f16", "f16", 1, 20, 64, 64},
    {"mha_bf16_odd", "bf16", 3, 1, 13, 27},
    {"int8_groups", "int8", 2, 2, 40, 72},
    {"window_f16", "f16", 2, 2, 24, 24, 75},
    {"window_softcap", "f32", 1, 2, 32, 16, 21, 30},
    {"alibi", "f32", 2, 2, 12, 12, 0, 0, true},
    {"alibi_bf16", "bf16", 1, 4, 16, 16, 0, 0, true, true},
    {"sinks_window", "f32", 2, 4, 16, 16, 40, 0, false, false, true},
    {"wide_values", "f32", 1, 2, 8, 300},
};

std::string rows(int cols) { return absl::StrCat("tensor<?x", cols, "xf32, #quern.dims<\"T\">>"); }
std::string state(const AttentionCase &c) {
  return absl::StrCat("!quern.state<kv, ", c.kvHeads, "x", c.keyDim, "x", c.valueDim,
                      std::string(c.format) == "f32" ? "" : absl::StrCat(", ", c.format), ">");
}

std::string attention_text(const AttentionCase &c) {
  const std::string query = rows(c.heads() * c.keyDim), result = rows(c.heads() * c.valueDim);
  const std::string sinks = absl::StrCat("!quern.weight<", c.heads(), ", \"f32\">");
  std::string slopes;
  for (const float slope : c.slopes())
    absl::StrAppend(&slopes, slopes.empty() ? "" : ", ", slope);
  return absl::StrCat(
      "quern.kernel @k attention (%q: ", query, ", %b: !quern.batch, %s: ", state(c),
      c.sinks ? ", %w: " + sinks : "", ") -> ", result, " {\n  %y = quern.attention %q, %b, %s",
      c.sinks ? ", %w" : "", " {heads = ", c.heads(), " : i64, scale = ", c.scale(),
      " : f32, window = ", c.window,
      " : i64, softcap = ", c.softcap == 0 ? "0.0" : absl::StrCat(c.softcap, ".0"), " : f32",
      c.alibi ? ", alibi = array<f32: " + slopes + ">" : "",
      c.alibiBf16 ? ", alibi_bf16 = true" : "", "} : (", query, ", !quern.batch, ", state(c),
      c.sinks ? ", " + sinks : "", ") -> ", result, "\n  quern.yield %y : ", result, "\n}");
}

std::string append_text(const AttentionCase &c) {
  const std::string keys = rows(c.kvHeads * c.keyDim), values = rows(c.kvHeads * c.valueDim);
  return absl::StrCat("quern.kernel @k kv_append (%k: ", keys, ", %v: ", values,
                      ", %b: !quern.batch, %s: ", state(c),
                      ") -> () {\n  quern.kv_append %k, %v, %b, %s : ", keys, ", ", values,
                      ", !quern.batch, ", state(c), "\n  quern.yield\n}");
}

const native::Kernels &cpu() {
  static const native::Build build = native::usable_builds().front();
  return *build.kernels;
}

/// Keys and values of sequences, and the pages that hold them, as the CPU stores them.
class Pages {
public:
  Pages(const AttentionCase &of, std::vector<int> lengths)
      : of(of), lengths(std::move(lengths)), format(*symbolizeStateFormat(of.format)),
        keyBytes(kvPartBytes(format, of.keyDim)),
        headBytes(keyBytes + kvPartBytes(format, of.valueDim)),
        pageBytes((of.kvHeads * headBytes + 63) / 64 * 64) {
    int pages = 0;
    for (const int length : this->lengths) {
      tables.emplace_back();
      for (int i = 0; i * QUERN_KV_PAGE < length; ++i)
        tables.back().push_back(pages++);
    }
    std::ranges::reverse(tables.front()); // no order is promised
    for (size_t b = 0; b < this->lengths.size(); ++b) {
      const auto count = static_cast<size_t>(this->lengths[b] * of.kvHeads);
      keys.push_back(random_floats(7 + static_cast<uint32_t>(b), count * of.keyDim));
      values.push_back(random_floats(70 + static_cast<uint32_t>(b), count * of.valueDim));
    }
    // Stored over two patterns: where they still differ nothing was stored.
    for (const int pattern : {0, 1}) {
      bytes[pattern].assign(static_cast<size_t>(pages * pageBytes), pattern ? 0xff : 0);
      for (size_t b = 0; b < this->lengths.size(); ++b)
        for (int p = 0; p < this->lengths[b]; ++p)
          store(bytes[pattern], b, p);
    }
  }

  /// Puts on the device what positions below `limit` of each sequence hold, and nothing else.
  uint64_t put(ptx::Device &device) const {
    const uint64_t pool = device.allocate(bytes[0].size());
    for (size_t i = 0; i < bytes[0].size();) {
      size_t end = i;
      while (end < bytes[0].size() && bytes[0][end] == bytes[1][end])
        ++end;
      if (end != i)
        device.write(pool + i, &bytes[0][i], end - i);
      i = end + 1;
    }
    return pool;
  }

  /// A number of a key or value, as it is read back.
  double key(size_t seq, int position, int head, int i) const {
    const int place = position % QUERN_KV_PAGE;
    return number(part(seq, position, head), of.keyDim,
                  static_cast<int64_t>(place / 16 * 16) * of.keyDim + 16 * i + place % 16, i,
                  place);
  }
  double value(size_t seq, int position, int head, int i) const {
    const int place = position % QUERN_KV_PAGE, column = i - i % 16;
    const int width = std::min(16, of.valueDim - column);
    return number(part(seq, position, head) + keyBytes, of.valueDim,
                  column * QUERN_KV_PAGE + place * width + i % 16, i, place);
  }

  const AttentionCase &of;
  std::vector<int> lengths;
  StateFormat format;
  int64_t keyBytes, headBytes, pageBytes;
  std::vector<std::vector<int32_t>> tables;
  std::vector<std::vector<float>> keys, values; ///< [position][head][dim] of each sequence
  std::vector<uint8_t> bytes[2];

private:
  size_t offset(size_t seq, int position, int head) const {
    return static_cast<size_t>(
        tables[seq][static_cast<size_t>(position / QUERN_KV_PAGE)] * pageBytes + head * headBytes);
  }
  const uint8_t *part(size_t seq, int position, int head) const {
    return &bytes[0][offset(seq, position, head)];
  }
  void store(std::vector<uint8_t> &to, size_t seq, int position) {
    for (int h = 0; h < of.kvHeads; ++h) {
      uint8_t *at = &to[offset(seq, position, h)];
      const float *key = &keys[seq][static_cast<size_t>((position * of.kvHeads + h) * of.keyDim)];
      const float *value =
          &values[seq][static_cast<size_t>((position * of.kvHeads + h) * of.valueDim)];
      auto *k = native::as<QkKeys>(at);
      auto *v = native::as<QkValues>(at + keyBytes);
      const int place = position % QUERN_KV_PAGE;
      switch (format) {
      case StateFormat::f32:
        cpu().qk_store_key_f32(key, of.keyDim, k, place);
        cpu().qk_store_value_f32(value, of.valueDim, v, place);
        break;
      case StateFormat::f16:
        cpu().qk_store_key_f16(key, of.keyDim, k, place);
        cpu().qk_store_value_f16(value, of.valueDim, v, place);
        break;
      case StateFormat::bf16:
        cpu().qk_store_key_bf16(key, of.keyDim, k, place);
        cpu().qk_store_value_bf16(value, of.valueDim, v, place);
        break;
      case StateFormat::int8:
        cpu().qk_store_key_int8(key, of.keyDim, k, place);
        cpu().qk_store_value_int8(value, of.valueDim, v, place);
        break;
      }
    }
  }
  double number(const uint8_t *from, int dim, int64_t index, int i, int place) const {
    switch (format) {
    case StateFormat::f32:
      return reinterpret_cast<const float *>(from)[index];
    case StateFormat::f16:
      return static_cast<double>(reinterpret_cast<const _Float16 *>(from)[index]);
    case StateFormat::bf16:
      return std::bit_cast<float>(
          static_cast<uint32_t>(reinterpret_cast<const uint16_t *>(from)[index]) << 16);
    case StateFormat::int8: {
      const auto *scales = reinterpret_cast<const float *>(from);
      const int groups = (dim + QUERN_KV_GROUP - 1) / QUERN_KV_GROUP;
      const auto *codes = reinterpret_cast<const int8_t *>(scales + groups * QUERN_KV_PAGE);
      return codes[index] * static_cast<double>(scales[i / QUERN_KV_GROUP * QUERN_KV_PAGE + place]);
    }
    }
    return NAN;
  }
};

class AttentionKernel : public testing::TestWithParam<AttentionCase> {
protected:
  void SetUp() override { QUERN_NEEDS_NVRTC(); }

  /// [heads][valueDim] of a token, by plain loops.
  static std::vector<double> expected(const Pages &pages, size_t seq, int position,
                                      const float *query, const std::vector<float> &sinks) {
    const AttentionCase &c = pages.of;
    const auto bf16 = [](float x) { return static_cast<double>(cpu().qk_round_bf16(x)); };
    std::vector<double> all;
    for (int h = 0; h < c.heads(); ++h) {
      const int first = c.window == 0 ? 0 : std::max(0, position + 1 - c.window);
      std::vector<double> scores;
      double most = sinks.empty() ? -INFINITY : sinks[static_cast<size_t>(h)], sum = 0;
      for (int p = first; p <= position; ++p) {
        double score = 0;
        for (int i = 0; i < c.keyDim; ++i)
          score += query[h * c.keyDim + i] * pages.key(seq, p, h / c.group, i);
        score *= c.scale();
        if (c.softcap != 0)
          score = c.softcap * std::tanh(score / c.softcap);
        if (c.alibi) {
          const float slope = c.slopes()[static_cast<size_t>(h)];
          score += c.alibiBf16 ? c.scale() * (bf16(slope * static_cast<float>(p)) -
                                              bf16(slope * static_cast<float>(position)))
                               : slope * (p - position);
        }
        scores.push_back(score);
        most = std::max(most, score);
      }
      for (double &score : scores)
        sum += score = std::exp(score - most);
      if (!sinks.empty())
        sum += std::exp(sinks[static_cast<size_t>(h)] - most);
      for (int j = 0; j < c.valueDim; ++j) {
        double y = 0;
        for (size_t n = 0; n < scores.size(); ++n)
          y += scores[n] / sum * pages.value(seq, first + static_cast<int>(n), h / c.group, j);
        all.push_back(y);
      }
    }
    return all;
  }

  struct Run {
    std::vector<float> queries, results;
  };
  /// Runs a step of the kernel.
  static Run attend(Form form, const Pages &pages, const std::vector<Sequence> &sequences,
                    const std::vector<float> &sinks, uint32_t workers, uint32_t seed = 3) {
    const AttentionCase &c = pages.of;
    Run run;
    auto kernel = KernelRun::create(attention_text(c), form);
    if (!kernel)
      return run;
    if (workers == 3) // once a kernel is enough
      kernel->count();
    kernel->setSequences(sequences);
    kernel->setPages(pages.put(kernel->device), pages.pageBytes, pages.tables);
    const auto tokens = static_cast<size_t>(kernel->numTokens());
    // A token's query depends on its position, so that steps can be cut in different ways.
    for (size_t t = 0; t < tokens; ++t) {
      const auto query = random_floats(seed + 10 * static_cast<uint32_t>(kernel->positions[t]) +
                                           1000003 * static_cast<uint32_t>(kernel->tokenSeq[t]),
                                       static_cast<size_t>(c.heads() * c.keyDim));
      run.queries.insert(run.queries.end(), query.begin(), query.end());
    }
    const size_t cols = static_cast<size_t>(c.heads() * c.valueDim);
    const uint64_t result = kernel->device.allocate(tokens * cols * sizeof(float));
    std::vector<uint64_t> operands = {kernel->device.put(run.queries), 0, 0};
    if (c.sinks)
      operands.push_back(kernel->device.put(sinks));
    operands.push_back(result);
    if (form != Form::Many)
      operands.push_back(kernel->device.allocate(static_cast<uint64_t>(
          target::BlockScratch{{.rows = c.heads(), .columns = c.valueDim}}.bytes())));
    kernel->launch(workers, operands);
    EXPECT_EQ(kernel->device.memory().first_unwritten(result, tokens * cols * sizeof(float)), 0u);
    run.results = kernel->device.get<float>(result, tokens * cols);
    return run;
  }

  static std::vector<float> sinks_of(const AttentionCase &c) {
    return c.sinks ? random_floats(5, static_cast<size_t>(c.heads())) : std::vector<float>();
  }
};

// Tests a ragged step: prompts, continued sequences and single tokens, across pages and key blocks.
TEST_P(AttentionKernel, GivesWhatPlainLoopsGive) {
  const AttentionCase &c = GetParam();
  const Pages pages(c, {301, 1, 70});
  const std::vector<Sequence> sequences = {{280, 21}, {0, 1}, {61, 9}};
  const auto sinks = sinks_of(c);
  const Run run = attend(Form::Many, pages, sequences, sinks, 5);
  const size_t cols = static_cast<size_t>(c.heads() * c.valueDim);
  size_t token = 0;
  for (size_t b = 0; b < sequences.size(); ++b)
    for (int t = 0; t < sequences[b].tokens; ++t, ++token) {
      const auto want =
          expected(pages, b, sequences[b].before + t,
                   &run.queries[token * static_cast<size_t>(c.heads() * c.keyDim)], sinks);
      for (size_t i = 0; i < cols; ++i)
        ASSERT_NEAR(run.results[token * cols + i], want[i], 2e-6)
            << "token " << token << ", column " << i;
    }
}

// Tests that a row's bits depend neither on the workers nor on how the sequence is cut into steps
// nor on what else is in the batch.
TEST_P(AttentionKernel, StepsAndWorkersDoNotMatter) {
  const AttentionCase &c = GetParam();
  const Pages pages(c, {270, 33});
  const auto sinks = sinks_of(c);
  const size_t cols = static_cast<size_t>(c.heads() * c.valueDim);
  const Run whole = attend(Form::Many, pages, {{250, 20}, {30, 3}}, sinks, 1);
  EXPECT_EQ(whole.results, attend(Form::Many, pages, {{250, 20}, {30, 3}}, sinks, 7).results);
  const Run chunk = attend(Form::Many, pages, {{257, 5}}, sinks, 2);
  EXPECT_TRUE(std::equal(chunk.results.begin(), chunk.results.end(),
                         whole.results.begin() + static_cast<int64_t>(7 * cols)));
}

// Tests a single token whose key blocks several workers share, whatever their number and order.
TEST_P(AttentionKernel, OneTokenIsSharedByWorkers) {
  const AttentionCase &c = GetParam();
  const auto sinks = sinks_of(c);
  for (const int length : {1, 256, 700}) {
    const Pages pages(c, {length});
    const Run run = attend(Form::One, pages, {{length - 1, 1}}, sinks, 3);
    const auto want = expected(pages, 0, length - 1, run.queries.data(), sinks);
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(run.results[i], want[i], 2e-6) << length << " positions, column " << i;
    EXPECT_EQ(run.results, attend(Form::One, pages, {{length - 1, 1}}, sinks, 64).results);
  }
}

// Tests that queries are normed and rotated as they are read, and results quantized as they are
// written, to the CPU's bits.
TEST(AttentionPrologue, IsComputedAsQueriesAreRead) {
  QUERN_NEEDS_NVRTC();
  const AttentionCase c{"", "f32", 2, 4, 24, 16};
  const Pages pages(c, {81, 5});
  const std::string query = rows(c.heads() * c.keyDim), result = rows(c.heads() * c.valueDim);
  const std::string table = rows(c.keyDim - 4), norm = "!quern.weight<24, \"f32\">";
  const std::string quantized = absl::StrCat("!quern.q8_rows<\"T\", ", c.heads() * c.valueDim, ">");
  const std::string attention = absl::StrCat("{heads = 8 : i64, scale = 0.25 : f32} : (", query,
                                             ", !quern.batch, ", state(c), ") -> ", result);
  const auto plain =
      absl::StrCat("quern.kernel @k attention (%q: ", query, ", %b: !quern.batch, %s: ", state(c),
                   ") -> ", result, " {\n  %y = quern.attention %q, %b, %s ", attention,
                   "\n  quern.yield %y : ", result, "\n}");
  const auto fused = absl::StrCat(
      "quern.kernel @k attention (%q: ", query, ", %n: ", norm, ", %t: ", table,
      ", %b: !quern.batch, %s: ", state(c), ") -> (", result, ", ", quantized,
      ") {\n  %0 = quern.rms_norm %q, %n {eps = 1.0e-5 : f32, group = 24 : i64} : (", query, ", ",
      norm, ") -> ", query, "\n  %1 = quern.rope %0, %t {head_dim = 24 : i64} : (", query, ", ",
      table, ") -> ", query, "\n  %y = quern.attention %1, %b, %s ", attention,
      "\n  %z = quern.quantize_rows %y : ", result, " -> ", quantized,
      "\n  quern.yield %y, %z : ", result, ", ", quantized, "\n}");
  const std::vector<Sequence> sequences = {{70, 11}, {0, 5}};
  const size_t tokens = 16, cols = static_cast<size_t>(c.heads() * c.valueDim), dim = 24, half = 10;
  const auto queries = random_floats(1, tokens * static_cast<size_t>(c.heads()) * dim);
  const auto weights = random_floats(2, dim), angles = random_floats(3, tokens * 2 * half);
  std::vector<float> ready = queries; // in double, rounded once
  for (size_t row = 0; row < tokens * static_cast<size_t>(c.heads()); ++row) {
    float *x = &ready[row * dim];
    double squares = 0;
    for (size_t i = 0; i < dim; ++i)
      squares += static_cast<double>(x[i]) * x[i];
    double y[24];
    for (size_t i = 0; i < dim; ++i)
      y[i] = x[i] / std::sqrt(squares / dim + 1e-5) * weights[i];
    const float *angle = &angles[row / static_cast<size_t>(c.heads()) * 2 * half];
    for (size_t i = 0; i < half; ++i) {
      const double a = y[i], b = y[i + half];
      y[i] = a * angle[i] - b * angle[half + i];
      y[i + half] = a * angle[half + i] + b * angle[i];
    }
    std::copy(y, y + dim, x);
  }
  std::vector<float> want, got;
  for (const bool is_fused : {false, true}) {
    auto kernel = KernelRun::create(is_fused ? fused : plain, Form::Many);
    ASSERT_TRUE(kernel);
    kernel->setSequences(sequences);
    kernel->setPages(pages.put(kernel->device), pages.pageBytes, pages.tables);
    const uint64_t floats = kernel->device.allocate(tokens * cols * 4);
    if (!is_fused) {
      kernel->launch(3, {kernel->device.put(ready), 0, 0, floats});
      want = kernel->device.get<float>(floats, tokens * cols);
      continue;
    }
    const auto bytes = static_cast<size_t>(quern_q8_row_bytes(static_cast<int64_t>(cols)));
    const uint64_t codes = kernel->device.allocate(tokens * bytes);
    kernel->launch(3, {kernel->device.put(queries), kernel->device.put(weights),
                       kernel->device.put(angles), 0, 0, floats, codes});
    got = kernel->device.get<float>(floats, tokens * cols);
    const auto all = kernel->device.get<uint8_t>(codes, tokens * bytes);
    const auto used = cols + cols / 32 * sizeof(QuernQ8Pair);
    for (size_t t = 0; t < tokens; ++t) {
      std::vector<uint8_t> row(bytes);
      cpu().qk_quantize_row(&got[t * cols], static_cast<int64_t>(cols),
                            native::as<QkQ8Row>(row.data()));
      EXPECT_TRUE(
          std::equal(row.begin(), row.begin() + static_cast<int64_t>(used), &all[t * bytes]))
          << t;
    }
  }
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 2e-6) << i;
}

// Tests that one token of a long sequence moves the keys and values that it sees, and hardly more,
// in whole sectors, whatever they are stored as.
TEST(AttentionTraffic, IsThatOfKeysAndValues) {
  QUERN_NEEDS_NVRTC();
  for (const char *format : {"f16", "bf16", "int8"}) {
    const AttentionCase c{"", format, 2, 4, 128, 128};
    constexpr int kLength = 1024;
    const Pages pages(c, {kLength});
    auto kernel = KernelRun::create(attention_text(c), Form::One);
    ASSERT_TRUE(kernel);
    kernel->count();
    kernel->setSequences({{kLength - 1, 1}});
    kernel->setPages(pages.put(kernel->device), pages.pageBytes, pages.tables);
    const auto cols = static_cast<size_t>(c.heads() * c.keyDim);
    kernel->launch(16, {kernel->device.put(random_floats(1, cols)), 0, 0,
                        kernel->device.allocate(cols * sizeof(float)),
                        kernel->device.allocate(static_cast<uint64_t>(target::BlockScratch{
                            {.rows = c.heads(), .columns = c.valueDim}}.bytes()))});
    const auto ideal = static_cast<double>(c.kvHeads * pages.headBytes * kLength / QUERN_KV_PAGE);
    const ptx::Counters &counters = kernel->counters();
    EXPECT_LE(static_cast<double>(counters.distinct_load_sectors) * 32, 1.05 * ideal) << format;
    // Of int8 a sector holds two numbers of each key: the first cache has it for the second. So it
    // is with the scales.
    const double most = std::string(format) == "int8" ? 2.5 : 1.1;
    EXPECT_LE(static_cast<double>(counters.sectors) * 32, most * ideal) << format;
  }
}

// Tests that keys and values are stored as the CPU stores them, to the byte, and nothing else.
TEST_P(AttentionKernel, AppendStoresWhatTheCpuStores) {
  const AttentionCase &c = GetParam();
  Pages pages(c, {130, 3});
  const std::vector<Sequence> sequences = {{0, 130}, {0, 3}};
  auto kernel = KernelRun::create(append_text(c), Form::Many);
  ASSERT_TRUE(kernel);
  kernel->setSequences(sequences);
  const uint64_t pool = kernel->device.allocate(pages.bytes[0].size());
  kernel->setPages(pool, pages.pageBytes, pages.tables);
  std::vector<float> keys, values;
  for (size_t b = 0; b < sequences.size(); ++b) {
    keys.insert(keys.end(), pages.keys[b].begin(), pages.keys[b].end());
    values.insert(values.end(), pages.values[b].begin(), pages.values[b].end());
  }
  kernel->launch(5, {kernel->device.put(keys), kernel->device.put(values), 0, 0});
  const auto got = kernel->device.get<uint8_t>(pool, pages.bytes[0].size());
  for (size_t i = 0; i < got.size(); ++i) {
    const bool stored = pages.bytes[0][i] == pages.bytes[1][i];
    ASSERT_EQ(kernel->device.memory().first_unwritten(pool + i, 1) == 0, stored) << i;
    if (stored)
      ASSERT_EQ(got[i], pages.bytes[0][i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, AttentionKernel, testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
