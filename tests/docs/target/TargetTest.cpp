// The target that docs/guides/adding-a-target.md adds, made by doing what it says
// (tests/docs/Follow.cmake).
#include "compiler/driver/Verbs.h"
#include "runtime/artifact/Artifact.h"
#include "tests/conformance/Programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace quern::driver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Said {
  int code;
  std::string out, err;
};

Said quern(std::vector<std::string> words) {
  words.insert(words.begin(), "quern");
  std::vector<char *> argv;
  for (std::string &word : words)
    argv.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_quern(static_cast<int>(argv.size()), argv.data());
  std::string out = testing::internal::GetCapturedStdout();
  return {code, std::move(out), testing::internal::GetCapturedStderr()};
}

class AddedTarget : public testing::Test {
protected:
  AddedTarget() { folder_.write("config.json", conformance::small_llama().dump()); }
  std::vector<std::string> compile(std::vector<std::string> more) const {
    std::vector<std::string> args = {"compile",
                                     folder_.path("config.json"),
                                     "--synthetic",
                                     "5",
                                     "-q",
                                     "--variant",
                                     "plain,x86-64-v3",
                                     "-o",
                                     folder_.path("m.quern")};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  conformance::Folder folder_;
};

TEST_F(AddedTarget, IsListed) {
  EXPECT_THAT(quern({"--version"}).out, HasSubstr("listing (text)"));
  EXPECT_THAT(quern({"compile", "-h"}).out, HasSubstr("cpu, cuda, listing"));
  EXPECT_EQ(
      quern({"check", folder_.path("config.json"), "--synthetic", "5", "--target", "listing"}).code,
      0);
}

TEST_F(AddedTarget, IsCompiledForBesideAnother) {
  const Said said = quern(compile({"--target", "cpu,listing", "--emit-dir", folder_.path("d")}));
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(conformance::Folder::names(folder_.path("d")),
              ElementsAre("01-import.mlir", "cpu", "listing"));
  auto artifact = artifact::Artifact::open(folder_.path("m.quern"));
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  const auto code = (*artifact)->code("text");
  const std::string text(code.begin(), code.end());
  EXPECT_THAT(text, HasSubstr("step.decode1\n  rows_0\n  embedding_0\n"));
  EXPECT_EQ(text, folder_.read("d/listing/08-schedule.txt"));
  EXPECT_THAT(quern({"inspect", folder_.path("m.quern")}).out, HasSubstr("listing text: "));
}

} // namespace
} // namespace quern::driver
