// Tests that with integer weights a sequence's logits depend on its tokens alone: the same bits
// whole or in chunks, on any threads, in a batch, saved and loaded.
#include "tests/conformance/Programs.h"
#include "tests/support/Variants.h"

#include <map>

namespace quern::conformance {
namespace {

// Tokens 0..vocab-1 in no order that could flatter.
std::vector<int32_t> sequence(int seed, int count) {
  std::vector<int32_t> tokens;
  uint32_t x = 12345u + static_cast<uint32_t>(seed);
  for (int i = 0; i < count; ++i) {
    x = x * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>(x >> 8) % 211);
  }
  return tokens;
}

class Bitwise : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    folder_.write("config.json", small_llama().dump());
    artifact_ = folder_.path("m.quern");
    done("quern",
         {"compile", folder_.path("config.json"), "-o", artifact_, "-q", "--synthetic", "3",
          "--quant", GetParam(), "--max-tokens", "64", "--max-seqs", "4", "--variant", "native"});
  }
  SharedCache cache_;
  Folder folder_;
  std::string artifact_;
};

TEST_P(Bitwise, ChunksAndThreadsAndState) {
  const auto tokens = sequence(1, 70);
  const Logits whole = logits(artifact_, tokens);
  ASSERT_EQ(whole.rows, 70);
  ASSERT_EQ(whole.cols, 211);
  for (const char *chunk : {"1", "7", "33"})
    EXPECT_TRUE(logits(artifact_, tokens, {"--chunk", chunk}) == whole) << "--chunk " << chunk;
  for (const char *threads : {"1", "2", "3"})
    EXPECT_TRUE(logits(artifact_, tokens, {"-t", threads}) == whole) << "-t " << threads;

  const std::string state = folder_.path("s.state");
  Logits both = logits(artifact_, {tokens.begin(), tokens.begin() + 23}, {"--save-state", state});
  const Logits rest =
      logits(artifact_, {tokens.begin() + 23, tokens.end()}, {"--load-state", state});
  both.values.insert(both.values.end(), rest.values.begin(), rest.values.end());
  EXPECT_TRUE(both.values == whole.values);
}

// Tests the same on a sequence that leaves the windows of its layers, and the pages they lay in,
// many times over.
TEST_P(Bitwise, SlidingWindows) {
  folder_.write("config.json", small_ministral().dump());
  done("quern",
       {"compile", folder_.path("config.json"), "-o", artifact_, "-q", "--synthetic", "3",
        "--quant", GetParam(), "--max-tokens", "16", "--max-seqs", "4", "--variant", "native"});
  const auto tokens = sequence(1, 400);
  const Logits whole = logits(artifact_, tokens);
  ASSERT_EQ(whole.rows, 400);
  for (const char *chunk : {"1", "7"})
    EXPECT_TRUE(logits(artifact_, tokens, {"--chunk", chunk, "-t", "1"}) == whole)
        << "--chunk " << chunk;
  const std::string state = folder_.path("s.state");
  Logits both = logits(artifact_, {tokens.begin(), tokens.begin() + 333}, {"--save-state", state});
  const Logits rest =
      logits(artifact_, {tokens.begin() + 333, tokens.end()}, {"--load-state", state});
  both.values.insert(both.values.end(), rest.values.begin(), rest.values.end());
  EXPECT_TRUE(both.values == whole.values);
}

// Tests that a saved state that is edited, and a prompt whose beginning was there, give the same
// bits as a prompt that starts anew, for each kind of state: logprobs of every token made.
TEST_P(Bitwise, EditsAndPrefixes) {
  std::vector<nlohmann::json> configs = {small_llama(), small_ministral(), small_mamba2()};
  if (std::string(GetParam()) == "int4")
    configs.push_back(small_rwkv7());
  for (const auto &config : configs) {
    const std::string family = config["model_type"];
    folder_.write("config.json", config.dump());
    done("quern", {"compile", folder_.path("config.json"), "-o", artifact_, "-q", "--synthetic",
                   "3", "--quant", GetParam(), "-c", "512", "--max-tokens", "32", "--max-seqs", "4",
                   "--variant", "native"});
    const auto run = [&](const std::vector<int32_t> &tokens, std::vector<std::string> more) {
      std::vector<std::string> args = {"run",    "-m", artifact_,     "--tokens", joined(tokens),
                                       "-n",     "4",  "--logprobs",  "7",        "--json",
                                       "--temp", "0",  "--ignore-eos"};
      args.insert(args.end(), more.begin(), more.end());
      return done("quern-run", args).json();
    };
    const std::string state = folder_.path("e.state"), cache = folder_.path("cache-" + family);
    auto tokens = sequence(1, 400);
    (void)run(tokens, {"--save-state", state, "--checkpoints", "4M"});
    (void)run(tokens, {"--prefix-cache", cache});
    for (const int at : {399, 300, 100}) {
      auto other = tokens;
      other[at] = (other[at] + 1) % 211;
      const auto anew = run(other, {});
      const auto edited = run(other, {"--load-state", state, "--edit", "-t", "2"});
      EXPECT_EQ(edited["logprobs"], anew["logprobs"]) << family << " edited at " << at;
      EXPECT_EQ(edited["edit"]["shared"], at);
      const auto hit = run(other, {"--prefix-cache", cache, "-t", "2"});
      EXPECT_EQ(hit["logprobs"], anew["logprobs"]) << family << " parted at " << at;
      // What goes back anywhere keeps all; what does not, what lies before a checkpoint.
      const int spacing = family == "llama" ? 1 : 256, page = family == "llama" ? 64 : 256;
      EXPECT_LT(at - edited["edit"]["tokens"].get<int>(), spacing) << family;
      EXPECT_GE(hit["prefix_cache"]["tokens"], at / page * page) << family;
    }
    const auto again = run(tokens, {"--prefix-cache", cache});
    EXPECT_EQ(again["logprobs"], run(tokens, {})["logprobs"]) << family;
    EXPECT_EQ(again["prefix_cache"]["tokens"], 399) << family;
  }
}

TEST_P(Bitwise, ARaggedBatch) {
  const std::vector<std::vector<int32_t>> sequences = {sequence(2, 41), sequence(3, 1),
                                                       sequence(4, 17)};
  std::vector<std::string> args = {"logits", "-m", artifact_, "-o", folder_.path("batch")};
  for (const auto &tokens : sequences) {
    args.push_back("--tokens");
    args.push_back(joined(tokens));
  }
  done("quern-run", args);
  for (size_t i = 0; i < sequences.size(); ++i)
    EXPECT_TRUE(read_logits(folder_.path("batch/" + std::to_string(i) + ".npy")) ==
                logits(artifact_, sequences[i]))
        << i;
}

class BitwiseVariant : public testing::TestWithParam<std::tuple<const char *, std::string_view>> {
protected:
  /// Compiled once for all variants.
  static const std::string &artifact(const std::string &quant) {
    static std::map<std::string, std::string> all;
    static Folder folder;
    auto [entry, fresh] = all.try_emplace(quant, folder.path(std::to_string(all.size())));
    if (fresh) {
      folder.write("config.json", small_llama().dump());
      done("quern",
           {"compile", folder.path("config.json"), "-o", entry->second, "-q", "--synthetic", "3",
            "--quant", quant, "--max-tokens", "64", "--max-seqs", "4"});
    }
    return entry->second;
  }
};

// Tests that a variant gives the same bits in any chunks, and those of the least demanding one: the
// same integers are summed, and floats are added in one order.
TEST_P(BitwiseVariant, GivesWhatTheOthersGive) {
  const auto &[quant, name] = GetParam();
  if (const std::string why = test::whyNotRun(name); !why.empty())
    GTEST_SKIP() << why;
  const std::string variant(name);
  const auto tokens = sequence(5, 39); // tiles of 16, and a remainder
  const Logits whole = logits(artifact(quant), tokens, {"--variant", variant});
  EXPECT_TRUE(whole == logits(artifact(quant), tokens, {"--variant", variant, "--chunk", "1"}));
  EXPECT_TRUE(whole == logits(artifact(quant), tokens, {"--variant", "x86-64-v3"}));
}

INSTANTIATE_TEST_SUITE_P(Cpu, BitwiseVariant,
                         testing::Combine(testing::Values("int8", "int4", "int4:g64,asym"),
                                          testing::Values("x86-64-v3", "x86-64-v4", "amx")),
                         [](const auto &info) {
                           std::string name = std::string(std::get<0>(info.param)) + "_" +
                                              std::string(std::get<1>(info.param));
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

// Tests that a greedy step, which leaves its choice instead of logits, chooses the first of the
// largest logits: where the output projection ends the step, and where something comes after it.
TEST(Greedy, ChoosesWhatLogitsSay) {
  Folder folder;
  folder.write("config.json", R"({"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"],
    "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6, "max_position_embeddings": 128,
    "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 16,
    "attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0, "num_hidden_layers": 2})");
  const std::string artifact = folder.path("m.quern");
  for (const char *quant : {"int4", "f32"})
    for (const char *without : {"", "all"}) {
      std::vector<std::string> args = {
          "compile", folder.path("config.json"),
          "-o",      artifact,
          "-q",      "--synthetic",
          "5",       "--variant",
          "native",  "--quant",
          quant,
      };
      if (*without)
        args.insert(args.end(), {"--without", without});
      done("quern", args);
      for (const char *threads : {"1", "2", "3"}) {
        const std::string what = std::string(quant) + " " + without + " -t " + threads;
        args = {"run",    "-m", artifact, "--tokens", "3,1,4,15",     "-n",    "40",
                "--temp", "0",  "-t",     threads,    "--ignore-eos", "--json"};
        const std::vector<int32_t> tokens = done("quern-run", args).json()["tokens"];
        ASSERT_EQ(tokens.size(), 40u);
        args.insert(args.end(), {"--logprobs", "1"}); // so it looks at logits
        EXPECT_EQ(done("quern-run", args).json()["tokens"], nlohmann::json(tokens)) << what;
        std::vector<int32_t> all = {3, 1, 4, 15};
        all.insert(all.end(), tokens.begin(), tokens.end());
        const Logits rows = logits(artifact, all);
        for (size_t i = 0; i < tokens.size(); ++i) {
          const auto row = rows.values.begin() + static_cast<int64_t>((i + 3) * rows.cols);
          EXPECT_EQ(std::max_element(row, row + rows.cols) - row, tokens[i]) << what << " " << i;
        }
      }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, Bitwise, testing::Values("int8", "int4", "int4:g64,asym"), [](const auto &info) {
      std::string name = info.param;
      std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
      return name;
    });

} // namespace
} // namespace quern::conformance
