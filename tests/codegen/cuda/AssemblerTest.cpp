// Tests that PTX that was made once is assembled for each architecture as NVRTC would have done it.
#include "codegen/cuda/Assembler.h"

#include "codegen/cuda/DeviceHeaders.h"
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/NvrtcLibrary.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace quern::cuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

#define QUERN_NEEDS_ASSEMBLER()                                                                    \
  QUERN_NEEDS_NVRTC();                                                                             \
  if (assembler_of(**nvrtc_library()) == nullptr)                                                  \
  GTEST_SKIP() << "there is no ptxas of NVRTC's version"

constexpr std::string_view kSource = R"(
#include "codegen/cuda/device/Rows.cuh"
using namespace quern;
extern "C" __global__ void __launch_bounds__(256) normed(const float *x, float *y) {
  __shared__ float parts[8];
  rms_norm<Block, 1000, 1>(x, {nullptr, 0}, {nullptr, 0}, 1e-5f, parts, y);
}
)";

TEST(Assembler, MakesOfOnePtxWhatNvrtcMakesForEachArchitecture) {
  QUERN_NEEDS_ASSEMBLER();
  for (const std::string arch : {"sm_80", "sm_90a"}) {
    const auto once = compile(kSource, "normed", arch);
    const auto anew = compile(kSource, "normed", arch, {.assembler = false});
    ASSERT_TRUE(once.ok()) << once.status();
    ASSERT_TRUE(anew.ok()) << anew.status();
    EXPECT_THAT(once->ptx, HasSubstr("\n.target " + arch + "\n"));
    EXPECT_EQ(once->ptx, anew->ptx);
    EXPECT_EQ(once->functions, anew->functions);
    EXPECT_EQ(once->shared, 32);
    EXPECT_THAT(once->cubin, testing::StartsWith("\x7f"
                                                 "ELF"));
    const auto lines = compile(kSource, "normed", arch, {.lines = true});
    ASSERT_TRUE(lines.ok()) << lines.status();
    EXPECT_GT(lines->cubin.size(), once->cubin.size());
  }
}

TEST(Assembler, ItsPtxIsTheSameWhicheverArchitectureIsAskedFor) {
  for (const DeviceHeader &header : device_headers())
    EXPECT_THAT(header.text, Not(HasSubstr("__CUDA_ARCH"))) << header.name;
}

TEST(Assembler, SaysWhatItDoesNotTake) {
  QUERN_NEEDS_ASSEMBLER();
  const Assembler &assembler = *assembler_of(**nvrtc_library());
  EXPECT_THAT(assembler.version(), HasSubstr("release "));
  const auto assembled =
      assembler.assemble(".version 7.4\n.target sm_80\n.address_size 64\nno such thing\n", "sm_80");
  ASSERT_FALSE(assembled.ok());
  EXPECT_EQ(assembled.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(assembled.status().message(), HasSubstr("line 4"));
}

TEST(Assembler, OfAnotherReleaseItIsLeftAlone) {
  std::string folder = (fs::temp_directory_path() / "quern-ptxas-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/ptxas";
  EXPECT_FALSE(Assembler::at(path, "13.0"));
  std::ofstream(path) << "#!/bin/sh\necho 'Cuda compilation tools, release 13.1, V13.1.2'\n";
  EXPECT_FALSE(Assembler::at(path, "13.1")) << "it cannot be run";
  fs::permissions(path, fs::perms::owner_all);
  EXPECT_FALSE(Assembler::at(path, "13.0"));
  const auto found = Assembler::at(path, "13.1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->version(), "Cuda compilation tools, release 13.1, V13.1.2");
  std::ofstream(path)
      << "#!/bin/sh\necho 'Cuda compilation tools, release 13.1, V13.1.2'\nexit 1\n";
  EXPECT_FALSE(Assembler::at(path, "13.1"));
  fs::remove_all(folder);
}

} // namespace
} // namespace quern::cuda
