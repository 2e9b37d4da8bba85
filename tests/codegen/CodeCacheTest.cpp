// Tests that the cache of code gives back what was kept and nothing else, and never fails.
#include "codegen/CodeCache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace quern::codegen {
namespace {

class CodeCacheTest : public testing::Test {
protected:
  CodeCacheTest() {
    std::string name = (fs::temp_directory_path() / "quern-cache-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~CodeCacheTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::string folder() const { return folder_ / "code"; }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto &entry : fs::directory_iterator(folder()))
      all.push_back(entry.path());
    return all;
  }
  static std::string key(std::string_view part) { return CodeCache::key({&part, 1}); }

  fs::path folder_;
};

TEST_F(CodeCacheTest, FindsWhatWasKeptUnderItsKeyOnly) {
  const CodeCache cache(folder());
  EXPECT_FALSE(cache.find(key("a")));
  cache.keep(key("a"), "one");
  cache.keep(key("b"), "");
  EXPECT_EQ(cache.find(key("a")), "one");
  EXPECT_EQ(cache.find(key("b")), "");
  EXPECT_FALSE(cache.find(key("c")));
  cache.keep(key("a"), "two");
  EXPECT_EQ(cache.find(key("a")), "two");
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(CodeCacheTest, KeysTellPartsApart) {
  const std::string_view one[] = {"ab", "c"}, other[] = {"a", "bc"};
  EXPECT_NE(CodeCache::key(one), CodeCache::key(other));
  EXPECT_EQ(CodeCache::key(one).size(), 64u);
}

TEST_F(CodeCacheTest, WhatWasDamagedIsNotThereAndIsReplaced) {
  const CodeCache cache(folder());
  cache.keep(key("a"), "an object");
  const fs::path file = files().at(0);
  const auto size = fs::file_size(file);
  for (uintmax_t at = 0; at < size; ++at) {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(static_cast<std::streamoff>(at));
    damage.put('\x7f');
    damage.close();
    ASSERT_FALSE(cache.find(key("a"))) << at;
    cache.keep(key("a"), "an object");
    ASSERT_EQ(cache.find(key("a")), "an object");
  }
  for (uintmax_t shorter = 0; shorter < size; ++shorter) {
    fs::resize_file(file, shorter);
    ASSERT_FALSE(cache.find(key("a"))) << shorter;
    cache.keep(key("a"), "an object");
  }
}

TEST_F(CodeCacheTest, AFolderThatCannotBeIsNoError) {
  std::ofstream(folder()) << "a file";
  const CodeCache cache(folder() + "/below");
  cache.keep(key("a"), "one");
  EXPECT_FALSE(cache.find(key("a")));
  const CodeCache none("");
  none.keep(key("a"), "one");
  EXPECT_FALSE(none.find(key("a")));
}

TEST_F(CodeCacheTest, WhatWasNotUsedForTheLongestTimeGoesFirst) {
  const CodeCache cache(folder(), 4000);
  const std::string object(1000, 'x');
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 3; ++i) {
    cache.keep(key(std::to_string(i)), object);
    for (const fs::path &file : files())
      if (fs::last_write_time(file) > now - std::chrono::minutes(1))
        fs::last_write_time(file, now - std::chrono::hours(3 - i));
  }
  EXPECT_TRUE(cache.find(key("0"))); // a use
  cache.keep(key("3"), object);
  EXPECT_TRUE(cache.find(key("0")));
  EXPECT_FALSE(cache.find(key("1")));
  EXPECT_TRUE(cache.find(key("2")));
  EXPECT_TRUE(cache.find(key("3")));
}

TEST_F(CodeCacheTest, ManyMayUseItAtOnce) {
  // No find is ever anything but what was kept whole.
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const CodeCache cache(folder(), 20000);
      for (int i = 0; i < 200; ++i) {
        const std::string name = std::to_string(i % 7);
        const std::string object(5000, name[0]);
        if (const auto found = cache.find(key(name)))
          EXPECT_EQ(*found, object);
        cache.keep(key(name), object);
      }
    });
  threads.clear();
  for (const fs::path &file : files())
    EXPECT_EQ(file.extension(), ".object") << file;
}

} // namespace
} // namespace quern::codegen
