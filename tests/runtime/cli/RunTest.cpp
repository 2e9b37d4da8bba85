// `quern-run run` as a process: texts that are continued, saved, edited and shared, on the fake
// model.
#include "tests/runtime/cli/Call.h"

#include <nlohmann/json.hpp>

namespace quern::cli {
namespace {

using nlohmann::json;
using test::write_fake;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Cli, RunGivesTheJsonThatScriptsRead) {
  const std::string model = write_fake("m.quern");
  const Result result = call({"run", "-m", model, "--tokens", "5,6", "-n", "4", "--temp", "0",
                              "--ignore-eos", "--json", "-c", "100", "--slots", "2"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json answer = json::parse(result.out);
  std::vector<int32_t> tokens = {5, 6}, expected;
  for (int i = 0; i < 4; ++i) {
    expected.push_back(greedy(tokens));
    tokens.push_back(expected.back());
  }
  EXPECT_EQ(answer["tokens"], json(expected));
  EXPECT_EQ(answer["prompt_tokens"], json({5, 6}));
  EXPECT_EQ(answer["finish_reason"], "length");
  EXPECT_GT(answer["prefill_tokens_per_s"], 0);
  EXPECT_GT(answer["decode_tokens_per_s"], 0);
  EXPECT_GT(answer["time_to_first_token_s"], 0);
  const json &memory = answer["memory"];
  EXPECT_EQ(memory["state"], 2 * (64 + 2 * 768));
  EXPECT_EQ(memory["total"], memory["weights"].get<int64_t>() + memory["arena"].get<int64_t>() +
                                 memory["state"].get<int64_t>() + memory["code"].get<int64_t>());
}

// Tests that a run that was saved goes on as if it had not been: the answer's last token included.
TEST(Cli, RunSavesAndLoads) {
  const std::string model = write_fake("m.quern"), state = test::fresh_path("run.state");
  const std::vector<std::string> common = {"run", "-m", model,    "--temp",      "0",
                                           "-n",  "3",  "--json", "--ignore-eos"};
  auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> args = common;
    args.insert(args.end(), more.begin(), more.end());
    const Result result = call(args);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out)["tokens"].get<std::vector<int32_t>>();
  };
  const auto first = with({"--tokens", "1,2", "--save-state", state});
  const auto second = with({"--tokens", "7", "--load-state", state});
  std::vector<int32_t> all = {1, 2};
  all.insert(all.end(), first.begin(), first.end());
  all.push_back(7);
  EXPECT_EQ(second[0], greedy(all));
  // Without a text it merely goes on, on what device it says; what was saved is not fed again.
  all.pop_back();
  const json answer = json::parse(call({"run", "-m", model, "-p", "", "-n", "2", "--temp", "0",
                                        "--ignore-eos", "--json", "--load-state", state})
                                      .out);
  EXPECT_EQ(answer["device"], "cpu");
  EXPECT_EQ(answer["prompt_tokens"], json(all));
  for (const json &token : answer["tokens"]) {
    EXPECT_EQ(token, greedy(all));
    all.push_back(token);
  }
}

// Tests that one token is one, and that nothing is said of decoding where there was none.
TEST(Cli, RunSaysWhatThereWas) {
  const std::string model = write_fake("m.quern");
  EXPECT_THAT(
      call({"run", "-m", model, "--tokens", "1", "-n", "1", "--ignore-eos"}).err,
      testing::MatchesRegex("1 prompt token at [0-9.]+ tokens/s, 1 token, first after .*\n"));
  EXPECT_THAT(call({"run", "-m", model, "--tokens", "1,2", "-n", "3", "--ignore-eos"}).err,
              testing::MatchesRegex(
                  "2 prompt tokens at [0-9.]+ tokens/s, 3 tokens at [0-9.]+ tokens/s, first .*\n"));
}

// Tests that flags and devices that are of no use are named.
TEST(Cli, SaysWhatIsOfNoUse) {
  const std::string model = write_fake("m.quern", {.cuda = true});
  EXPECT_THAT(call({"run", "-m", model, "--tokens", "1", "-n", "1", "--device", "null"}).err,
              StartsWith("note: device null computes nothing"));
  EXPECT_THAT(call({"run", "-m", model, "--tokens", "1", "--device", "cuda:9999", "-t", "2"}).err,
              StartsWith("note: -t 2 is of the CPU's threads, and device cuda:9999 has none\n"));
  EXPECT_THAT(call({"run", "-m", model, "--tokens", "1", "--device", "cuda:9999"}).err,
              AllOf(StartsWith("error: "), HasSubstr("--device cpu runs it without\n")));
}

// Tests that a text that goes on after a saved one gets no BOS, nor does a message.
TEST(Cli, ContinuedTextGetsNoPrefix) {
  const std::string model = write_fake("m.quern", {.bos = true});
  const std::string state = test::fresh_path("run.state");
  const auto prompt = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"run", "-m", model, "-n", "0", "--json", "--temp", "0"};
    args.insert(args.end(), more.begin(), more.end());
    const Result result = call(args);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out)["prompt_tokens"];
  };
  EXPECT_EQ(prompt({"-p", "ab", "--save-state", state}), json({26, 0, 1}));
  EXPECT_EQ(prompt({"-p", "c", "--load-state", state}), json({2}));
  EXPECT_EQ(prompt({"-p", "c", "--chat"}), json({26, 2}));
  EXPECT_EQ(prompt({"-p", "c", "--chat", "--load-state", state}), json({2}));
}

// Tests that an edited text is computed from where it parts from the saved one, less than the
// spacing before it, and gives what it would alone.
TEST(Cli, RunEditsASavedText) {
  const std::string model = write_fake("m.quern", {.context = 1000, .window = 70});
  const std::string state = test::fresh_path("edit.state");
  auto ids = [](std::vector<int32_t> tokens) {
    std::string list;
    for (const int32_t token : tokens)
      list += (list.empty() ? "" : ",") + std::to_string(token);
    return list;
  };
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"run",    "-m", model,          "-n",    "3",
                                     "--temp", "0",  "--ignore-eos", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    const Result result = call(args);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out);
  };
  std::vector<int32_t> tokens;
  for (int i = 0; i < 700; ++i)
    tokens.push_back((i * i + i / 3) % 26);
  const json saved = run({"--tokens", ids(tokens), "--save-state", state, "--checkpoints", "64K"});
  EXPECT_GT(saved["memory"]["checkpoints"], 0);
  tokens[600] = 30;
  const json alone = run({"--tokens", ids(tokens)});
  EXPECT_EQ(alone["memory"]["checkpoints"], 0);
  json edited = run({"--tokens", ids(tokens), "--load-state", state, "--edit"});
  EXPECT_EQ(edited["tokens"], alone["tokens"]);
  EXPECT_EQ(edited["prompt_tokens"], alone["prompt_tokens"]);
  EXPECT_EQ(edited["edit"], json({{"tokens", 512}, {"shared", 600}}));
  // Without memory for them, all again, and it says so.
  edited = run({"--tokens", ids(tokens), "--load-state", state, "--edit", "--checkpoints", "0"});
  EXPECT_EQ(edited["tokens"], alone["tokens"]);
  EXPECT_EQ(edited["edit"]["tokens"], 0);
  EXPECT_THAT(call({"run", "-m", model, "--tokens", ids(tokens), "-n", "1", "--load-state", state,
                    "--edit", "--checkpoints", "0"})
                  .err,
              HasSubstr("edit: 0 of 700 prompt tokens kept; the saved sequence has 600 in common "
                        "with them: its state has no checkpoint nearer"));
}

// Tests a hit, a miss and what both say.
TEST(Cli, RunReusesPrefixes) {
  const std::string model = write_fake("m.quern", {.context = 1000, .window = 70});
  const std::string folder = test::fresh_path("prefixes");
  const auto run = [&](const std::string &prompt, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"run", "-m",     model, "-p",     prompt,        "-n",
                                     "3",   "--temp", "0",   "--json", "--ignore-eos"};
    args.insert(args.end(), more.begin(), more.end());
    const Result result = call(args);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out);
  };
  const std::string prompt(300, 'a');
  const json alone = run(prompt), longer = run(prompt + "bc");
  EXPECT_FALSE(alone.contains("prefix_cache"));
  json cached = run(prompt, {"--prefix-cache", folder});
  EXPECT_EQ(cached["tokens"], alone["tokens"]);
  EXPECT_EQ(cached["prefix_cache"],
            json({{"hit", false}, {"tokens", 0}, {"why", "nothing is saved there yet"}}));
  cached = run(prompt, {"--prefix-cache", folder});
  EXPECT_EQ(cached["tokens"], alone["tokens"]);
  EXPECT_EQ(cached["prefix_cache"], json({{"hit", true}, {"tokens", 299}, {"why", ""}}));
  cached = run(prompt + "bc", {"--prefix-cache", folder, "--checkpoints", "0"});
  EXPECT_EQ(cached["tokens"], longer["tokens"]);
  EXPECT_EQ(cached["prefix_cache"]["tokens"], 299);
  EXPECT_THAT(
      call({"run", "-m", model, "-p", "b" + prompt, "-n", "1", "--prefix-cache", folder}).err,
      HasSubstr("prefix cache: a miss: nothing that is saved there begins"));
  EXPECT_THAT(call({"run", "-m", model, "-p", prompt, "-n", "1", "--prefix-cache", folder}).err,
              HasSubstr("prefix cache: 299 of 300 prompt tokens saved\n"));
  EXPECT_THAT(refused({"run", "-m", model, "-p", "a", "--prefix-cache", model}),
              HasSubstr("cannot use it as a folder"));
}

} // namespace
} // namespace quern::cli
