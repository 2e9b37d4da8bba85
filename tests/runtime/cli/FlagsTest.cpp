#include "runtime/cli/Flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::cli {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

struct Options {
  std::string model;
  int threads = 0;
  uint64_t ctx = 0;
  float temp = 1;
  bool json = false;
  Bytes memory;
  std::optional<std::string> prompt;
  std::optional<uint64_t> seed;
  std::vector<std::string> tokens, files;

  Command command() {
    return {"tool verb -m FILE",
            "Does it.",
            {{"-m, --model", "FILE", "the model", &model, true},
             {"-t, --threads", "N", "threads", &threads},
             {"-c", "CTX", "context", &ctx},
             {"--temp", "T", "temperature", &temp},
             {"--json", "", "as JSON", &json},
             {"--memory", "BYTES", "ceiling", &memory},
             {"-p", "TEXT", "prompt", &prompt},
             {"--seed", "N", "seed", &seed},
             {"--tokens", "1,2", "ids", &tokens}},
            "tool verb -m x",
            &files};
  }
  std::optional<int> parse(std::vector<const char *> args) {
    const Command c = command();
    return cli::parse(c, args);
  }
};

TEST(Flags, StoreTheirValues) {
  Options o;
  EXPECT_EQ(o.parse({"-m",       "a",        "--threads=3", "-c", "9",    "--temp", "-1.5",
                     "--json",   "--memory", "2G",          "-p", "-",    "--seed", "0",
                     "--tokens", "1",        "--tokens",    "2",  "file", "--",     "-x"}),
            std::nullopt);
  EXPECT_EQ(o.model, "a");
  EXPECT_EQ(o.threads, 3);
  EXPECT_EQ(o.ctx, 9u);
  EXPECT_EQ(o.temp, -1.5f);
  EXPECT_TRUE(o.json);
  EXPECT_EQ(o.memory.value, uint64_t{2} << 30);
  EXPECT_EQ(o.prompt, "-");
  EXPECT_EQ(o.seed, 0u);
  EXPECT_THAT(o.tokens, testing::ElementsAre("1", "2"));
  EXPECT_THAT(o.files, testing::ElementsAre("file", "-x"));
}

TEST(Flags, TellEmptyFromNotGiven) {
  Options o;
  EXPECT_EQ(o.parse({"-m", "a", "-p", ""}), std::nullopt);
  EXPECT_EQ(o.prompt, "");
  EXPECT_EQ(o.seed, std::nullopt);
}

std::string mistake(std::vector<const char *> args) {
  Options o;
  CaptureStderr();
  const auto code = o.parse(std::move(args));
  std::string text = GetCapturedStderr();
  EXPECT_EQ(code, 2) << text;
  return text;
}

// Tests that each mistake exits with 2 and says what to type.
TEST(Flags, NameTheMistake) {
  EXPECT_EQ(mistake({"--modle", "x"}),
            "error: unknown flag --modle\nhint: did you mean --model?\n");
  EXPECT_THAT(mistake({"--zzzzzz"}), HasSubstr("-h lists the flags"));
  EXPECT_THAT(mistake({}), HasSubstr("-m is missing"));
  EXPECT_THAT(mistake({"-m"}), HasSubstr("-m needs a value"));
  EXPECT_THAT(mistake({"-m", "a", "-t", "many"}), HasSubstr("-t takes a whole number, not 'many'"));
  EXPECT_THAT(mistake({"-m", "a", "-c", "-3"}), HasSubstr("0 or more"));
  EXPECT_THAT(mistake({"-m", "a", "--seed", "x"}), HasSubstr("0 or more"));
  EXPECT_THAT(mistake({"-m", "a", "--temp", "hot"}), HasSubstr("takes a number"));
  EXPECT_THAT(mistake({"-m", "a", "--memory", "99999999T"}), HasSubstr("a number of bytes"));
  EXPECT_THAT(mistake({"-m", "a", "--json=yes"}), HasSubstr("takes no value"));
}

TEST(Flags, HelpListsThemAll) {
  Options o;
  CaptureStdout();
  EXPECT_EQ(o.parse({"-h"}), 0);
  const std::string text = GetCapturedStdout();
  EXPECT_THAT(text, HasSubstr("usage: tool verb -m FILE"));
  EXPECT_THAT(text, HasSubstr("-m, --model FILE"));
  EXPECT_THAT(text, HasSubstr("example: tool verb -m x"));
}

TEST(Flags, NearestIsWhatWasMeant) {
  const std::string_view words[] = {"compile", "check", "plan"};
  EXPECT_EQ(nearest("complie", words), "compile");
  EXPECT_EQ(nearest("chekc", words), "check");
  EXPECT_EQ(nearest("plam", words), "plan");
  EXPECT_EQ(nearest("serve", words), "");
}

} // namespace
} // namespace quern::cli
