// Tests that NVRTC is found or said to be missing, and what becomes of a source.
#include "codegen/cuda/Nvrtc.h"

#include "codegen/cuda/NvrtcLibrary.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace quern::cuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAdd = R"(
#include "codegen/cuda/device/Base.cuh"
extern "C" __global__ void __launch_bounds__(256) add(float *x, float a, float b) {
  x[quern::thread()] = a * b + x[quern::thread()];
}
)";

TEST(Nvrtc, CompilesForBothArchitectures) {
  QUERN_NEEDS_NVRTC();
  for (const std::string arch : {"sm_80", "sm_90a"}) {
    const auto compiled = compile(kAdd, "add", arch);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    EXPECT_THAT(compiled->ptx, HasSubstr("\n.target " + arch));
    EXPECT_THAT(compiled->ptx,
                HasSubstr(arch == "sm_80" ? "\n.version 7.4\n" : "\n.version 8.0\n"));
    EXPECT_THAT(compiled->ptx, HasSubstr(".visible .entry add("));
    EXPECT_THAT(compiled->cubin, testing::StartsWith("\x7f"
                                                     "ELF"));
    ASSERT_EQ(compiled->functions.size(), 1u);
    EXPECT_EQ(compiled->functions[0].name, "add");
    EXPECT_GT(compiled->functions[0].registers, 2);
    EXPECT_LT(compiled->functions[0].registers, 64);
    EXPECT_EQ(compiled->registers, compiled->functions[0].registers);
    EXPECT_EQ(compiled->shared, 0);
    EXPECT_EQ(compiled->local, 0);
  }
}

TEST(Nvrtc, RoundsWhereTheSourceDoes) {
  QUERN_NEEDS_NVRTC();
  const auto compiled = compile(kAdd, "add", "sm_80");
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  EXPECT_THAT(compiled->ptx, HasSubstr("mul"));
  EXPECT_THAT(compiled->ptx, Not(HasSubstr("fma")));
}

TEST(Nvrtc, SaysWhatEachFunctionNeeds) {
  QUERN_NEEDS_NVRTC();
  const auto compiled = compile(R"(
extern "C" __global__ void second(int *x) {
  __shared__ int held[256];
  held[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = held[255 - threadIdx.x];
}
extern "C" __global__ void first(int *x, int at) {
  int own[64];
  for (int i = 0; i < 64; ++i)
    own[i] = i;
  for (int i = 0; i < 64; ++i)
    own[x[i] & 63] += own[x[at + i] & 63];
  x[at] = own[x[at] & 63];
}
)",
                                "two", "sm_80");
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  ASSERT_EQ(compiled->functions.size(), 2u);
  EXPECT_EQ(compiled->functions[0].name, "first");
  EXPECT_EQ(compiled->functions[0].shared, 0);
  EXPECT_EQ(compiled->functions[0].local, 256);
  EXPECT_EQ(compiled->functions[1].name, "second");
  EXPECT_EQ(compiled->functions[1].shared, 1024);
  EXPECT_EQ(compiled->functions[1].local, 0);
  EXPECT_EQ(compiled->shared, 1024);
  EXPECT_EQ(compiled->local, 256);
}

// Tests that a kernel whose registers do not suffice for as many blocks as it would like gets
// fewer, where it leaves their number open, and only there.
TEST(Nvrtc, HasFewerBlocksWhereRegistersSpill) {
  QUERN_NEEDS_NVRTC();
  const std::string open = "#ifndef QUERN_RESIDENT\n#define QUERN_RESIDENT 8\n#endif\n";
  const std::string fixed = "#define kBlocks 8\n";
  const auto kernel = [](const std::string &blocks) {
    return "extern \"C\" __global__ void __launch_bounds__(256, " + blocks + R"() many(float *x) {
  float own[64];
  for (int i = 0; i < 64; ++i)
    own[i] = x[i * 256 + threadIdx.x];
  __syncthreads();
  for (int i = 0; i < 64; ++i)
    x[i * 256 + threadIdx.x] = own[63 - i] * own[i];
})";
  };
  for (const char *arch : {"sm_80", "sm_90a"}) {
    const auto spilled = compile(fixed + kernel("kBlocks"), "fixed", arch);
    ASSERT_TRUE(spilled.ok()) << spilled.status();
    EXPECT_GT(spilled->functions[0].spilled, 0);
    const auto fewer = compile(open + kernel("QUERN_RESIDENT"), "open", arch);
    ASSERT_TRUE(fewer.ok()) << fewer.status();
    EXPECT_EQ(fewer->functions[0].spilled, 0);
    EXPECT_THAT(fewer->ptx, HasSubstr(".minnctapersm 2"));
  }
}

TEST(Nvrtc, ReadsTheHostsHeaders) {
  QUERN_NEEDS_NVRTC();
  const auto compiled = compile(R"(
#include "ir/formats/PackingLayout.h"
#include "runtime/abi/StepArgs.h"
using namespace quern::formats;
constexpr Packing kPacking = quant_packing(4, 32, 8, false, ScaleType::F16);
static_assert(kPacking.panel_bytes(64) == 2 * 288 && sizeof(QuernQ8Pair) == 16);
extern "C" __global__ void decode(const unsigned char *panel, float *out) {
  const auto word = [&](int at) { return reinterpret_cast<const unsigned *>(panel)[at / 4]; };
  out[threadIdx.x] = stored_four(kPacking, 0, threadIdx.x % 16, word);
}
)",
                                "decode", "sm_90a");
  ASSERT_TRUE(compiled.ok()) << compiled.status();
}

TEST(Nvrtc, NamesKernelAndLineOfAnError) {
  QUERN_NEEDS_NVRTC();
  const auto compiled = compile("\n\n__global__ void f() { foo(); }\n", "rows_7_many", "sm_80");
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.status().message(), HasSubstr("does not compile rows_7_many for sm_80"));
  EXPECT_THAT(compiled.status().message(), HasSubstr("rows_7_many.cu(3): error: "));
  EXPECT_THAT(compiled.status().message(), HasSubstr("\nhint: "));
  const auto unknown = compile("#include <cuda_fp16.h>\n", "rows_7_many", "sm_80");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.status().message(), HasSubstr("cuda_fp16.h"));
  const auto architecture = compile(kAdd, "add", "sm_12");
  ASSERT_FALSE(architecture.ok());
  EXPECT_THAT(architecture.status().message(), HasSubstr("sm_12"));
}

TEST(Nvrtc, SaysLinesWhereAsked) {
  QUERN_NEEDS_NVRTC();
  const auto with = compile(kAdd, "add", "sm_80", {.lines = true});
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_THAT(with->ptx, HasSubstr("\t.loc\t"));
  EXPECT_THAT(with->ptx, HasSubstr("\n.version 7.4\n"));
  EXPECT_THAT(compile(kAdd, "add", "sm_80")->ptx, Not(HasSubstr(".loc")));
}

TEST(Nvrtc, ManyTogetherWithACacheAreTheSameAsOneByOne) {
  QUERN_NEEDS_NVRTC();
  std::string folder = (fs::temp_directory_path() / "quern-nvrtc-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::vector<std::string> sources;
  std::vector<CompileJob> jobs;
  for (int i = 0; i < 4; ++i)
    sources.push_back("extern \"C\" __global__ void f(int *x) { x[" + std::to_string(i) +
                      "] = 1; }\n");
  for (const std::string &source : sources)
    for (const char *arch : {"sm_80", "sm_90a"})
      jobs.push_back({.name = "f", .source = source, .arch = arch});
  const auto cold = compile_all(jobs, {.threads = 3, .cache = folder});
  ASSERT_TRUE(cold.ok()) << cold.status();
  ASSERT_EQ(cold->size(), jobs.size());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 8);
  const auto warm = compile_all(jobs, {.threads = 2, .cache = folder});
  ASSERT_TRUE(warm.ok()) << warm.status();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto alone = compile(jobs[i].source, jobs[i].name, jobs[i].arch);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_TRUE((*cold)[i] == *alone) << i;
    EXPECT_TRUE((*warm)[i] == *alone) << i;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 8);
  // One that cannot be compiled is the error of all, and is not kept.
  jobs[5].source = "not C++";
  const auto failed = compile_all(jobs, {.threads = 2, .cache = folder});
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.status().message(), HasSubstr("f.cu(1): error: "));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 8);
  fs::remove_all(folder);
}

TEST(Nvrtc, WhatTheEnvironmentNamesIsTakenOrRefused) {
  const char *before = std::getenv("QUERN_NVRTC");
  const std::string kept = before == nullptr ? "" : before;
  for (const std::string wrong :
       {"/nowhere/libnvrtc.so", QUERN_SOURCE_DIR "/README.md", QUERN_SOURCE_DIR "/docs"}) {
    setenv("QUERN_NVRTC", wrong.c_str(), 1);
    const auto library = find_nvrtc();
    ASSERT_FALSE(library.ok());
    EXPECT_EQ(library.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(library.status().message(), HasSubstr("QUERN_NVRTC"));
    EXPECT_THAT(library.status().message(), HasSubstr(wrong));
    EXPECT_THAT(library.status().message(), HasSubstr("\nhint: install"));
    EXPECT_THAT(library.status().message(), HasSubstr("nvidia-cuda-nvrtc"));
  }
  kept.empty() ? unsetenv("QUERN_NVRTC") : setenv("QUERN_NVRTC", kept.c_str(), 1);
}

} // namespace
} // namespace quern::cuda
