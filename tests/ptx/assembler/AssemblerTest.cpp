// What the interpreter takes, NVIDIA's assembler takes too: forms by the thousand (patterns.txt),
// and what ptxas says of each, so that no ptxas is needed here.
//
// `QUERN_PTXAS=/usr/local/cuda/bin/ptxas ptx_assembler_test` asks one anew, and compares; where it
// differs it names a file that takes the place of patterns.txt.
#include "tests/ptx/Decode.h"
#include "tests/ptx/Parser.h"
#include "tests/ptx/Words.h"
#include "tests/ptx/assembler/Patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <unistd.h>

namespace quern::ptx {
namespace {

constexpr std::string_view kTarget = "sm_90a";
constexpr const char *kPatterns = QUERN_SOURCE_DIR "/tests/ptx/assembler/patterns.txt";

std::string read_file(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What the interpreter has against an instruction; empty if it takes it.
std::string refusal(const std::string &instruction) {
  const auto syntax = parse(module_of({instruction}, kTarget));
  if (!syntax.ok())
    return std::string(syntax.status().message());
  static Memory memory(u64{1} << 32, u64{1} << 24);
  const auto module = decode(*syntax, memory);
  return module.ok() ? "" : std::string(module.status().message());
}

class AssemblerTest : public testing::Test {
protected:
  void SetUp() override {
    auto read = read_patterns(read_file(kPatterns));
    ASSERT_TRUE(read.ok()) << read.status();
    patterns = *std::move(read);
    ASSERT_FALSE(patterns.patterns.empty());
  }
  std::vector<std::string> expansions(const Pattern &pattern) const {
    auto made = expanded(patterns, pattern);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : std::vector<std::string>();
  }
  Patterns patterns;
};

// Tests that it takes nothing that ptxas refuses, and refuses nothing without saying its name.
TEST_F(AssemblerTest, TakesNoMoreThanPtxas) {
  size_t asked = 0, taken_here = 0, taken_there = 0, both = 0;
  for (const Pattern &pattern : patterns.patterns) {
    const std::vector<std::string> all = expansions(pattern);
    const std::vector<bool> theirs = taken(pattern, all.size());
    size_t wrong = 0, first = all.size();
    for (size_t n = 0; n < all.size(); ++n) {
      const std::string why = refusal(all[n]);
      ++asked;
      taken_here += why.empty() ? 1 : 0;
      taken_there += theirs[n] ? 1 : 0;
      both += why.empty() && theirs[n] ? 1 : 0;
      if (why.empty() && !theirs[n]) {
        first = std::min(first, n);
        ++wrong;
      }
      if (std::getenv("QUERN_PTX_ALL") != nullptr && why.empty() != theirs[n])
        std::printf("%s %s\n", why.empty() ? "wrong" : "refused", all[n].c_str());
      if (!why.empty() && theirs[n])
        EXPECT_THAT(why, testing::HasSubstr(all[n].substr(0, all[n].find_first_of(" ."))));
    }
    EXPECT_EQ(wrong, 0u) << "as ptxas does not: " << (wrong != 0 ? all[first] : "") << "\nof "
                         << pattern.text;
  }
  // They are no empty questions.
  EXPECT_GT(taken_there, asked / 50);
  EXPECT_GT(both, taken_there / 2);
  std::printf("%zu forms, %zu taken by ptxas, %zu here, %zu by both\n", asked, taken_there,
              taken_here, both);
}

// Tests that no form of the interpreter's table is left out.
TEST_F(AssemblerTest, AsksAboutEveryFormOfTheTable) {
  std::set<std::string> asked, families;
  for (const Pattern &pattern : patterns.patterns)
    for (const std::string &one : expansions(pattern)) {
      const std::string opcode = one.substr(0, one.find(' '));
      asked.insert(opcode);
      families.insert(opcode.substr(0, opcode.find('.')));
    }
  for (const auto &[name, form] : form_table().forms())
    EXPECT_TRUE(asked.contains(name)) << name;
  for (const auto &[name, family] : form_table().families())
    if (name != "call" && name != "brx") // they take what a single instruction is not
      EXPECT_TRUE(families.contains(name)) << name;
}

TEST(PatternsTest, AreExpandedInOrder) {
  Patterns patterns;
  patterns.names = {{"type", ".u8|.f64|.pred"}};
  const auto all = expanded(patterns, {"(add|cvt.f32)(|.x)@type $D, $T, $W, {%r1}", {}});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all,
              testing::ElementsAre(
                  "add.u8 %h1, %h1, %h1, {%r1}", "add.f64 %d1, %d1, %d1, {%r1}",
                  "add.pred %p1, %p1, %r1, {%r1}", "add.x.u8 %h1, %h1, %h1, {%r1}",
                  "add.x.f64 %d1, %d1, %d1, {%r1}", "add.x.pred %p1, %p1, %r1, {%r1}",
                  "cvt.f32.u8 %r1, %h1, %h1, {%r1}", "cvt.f32.f64 %r1, %d1, %d1, {%r1}",
                  "cvt.f32.pred %r1, %p1, %r1, {%r1}", "cvt.f32.x.u8 %r1, %h1, %h1, {%r1}",
                  "cvt.f32.x.f64 %r1, %d1, %d1, {%r1}", "cvt.f32.x.pred %r1, %p1, %r1, {%r1}"));
  EXPECT_FALSE(expanded(patterns, {"add@other", {}}).ok());
  EXPECT_FALSE(expanded(patterns, {"(add", {}}).ok());
}

TEST(PatternsTest, AreReadAsWritten) {
  const std::string text = "# said\n@int = .u8|.u16\nadd@int $T\n  0 1 1\nret\n  1\n";
  const auto read = read_patterns(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(write_patterns(*read), text);
  EXPECT_THAT(taken(read->patterns[0], 2), testing::ElementsAre(true, false));
  EXPECT_THAT(taken(read->patterns[1], 1), testing::ElementsAre(false));
  EXPECT_EQ(runs_of({true, false, false, true}), (std::vector<size_t>{0, 1, 2, 1}));
  EXPECT_FALSE(read_patterns("  1 2\n").ok());
  EXPECT_FALSE(read_patterns("add\n  1 x\n").ok());
}

class Ptxas {
public:
  explicit Ptxas(std::string program)
      : program_(std::move(program)),
        folder_(std::filesystem::path(testing::TempDir()) / concat("quern-assembler-", getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Ptxas() { std::filesystem::remove_all(folder_); }

  /// Sets those that it takes.
  void ask(const std::vector<std::string> &all, std::vector<size_t> these,
           std::vector<bool> &takes) {
    // Some errors come out only where there are none of another kind.
    while (!these.empty()) {
      std::vector<std::string> instructions;
      for (const size_t n : these)
        instructions.push_back(all[n]);
      const auto [good, lines] = errors(module_of(instructions, kTarget));
      if (good)
        break;
      if (lines.empty()) {
        // It ended by a fault: alone, an instruction that it does that at is none.
        const size_t half = these.size() / 2;
        if (half == 0)
          return;
        ask(all, {these.begin(), these.begin() + static_cast<long>(half)}, takes);
        ask(all, {these.begin() + static_cast<long>(half), these.end()}, takes);
        return;
      }
      std::vector<size_t> kept;
      for (size_t n = 0; n < these.size(); ++n)
        if (!lines.contains(kFirstLine + static_cast<int>(n)))
          kept.push_back(these[n]);
      ASSERT_LT(kept.size(), these.size());
      these = std::move(kept);
    }
    for (const size_t n : these)
      takes[n] = true;
  }

private:
  /// Whether it takes a module, and the lines that it has errors for.
  std::pair<bool, std::set<int>> errors(const std::string &module) {
    std::ofstream(folder_ / "module.ptx") << module;
    const std::string out = (folder_ / "out.txt").string();
    const int status =
        std::system(concat(program_, " -arch=", kTarget, " ", (folder_ / "module.ptx").string(),
                           " -o ", (folder_ / "module.cubin").string(), " > ", out, " 2>&1")
                        .c_str());
    std::set<int> lines;
    std::ifstream in(out);
    for (std::string line; std::getline(in, line);) {
      int number = 0;
      const size_t at = line.find(", line ");
      if (at != std::string::npos && line.find("; error") != std::string::npos &&
          std::sscanf(line.c_str() + at, ", line %d", &number) == 1)
        lines.insert(number);
    }
    return {status == 0, lines};
  }

  std::string program_;
  std::filesystem::path folder_;
};

// Asks a ptxas, if there is one to ask.
TEST_F(AssemblerTest, PtxasSaysWhatIsWritten) {
  const char *program = std::getenv("QUERN_PTXAS");
  if (program == nullptr || *program == '\0')
    GTEST_SKIP() << "QUERN_PTXAS names no ptxas";
  const std::string before = write_patterns(patterns);
  Ptxas ptxas(program);
  for (Pattern &pattern : patterns.patterns) {
    const std::vector<std::string> all = expansions(pattern);
    std::vector<size_t> these(all.size());
    for (size_t n = 0; n < all.size(); ++n)
      these[n] = n;
    std::vector<bool> takes(all.size());
    ptxas.ask(all, std::move(these), takes);
    pattern.runs = runs_of(takes);
  }
  const std::string now = write_patterns(patterns);
  const std::string path = testing::TempDir() + "quern-ptxas-patterns.txt";
  if (now != before)
    std::ofstream(path) << now;
  EXPECT_EQ(now == before, true) << "it says otherwise: " << path;
}

} // namespace
} // namespace quern::ptx
