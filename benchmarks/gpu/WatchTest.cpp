// What is left of a case that never ends, and of one that takes its process with it.
#include "benchmarks/gpu/Watch.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace quern::kit {
namespace {

struct WatchTest : testing::Test {
  // A process that dies is started anew, and has to come to the same name.
  const std::string path = testing::TempDir() + "quern-watch-" +
                           testing::UnitTest::GetInstance()->current_test_info()->name();

  WatchTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    std::filesystem::remove(path);
  }
  std::string left() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

TEST_F(WatchTest, WhatNeverEndsIsSaid) {
  EXPECT_EXIT(
      {
        Watch watch(path, 0.05);
        watch.begin("one never ended\n", "one was a fault\n");
        watch.end();
        watch.begin("two never ended\n", "two was a fault\n");
        for (;;)
          std::this_thread::sleep_for(std::chrono::seconds(1));
      },
      testing::ExitedWithCode(1), "");
  EXPECT_EQ(left(), "two never ended\n");
}

TEST_F(WatchTest, AFaultIsSaid) {
  EXPECT_EXIT(
      {
        Watch watch(path, 1000);
        watch.begin("one never ended\n", "one was a fault\n");
        std::raise(SIGSEGV);
      },
      testing::ExitedWithCode(1), "ended by a fault");
  EXPECT_EQ(left(), "one was a fault\n");
}

// Tests that cases that end leave nothing, and that the file is appended to.
TEST_F(WatchTest, WhatEndsIsNot) {
  std::ofstream(path) << "before\n";
  Watch watch(path, 1000);
  for (int i = 0; i < 100; ++i) {
    watch.begin("never\n", "fault\n");
    watch.end();
  }
  EXPECT_EQ(left(), "before\n");
}

} // namespace
} // namespace quern::kit
