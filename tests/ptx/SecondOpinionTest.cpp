// SentryWard (PyPI, Apache-2.0), a prover of race freedom by others, about the kernels that ours
// are tested on.
#include "tests/ptx/PlantedKernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace quern::ptx {
namespace {

/// The program that scripts/get-sentryward installs, or that QUERN_SENTRYWARD names; empty if it is
/// not there.
std::string program() {
  if (const char *named = std::getenv("QUERN_SENTRYWARD"); named != nullptr && *named != 0)
    return named;
  const std::string made = QUERN_SOURCE_DIR "/.sentryward/bin/sentryward";
  return std::filesystem::exists(made) ? made : "";
}

class SecondOpinionTest : public testing::Test {
protected:
  void SetUp() override {
    if (program().empty())
      GTEST_SKIP() << "no SentryWard: scripts/get-sentryward installs it";
    folder = std::filesystem::path(testing::TempDir()) / concat("quern-second-opinion-", getpid());
    std::filesystem::create_directories(folder);
  }
  void TearDown() override {
    if (!folder.empty())
      std::filesystem::remove_all(folder);
  }

  /// What it says of a kernel run by one block: "race_free", "potential_race" ...
  std::string verdict(const std::string &text, int threads) {
    std::ofstream(folder / "kernel.ptx") << text;
    std::ofstream(folder / "input.json")
        << R"({"schema":"spverify.kernel-input/v1","launch":{"grid_dim":[1,1,1],"block_dim":[)"
        << threads << ",1,1]}}";
    const std::string command =
        concat(program(), " ", (folder / "kernel.ptx").string(), " --timeout 60 --input ",
               (folder / "input.json").string(), " > ", (folder / "out.json").string());
    // Its exit status says nothing of the kernel.
    static_cast<void>(std::system(command.c_str()));
    std::ifstream out(folder / "out.json");
    const std::string all((std::istreambuf_iterator<char>(out)), std::istreambuf_iterator<char>());
    const size_t key = all.find("\"result\"");
    const size_t first = key == std::string::npos ? key : all.find('"', key + 8);
    if (first == std::string::npos)
      return all;
    return all.substr(first + 1, all.find('"', first + 1) - first - 1);
  }

  std::filesystem::path folder;
};

TEST_F(SecondOpinionTest, AgreesAboutBarriers) {
  EXPECT_EQ(verdict(exchange("bar.sync 0;", "32"), 64), "race_free");
  EXPECT_EQ(verdict(exchange("bar.warp.sync -1;", "32"), 64), "potential_race");
  EXPECT_EQ(verdict(exchange("bar.warp.sync -1;", "1"), 64), "race_free");
  EXPECT_EQ(verdict(exchange("", "1"), 64), "potential_race");
}

TEST_F(SecondOpinionTest, AgreesAboutCopies) {
  EXPECT_EQ(verdict(copies("cp.async.wait_group 0;", "bar.sync 0;", "1"), 64), "race_free");
  EXPECT_NE(verdict(copies("cp.async.wait_group 1;", "bar.sync 0;", "1"), 64), "race_free");
  EXPECT_NE(verdict(copies("cp.async.wait_group 0;", "", "1"), 64), "race_free");
}

} // namespace
} // namespace quern::ptx
