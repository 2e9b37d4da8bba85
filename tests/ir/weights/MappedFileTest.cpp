// Tests that mapped files give only what is inside them and notice when they change.
#include "ir/weights/MappedFile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace quern::weights {
namespace {

using ::testing::HasSubstr;

class MappedFileTest : public testing::Test {
protected:
  void write(const std::string &text) const { std::ofstream(path_, std::ios::binary) << text; }
  void TearDown() override { std::remove(path_.c_str()); }
  const std::string path_ = testing::TempDir() + std::to_string(getpid()) + "-mapped-file-test";
};

TEST_F(MappedFileTest, GivesRangesInsideTheFile) {
  write("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->size(), 10u);
  EXPECT_EQ((*file)->range(3, 4)->front(), std::byte{'3'});
  EXPECT_EQ((*file)->range(10, 0)->size(), 0u);
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (const auto &[offset, length] :
       {std::pair<uint64_t, uint64_t>{3, 8}, {11, 0}, {kMax, 2}, {2, kMax}})
    EXPECT_THAT(std::string((*file)->range(offset, length).status().message()),
                HasSubstr("do not lie inside its 10 bytes"));
}

TEST_F(MappedFileTest, NoticesChanges) {
  write("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->check_unchanged().ok());
  ASSERT_EQ(truncate(path_.c_str(), 5), 0);
  EXPECT_THAT(std::string((*file)->check_unchanged().message()),
              HasSubstr("had 10 bytes when it was opened and has 5 now"));
}

TEST_F(MappedFileTest, NoticesWritesInPlace) {
  write("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  EXPECT_THAT(std::string((*file)->check_unchanged().message()), HasSubstr("written to"));
}

TEST_F(MappedFileTest, ReplacingAFileLeavesTheMappingWhole) {
  write("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  std::ofstream(path_ + ".new") << "new";
  ASSERT_EQ(std::rename((path_ + ".new").c_str(), path_.c_str()), 0);
  EXPECT_TRUE((*file)->check_unchanged().ok());
  EXPECT_EQ((*file)->bytes().back(), std::byte{'9'});
}

TEST_F(MappedFileTest, OpensEmptyFilesAndNothingElse) {
  write("");
  EXPECT_EQ((*MappedFile::open(path_))->size(), 0u);
  EXPECT_THAT(std::string(MappedFile::open(path_ + "-not").status().message()),
              HasSubstr("cannot open it for reading: No such file"));
  EXPECT_THAT(std::string(MappedFile::open(testing::TempDir()).status().message()),
              HasSubstr("is a directory"));
  std::remove(path_.c_str());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(std::string(MappedFile::open(path_).status().message()),
              HasSubstr("not a regular file"));
}

} // namespace
} // namespace quern::weights
