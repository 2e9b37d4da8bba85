#include "runtime/artifact/AtomicFile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace quern::artifact {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("atomic-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string &name) const { return (folder_ / name).string(); }
  std::string read(const std::string &name) const {
    std::ifstream in(path(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsWholeOrNotAtAll) {
  {
    auto file = *AtomicFile::create(path("a"));
    ASSERT_TRUE(file->write("half", 4).ok());
    EXPECT_FALSE(fs::exists(path("a")));
  }
  EXPECT_EQ(files(), 0u);
  auto file = *AtomicFile::create(path("a"));
  ASSERT_TRUE(file->write_at(4, "done", 4).ok());
  char back[4] = {};
  ASSERT_TRUE(file->read_at(4, back, 4).ok());
  EXPECT_EQ(std::string(back, 4), "done");
  EXPECT_FALSE(file->read_at(6, back, 4).ok());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(read("a"), std::string("\0\0\0\0done", 8));
  EXPECT_EQ(files(), 1u);
}

// Tests that what a link points to is replaced, never the link: it may be /dev/stdout.
TEST_F(AtomicFileTest, FollowsLinks) {
  std::ofstream(path("target")) << "old";
  fs::create_symlink("target", path("link"));
  auto file = *AtomicFile::create(path("link"));
  ASSERT_TRUE(file->write("new", 3).ok());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read("target"), "new");
  fs::create_symlink("nowhere", path("dangling"));
  EXPECT_FALSE(AtomicFile::create(path("dangling")).ok());
  EXPECT_TRUE(fs::is_symlink(path("dangling")));
}

// Tests that writers of one path do not meet: each has its own bytes, and the last to commit wins.
TEST_F(AtomicFileTest, ManyWriteOnePath) {
  auto first = *AtomicFile::create(path("a"));
  auto second = *AtomicFile::create(path("a"));
  ASSERT_TRUE(first->write("first", 5).ok());
  ASSERT_TRUE(second->write("second", 6).ok());
  ASSERT_TRUE(second->commit().ok());
  EXPECT_EQ(read("a"), "second");
  ASSERT_TRUE(first->commit().ok());
  EXPECT_EQ(read("a"), "first");
  EXPECT_EQ(files(), 1u);
}

// Tests that what a killed process left of a path is removed by the next one, and nothing else.
TEST_F(AtomicFileTest, RemovesWhatWasAbandoned) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto file = AtomicFile::create(path("a"));
    _exit(file.ok() && (*file)->write("half", 4).ok() ? 0 : 1); // no destructor runs
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(files(), 1u);
  for (const char *mine :
       {"a.tmp12", "a.quern-partial-", "a.quern-partial-1x", "b.quern-partial-12"})
    std::ofstream(path(mine)) << "a user's";
  auto other = *AtomicFile::create(path("a"));
  EXPECT_EQ(files(), 5u); // theirs and the writer's
  auto file = *AtomicFile::create(path("a"));
  EXPECT_EQ(files(), 6u) << "another writer's file was taken for abandoned";
  ASSERT_TRUE(file->commit().ok());
  EXPECT_TRUE(other->commit().ok());
}

TEST_F(AtomicFileTest, WritesDevicesDirectly) {
  auto file = *AtomicFile::create("/dev/null");
  EXPECT_TRUE(file->write("gone", 4).ok());
  EXPECT_TRUE(file->commit().ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_FALSE(AtomicFile::create(path("no/such/folder")).ok());
}

} // namespace
} // namespace quern::artifact
