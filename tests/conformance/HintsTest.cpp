// Tests that no hint names a flag that would fail where it is given: every flag in the hints of a
// verb's own file is one of that verb's, and those that any verb may give are every such verb's.
#include "tests/conformance/Programs.h"

#include <map>
#include <regex>
#include <set>

namespace quern::conformance {
namespace {

using Flags = std::set<std::string>;

/// All words that begin with a dash.
Flags flags_in(const std::string &text) {
  static const std::regex kFlag("(^|[^-A-Za-z0-9_./])(--?[a-z][a-z-]*)");
  Flags flags;
  for (std::sregex_iterator at(text.begin(), text.end(), kFlag), end; at != end; ++at)
    flags.insert((*at)[2]);
  return flags;
}

/// Of a verb, as its help lists them.
Flags flags_of(const std::string &program, const std::string &verb) {
  return flags_in(done(program, {verb, "-h"}).out);
}

std::string read(const std::string &path) {
  std::ifstream in(QUERN_SOURCE_DIR "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The hints of a source file, each from "hint: " to the end of the statement that it is in, with
/// what is not text left out.
std::vector<std::string> hints_of(const std::string &path) {
  const std::string source = read(path);
  std::vector<std::string> hints;
  for (size_t at = source.find("hint: "); at != source.npos; at = source.find("hint: ", at + 1)) {
    const size_t line = source.rfind('\n', at) + 1;
    if (source.find("//", line) < at)
      continue; // a comment
    std::string hint;
    bool text = true;
    for (size_t i = at; i < source.size() && (text || source[i] != ';'); ++i)
      if (source[i] == '"')
        text = !text;
      else if (text && source[i] == '\\')
        hint += ' ', ++i;
      else if (text)
        hint += source[i];
    hints.push_back(hint);
  }
  return hints;
}

/// What a hint tells to do with another program or verb than the one that gives it.
bool is_about_another(const std::string &hint) {
  return std::regex_search(hint, std::regex("compile|quern-run |quern "));
}

TEST(Hints, NameFlagsOfTheirVerb) {
  const std::map<std::string, std::pair<std::string, std::string>> files = {
      {"runtime/cli/Run.cpp", {"quern-run", "run"}},
      {"runtime/cli/Chat.cpp", {"quern-run", "chat"}},
      {"runtime/cli/Logits.cpp", {"quern-run", "logits"}},
      {"runtime/cli/Bench.cpp", {"quern-run", "bench"}},
      {"runtime/cli/Call.cpp", {"quern-run", "call"}},
      {"runtime/cli/Verify.cpp", {"quern-run", "verify"}},
      {"runtime/cli/Tokenize.cpp", {"quern-run", "tokenize"}},
      {"runtime/cli/Detokenize.cpp", {"quern-run", "detokenize"}},
      {"runtime/cli/Devices.cpp", {"quern-run", "devices"}},
      {"compiler/driver/Compile.cpp", {"quern", "compile"}},
      {"compiler/driver/Compilation.cpp", {"quern", "compile"}},
      {"compiler/driver/Plan.cpp", {"quern", "plan"}},
      {"compiler/driver/Check.cpp", {"quern", "check"}},
      {"compiler/driver/Inspect.cpp", {"quern", "inspect"}},
      {"compiler/driver/Eval.cpp", {"quern", "eval"}},
      {"compiler/driver/Evaluate.cpp", {"quern", "eval"}},
      {"ir/formats/IntFormats.cpp", {"quern", "compile"}},
      {"ir/formats/FloatFormats.cpp", {"quern", "compile"}},
      {"codegen/artifact/WeightFindings.cpp", {"quern", "compile"}},
  };
  for (const auto &[path, verb] : files) {
    const Flags known = flags_of(verb.first, verb.second);
    ASSERT_NE(read(path), "") << path;
    for (const std::string &hint : hints_of(path))
      for (const std::string &flag : flags_in(hint))
        EXPECT_TRUE(known.contains(flag) || is_about_another(hint)) << path << ": " << hint;
  }
}

TEST(Hints, OfModelsNameFlagsOfEveryVerbThatOpensOne) {
  std::vector<Flags> verbs;
  for (const char *verb : {"run", "chat", "logits", "bench", "call", "verify"})
    verbs.push_back(flags_of("quern-run", verb));
  verbs.push_back(flags_of("quern", "eval"));
  for (const char *path : {"runtime/session/Engine.cpp", "runtime/session/EngineCall.cpp",
                           "runtime/session/Memory.cpp", "runtime/session/StatePool.cpp",
                           "runtime/session/StateFile.cpp", "runtime/device/Registry.cpp",
                           "runtime/device/cpu/CpuDevice.cpp", "runtime/device/cpu/WorkerPool.cpp",
                           "runtime/artifact/Artifact.cpp", "runtime/cli/Model.cpp"}) {
    ASSERT_NE(read(path), "") << path;
    for (const std::string &hint : hints_of(path))
      for (const std::string &flag : flags_in(hint))
        for (const Flags &known : verbs)
          EXPECT_TRUE(known.contains(flag) || is_about_another(hint)) << path << ": " << hint;
  }
}

// Tests that what is said to fit does, and that nothing is suggested that the request cannot do
// with.
TEST(Hints, WhatIsSaidToFitDoes) {
  const Folder folder;
  folder.write("config.json", small_llama().dump());
  const std::string model = folder.path("m.quern");
  done("quern", {"compile", folder.path("config.json"), "--synthetic", "1", "-q", "-o", model,
                 "--variant", "native"});
  std::string ids = "1";
  for (int i = 1; i < 512; ++i)
    ids += ",1";
  const auto plan = done("quern", {"inspect", model, "--json"}).json()["plan"];
  const auto total = plan["total"].get<int64_t>();
  const std::string memory = std::to_string(total - 64 * plan["state_per_token"].get<int64_t>());
  const auto last_word_fits = [&](std::vector<std::string> args) {
    Result result = call("quern-run", args);
    EXPECT_EQ(result.code, 1);
    std::smatch found;
    EXPECT_TRUE(std::regex_search(result.err, found, std::regex("hint: -c ([0-9]+)")))
        << result.err;
    args.insert(args.end(), {"-c", found[1]});
    done("quern-run", args);
  };
  last_word_fits({"run", "-m", model, "--tokens", "1", "-n", "1", "--memory", memory});
  last_word_fits({"run", "-m", model, "--tokens", "1", "-n", "1", "-c", "513"});
  last_word_fits({"run", "-m", model, "--tokens", "1,2,3,4", "-n", "1", "-c", "2"});
  // All 512 positions are needed: no shorter context is any help.
  const std::vector<std::vector<std::string>> needy = {
      {"logits", "-m", model, "--tokens", ids, "-o", folder.path("l.npy"), "--memory", memory},
      {"bench", "-m", model, "-p", "512", "-n", "0", "--memory", memory},
      {"bench", "-m", model, "-p", "513", "-n", "0"},
      {"logits", "-m", model, "--tokens", ids + ",1", "-o", folder.path("l.npy")}};
  for (const std::vector<std::string> &args : needy) {
    const Result result = call("quern-run", args);
    EXPECT_EQ(result.code, 1) << result.err;
    EXPECT_EQ(result.err.find("hint: -c"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("hint: "), std::string::npos) << result.err;
  }
}

} // namespace
} // namespace quern::conformance
