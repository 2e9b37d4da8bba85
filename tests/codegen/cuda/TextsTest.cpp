// Tests the CUDA C++ that kernels become: each compiles, for both architectures, and spills
// nothing; their number does not grow with the model's depth.
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Program.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace quern::cuda {
namespace {

using test::CompiledModel;
using test::ModelCase;

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
  for (const char *arch : {"sm_80", "sm_90a"})
    for (const KernelText &kernel : program->kernels)
      jobs.push_back({kernel.name, kernel.text, arch});
  const auto compiled = compile_all(jobs, {.threads = 2});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  for (size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ((*compiled)[i].functions[0].spilled, 0) << jobs[i].name << ", " << jobs[i].arch;
    EXPECT_EQ((*compiled)[i].functions.size(), 1u) << jobs[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, Texts, testing::ValuesIn(test::kModelCases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::cuda
