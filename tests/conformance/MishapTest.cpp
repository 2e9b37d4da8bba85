// What befalls a compile from outside: full disks, too little memory, signals, other compiles, and
// paths that are not what they should be. An error or success, and never a file that is half a one.
#include "tests/conformance/Programs.h"

#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace quern::conformance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class Mishap : public testing::Test {
protected:
  void SetUp() override { folder_.write("config.json", small_llama().dump()); }

  /// A compile of the folder's config, as a line of shell.
  std::string compile(const std::string &output = "m.quern") const {
    return quoted(QUERN_BINARY_DIR "/bin/quern") + " compile " +
           quoted(folder_.path("config.json")) + " --synthetic 1 --variant x86-64-v3 -q -o " +
           quoted(output.starts_with('/') ? output : folder_.path(output));
  }
  static Result shell(const std::string &line) {
    const Folder folder;
    const int status = std::system(("( " + line + " ) </dev/null >" + quoted(folder.path("out")) +
                                    " 2>" + quoted(folder.path("err")))
                                       .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.read("out"), folder.read("err")};
  }
  static void expect_error(const Result &result, const std::string &text) {
    EXPECT_EQ(result.code, 1) << result.err;
    // After notes, which are lines of their own.
    EXPECT_THAT(result.err, MatchesRegex("(note: [^\n]*\n)*error: (.|\n)*"));
    EXPECT_THAT(result.err, HasSubstr(text));
  }
  void expect_nothing_written() const {
    EXPECT_THAT(folder_.names(), ElementsAre("config.json"));
    EXPECT_EQ(folder_.read("config.json"), small_llama().dump());
  }
  /// Starts a compile, waits for its temporary file, and sends it a signal.
  void interrupt(int signal) const {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string line = "exec " + compile();
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    while (folder_.names().size() == 1 && waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(kill(child, signal), 0) << "it was done before it could be interrupted";
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal);
  }

  Folder folder_;
};

TEST_F(Mishap, FullDisk) {
  // A limit on files' sizes fails writes as a full disk does: of the first, and of a later one.
  for (const char *blocks : {"20", "400"}) {
    expect_error(shell(std::string("ulimit -f ") + blocks + "; " + compile()), "File too large");
    expect_nothing_written();
  }
  expect_error(shell(compile() + " --emit-dir " + quoted(folder_.path("config.json/steps"))),
               "config.json/steps");
  expect_nothing_written();
  for (const char *verb : {"plan", "check"})
    expect_error(shell(quoted(QUERN_BINARY_DIR "/bin/quern") + " " + verb + " " +
                       quoted(folder_.path("config.json")) + " --synthetic 1 >/dev/full"),
                 "cannot write to standard output: No space left on device");
}

// Tests that whatever memory there is, there is an error or an artifact.
TEST_F(Mishap, LittleMemory) {
  int refused = 0;
  for (int megabytes = 240; megabytes <= 480; megabytes += 20) {
    const Result result =
        shell("ulimit -v " + std::to_string(megabytes * 1024) + "; " + compile() + " -j 1");
    if (result.code == 127) // not enough for the program itself
      continue;
    EXPECT_THAT(result.code, testing::AnyOf(0, 1)) << result.err;
    if (result.code == 1) {
      EXPECT_THAT(result.err, HasSubstr("error: "));
      expect_nothing_written();
      ++refused;
    }
    if (std::filesystem::remove(folder_.path("m.quern")))
      break; // more would do as well
  }
  EXPECT_GT(refused, 0);
}

TEST_F(Mishap, Interrupted) {
  for (const int signal : {SIGINT, SIGTERM}) {
    interrupt(signal);
    expect_nothing_written();
  }
}

// Tests that a killed compile leaves no artifact, and that the next one clears up after it.
TEST_F(Mishap, Killed) {
  interrupt(SIGKILL);
  ASSERT_EQ(folder_.names().size(), 2u);
  EXPECT_THAT(folder_.names()[1], StartsWith("m.quern.quern-partial-"));
  EXPECT_EQ(shell(compile()).code, 0);
  EXPECT_THAT(folder_.names(), ElementsAre("config.json", "m.quern"));
}

TEST_F(Mishap, TwoAtOnce) {
  const Result both = shell(compile() + " & one=$!; " + compile() + " && wait $one");
  EXPECT_EQ(both.code, 0) << both.err;
  EXPECT_THAT(folder_.names(), ElementsAre("config.json", "m.quern"));
  done("quern-run", {"verify", "-m", folder_.path("m.quern")});
}

TEST_F(Mishap, NowhereToWrite) {
  for (const char *output : {"no/such/folder/m.quern", "config.json/m.quern", "/proc/m.quern"})
    expect_error(shell(compile(output)), output);
  expect_nothing_written();
}

TEST_F(Mishap, TheOutputIsNoFile) {
  for (const std::string &output : {folder_.path(), std::string("/dev/null"),
                                    std::string("/dev/stdout"), std::string("/proc/self/fd/1")}) {
    expect_error(shell(compile(output)), "hint: -o a file's name");
    expect_error(shell(compile(output) + " | cat; exit 1"), "hint: -o a file's name");
  }
  expect_nothing_written();
}

// Tests that no file of the model is replaced, under whatever name it is given.
TEST_F(Mishap, TheOutputIsTheModels) {
  folder_.write("model.safetensors", "weights");
  folder_.write("tokenizer.json", "a tokenizer");
  std::filesystem::create_symlink("model.safetensors", folder_.path("link.quern"));
  for (const char *output :
       {"config.json", "./config.json", "model.safetensors", "tokenizer.json", "link.quern"})
    expect_error(shell(compile(output)), "hint: -o another");
  EXPECT_EQ(folder_.read("model.safetensors"), "weights");
  EXPECT_EQ(folder_.read("tokenizer.json"), "a tokenizer");
}

TEST_F(Mishap, ALinkIsFollowed) {
  std::filesystem::create_directory(folder_.path("elsewhere"));
  std::filesystem::create_symlink("elsewhere/real.quern", folder_.path("m.quern"));
  expect_error(shell(compile()), "cannot write"); // a link to nothing
  folder_.write("elsewhere/real.quern", "");
  EXPECT_EQ(shell(compile()).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path("m.quern")));
  EXPECT_EQ(shell(compile()).code, 0) << "an artifact is replaced";
  done("quern-run", {"verify", "-m", folder_.path("elsewhere/real.quern")});
}

// Tests what is no model and no artifact, in every place where a file is asked for. A named pipe
// must not be waited for: nobody writes to it.
TEST_F(Mishap, FilesThatAreNone) {
  folder_.write("empty", "");
  folder_.write("empty.gguf", "");
  folder_.write("empty.json", "");
  std::filesystem::create_directories(folder_.path("folder.gguf"));
  std::filesystem::create_directories(folder_.path("folder/config.json"));
  std::filesystem::create_symlink("itself", folder_.path("itself"));
  ASSERT_EQ(mkfifo(folder_.path("pipe.gguf").c_str(), 0600), 0);
  for (const char *name : {"empty", "empty.gguf", "empty.json", "folder.gguf", "folder",
                           "pipe.gguf", "config.json/x", "itself", "missing"}) {
    const std::string path = folder_.path(name);
    const Result compiled = call("quern", {"compile", path, "-o", folder_.path("m.quern"), "-q"});
    expect_error(compiled, name);
    const Result checked = call("quern", {"check", path});
    EXPECT_EQ(checked.code, 1) << name;
    EXPECT_THAT(checked.out, HasSubstr(" problem")) << name;
    expect_error(call("quern", {"plan", path}), name);
    expect_error(call("quern", {"inspect", path}), name);
    expect_error(call("quern-run", {"verify", "-m", path}), name);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path("m.quern")));
}

// Tests that what lies beside a config in place of a tokenizer's file is not passed over.
TEST_F(Mishap, TokenizersThatAreNone) {
  for (const char *name : {"tokenizer.json", "tokenizer.model"}) {
    std::filesystem::create_directory(folder_.path(name));
    const Result result = call("quern", {"check", folder_.path("config.json"), "--synthetic", "1"});
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_THAT(result.out, HasSubstr(name));
    std::filesystem::remove(folder_.path(name));
  }
}

} // namespace
} // namespace quern::conformance
