// Tests `quern` as a process on targets: what it makes for them, plans of them, and the state they
// share.
#include "tests/conformance/Driver.h"

#include <cstdlib>
#include <optional>

namespace quern::conformance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// For as long as it lives no program finds NVIDIA's compiler.
class WithoutNvrtc {
public:
  WithoutNvrtc() {
    if (const char *set = std::getenv(kName))
      before_ = set;
    setenv(kName, "/nonexistent", /*overwrite=*/1);
  }
  ~WithoutNvrtc() {
    if (before_)
      setenv(kName, before_->c_str(), /*overwrite=*/1);
    else
      unsetenv(kName);
  }
  WithoutNvrtc(const WithoutNvrtc &) = delete;
  WithoutNvrtc &operator=(const WithoutNvrtc &) = delete;

private:
  static constexpr const char *kName = "QUERN_NVRTC";
  std::optional<std::string> before_;
};

// Tests that without NVIDIA's compiler all is as it was but code for cuda, which says what to
// install.
TEST_F(Driver, TargetsAreSeenWithoutTheirCompilers) {
  const WithoutNvrtc without;
  const Result result = call(
      "quern", {"compile", config_, "-o", artifact_, "--synthetic", "5", "--target", "cpu,cuda"});
  expect_refused(result);
  EXPECT_THAT(result.err, HasSubstr("--target cuda: "));
  EXPECT_THAT(result.err, HasSubstr("\nhint: install"));
  const auto problems =
      call("quern", {"check", config_, "--synthetic", "5", "--target", "cuda", "--json"}).json();
  ASSERT_EQ(problems["problems"].size(), 1u);
  EXPECT_EQ(problems["problems"][0]["where"], "--target cuda");
  done("quern", {"check", config_, "--synthetic", "5"});

  // Its plan, and its IR in a folder of its own.
  const std::string ir =
      done("quern", {"compile", config_, "--synthetic", "5", "--target", "cuda,cpu", "--to", "plan",
                     "--emit-dir", folder_.path("ir")})
          .out;
  EXPECT_THAT(ir, HasSubstr("quern.target = \"cpu\", quern.targets = [\"cpu\", \"cuda\"]"));
  EXPECT_THAT(ir, HasSubstr("// -----\n"));
  EXPECT_THAT(ir, HasSubstr("quern.target = \"cuda\""));
  EXPECT_THAT(Folder::names(folder_.path("ir")), ElementsAre("01-import.mlir", "cpu", "cuda"));
  for (const char *target : {"cpu", "cuda"})
    EXPECT_THAT(Folder::names(folder_.path("ir/") + target),
                ElementsAre("01-raise.mlir", "02-normalize.mlir", "03-fuse.mlir",
                            "04-quantize.mlir", "05-schedule.mlir", "06-plan.mlir"));
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"config.json", "ir"}));
}

// Tests that what is planned for a GPU counts its own memory, that targets share weights and state,
// and that an artifact without code for it is refused.
TEST_F(Driver, PlansOfTargets) {
  const auto plan = done("quern", {"plan", config_, "--synthetic", "5", "--target", "cpu,cuda",
                                   "-c", "100", "--json"})
                        .json();
  EXPECT_EQ(plan["target"], "cpu");
  EXPECT_EQ(plan["staging"], 0);
  ASSERT_EQ(plan["targets"].size(), 2u);
  const auto &cpu = plan["targets"][0], &cuda = plan["targets"][1];
  EXPECT_EQ(cuda["target"], "cuda");
  EXPECT_GT(cuda["staging"], 0);
  for (const char *key : {"weights", "state_per_slot", "state_per_token", "kv_groups"})
    EXPECT_EQ(cpu[key], cuda[key]) << key;
  EXPECT_THAT(done("quern", {"plan", config_, "--synthetic", "5", "--target", "cuda"}).out,
              HasSubstr("staging"));

  done("quern", compile());
  const auto inspected = done("quern", {"inspect", artifact_, "--json"}).json();
  EXPECT_EQ(inspected["plan"]["target"], "cpu");
  EXPECT_FALSE(inspected["plan"].contains("targets"));
  EXPECT_EQ(inspected["variants"][0]["target"], "cpu");
  EXPECT_EQ(inspected["kernels"][0]["target"], "cpu");
  for (const char *device : {"cuda", "ptx"}) {
    const Result result =
        call("quern-run", {"run", "-m", artifact_, "--tokens", "5", "--device", device});
    expect_refused(result);
    EXPECT_THAT(result.err, HasSubstr("has no code for cuda"));
    EXPECT_THAT(result.err, HasSubstr("compile the model with --target cpu,cuda"));
  }
}

// Tests that one file runs on the CPU and, by the interpreter of PTX, as a GPU would: the same
// weights, the memory that was planned, the proof within its tolerance, and a sequence that goes on
// on the other device.
TEST_F(Driver, OneFileForSeveralTargets) {
  if (call("quern", {"check", config_, "--synthetic", "5", "--target", "cuda"}).code != 0)
    GTEST_SKIP() << "there is no NVRTC (scripts/get-nvrtc)";
  const std::vector<std::string> flags = {"--synthetic", "5", "--quant", "int8", "-c", "100"};
  std::vector<std::string> args = {"compile",  config_,    "-o",        artifact_,       "-q",
                                   "--target", "cpu,cuda", "--variant", "x86-64-v3,h100"};
  args.insert(args.end(), flags.begin(), flags.end());
  done("quern", args);
  const auto inspected = done("quern", {"inspect", artifact_, "--json"}).json();
  std::vector<std::string> planning = {"plan", config_, "--target", "cpu,cuda", "--json"};
  planning.insert(planning.end(), flags.begin(), flags.end());
  const auto plan = done("quern", planning).json();
  ASSERT_EQ(inspected["plan"]["targets"].size(), 2u);
  for (size_t i = 0; i < 2; ++i)
    for (const char *key : {"target", "weights", "arena", "arena_bound", "state_per_slot",
                            "state_per_token", "kv_groups", "staging"})
      EXPECT_EQ(plan["targets"][i][key], inspected["plan"]["targets"][i][key]) << key;

  // Each kernel of the GPU's says what it takes.
  size_t functions = 0;
  for (const auto &kernel : inspected["kernels"]) {
    EXPECT_EQ(kernel.contains("functions"), kernel["target"] == "cuda") << kernel["name"];
    if (kernel.contains("functions"))
      for (const auto &function : kernel["functions"]) {
        ++functions;
        EXPECT_EQ(function["variant"], "sm_90a");
        EXPECT_GT(function["registers"], 0);
        EXPECT_GT(function["ptx"], 0);
      }
  }
  EXPECT_GT(functions, 10u);
  const std::string listed = done("quern", {"inspect", artifact_, "--kernels"}).out;
  EXPECT_THAT(listed, HasSubstr(" registers, "));
  EXPECT_THAT(listed, HasSubstr(" x  model.layers.*."));

  const std::string state = folder_.path("s.state");
  const auto run = [&](const char *device, std::vector<std::string> more) {
    std::vector<std::string> line = {"run",  "-m",     artifact_, "--device",
                                     device, "--temp", "0",       "--ignore-eos",
                                     "-n",   "4",      "--json"};
    line.insert(line.end(), more.begin(), more.end());
    return done("quern-run", line).json();
  };
  const char *devices[] = {"cpu", "ptx"};
  for (size_t i = 0; i < 2; ++i) {
    const auto memory = run(devices[i], {"--tokens", "5,6,7"})["memory"];
    for (const char *key : {"weights", "arena", "code", "staging", "total"})
      EXPECT_EQ(memory[key], inspected["plan"]["targets"][i][key]) << devices[i] << " " << key;
    done("quern-run", {"verify", "-m", artifact_, "--device", devices[i]});
    const auto straight = run(devices[1 - i], {"--tokens", "5,6,7,8,9"})["tokens"];
    run(devices[i], {"--tokens", "5,6,7,8", "-n", "0", "--save-state", state});
    EXPECT_EQ(run(devices[1 - i], {"--tokens", "9", "--load-state", state})["tokens"], straight);
  }
  // What was counted is of a step, however often that was repeated; launches of another kind, of
  // the repetition before, are not among it.
  setenv("QUERN_PTX_SMS", "4", 1);
  const auto counted = [&](std::vector<std::string> more) {
    std::vector<std::string> line = {"bench", "-m", artifact_,    "--device", "ptx",
                                     "-p",    "0",  "--model-of", "h100"};
    line.insert(line.end(), more.begin(), more.end());
    return done("quern-run", line);
  };
  const auto once = counted({"-n", "2", "-r", "1", "--json"}).json()["counters"];
  const auto twice = counted({"-n", "2", "-r", "2", "--json"}).json()["counters"];
  EXPECT_EQ(once["steps_of_repetition"], 2);
  EXPECT_EQ(once["kernels"].size(), 1u);
  EXPECT_EQ(once["kernels"][0]["launches"], 2);
  EXPECT_EQ(twice["kernels"][0]["launches"], 4);
  EXPECT_NEAR(once["estimated_seconds_of_repetition"].get<double>(),
              twice["estimated_seconds_of_repetition"].get<double>(), 1e-9);
  EXPECT_LT(once["kernels"][0]["estimate"]["seconds"], 1e-3);
  for (const auto &kernel :
       counted({"-n", "2", "-r", "1", "--json", "--ops"}).json()["counters"]["kernels"])
    EXPECT_NE(kernel["kernel"], once["kernels"][0]["kernel"]);
  const std::string table = counted({"-r", "1", "-n", "1,2"}).out;
  EXPECT_THAT(table, testing::StartsWith("| model |"));
  EXPECT_NE(table.rfind("| model |"), 0u) << "each test's table has its header";
  EXPECT_THAT(table, HasSubstr("t/s by the interpreter's clock"));
  EXPECT_THAT(table, HasSubstr("| a step of tg2, estimated and not measured: "));
  unsetenv("QUERN_PTX_SMS");
  // What the file for both saved goes on in one for the CPU alone.
  const auto straight = run("cpu", {"--tokens", "5,6,7,8,9"})["tokens"];
  done("quern", {"compile", config_, "-o", artifact_, "-q", "--synthetic", "5", "--quant", "int8",
                 "--variant", "x86-64-v3"});
  EXPECT_EQ(run("cpu", {"--tokens", "9", "--load-state", state})["tokens"], straight);
}

// Tests that a state goes on, with the same numbers, in an artifact of the same model whose code,
// context and steps are others, and in none of another kv format or of other weights.
TEST_F(Driver, StatesMoveBetweenArtifactsOfTheSameModel) {
  const std::string other = folder_.path("other.quern"), state = folder_.path("s.state");
  const auto make = [&](const std::string &to, const std::vector<std::string> &more) {
    std::vector<std::string> args = {"compile", config_, "-o",        to,         "-q",
                                     "--quant", "int8",  "--variant", "x86-64-v3"};
    args.insert(args.end(), more.begin(), more.end());
    done("quern", args);
  };
  const auto line = [&](const std::string &artifact, const std::vector<std::string> &more) {
    std::vector<std::string> args = {"run",        "-m", artifact,       "--temp", "0",
                                     "--logprobs", "3",  "--ignore-eos", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  make(artifact_, {"--synthetic", "5"});
  const auto straight =
      done("quern-run", line(artifact_, {"--tokens", "5,6,7,8,9", "-n", "4"})).json();
  done("quern-run", line(artifact_, {"--tokens", "5,6,7,8", "-n", "0", "--save-state", state}));
  const std::vector<std::string> go_on =
      line(other, {"--tokens", "9", "-n", "4", "--load-state", state});
  make(other, {"--synthetic", "5", "--max-tokens", "32", "--max-seqs", "2", "-c", "90"});
  const auto moved = done("quern-run", go_on).json();
  EXPECT_EQ(moved["tokens"], straight["tokens"]);
  EXPECT_EQ(moved["logprobs"], straight["logprobs"]);
  for (const std::vector<std::string> &flags :
       {std::vector<std::string>{"--synthetic", "6"}, {"--synthetic", "5", "--kv", "bf16"}}) {
    make(other, flags);
    const Result refused = call("quern-run", go_on);
    expect_refused(refused);
    EXPECT_THAT(refused.err, HasSubstr("another model, other weights or formats"));
  }
}

// Tests that --kv auto is one format for all targets, which one of them may ask for.
TEST_F(Driver, KvStateIsOneFormatOfAllTargets) {
  const auto page = [&](const std::string &quant, const std::string &target,
                        const std::string &kv) {
    return done("quern", {"plan", config_, "--synthetic", "5", "--quant", quant, "--target", target,
                          "--kv", kv, "--json"})
        .json()["kv_groups"][0]["page_bytes"]
        .get<int64_t>();
  };
  const int64_t f32 = page("f32", "cpu", "f32");
  EXPECT_EQ(page("bf16", "cpu", "auto"), f32);
  EXPECT_EQ(page("bf16", "cuda", "auto"), f32 / 2);
  EXPECT_EQ(page("bf16", "cpu,cuda", "auto"), f32 / 2);
  EXPECT_EQ(page("bf16", "cpu,cuda", "f32"), f32);
  EXPECT_EQ(page("f32", "cpu,cuda", "auto"), f32);
  EXPECT_EQ(page("int8", "cuda", "auto"), f32 / 2);
}

} // namespace
} // namespace quern::conformance
