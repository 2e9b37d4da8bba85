// Tests the CUDA C++ that kernels become: each compiles, for both architectures, and spills
// nothing; their number does not grow with the model's depth.
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Program.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

namespace quern::cuda {
namespace {

using test::CompiledModel;
using test::ModelCase;
using testing::HasSubstr;

class Texts : public testing::TestWithParam<ModelCase> {};

TEST_P(Texts, CompileWithoutSpills) {
  const ModelCase &which = GetParam();
  const auto model = CompiledModel::plan(which.model, which.quant, which.kv, "cuda");
  ASSERT_TRUE(model);
  const auto program = writeProgram(model->module());
  ASSERT_TRUE(program.ok()) << program.status();
  if (const char *folder = std::getenv("QUERN_TEXTS")) // to be read
    for (const KernelText &kernel : program->kernels)
      std::ofstream(std::string(folder) + "/" + which.name + "." + kernel.name + ".cu")
          << kernel.text;
  QUERN_NEEDS_NVRTC();
  std::vector<CompileJob> jobs;
  for (const char *arch : {"sm_90a", "sm_80"})
    for (const ModuleText &module : program->modules)
      jobs.push_back({module.name, module.text, arch});
  const auto compiled =
      compile_all(jobs, {.threads = 2, .cache = QUERN_BINARY_DIR "/tests/cuda-code"});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const ModuleText &module = program->modules[i % program->modules.size()];
    EXPECT_EQ((*compiled)[i].functions.size(), module.kernels.size()) << module.name;
    for (size_t k : module.kernels) {
      const CompiledFunction made = (*compiled)[i].function(program->kernels[k].name);
      EXPECT_GT(made.registers, 0) << program->kernels[k].name;
      EXPECT_EQ(made.spilled, 0) << made.name << ", " << jobs[i].arch;
    }
  }
}

/// The texts of a model of the target, by kernel.
std::map<std::string, std::string> textsOf(const std::string &config, const std::string &quant) {
  const auto model = CompiledModel::plan(config, quant, "f32", "cuda");
  EXPECT_TRUE(model);
  if (!model)
    return {};
  const auto program = writeProgram(model->module());
  EXPECT_TRUE(program.ok()) << program.status();
  std::map<std::string, std::string> texts;
  if (program.ok())
    for (const KernelText &kernel : program->kernels)
      texts[kernel.name] = kernel.text;
  return texts;
}

/// The text that holds all of these; fails where it is not one.
std::string textWith(const std::map<std::string, std::string> &texts, const std::string &name,
                     std::initializer_list<const char *> parts) {
  std::vector<std::string> found;
  for (const auto &[kernel, text] : texts)
    if (kernel.ends_with(name) && std::ranges::all_of(parts, [&](const char *part) {
          return text.find(part) != std::string::npos;
        }))
      found.push_back(text);
  EXPECT_EQ(found.size(), 1u);
  return found.empty() ? "" : found.front();
}

std::string llamaOf(int layers) {
  std::string config = test::kLlama;
  const std::string key = "\"num_hidden_layers\": ";
  config.replace(config.find(key) + key.size(), 1, std::to_string(layers));
  return config;
}

TEST(TextsOfAModel, DoNotGrowWithItsDepth) {
  const auto shallow = textsOf(llamaOf(4), "int4"), deep = textsOf(llamaOf(9), "int4");
  EXPECT_GT(shallow.size(), 10u);
  EXPECT_EQ(shallow.size(), deep.size());
  for (const auto &[name, text] : shallow)
    EXPECT_TRUE(deep.contains(name)) << name;
}

TEST(TextsOfAModel, AreTheSameEachTime) {
  EXPECT_EQ(textsOf(test::kLlama, "int4"), textsOf(test::kLlama, "int4"));
}

// A block a row: the norm into shared memory, where the threads meet before what it left there is
// quantized, and again before the next row's is written.
TEST(TextsOfAModel, ANormIsPlacedBeforeItIsQuantized) {
  const auto texts = textsOf(test::kLlama, "int4");
  const std::string text =
      textWith(texts, "_many", {"rms_norm<Block, 96, 1>(rows0 + i64(row) * 96", "quantize_row<"});
  EXPECT_THAT(text, HasSubstr("// model.layers.0."));
  const size_t begin = text.find("  for ("), end = text.find("\n}\n", begin);
  EXPECT_EQ(text.substr(begin, end - begin),
            R"(  for (int row = worker; row < static_cast<int>(step.num_tokens); row += workers) {
    float *const columns_0 = reinterpret_cast<float *>(shared); // [96]
    float *const parts_1 = reinterpret_cast<float *>(shared + 384); // [8]
    rms_norm<Block, 96, 1>(rows0 + i64(row) * 96, {vector1, 0}, {nullptr, 0}, 1e-05f, parts_1, columns_0);
    Block::sync();
    quantize_row<Block, 96>(columns_0, result0 + i64(row) * 448);
    Block::sync();
  })");
}

TEST(TextsOfAModel, AnEmbeddingIsDecodedWhereItIsStored) {
  const std::string text = textWith(textsOf(test::kLlama, "int4"), "_many", {"decoded<"});
  EXPECT_THAT(text, HasSubstr("(result0 + i64(row) * 96)[i] = decoded<packings::q8_g32_z128_f16, "
                              "96>(weights1, id, i);"));
}

// The gate and what it gates lie in two tiles of the merged product; their columns' biases a
// gate's width apart.
TEST(TextsOfAModel, AnEpilogueIsOneExpression) {
  const std::string text = textWith(textsOf(test::kLlama, "int4"), "_one", {"silu("});
  EXPECT_THAT(
      text, testing::ContainsRegex("finished_[0-9]+\\[i\\] = silu\\(.*\\[i\\] \\+ vector2\\[col\\]"
                                   "\\) \\* \\(.*\\[i\\] \\+ vector2\\[col \\+ 160\\]\\);"));
  EXPECT_THAT(text, HasSubstr("quantize_pair<160>("));
}

TEST(TextsOfAModel, ALastRowNeedNotBeWritten) {
  const std::string text = textWith(textsOf(test::kLlama, "int4"), "_last", {"argmax_key"});
  EXPECT_THAT(text, HasSubstr("if (step.argmax == nullptr) {"));
  EXPECT_THAT(text, HasSubstr("hand_in_argmax(step, best);"));
  EXPECT_THAT(text, HasSubstr("const int rows = static_cast<int>(step.num_rows);"));
}

// What any kernel of the step writes must not be read through the cache that does not see it.
TEST(TextsOfAModel, RestrictNothing) {
  for (const auto &[name, text] : textsOf(test::kLlama, "int4"))
    EXPECT_THAT(text, testing::Not(HasSubstr("__restrict__"))) << name;
}

INSTANTIATE_TEST_SUITE_P(Cuda, Texts, testing::ValuesIn(test::kModelCases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::cuda
