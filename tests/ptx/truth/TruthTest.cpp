// The corpus, executed by the interpreter, and held to what GPUs answered (goldens/, written by
// benchmarks/gpu/run) where such answers are there.
#include "tests/ptx/FormTable.h"
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/truth/Results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace quern::ptx {
namespace {

Answer ask(const Case &c) {
  Answer answer;
  answer.target = "sm_80";
  Device device;
  const auto module = device.load(c.text(answer.target));
  if (!module.ok()) {
    answer.refused = std::string(module.status().message());
    return answer;
  }
  const u64 in = device.put(c.in.empty() ? std::vector<u64>(1) : c.in);
  const u64 out = device.put(std::vector<u64>(c.out_bytes() / 8));
  const auto report = device.launch(**module, "run", {.block = {Case::kThreads, 1, 1}},
                                    Arguments().add(in).add(out));
  if (!report.ok() || *report)
    answer.refused = report.ok() ? (*report)->text() : report.status().ToString();
  answer.out = device.get<u64>(out, c.out_bytes() / 8);
  return answer;
}

const Case *find(std::string_view name) {
  for (const Case &c : corpus())
    if (c.name == name)
      return &c;
  return nullptr;
}

// Tests that every form of the table is asked about.
TEST(TruthTest, AllFormsAreCases) {
  std::set<std::string> names;
  for (const Case &c : corpus())
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " twice";
  for (const auto &[name, form] : form_table().forms())
    EXPECT_TRUE(names.contains(name)) << name;
}

// Tests that the interpreter answers all of it, without a report, and one text as often as it is
// asked.
TEST(TruthTest, TheInterpreterAnswersEveryCase) {
  for (const Case &c : corpus()) {
    const Answer answer = ask(c);
    EXPECT_EQ(answer.refused, "") << c.name << "\n" << c.text("sm_80");
    EXPECT_EQ(differ(c, ask(c), answer), "");
  }
}

// Tests that answers are read as they were written, and that a bit that is another is found, as is
// a line of another corpus.
TEST(TruthTest, AnswersAreReadAsWritten) {
  for (const char *name : {"mul.wide.u32", "testp.normal.f32", "cvt.rn.f16.f32", "add.f64",
                           "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 whole"}) {
    const Case *c = find(name);
    ASSERT_NE(c, nullptr) << name;
    const Answer answer = ask(*c);
    const std::string text = "# a machine\n" + answer_line(*c, answer);
    const auto results = read_results(text);
    ASSERT_TRUE(results.ok()) << results.status();
    const auto read = answer_of(*results, *c);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->out, answer.out);
    EXPECT_EQ(read->target, "sm_80");
    std::string other = text;
    char &last = other[other.size() - 2];
    last = last == '0' ? '1' : '0';
    const auto changed = answer_of(*read_results(other), *c);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_THAT(differ(*c, *changed, answer), testing::HasSubstr(c->name));
    other.erase(other.size() - 2, 1);
    EXPECT_EQ(answer_of(*read_results(other), *c).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(read_results("mul.wide.u32\n").status().code(), absl::StatusCode::kDataLoss);
}

// Tests that numbers that are close are told from those that are not.
TEST(TruthTest, CloseIsNotFar) {
  const Case *sine = find("sin.approx.f32");
  ASSERT_NE(sine, nullptr);
  const Answer answer = ask(*sine);
  Answer other = answer;
  for (size_t i = 0; i < other.out.size(); ++i)
    other.out[i] ^= 1; // a unit in the last place
  EXPECT_EQ(differ(*sine, other, answer), "");
  other.out[0] ^= 0x80000000;
  EXPECT_NE(differ(*sine, other, answer), "");

  const Case *product = find("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 wide");
  ASSERT_NE(product, nullptr);
  const Answer sums = ask(*product), sizes = ask(magnitudes_of(*product));
  other = sums;
  for (u64 &word : other.out)
    word ^= 1;
  EXPECT_EQ(differ(*product, other, sums, &sizes), "");
  for (u64 &word : other.out)
    word ^= 0x8000;
  EXPECT_NE(differ(*product, other, sums, &sizes), "");
}

// Tests that the interpreter answers as GPUs did.
TEST(TruthTest, TheInterpreterIsAsHardwareIs) {
  const std::filesystem::path folder = QUERN_SOURCE_DIR "/tests/ptx/truth/goldens";
  std::vector<std::filesystem::path> files;
  std::error_code none;
  for (const auto &entry : std::filesystem::directory_iterator(folder, none))
    if (entry.path().extension() == ".txt")
      files.push_back(entry.path());
  if (const char *more = std::getenv("QUERN_TRUTH"); more && *more)
    files.emplace_back(more);
  if (files.empty())
    GTEST_SKIP() << "no GPU has answered yet: benchmarks/gpu/README.md";
  for (const auto &file : files) {
    std::ifstream in(file, std::ios::binary);
    const auto results = read_results(std::string(std::istreambuf_iterator<char>(in), {}));
    ASSERT_TRUE(results.ok()) << file << ": " << results.status();
    size_t compared = 0;
    for (const Case &c : corpus()) {
      const auto expected = answer_of(*results, c);
      if (absl::IsNotFound(expected.status()))
        continue; // younger than the answers, or they were cut off
      EXPECT_TRUE(expected.ok()) << file << ": " << expected.status();
      if (!expected.ok() || !expected->refused.empty())
        continue;
      const Answer given = ask(c);
      EXPECT_EQ(given.refused, "") << c.name;
      const Answer sizes =
          c.judgement.kind == Judgement::product ? ask(magnitudes_of(c)) : Answer();
      EXPECT_EQ(differ(c, given, *expected, &sizes), "") << file;
      ++compared;
    }
    EXPECT_GT(compared, 0u) << file;
  }
}

} // namespace
} // namespace quern::ptx
