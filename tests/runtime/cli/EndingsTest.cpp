// How programs end when something befalls them: each ending in a process of its own.
#include "runtime/cli/Endings.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/AtomicFile.h"
#include "tests/runtime/fake/FakeArtifact.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <new>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace quern::cli {
namespace {

using testing::ExitedWithCode;
using testing::KilledBySignal;

/// The files in the folder of `path`.
size_t files_beside(const std::string &path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// Tests that a file cut short under the mapping is an error that names it.
TEST(EndingsDeathTest, ArtifactCutShortWhileOpen) {
  const std::string path = test::write_fake("cut.quern");
  EXPECT_EXIT(
      {
        end_with_errors();
        auto artifact = *artifact::Artifact::open(path);
        if (truncate(path.c_str(), artifact::kPageBytes) != 0)
          _exit(9);
        (void)artifact->verify_all_checksums();
        _exit(0);
      },
      ExitedWithCode(1), "error: .*cut.quern: was cut short");
}

TEST(EndingsDeathTest, ABusErrorOfNobodysFileIsStillOne) {
  EXPECT_EXIT(
      {
        end_with_errors();
        raise(SIGBUS);
      },
      KilledBySignal(SIGBUS), "");
}

TEST(EndingsDeathTest, NoMemoryOnAnyThreadIsAnError) {
  EXPECT_EXIT(
      {
        end_with_errors();
        std::thread([] { throw std::bad_alloc(); }).join();
      },
      ExitedWithCode(1), "error: out of memory");
}

// Tests that what asks a process to end leaves no temporary file, and still ends it as asked.
TEST(EndingsDeathTest, SignalsRemoveTemporaryFiles) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string path = test::fresh_path("interrupted");
    const size_t before = files_beside(path);
    EXPECT_EXIT(
        {
          end_with_errors();
          auto file = *artifact::AtomicFile::create(path);
          if (!file->write("half", 4).ok() || files_beside(path) != before + 1)
            _exit(9);
          raise(signal);
        },
        KilledBySignal(signal), "");
    EXPECT_EQ(files_beside(path), before);
  }
}

TEST(EndingsDeathTest, WhatWasIgnoredStaysIgnored) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        end_with_errors();
        raise(SIGHUP);
        _exit(7);
      },
      ExitedWithCode(7), "");
}

TEST(EndingsDeathTest, AFileSizeLimitIsAnErrorOfTheWrite) {
  const std::string path = test::fresh_path("limited");
  EXPECT_EXIT(
      {
        end_with_errors();
        rlimit limit;
        limit.rlim_cur = limit.rlim_max = 100;
        setrlimit(RLIMIT_FSIZE, &limit);
        auto file = *artifact::AtomicFile::create(path);
        const std::string bytes(200, 'x');
        const absl::Status status = file->write(bytes.data(), bytes.size());
        end_with_error(std::string(status.message()).c_str());
      },
      ExitedWithCode(1), "error: .*limited: cannot write: File too large");
}

// Tests that a file cannot become standard output by taking its number, and that nothing else does.
TEST(EndingsDeathTest, StandardFilesAreOpen) {
  EXPECT_EXIT(
      {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        end_with_errors();
        const int fd = open("/dev/null", O_RDONLY);
        _exit(fd > STDERR_FILENO && write(STDOUT_FILENO, "x", 1) == -1 ? 0 : 9);
      },
      ExitedWithCode(0), "");
}

} // namespace
} // namespace quern::cli
