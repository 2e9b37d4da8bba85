// quern-run itself, as a process: what INTERFACE promises, on the fake model.
#include "tests/runtime/cli/Call.h"
#include "tests/runtime/fake/FakeDriver.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace quern::cli {
namespace {

using nlohmann::json;
using test::fake_logits;
using test::write_fake;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Cli, LogitsOfOneAndOfMany) {
  const std::string model = write_fake("m.quern"), out = test::fresh_path("out.npy");
  for (std::vector<std::string> more :
       {std::vector<std::string>{}, {"--chunk", "1"}, {"--chunk", "2"}, {"-t", "2"}}) {
    std::vector<std::string> args = {"logits", "-m", model, "--tokens", "3,1,4,1,5", "-o", out};
    args.insert(args.end(), more.begin(), more.end());
    const Result result = call(args);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(floats(out), test::fake_logits_of_all(std::vector<int32_t>{3, 1, 4, 1, 5}));
  }
  const std::string folder = test::fresh_path("many");
  const Result many = call({"logits", "-m", model, "--tokens", "3,1,4", "--tokens", "9", "--tokens",
                            "2,6", "-o", folder, "--chunk", "2"});
  ASSERT_EQ(many.code, 0) << many.err;
  EXPECT_EQ(floats(folder + "/0.npy"), test::fake_logits_of_all(std::vector<int32_t>{3, 1, 4}));
  EXPECT_EQ(floats(folder + "/1.npy"), test::fake_logits_of_all(std::vector<int32_t>{9}));
  EXPECT_EQ(floats(folder + "/2.npy"), test::fake_logits_of_all(std::vector<int32_t>{2, 6}));
}

TEST(Cli, LogitsFromFilesAndStates) {
  const std::string model = write_fake("m.quern"), out = test::fresh_path("out.npy");
  const std::string ids = test::fresh_path("ids.npy"), state = test::fresh_path("s.state");
  NpyArray array{artifact::ElementType::i64, {2}, std::vector<uint8_t>(16)};
  array.bytes[0] = 8;
  array.bytes[8] = 9;
  ASSERT_TRUE(write_npy(ids, array).ok());
  ASSERT_EQ(
      call({"logits", "-m", model, "--tokens-file", ids, "-o", out, "--save-state", state}).code,
      0);
  EXPECT_EQ(floats(out), test::fake_logits_of_all(std::vector<int32_t>{8, 9}));
  ASSERT_EQ(call({"logits", "-m", model, "--tokens", "10", "-o", out, "--load-state", state}).code,
            0);
  EXPECT_EQ(floats(out), fake_logits(std::vector<int32_t>{8, 9, 10}));
}

TEST(Cli, TokenizesBothWays) {
  const std::string model = write_fake("m.quern");
  EXPECT_EQ(call({"tokenize", "-m", model, "-p", "cab"}).out, "2,0,1\n");
  EXPECT_EQ(call({"tokenize", "-m", model, "--json"}, "cab").out, "{\"tokens\":[2,0,1]}\n");
  EXPECT_EQ(call({"tokenize", "-m", model, "-p", "", "--json"}).out, "{\"tokens\":[]}\n");
  EXPECT_EQ(call({"tokenize", "-m", model, "-p", "a<end>"}).out, "0,26\n");
  EXPECT_EQ(call({"tokenize", "-m", model, "--chat", "-p", "ab"}).out, "0,1\n");
  EXPECT_EQ(call({"detokenize", "-m", model, "--tokens", "2,0,1"}).out, "cab\n");
  EXPECT_EQ(call({"detokenize", "-m", model, "--tokens", "2,26", "--json"}).out,
            "{\"text\":\"c<end>\"}\n");
  EXPECT_THAT(refused({"detokenize", "-m", model, "--tokens", "27"}), HasSubstr("ids 0 to 26"));
}

TEST(Cli, TextNeedsATokenizer) {
  const std::string model = write_fake("m.quern", {.tokenizer = false});
  EXPECT_THAT(refused({"run", "-m", model, "-p", "x"}), HasSubstr("has no tokenizer"));
  // Verbs that take ids say so, and no others.
  EXPECT_THAT(refused({"run", "-m", model, "-p", "x"}), HasSubstr("hint: pass ids with --tokens"));
  for (const std::vector<std::string> &args :
       {std::vector<std::string>{"tokenize", "-m", model, "-p", "x"},
        {"detokenize", "-m", model, "--tokens", "1"},
        {"chat", "-m", model}})
    EXPECT_THAT(refused(args), HasSubstr("hint: compile the model again"));
  const Result ids = call({"run", "-m", model, "--tokens", "1", "-n", "2", "--temp", "0"});
  EXPECT_EQ(ids.code, 0);
  EXPECT_EQ(ids.out,
            std::to_string(greedy({1})) + "," + std::to_string(greedy({1, greedy({1})})) + "\n");
}

TEST(Cli, ChatsLineByLine) {
  const std::string model = write_fake("m.quern");
  const Result result =
      call({"chat", "-m", model, "--temp", "0", "-n", "5"}, "ab\n/stats\n/clear\nab\n");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("of 200 positions"));
  const size_t half = result.out.size() / 2;
  EXPECT_EQ(result.out.substr(0, half), result.out.substr(half))
      << "the same question, after /clear";
}

// Tests that a trailing backslash continues a message, and that a reply ends before a stop text.
TEST(Cli, ChatsOverLinesAndStops) {
  const std::string model = write_fake("m.quern");
  const std::vector<std::string> flags = {"-m", model, "--temp", "0", "-n", "6"};
  auto with = [&](std::vector<std::string> args, const std::vector<std::string> &more) {
    args.insert(args.end(), flags.begin(), flags.end());
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const Result whole = call(with({"run", "--chat"}, {"-p", "ab\nc"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(call(with({"chat"}, {}), "ab\\\nc\n").out, whole.out);
  EXPECT_NE(call(with({"chat"}, {}), "ab\nc\n").out, whole.out) << "two messages";
  ASSERT_GE(whole.out.size(), 4u);
  const std::string stop = whole.out.substr(1, 2); // across a border: a token is a letter
  const Result stopped = call(with({"chat"}, {"--stop", stop}), "ab\\\nc\n");
  EXPECT_EQ(stopped.out, whole.out.substr(0, whole.out.find(stop)) + "\n");
}

// Tests --logprobs against the softmax of the model's logits, which no sampling flag changes.
TEST(Cli, RunGivesLogprobs) {
  const std::string model = write_fake("m.quern");
  const Result result = call({"run", "-m", model, "--tokens", "5,6", "-n", "2", "--ignore-eos",
                              "--json", "--logprobs", "3", "--logit-bias", "2=100,3=-inf"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json answer = json::parse(result.out);
  EXPECT_EQ(answer["tokens"], json({2, 2})) << "by the bias";
  std::vector<int32_t> tokens = {5, 6};
  for (const json &entry : answer["logprobs"]) {
    const std::vector<float> logits = fake_logits(tokens);
    double total = 0;
    for (float logit : logits)
      total += std::exp(logit);
    EXPECT_EQ(entry["token"], 2);
    EXPECT_EQ(entry["piece"], "c");
    EXPECT_NEAR(entry["logprob"], std::log(std::exp(logits[2]) / total), 1e-6);
    ASSERT_EQ(entry["top"].size(), 3u);
    EXPECT_EQ(entry["top"][0]["token"], greedy(tokens));
    std::vector<float> sorted = logits;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(entry["top"][i]["logprob"], std::log(std::exp(sorted[i]) / total), 1e-6);
    tokens.push_back(2);
  }
  EXPECT_EQ(answer["logprobs"].size(), 2u);
  EXPECT_EQ(call({"run", "-m", model, "--tokens", "5", "--logprobs", "3"}).code, 2);
}

// Tests that every sampling flag is taken, and that nonsense is refused by name.
TEST(Cli, SamplingFlags) {
  const std::string model = write_fake("m.quern");
  const std::vector<std::string> plain = {"run", "-m", model,    "-p", "ab",
                                          "-n",  "20", "--seed", "7",  "--json"};
  auto with = [&](const std::vector<std::string> &more) {
    std::vector<std::string> args = plain;
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const std::vector<std::string> all = {
      "--typical",           "0.9", "--repeat-penalty",     "1.1", "--repeat-last-n",  "32",
      "--frequency-penalty", "0.1", "--presence-penalty",   "0.1", "--dry-multiplier", "0.8",
      "--dry-base",          "1.5", "--dry-allowed-length", "1",   "--logit-bias",     "1=+1,2=-1"};
  const json first = json::parse(call(with(all)).out), second = json::parse(call(with(all)).out);
  EXPECT_EQ(first["tokens"], second["tokens"]);
  EXPECT_EQ(call(with({"--mirostat", "2", "--mirostat-lr", "0.2", "--mirostat-ent", "3"})).code, 0);
  for (const char *flag : {"--typical", "--frequency-penalty", "--dry-base", "--mirostat-ent"})
    for (const char *value : {"-inf", "nan", "1e39"})
      EXPECT_THAT(refused(with({flag, value}), 2), HasSubstr(flag)) << value;
  EXPECT_THAT(refused(with({"--logit-bias", "5"}), 2), HasSubstr("hint: --logit-bias 15=+2.5"));
  EXPECT_THAT(refused(with({"--logit-bias", "99999=1"})), HasSubstr("no such token"));
}

TEST(Cli, VerifyReplaysTheProof) {
  const Result good = call({"verify", "-m", write_fake("m.quern")});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("1 tokenizer vectors, 2 rows of logits"));
  EXPECT_THAT(refused({"verify", "-m", write_fake("m.quern", {.wrong_proof = true})}),
              HasSubstr("logits vector 0, position 4: "));
  // A reference that is no number is the model's fault, and known: the machine is not blamed.
  const Result known = call({"verify", "-m", write_fake("m.quern", {.nan_proof = true})});
  EXPECT_EQ(known.code, 0) << known.err;
  EXPECT_THAT(known.out, HasSubstr("standard deviations); 1 more have no finite reference"));
  EXPECT_EQ(known.err, "note: up.weight has a NaN\n");
  const json said =
      json::parse(call({"verify", "--json", "-m", write_fake("m.quern", {.nan_proof = true})}).out);
  EXPECT_EQ(said["logits_rows_not_finite"], 1);
  EXPECT_EQ(said["notes"], json({"up.weight has a NaN"}));
  // What needs no device is looked at first, and said where the device is missing.
  EXPECT_THAT(
      refused({"verify", "--device", "cuda:9999", "-m", write_fake("m.quern", {.cuda = true})}),
      AllOf(StartsWith("error: the checksums of "),
            HasSubstr(" bytes and 1 tokenizer vectors hold, but the reference logits cannot "
                      "be replayed here: ")));
  auto bytes = test::fake_artifact();
  bytes[bytes.size() - 1] ^= 1;
  EXPECT_THAT(refused({"verify", "-m", test::write_file("bad.quern", bytes)}),
              HasSubstr("checksum of section 'proof'"));
}

TEST(Cli, DevicesSayWhy) {
  const json plain = json::parse(call({"devices", "--json"}).out);
  EXPECT_TRUE(plain.contains("cpu") && plain.contains("variants") && plain.contains("chosen"));
  const json held = json::parse(
      call({"devices", "--json", "-m", write_fake("odd.quern", {.features = {"warp-drive"}})}).out);
  EXPECT_EQ(held["chosen"], "");
  const std::string path = write_fake("cpu-only.quern");
  EXPECT_THAT(call({"devices", "-m", path}).out,
              HasSubstr("\ncuda      " + path + " has no code for it; quern compile --target "));
  EXPECT_THAT(call({"devices"}).out, testing::Not(HasSubstr("has no code")));
  EXPECT_EQ(held["variants"][0]["name"], "x86-64-v3");
  EXPECT_EQ(held["variants"][0]["usable"], false);
  EXPECT_THAT(held["variants"][0]["why"], HasSubstr("warp-drive"));
}

// Tests that GPUs are listed beside one that does not answer, and that one whose blocks have too
// little shared memory for the code is no usable one.
TEST(Cli, DevicesListTheGpusThatAnswer) {
  const std::filesystem::path folder = test::fresh_path("driver");
  std::filesystem::create_directory(folder);
  std::filesystem::create_symlink(test::fake_driver_path(), folder / "libcuda.so.1");
  setenv("LD_LIBRARY_PATH", folder.c_str(), 1);
  setenv("QUERN_FAKE_SILENT_GPU", "1", 1);
  const auto with_shared = [](uint32_t bytes) {
    return write_fake("gpu.quern", {.cuda = true, .change_code = [=](test::FakeCode &code) {
                                      code.functions[0].shared = bytes;
                                    }});
  };
  const std::string model = with_shared(102400);
  const std::string text = call({"devices", "-m", model}).out;
  const json said = json::parse(call({"devices", "--json", "-m", model}).out);
  const json too_much =
      json::parse(call({"devices", "--json", "-m", with_shared(102401)}).out)["gpus"][0];
  unsetenv("LD_LIBRARY_PATH");
  unsetenv("QUERN_FAKE_SILENT_GPU");
  EXPECT_THAT(text, HasSubstr("\ncuda:1    does not answer: asking what CUDA device 1 can do: "));
  EXPECT_THAT(text, HasSubstr("\ncuda:2    Fake GPU, compute capability 8.0"));
  EXPECT_EQ(said["silent_gpus"][0]["device"], "cuda:1");
  EXPECT_EQ(said["gpus"][1]["device"], "cuda:2");
  EXPECT_EQ(said["gpus"][1]["chosen"], "sm_80");
  EXPECT_EQ(too_much["chosen"], "");
  EXPECT_EQ(too_much["variants"][0]["why"],
            "needs 102401 bytes of shared memory a block, and Fake GPU has 102400");
}

TEST(Cli, CallsEntriesWithTensors) {
  const std::string model = write_fake("main.quern", {.main_entry = true});
  const std::string x = test::fresh_path("x.npy"), scale = test::fresh_path("scale.npy");
  const std::string out = test::fresh_path("outputs");
  const float xs[] = {1, 2, 3}, s = 4;
  NpyArray array{artifact::ElementType::f32, {1, 3}, std::vector<uint8_t>(12)};
  std::memcpy(array.bytes.data(), xs, 12);
  ASSERT_TRUE(write_npy(x, array).ok());
  NpyArray scalar{artifact::ElementType::f32, {}, std::vector<uint8_t>(4)};
  std::memcpy(scalar.bytes.data(), &s, 4);
  ASSERT_TRUE(write_npy(scale, scalar).ok());
  const Result result = call({"call", "-m", model, "--entry", "main", "--input", "x=" + x,
                              "--input", "scale=" + scale, "--output-dir", out});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(floats(out + "/y.npy"), testing::ElementsAre(4, 8, 12));
  EXPECT_THAT(refused({"call", "-m", model, "--input", "x=" + x, "--input", "x=" + scale,
                       "--output-dir", out}),
              HasSubstr("input 'x' is given twice"));
  EXPECT_THAT(call({"call", "-m", model, "--input", "x=", "--output-dir", out}).err,
              HasSubstr("--input x= names no file"));
  EXPECT_THAT(refused({"call", "-m", model, "--input", "x=" + x, "--output-dir", out}),
              HasSubstr("input 'scale' is not given"));
  EXPECT_THAT(refused({"call", "-m", model, "--input", "z=" + x, "--output-dir", out}),
              HasSubstr("has no input 'z'"));
  EXPECT_THAT(refused({"call", "-m", write_fake("m.quern"), "--entry", "step", "-o", out}),
              HasSubstr("carries state"));
  EXPECT_THAT(refused({"call", "-m", model, "--entry", "encode", "-o", out}),
              HasSubstr("has no entry 'encode'"));
  // Its hint names what works.
  for (std::vector<std::string> args : {std::vector<std::string>{"run", "--tokens", "5"},
                                        {"bench"},
                                        {"logits", "--tokens", "5", "-o", out}}) {
    args.insert(args.end(), {"-m", model});
    EXPECT_THAT(refused(args), HasSubstr("hint: quern-run call runs its entries")) << args[0];
  }
}

// Tests an entry whose caller chooses sizes: each type of array becomes what the input is, and what
// NumPy lacks is written as what it has.
TEST(Cli, CallsEntriesOfSizes) {
  const std::string model = write_fake("sized.quern", {.sized_entry = true});
  const std::string ids = test::fresh_path("ids.npy"), mask = test::fresh_path("mask.npy");
  const std::string tail = test::fresh_path("tail.npy"), out = test::fresh_path("sized");
  NpyArray array{artifact::ElementType::i64, {1, 2}, std::vector<uint8_t>(16)};
  array.bytes[0] = 3;
  array.bytes[8] = 5;
  ASSERT_TRUE(write_npy(ids, array).ok());
  ASSERT_TRUE(write_npy(mask, {artifact::ElementType::boolean, {1, 2}, {1, 0}}).ok());
  NpyArray rows{artifact::ElementType::f32, {4, 3}, std::vector<uint8_t>(48)};
  const float twos[] = {2, 2, 2};
  std::memcpy(&rows.bytes[24], twos, sizeof twos);
  ASSERT_TRUE(write_npy(tail, rows).ok());
  const Result result = call({"call", "-m", model, "--input", "ids=" + ids, "--input",
                              "mask=" + mask, "--input", "tail=" + tail, "--output-dir", out});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(floats(out + "/y.npy"), testing::ElementsAre(6, 6, 6, -1, -1, -1));
  EXPECT_THAT(floats(out + "/half.npy"), testing::ElementsAre(1));
  ASSERT_TRUE(write_npy(mask, {artifact::ElementType::boolean, {1, 1}, {1}}).ok());
  EXPECT_THAT(refused({"call", "-m", model, "--input", "ids=" + ids, "--input", "mask=" + mask,
                       "--input", "tail=" + tail, "--output-dir", out}),
              HasSubstr("'/layer.0/Add' needs s (2) to be equal to t (1)"));
}

// Tests that calls of the proof are replayed, and that what differs is said.
TEST(Cli, VerifyReplaysCalls) {
  const Result good = call({"verify", "-m", write_fake("m.quern", {.sized_entry = true})});
  ASSERT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr(" bytes, 2 outputs of calls (largest"));
  EXPECT_THAT(good.out, Not(HasSubstr("logits")));
  const Result wrong =
      call({"verify", "-m", write_fake("m.quern", {.wrong_proof = true, .sized_entry = true})});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("output 'y' is 0.1"));
  EXPECT_THAT(wrong.err, HasSubstr("do not trust its answers"));
  const Result counted = call({"verify", "-m", write_fake("m.quern", {.counted_entry = true})});
  EXPECT_EQ(counted.code, 0) << counted.err;
  EXPECT_THAT(counted.out, HasSubstr("1 outputs of calls"));
  const Result other =
      call({"verify", "-m", write_fake("m.quern", {.wrong_proof = true, .counted_entry = true})});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("output 'kept' has another shape than the reference"));
}

TEST(Cli, BenchGivesEachRow) {
  const std::string model = write_fake("m.quern");
  const Result result = call({"bench", "-m", model, "-p", "20", "-n", "4", "-d", "0,30", "-r", "2",
                              "-b", "2", "-o", "json"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::istringstream lines(result.out);
  std::string line;
  std::vector<std::string> tests;
  while (std::getline(lines, line)) {
    const json row = json::parse(line);
    tests.push_back(row["test"].get<std::string>() + "@" + std::to_string(row["depth"].get<int>()));
    for (const char *key :
         {"batch", "threads", "variant", "tokens_per_s", "stddev", "bytes_per_token",
          "read_probe_gbps", "mbu", "mfu", "time_to_first_token_s"})
      EXPECT_TRUE(row.contains(key)) << key;
    EXPECT_GT(row["tokens_per_s"], 0);
    EXPECT_GT(row["bytes_per_token"], 0);
  }
  EXPECT_THAT(tests, testing::ElementsAre("pp20@0", "tg4@0", "pp20@30", "tg4@30"));
  EXPECT_THAT(call({"bench", "-m", model, "-p", "8", "-n", "0", "-r", "1"}).out,
              HasSubstr("| pp8 |"));
  EXPECT_THAT(call({"bench", "-m", model, "-p", "8", "-n", "0", "-r", "1", "-o", "csv"}).out,
              StartsWith("test,depth,batch"));
  EXPECT_EQ(call({"bench", "-m", model, "-o", "xml"}).code, 2);
}

TEST(Cli, BenchOpsGivesEachKernel) {
  const std::string model = write_fake("m.quern");
  const Result result = call(
      {"bench", "-m", model, "-p", "0", "-n", "4", "-d", "30", "-r", "2", "-o", "json", "--ops"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json row = json::parse(result.out);
  ASSERT_EQ(row["kernels"].size(), 1u);
  const json &kernel = row["kernels"][0];
  EXPECT_EQ(kernel["name"], "all");
  EXPECT_EQ(kernel["calls"], 4);
  EXPECT_GT(kernel["seconds"], 0);
  // Parts of one clock's span: their sum cannot exceed it, but a tick's length is only measured, to
  // a percent or so. How near the sum comes to the whole is a matter of speed and not tested.
  EXPECT_GT(row["host_seconds"], 0);
  EXPECT_LE(kernel["seconds"].get<double>() + row["host_seconds"].get<double>(),
            row["seconds"].get<double>() * 1.5);
  // 148 bytes of weights a step; of the two states 4 and 8 bytes for each position so far.
  EXPECT_EQ(kernel["bytes"], 4 * 148 + 12 * (31 + 32 + 33 + 34));
  EXPECT_EQ(kernel["bytes"].get<double>() / 4, row["bytes_per_token"]);
  EXPECT_GT(kernel["share_of_bound"], 0);
  const std::string table =
      call({"bench", "-m", model, "-p", "8", "-n", "0", "-r", "1", "--ops"}).out;
  EXPECT_THAT(
      table,
      HasSubstr("| kernel | of | calls | us a call | share of time | GB/s | share of bound |"));
  EXPECT_THAT(
      table, testing::ContainsRegex(
                 "\\| all \\| all \\| 1 \\| [0-9.]+ \\| [0-9.]+% \\| [0-9.]* \\| [0-9.]*%? \\|\n"));
  EXPECT_THAT(table, testing::ContainsRegex(
                         "\\| \\(host\\) \\| [a-z ]+ \\| \\| \\| [0-9.]+% \\| \\| \\|\n"));
  EXPECT_THAT(table, testing::ContainsRegex("\\| all \\| pp8 \\| \\| \\| [0-9.]+% \\| \\| \\|\n"));
  EXPECT_EQ(call({"bench", "-m", model, "-o", "csv", "--ops"}).code, 2);
}

TEST(Cli, RefusesWithNumbersAndRemedy) {
  const std::string model = write_fake("m.quern");
  auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"run", "-m", model, "-n", "1", "--tokens"};
    args.insert(args.end(), more.begin(), more.end());
    return refused(args);
  };
  EXPECT_THAT(run({"5", "--memory", "4096"}), HasSubstr("--memory allows 4.0 KiB"));
  EXPECT_THAT(run({"5,999999999"}), HasSubstr("token 999999999"));
  EXPECT_THAT(run({"5", "-c", "1073741824"}), HasSubstr("hint: -c 200 fits"));
  EXPECT_THAT(run({"1,2,3", "-c", "2"}),
              HasSubstr("3 tokens are more than the context, which has 2 positions"));
  EXPECT_THAT(run({"5", "--load-state", "/nonexistent.state"}), HasSubstr("/nonexistent.state"));
  // Before anything is computed: what cannot be saved is not made.
  EXPECT_THAT(run({"5", "--save-state", "/nonexistent/s"}), HasSubstr("/nonexistent/s"));
  EXPECT_THAT(refused({"logits", "-m", model, "--tokens", "1", "-o", test::fresh_path("l.npy"),
                       "--save-state", "/nonexistent/s"}),
              HasSubstr("/nonexistent/s"));
  EXPECT_THAT(refused({"run", "-m", model, "--tokens", ""}, 2), HasSubstr("lists no ids"));
  EXPECT_THAT(refused({"run", "-m", model + ".gone", "--tokens", "1"}), HasSubstr(".gone"));
  EXPECT_THAT(refused({"logits", "-m", model, "--tokens", "1", "-o", "/nonexistent/x.npy"}),
              HasSubstr("/nonexistent/x.npy"));
}

// Tests that no verb cuts what is longer than the context: refused with the numbers, and an answer
// that the context ends says so.
TEST(Cli, NothingIsCutToTheContext) {
  const std::string model = write_fake("m.quern");
  const std::string out = test::fresh_path("long.npy"), state = test::fresh_path("long.state");
  std::string ids = "1";
  for (int i = 1; i < 201; ++i)
    ids += ",1";
  EXPECT_THAT(refused({"run", "-m", model, "--tokens", ids}),
              HasSubstr("201 tokens are more than the context, which has 200 positions\nhint: "));
  EXPECT_THAT(
      refused({"run", "-m", model, "-p", "abcdefgh", "-c", "7"}),
      HasSubstr("8 tokens are more than the context, which has 7 positions\nhint: -c 8 or"));
  for (const char *chunk : {"1", "5"})
    EXPECT_THAT(refused({"logits", "-m", model, "--tokens", "1,2,3", "-c", "2", "--chunk", chunk,
                         "-o", out, "--save-state", state}),
                HasSubstr("3 tokens are more than the context, which has 2 positions"));
  EXPECT_THAT(refused({"logits", "-m", model, "--tokens", ids, "-o", out}),
              HasSubstr("201 positions are needed, and "));
  EXPECT_EQ(test::read_file(out).size() + test::read_file(state).size(), 0u);
  const Result chat = call({"chat", "-m", model, "-c", "5", "--temp", "0"}, "abcdef\n");
  EXPECT_EQ(chat.code, 1);
  EXPECT_THAT(chat.err, HasSubstr("6 tokens are more than the context, which has 5 positions"));
  ASSERT_EQ(
      call({"logits", "-m", model, "--tokens", "1,2,3", "-o", out, "--save-state", state}).code, 0);
  EXPECT_THAT(refused({"run", "-m", model, "--tokens", "1,2", "--load-state", state, "-c", "4"}),
              HasSubstr("the context is full: 3 positions and 2 more tokens exceed 4"));
  EXPECT_THAT(refused({"run", "-m", model, "--tokens", "1", "--load-state", state, "-c", "2"}),
              HasSubstr("3 positions, and the context is 2"));
  const std::string note = "note: the answer ends here: the context of 9 positions is full";
  for (const std::vector<std::string> &length : {std::vector<std::string>{}, {"-n", "8"}}) {
    std::vector<std::string> args = {"run", "-m", model,    "--tokens", "1,2,3",
                                     "-c",  "9",  "--temp", "0",        "--ignore-eos"};
    args.insert(args.end(), length.begin(), length.end());
    EXPECT_THAT(call(args).err, HasSubstr(note));
  }
  EXPECT_THAT(
      call({"run", "-m", model, "--tokens", "1,2,3", "-c", "9", "--ignore-eos", "-n", "7"}).err,
      testing::Not(HasSubstr("note: ")));
}

TEST(Cli, WrongUsageIsTwo) {
  EXPECT_EQ(call({}).code, 2);
  const Result verb = call({"lgoits"});
  EXPECT_EQ(verb.code, 2);
  EXPECT_THAT(verb.err, HasSubstr("did you mean logits?"));
  EXPECT_THAT(refused({"run", "--tmep", "1"}, 2), HasSubstr("did you mean --temp?"));
}

// Tests that what is wrong with a command line, whatever the model, is said before one is looked
// for: here there is none.
TEST(Cli, MistakesOfEveryVerb) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"run", "-m is missing"},
      {"run -m", "-m needs a value"},
      {"run -m x --tokens", "--tokens needs a value"},
      {"run -m x --tokens x", "'x' is not a token id"},
      {"run -m x --tokens 5,99999999999999", "'99999999999999' is not a token id"},
      {"run -m x --tokens 1,,2", "'' is not a token id"},
      {"run -m x --tokens=", "--tokens lists no ids"},
      {"run -m x --tokens 1 -p a", "--tokens and a text are both given"},
      {"run -m x -p a -f b", "-p and -f are both given"},
      {"run -m x -p a --logprobs 3", "--logprobs N --json"},
      {"run -m x -p a -n -1", "-n takes a whole number of 0 or more"},
      {"run -m x -p a -n 1e3", "-n takes a whole number of 0 or more"},
      {"run -m x -p a -n 99999999999999999999999", "-n takes a whole number"},
      {"run -m x -p a -t -1", "-t takes 1 to"},
      {"run -m x -p a -t 99999999", "-t takes 1 to"},
      {"run -m x -p a -c -5", "-c takes a whole number of 0 or more"},
      {"run -m x -p a --slots 0", "--slots takes 1 to"},
      {"run -m x -p a --edit", "--edit changes a saved text"},
      {"run -m x -p a --prefix-cache d --load-state s", "both say what to go on from"},
      {"run -m x -p a --prefix-cache-size 1G", "is of a prefix cache"},
      {"run -m x -p a --checkpoints x", "--checkpoints takes a number of bytes"},
      {"run -m x -p a --slots 99999999", "--slots takes 1 to"},
      {"run -m x -p a --memory -1", "--memory takes a number of bytes"},
      {"run -m x -p a --memory 9e9", "--memory takes a number of bytes"},
      {"run -m x -p a --device abacus", "--device cpu"},
      {"run -m x -p a --temp -1", "--temp"},
      {"run -m x -p a --temp nan", "--temp"},
      {"run -m x -p a --temp hot", "--temp takes a number"},
      {"run -m x -p a --top-k -1", "--top-k"},
      {"run -m x -p a --top-p 0", "--top-p"},
      {"run -m x -p a --min-p 2", "--min-p"},
      {"run -m x -p a --repeat-penalty 0", "--repeat-penalty"},
      {"run -m x -p a --mirostat 1", "--mirostat"},
      {"run -m x -p a --seed -1", "--seed takes a whole number of 0 or more"},
      {"run -m x -p a --json=1", "--json takes no value"},
      {"run -m x -p a --stop=", "--stop is empty"},
      {"chat -m x --stop=", "--stop is empty"},
      {"run -m x --file= -p a", "-p and -f are both given"},
      {"run -m x -p a more", "unexpected argument 'more'"},
      {"chat -m x --temp -1", "--temp"},
      {"chat -m x -t -1", "-t takes"},
      {"chat -m x -p a", "unknown flag -p"},
      {"logits -m x -o y", "no tokens are given"},
      {"logits -m x --tokens 1", "-o is missing"},
      {"logits -m x -o y --tokens x", "'x' is not a token id"},
      {"logits -m x -o y --tokens=", "a sequence has no tokens"},
      {"logits -m x -o y --tokens 1 --chunk -1", "--chunk takes"},
      {"logits -m x -o y --tokens 1 --tokens 2 --save-state z", "--save-state saves one"},
      {"logits -m x -o y --tokens 1 -t -1", "-t takes"},
      {"tokenize -m x -p a -f b", "-p and -f are both given"},
      {"tokenize -m x -p a --jsno", "did you mean --json?"},
      {"detokenize -m x", "--tokens is missing"},
      {"detokenize -m x --tokens a", "'a' is not a token id"},
      {"call -m x", "-o is missing"},
      {"call -m x -o y --input z", "--input z names no file"},
      {"call -m x -o y --slots 0", "--slots takes"},
      {"bench -m x -p a", "-p: 'a' is not a number"},
      {"bench -m x -n -1", "-n: '-1' is not a number"},
      {"bench -m x -d 99999999999", "-d: '99999999999' is not a number"},
      {"bench -m x -p 0 -n 0", "nothing to measure"},
      {"bench -m x -b 0", "nothing to measure"},
      {"bench -m x -b 99999999999", "-b takes 1 to"},
      {"bench -m x -r 0", "nothing to measure"},
      {"bench -m x -o xml", "-o xml is no format"},
      {"bench -m x --device gpu", "--device cpu"},
      {"bench -m x --device ptx --model-of v100", "--model-of v100 is no GPU"},
      {"bench -m x --device cpu --model-of h100", "--model-of is of what the interpreter counts"},
      {"bench -m x --device ptx --model-of h100 -o csv", "--model-of is a table"},
      {"verify", "-m is missing"},
      {"verify -m x -t -1", "-t takes"},
      {"verify x", "unexpected argument 'x'"},
      {"devices --josn", "did you mean --json?"},
      {"devices x", "unexpected argument 'x'"},
      {"verfiy", "did you mean verify?"},
      {"--json", "unknown verb '--json'"},
  };
  for (const auto &[line, error] : mistakes) {
    std::istringstream words(line);
    const std::vector<std::string> args{std::istream_iterator<std::string>(words), {}};
    const Result result = call(args);
    EXPECT_EQ(result.code, 2) << line;
    EXPECT_THAT(result.err, StartsWith("error: ")) << line;
    EXPECT_THAT(result.err, HasSubstr("\nhint: ")) << line;
    EXPECT_THAT(result.err, HasSubstr(error)) << line;
    EXPECT_EQ(result.out, "") << line;
  }
}

// Tests that each verb's help fits a screen and ends with an example.
TEST(Cli, HelpFitsAScreen) {
  EXPECT_THAT(call({"--version"}).out,
              AllOf(HasSubstr("commit"), HasSubstr("targets: cpu (x86-64-v3, x86-64-v4, amx), cuda "
                                                   "(sm_80, sm_90a)\n")));
  for (const char *verb :
       {"run", "chat", "logits", "tokenize", "detokenize", "call", "bench", "verify", "devices"}) {
    const Result help = call({verb, "-h"});
    EXPECT_EQ(help.code, 0);
    EXPECT_LE(std::count(help.out.begin(), help.out.end(), '\n'), 32) << verb;
    EXPECT_THAT(help.out, HasSubstr(std::string("\nexample: quern-run ") + verb)) << verb;
    if (std::string(verb) == "run" || std::string(verb) == "chat")
      EXPECT_THAT(help.out, HasSubstr("--mirostat-ent TAU --logit-bias ID=+B,..\n"));
  }
}

} // namespace
} // namespace quern::cli
