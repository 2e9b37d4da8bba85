#include "runtime/artifact/AtomicFile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
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

TEST_F(AtomicFileTest, WritesDevicesDirectly) {
  auto file = *AtomicFile::create("/dev/null");
  EXPECT_TRUE(file->write("gone", 4).ok());
  EXPECT_TRUE(file->commit().ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_FALSE(AtomicFile::create(path("no/such/folder")).ok());
}

} // namespace
} // namespace quern::artifact
