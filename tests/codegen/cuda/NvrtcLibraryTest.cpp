// Tests where NVRTC is looked for and which of several is taken, with FakeNvrtc.cpp in its place:
// in a process of its own, for the loader gives a library that is loaded for its name.
#include "codegen/cuda/NvrtcLibrary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace quern::cuda {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class NvrtcLibraryTest : public testing::Test {
protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "quern-nvrtc-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    for (const char *name : {"HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"})
      unsetenv(name);
    unsetenv("QUERN_NVRTC");
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A folder with an NVRTC, and its path.
  std::string install(const std::string &where, bool builtins) {
    const fs::path to = folder_ / where;
    fs::create_directories(to);
    fs::copy_file(QUERN_FAKE_NVRTC, to / "libnvrtc.so.13");
    if (builtins)
      fs::copy_file(QUERN_FAKE_NVRTC_BUILTINS, to / "libnvrtc-builtins.so.13.99");
    return to / "libnvrtc.so.13";
  }

  fs::path folder_;
};

// In this order: builtins that are loaded once serve all that come later. A broken one that stayed
// loaded would be what the loader gives for the name, too.
TEST_F(NvrtcLibraryTest, TakesTheFirstThatCompiles) {
  const std::string broken = install("broken", false), whole = install("whole", true);
  fs::create_symlink(whole, folder_ / "link.so"); // of another folder: its builtins are not there
  std::ofstream(folder_ / "text.so") << "no library";

  setenv("QUERN_NVRTC", broken.c_str(), 1);
  const auto asked = find_nvrtc();
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(asked.status().message(), HasSubstr("NVRTC_ERROR_BUILTIN_OPERATION_FAILURE"));
  EXPECT_THAT(asked.status().message(), HasSubstr("libnvrtc-builtins.so.13.99, which belongs"));
  EXPECT_THAT(asked.status().message(), HasSubstr("\nhint: install"));
  unsetenv("QUERN_NVRTC");
  EXPECT_EQ(dlopen("libnvrtc.so.13", RTLD_NOW | RTLD_NOLOAD), nullptr);

  const auto taken = first_nvrtc(std::vector<std::string>{folder_ / "none.so", folder_ / "text.so",
                                                          broken, folder_ / "link.so", whole});
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->path, folder_ / "link.so");
  EXPECT_EQ(taken->version(), "13.99");
}

TEST_F(NvrtcLibraryTest, LooksWherePeopleHaveIt) {
  const std::string all[] = {
      install("cuda/lib64", false),
      install("venv/lib/python3.12/site-packages/nvidia/cu13/lib", false),
      install("conda/lib", false),
      install("conda/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib", false),
      install("home/.local/lib/python3.13/site-packages/nvidia/cu12/lib", false),
  };
  setenv("CUDA_HOME", (folder_ / "cuda").c_str(), 1);
  setenv("VIRTUAL_ENV", (folder_ / "venv").c_str(), 1);
  setenv("CONDA_PREFIX", (folder_ / "conda").c_str(), 1);
  setenv("HOME", (folder_ / "home").c_str(), 1);
  const std::vector<std::string> candidates = nvrtc_candidates();
  auto from = candidates.begin();
  for (const std::string &library : all) {
    const auto at = std::find(from, candidates.end(), library);
    EXPECT_NE(at, candidates.end()) << library;
    if (at != candidates.end())
      from = at;
  }
  EXPECT_THAT(candidates, Contains("libnvrtc.so.13"));
}

} // namespace
} // namespace quern::cuda
