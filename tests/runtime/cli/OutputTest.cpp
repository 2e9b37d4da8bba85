// What arrives of a program's output, and where: closed pipes, full disks, one file for both
// streams; and lines as Windows ends them. quern-run as a process, on the fake model.
#include "tests/runtime/fake/FakeArtifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace quern::cli {
namespace {

using test::write_fake;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Result {
  int code = -1; // -1: a signal
  std::string out, err;
};

std::string contents(const std::string &path) {
  const auto bytes = test::read_file(path);
  return std::string(bytes.begin(), bytes.end());
}

// Runs quern-run with what shells call 0, 1 and 2; no `out` is >&-.
Result call_with(const std::vector<std::string> &args, int in, int out, int err) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(in, STDIN_FILENO);
    if (out < 0)
      close(STDOUT_FILENO);
    else
      dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    std::vector<char *> argv = {const_cast<char *>(QUERN_RUN)};
    for (const std::string &arg : args)
      argv.push_back(const_cast<char *>(arg.c_str()));
    argv.push_back(nullptr);
    execv(QUERN_RUN, argv.data());
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, "", ""};
}

int open_new(const std::string &path) {
  return open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

Result call(const std::vector<std::string> &args, const std::string &input, int out) {
  const std::string in_path = test::write_file(
      "stdin", std::span(reinterpret_cast<const uint8_t *>(input.data()), input.size()));
  const std::string err_path = test::fresh_path("stderr");
  const int in = open(in_path.c_str(), O_RDONLY | O_CLOEXEC), err = open_new(err_path);
  Result result = call_with(args, in, out, err);
  close(in);
  close(err);
  result.err = contents(err_path);
  return result;
}

Result call(const std::vector<std::string> &args, const std::string &input = "") {
  const std::string path = test::fresh_path("stdout");
  const int out = open_new(path);
  Result result = call(args, input, out);
  close(out);
  result.out = contents(path);
  return result;
}

// What is printed by verbs that print anything.
std::vector<std::vector<std::string>> printing(const std::string &model) {
  return {{"run", "-m", model, "--tokens", "1", "-n", "150", "--ignore-eos"},
          {"run", "-m", model, "-p", "ab", "-n", "150", "--ignore-eos"},
          {"run", "-m", model, "-p", "ab", "-n", "3", "--json"},
          {"chat", "-m", model, "-n", "100"},
          {"tokenize", "-m", model, "-p", "abc"},
          {"tokenize", "-m", model, "-p", std::string(100000, 'a'), "--json"},
          {"detokenize", "-m", model, "--tokens", "1,2"},
          {"bench", "-m", model, "-p", "8", "-n", "4,5,6", "-r", "1"},
          {"verify", "-m", model},
          {"devices"},
          {"run", "-h"},
          {"--version"}};
}

// Tests that nothing is computed for nobody, and nothing said of it, and that no signal is the end.
TEST(Output, AClosedPipeEndsEveryVerbQuietly) {
  for (const std::vector<std::string> &args : printing(write_fake("m.quern"))) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    const Result result = call(args, "ab\n", ends[1]);
    close(ends[1]);
    EXPECT_EQ(result.code, 1) << args[0];
    EXPECT_EQ(result.err, "") << args[0];
  }
}

TEST(Output, AFullDiskIsAnErrorOfEveryVerb) {
  for (const std::vector<std::string> &args : printing(write_fake("m.quern"))) {
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(full, 0);
    const Result result = call(args, "ab\n", full);
    close(full);
    EXPECT_EQ(result.code, 1) << args[0];
    EXPECT_EQ(result.err, "error: cannot write to standard output: No space left on device\n")
        << args[0];
  }
}

TEST(Output, NoStandardOutputIsAnErrorOfEveryVerb) {
  for (const std::vector<std::string> &args : printing(write_fake("m.quern"))) {
    const Result result = call(args, "ab\n", -1);
    EXPECT_EQ(result.code, 1) << args[0];
    EXPECT_EQ(result.err, "error: cannot write to standard output: Bad file descriptor\n")
        << args[0];
  }
}

// Tests that an answer ends with its first token that cannot be shown: its state is not saved.
TEST(Output, AnAnswerEndsWhereItIsNotRead) {
  const std::string model = write_fake("m.quern"), state = test::fresh_path("unread.state");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  close(ends[0]);
  const Result result =
      call({"run", "-m", model, "-p", "ab", "-n", "150", "--ignore-eos", "--save-state", state}, "",
           ends[1]);
  close(ends[1]);
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "error: standard output was closed: " + state + " is not written\n");
  EXPECT_EQ(access(state.c_str(), F_OK), -1);
}

// Tests that the first Ctrl-C ends an answer, which is shown and saved as far as it came, and that
// the program then ends as Ctrl-C ends programs.
TEST(Output, CtrlCEndsAnAnswer) {
  const std::string model = write_fake("long.quern", {.context = 1000000});
  const std::string state = test::fresh_path("interrupted.state"),
                    err_path = test::fresh_path("stderr");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const int err = open_new(err_path);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl(QUERN_RUN, QUERN_RUN, "run", "-m", model.c_str(), "--tokens", "1", "--ignore-eos",
          "--save-state", state.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  char text[64];
  ASSERT_GT(read(ends[0], text, sizeof text), 0);
  ASSERT_EQ(kill(child, SIGINT), 0);
  while (read(ends[0], text, sizeof text) > 0) {
  }
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  EXPECT_THAT(contents(err_path), HasSubstr("1 prompt token at "));
  EXPECT_EQ(access(state.c_str(), F_OK), 0);
  close(err);
}

// Tests that statistics and notes begin on lines of their own where both streams are one file.
TEST(Output, StatisticsHaveALineOfTheirOwn) {
  const std::string model = write_fake("m.quern"), path = test::fresh_path("both");
  const int both = open_new(path);
  const std::vector<std::string> run = {"run", "-m", model,    "-p", "ab",
                                        "-c",  "9",  "--temp", "0",  "--ignore-eos"};
  const Result result = call_with(run, STDIN_FILENO, both, both);
  close(both);
  ASSERT_EQ(result.code, 0);
  const Result apart = call(run);
  ASSERT_EQ(apart.err.find("note: "), 0u);
  EXPECT_THAT(contents(path), StartsWith(apart.out + "note: the answer ends here"));
  EXPECT_THAT(contents(path), HasSubstr("\n2 prompt tokens at "));
}

// Tests that lines mean the same however they end, and that a file may begin with what editors put
// there.
TEST(Output, ChatsInLinesThatEndAsOnWindows) {
  const std::vector<std::string> chat = {"chat", "-m", write_fake("m.quern"), "--temp", "0",
                                         "-n",   "5"};
  const Result unix_lines = call(chat, "ab\nc\\\nd\n\n/stats\n/clear\nab\n/quit\nnever\n");
  ASSERT_EQ(unix_lines.code, 0) << unix_lines.err;
  const std::string windows = "ab\r\nc\\\r\nd\r\n\r\n/stats\r\n/clear\r\nab\r\n/quit\r\nnever\r\n";
  for (const std::string &begin : {std::string(), std::string("\xef\xbb\xbf")}) {
    const Result lines = call(chat, begin + windows);
    EXPECT_EQ(lines.code, 0) << lines.err;
    EXPECT_EQ(lines.out, unix_lines.out);
    EXPECT_THAT(lines.err, HasSubstr("positions; last reply"));
  }
  EXPECT_EQ(call(chat, "ab").out, call(chat, "ab\n").out) << "the last line may have no end";
}

// Tests that a reply that is made again, and a message that is changed, give what a conversation
// gives that never had another, and that errors leave it as it was.
TEST(Output, ChatsGoBack) {
  for (const bool recurrent : {true, false}) {
    const std::string model = write_fake("m.quern", {.context = 2000, .recurrent = recurrent});
    const std::vector<std::string> chat = {"chat", "-m", model, "--temp", "0", "-n", "5"};
    const auto replies = [&](const std::string &input) {
      const Result result = call(chat, input);
      EXPECT_EQ(result.code, 0) << result.err;
      return result.out;
    };
    const std::string message(300, 'q'), first = replies(message + "\n");
    const std::string second = replies(message + "\nab\n").substr(first.size());
    const std::string changed = replies(message + "\ncd\n").substr(first.size());
    const std::string anew = replies("xy\n");
    EXPECT_EQ(replies(message + "\n/retry\nab\n/retry\n/edit 2 cd\n/edit 2 ab\n/edit 1 xy\n"),
              first + first + second + second + changed + second + anew);
    const Result stats = call(chat, message + "\nab\n/edit 2 cd\n/stats\n");
    EXPECT_THAT(stats.err, HasSubstr(" tokens that were kept and "));
    EXPECT_EQ(stats.err.find("after 0 tokens"), std::string::npos) << stats.err;
    for (const auto &[input, error] : {std::pair{"/retry\n", "there is no reply yet"},
                                       {"ab\n/edit 2 x\n", "there are 1"},
                                       {"ab\n/edit x\n", "/edit 1 TEXT"},
                                       {"ab\n/edit 1\n", "/edit 1 TEXT"},
                                       {"ab\n/edit\n", "/edit 1 TEXT"}}) {
      const Result refused = call(chat, input);
      EXPECT_EQ(refused.code, 1);
      EXPECT_THAT(refused.err, HasSubstr(error));
    }
  }
}

// Tests that a prompt is taken as it is, and that what cannot be seen in it is said.
TEST(Output, APromptsByteOrderMarkIsNoted) {
  const std::string model = write_fake("m.quern"), marked = "\xef\xbb\xbf"
                                                            "ab";
  const std::string file = test::write_file(
      "prompt.txt", std::span(reinterpret_cast<const uint8_t *>(marked.data()), marked.size()));
  const Result result = call({"tokenize", "-m", model, "-f", file});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("prompt.txt begins with a byte order mark"));
  EXPECT_THAT(result.err, StartsWith("note: "));
  EXPECT_THAT(call({"tokenize", "-m", model}, marked).err,
              HasSubstr("standard input begins with a byte order mark"));
  EXPECT_EQ(call({"tokenize", "-m", model}, "ab").err, "");
  EXPECT_EQ(call({"tokenize", "-m", model, "-f", ""}).code, 1) << "no name is no file";
}

} // namespace
} // namespace quern::cli
