// Generated code against the interpreter, and against itself: chunks, batches, threads, variants.
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"
#include "tests/codegen/models/Sequences.h"

#include <gtest/gtest.h>

#include <map>

namespace quern::test {
namespace {

class Conformance : public testing::TestWithParam<std::tuple<const char *, ModelCase>> {
protected:
  void SetUp() override {
    auto [variant, which] = GetParam();
    // Of other instructions, only those of integer products can be emulated.
    if (const std::string why = CompiledModel::whyNotRun(variant, which.exact); !why.empty())
      GTEST_SKIP() << why << (which.exact ? "" : "; products of floats are not emulated");
    model = compiled(variant, which);
    ASSERT_TRUE(model);
    if (model->emulated())
      RecordProperty("emulated", variant);
  }

  /// Compiled once for all tests.
  static CompiledModel *compiled(const std::string &variant, const ModelCase &which) {
    static std::map<std::string, std::unique_ptr<CompiledModel>> all;
    auto [entry, fresh] = all.try_emplace(variant + which.name);
    if (fresh)
      entry->second = CompiledModel::create(which.model, which.quant, variant,
                                            CompiledModel::Windows::kept, which.kv);
    return entry->second.get();
  }
  CompiledModel *model = nullptr;
};

// Tests that generated code computes what the interpreter says the planned module means. Float sums
// differ in order only, which 1e-4 allows for. Where rows are rounded to int8 such a difference can
// flip a code, by one step of 1/127 of its group's largest: that moves a few logits of these small
// models by up to 0.05.
TEST_P(Conformance, MatchesTheInterpreter) {
  auto which = std::get<1>(GetParam());
  auto engine = model->engine(2);
  auto tokens = randomTokens(1, 41, model->vocab());
  auto logits = feed(*engine, tokens, 64);
  EXPECT_LT(distance(logits, interpret(*model->planned(), tokens)), which.exact ? 0.1 : 1e-4);
  if (std::string(which.quant) == "f32")
    EXPECT_LT(distance(logits, interpret(*model->imported(), tokens)), 1e-4);
}

// Tests that how a sequence is cut into steps, and the threads that run them, leave its logits
// alone: bitwise with integer products, and across threads always.
TEST_P(Conformance, StepsAndThreadsDoNotMatter) {
  auto which = std::get<1>(GetParam());
  auto one = model->engine(1), two = model->engine(2);
  auto tokens = randomTokens(2, 100, model->vocab());
  auto whole = feed(*one, tokens, 64);
  EXPECT_EQ(whole, feed(*two, tokens, 64));
  for (size_t chunk : {1, 3, 7, 16, 33}) {
    auto got = feed(*two, tokens, chunk);
    if (which.exact)
      EXPECT_EQ(got, whole) << "chunks of " << chunk;
    else
      EXPECT_LT(distance(got, doubles(whole)), 1e-4) << "chunks of " << chunk;
  }
}

// Tests that a sequence's logits are the same alone and in a ragged batch, from a fork too.
TEST_P(Conformance, BatchesDoNotMatter) {
  auto which = std::get<1>(GetParam());
  auto engine = model->engine(2);
  std::vector<std::vector<int32_t>> sequences;
  std::vector<std::vector<float>> alone;
  for (int length : {20, 1, 9}) {
    sequences.push_back(randomTokens(length, length, model->vocab()));
    alone.push_back(feed(*engine, sequences.back(), 64));
  }
  std::vector<session::SequenceStep> steps;
  for (const auto &tokens : sequences)
    steps.push_back({*engine->create_slot(), tokens, session::Rows::all});
  std::vector<float> logits(30 * engine->vocab());
  auto status = engine->step(steps, logits);
  ASSERT_TRUE(status.ok()) << status;
  size_t at = 0;
  for (const auto &want : alone) {
    std::vector<float> got(logits.begin() + at, logits.begin() + at + want.size());
    at += want.size();
    if (which.exact)
      EXPECT_EQ(got, want);
    else
      EXPECT_LT(distance(got, doubles(want)), 1e-4);
  }
}

using Variants = Conformance;

// Tests that all variants give the same bits: the integers are the same whatever adds them up, and
// floats are added in one order.
TEST_P(Variants, DoNotMatter) {
  const auto &[variant, which] = GetParam();
  const CompiledModel *narrow = compiled("x86-64-v3", which);
  ASSERT_TRUE(narrow);
  const auto tokens = randomTokens(3, 71, model->vocab());
  for (size_t chunk : {1, 5, 64})
    EXPECT_EQ(feed(*model->engine(2), tokens, chunk), feed(*narrow->engine(2), tokens, chunk))
        << "chunks of " << chunk;
}

// Tests the borders of attention's blocks of keys and, for single tokens, of the rounds that
// workers share: what a token sees is summed the same whether it comes alone or with others.
TEST(LongSequence, BlocksOfKeysDoNotMatter) {
  if (const std::string why = CompiledModel::whyNotRun("x86-64-v3", false); !why.empty())
    GTEST_SKIP() << why;
  std::string config = kLlama;
  config.replace(config.find("\"max_position_embeddings\": 256"), 30,
                 "\"max_position_embeddings\": 8192");
  auto model = CompiledModel::create(config, "int8", "x86-64-v3");
  ASSERT_TRUE(model);
  const auto tokens = randomTokens(5, 4112, model->vocab());
  const auto engine = model->engine(2, 8192);
  const auto vocab = static_cast<size_t>(engine->vocab());
  const auto whole = feed(*engine, tokens, 64);
  for (const int threads : {1, 3}) {
    const auto other = model->engine(threads, 8192);
    const auto slot = *other->create_slot();
    size_t at = 0;
    // One by one at the ends of the first two blocks and of the first round of sixteen.
    for (const auto &[until, chunk] :
         {std::pair<size_t, size_t>{250, 50}, {262, 1}, {510, 62}, {514, 1}, {4090, 64}, {4112, 1}})
      while (at < until) {
        const size_t count = std::min(chunk, until - at);
        std::vector<float> logits(vocab);
        const session::SequenceStep step{slot, std::span(tokens).subspan(at, count),
                                         session::Rows::last};
        ASSERT_TRUE(other->step({&step, 1}, logits).ok());
        at += count;
        ASSERT_TRUE(std::equal(logits.begin(), logits.end(), &whole[(at - 1) * vocab]))
            << "position " << at - 1 << ", " << threads << " threads";
      }
  }
}

std::string caseName(const testing::TestParamInfo<Conformance::ParamType> &info) {
  std::string variant = std::get<0>(info.param);
  return std::string(std::get<1>(info.param).name) + "_" + variant.substr(variant.rfind('-') + 1);
}
INSTANTIATE_TEST_SUITE_P(Cpu, Conformance,
                         testing::Combine(testing::Values("x86-64-v3", "x86-64-v4"),
                                          testing::ValuesIn(kModelCases)),
                         caseName);

/// The cases with integer weights, in each architecture that is imported here, and where products
/// quantize what they compute besides.
std::vector<ModelCase> integerCases() {
  std::vector<ModelCase> cases;
  for (const ModelCase &which : kModelCases) {
    const std::string_view model = which.model;
    if (which.exact && (!model.ends_with(".mlir") || model == "residual.mlir"))
      cases.push_back(which);
  }
  return cases;
}
// amx is x86-64-v4 but for products of integer weights.
INSTANTIATE_TEST_SUITE_P(Amx, Conformance,
                         testing::Combine(testing::Values("amx"),
                                          testing::ValuesIn(integerCases())),
                         caseName);
INSTANTIATE_TEST_SUITE_P(Cpu, Variants,
                         testing::Combine(testing::Values("x86-64-v4", "amx"),
                                          testing::ValuesIn(integerCases())),
                         caseName);

} // namespace
} // namespace quern::test
