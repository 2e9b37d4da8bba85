// Tests `quern` as a process: what INTERFACE promises of its verbs.
#include "tests/conformance/Driver.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

namespace quern::conformance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Driver, PlanIsWhatInspectSaysAndWhatTheProcessUses) {
  for (const auto &[quant, ctx, slots, windows] :
       {std::tuple{"f32", "512", "1", false}, std::tuple{"int4", "100", "4", false},
        std::tuple{"int8", "500", "3", true}}) {
    folder_.write("config.json", (windows ? small_ministral() : small_llama()).dump());
    done("quern", compile({"--quant", quant, "-c", ctx}));
    const auto plan = done("quern", {"plan", config_, "--synthetic", "5", "--quant", quant, "-c",
                                     ctx, "--slots", slots, "--json"})
                          .json();
    const auto inspect = done("quern", {"inspect", artifact_, "--json"}).json()["plan"];
    const auto memory =
        done("quern-run", {"run", "-m", artifact_, "--tokens", "5,6,7", "-n", "4", "-c", ctx,
                           "--slots", slots, "--temp", "0", "--ignore-eos", "--json"})
            .json()["memory"];
    for (const char *key : {"weights", "arena", "state_per_slot", "state_per_token", "kv_groups"})
      EXPECT_EQ(plan[key], inspect[key]) << key;
    for (const char *key : {"weights", "arena"})
      EXPECT_EQ(plan[key], memory[key]) << key;
    EXPECT_EQ(plan["total"].get<int64_t>() - plan["weights"].get<int64_t>() -
                  plan["arena"].get<int64_t>() - plan["code"].get<int64_t>(),
              memory["state"].get<int64_t>());
    EXPECT_LE(plan["arena"].get<double>(), 1.01 * plan["arena_bound"].get<double>());
  }
}

// Tests that checkpoints are planned from a budget, and that plan, inspect and the process say the
// same of them.
TEST_F(Driver, PlanOfCheckpointsIsWhatTheProcessTakes) {
  folder_.write("config.json", small_mamba2().dump());
  done("quern", compile({"-c", "8192"}));
  const auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"plan", config_, "--synthetic", "5", "-c", "8192", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return done("quern", args).json();
  };
  // Of each of two layers 12 heads of 24 x 16 floats, and 3 positions of 192 + 2 * 2 * 24 channels.
  constexpr int64_t kSlot = 2 * 4 * (12 * 24 * 16 + 3 * 288);
  const auto none = plan({});
  EXPECT_EQ(none["state_per_slot"], kSlot);
  EXPECT_EQ(none["checkpoints"], 0);
  EXPECT_EQ(
      none["checkpoint"],
      nlohmann::json({{"bytes", kSlot}, {"a_slot", 0}, {"spacing", 0}, {"recomputed", nullptr}}));
  const std::string budget = std::to_string(16 * kSlot);
  const auto planned = plan({"--checkpoints", budget});
  EXPECT_EQ(
      planned["checkpoint"],
      nlohmann::json({{"bytes", kSlot}, {"a_slot", 16}, {"spacing", 512}, {"recomputed", 511}}));
  EXPECT_EQ(planned["checkpoints"], 16 * kSlot);
  EXPECT_EQ(planned["total"].get<int64_t>() - none["total"].get<int64_t>(), 16 * kSlot);
  EXPECT_EQ(plan({"--checkpoints", budget, "--slots", "2"})["checkpoint"]["spacing"], 1024);
  const auto inspect =
      done("quern", {"inspect", artifact_, "--json", "--checkpoints", budget}).json()["plan"];
  for (const char *key : {"checkpoint", "checkpoints", "state_per_slot"})
    EXPECT_EQ(inspect[key], planned[key]) << key;
  const auto memory = done("quern-run", {"run", "-m", artifact_, "--tokens", "5,6,7", "-n", "1",
                                         "--checkpoints", budget, "--json"})
                          .json()["memory"];
  EXPECT_EQ(memory["checkpoints"], planned["checkpoints"]);
  EXPECT_THAT(
      done("quern", {"plan", config_, "--synthetic", "5", "-c", "8192", "--checkpoints", budget})
          .out,
      HasSubstr("16, one every 512 tokens and 1 marked: an edit recomputes at most 511 tokens "
                "before it"));
  const Result refused =
      call("quern", {"plan", config_, "--synthetic", "5", "--checkpoints", "1000", "--json"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("error: --checkpoints 1000 has no room for one of each slot"));
}

// Tests that a layer with a sliding window takes what a step of its window takes, whatever the
// context, and that a context that would fit is named by what grows.
TEST_F(Driver, PlanOfWindowsDoesNotGrowWithTheContext) {
  folder_.write("config.json", small_ministral().dump());
  auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"plan",         config_, "--synthetic", "5",
                                     "--max-tokens", "16",    "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return done("quern", args).json();
  };
  // Of 2 kv heads of 16, keys and values: 256 bytes a position in float32, 16 KiB a page. 20 + 16 -
  // 1 positions touch at most 2 pages.
  constexpr int64_t kPage = 16384;
  for (const char *ctx : {"128", "300", "512"}) {
    const auto json = plan({"-c", ctx, "--slots", "3"});
    EXPECT_EQ(json["state_per_slot"], 2 * 2 * kPage) << ctx;
    EXPECT_EQ(json["state_per_token"], kPage / 64) << ctx;
    const int64_t pages = (std::stoi(ctx) + 63) / 64;
    EXPECT_EQ(
        json["kv_groups"],
        nlohmann::json::array(
            {{{"layers", 2}, {"window", 20}, {"page_bytes", 2 * kPage}, {"pages_per_slot", 2}},
             {{"layers", 1}, {"window", 0}, {"page_bytes", kPage}, {"pages_per_slot", pages}}}));
    EXPECT_EQ(json["total"].get<int64_t>() - json["weights"].get<int64_t>() -
                  json["arena"].get<int64_t>() - json["code"].get<int64_t>(),
              3 * (2 * 2 + pages) * kPage);
  }
  EXPECT_EQ(plan({"-c", "20"})["state_per_slot"], 0) << "a window as long as the context is none";
  const int64_t total = plan({"-c", "256"})["total"];
  const Result result = call("quern", {"plan", config_, "--synthetic", "5", "--max-tokens", "16",
                                       "--memory", std::to_string(total)});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("hint: -c 256 would fit"));
  EXPECT_THAT(result.out, HasSubstr("2 layers with a window of 20: 2 pages a slot"));
}

TEST_F(Driver, PlanRefusesWhatDoesNotFitAndSaysWhatWould) {
  const Result result =
      call("quern", {"plan", config_, "--synthetic", "5", "--memory", "1M", "--json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("\nerror: needs ")); // after the notes
  EXPECT_THAT(result.err, HasSubstr("hint: "));
}

TEST_F(Driver, TheSameInputGivesTheSameBytes) {
  done("quern", compile({"-j", "1"}));
  const std::string first = folder_.read("m.quern");
  done("quern", compile({"-j", "3"}));
  EXPECT_TRUE(first == folder_.read("m.quern"));
  EXPECT_EQ(first.find(folder_.path()), std::string::npos) << "a path of this machine is in it";
}

TEST_F(Driver, VerifyHoldsAndFindsAChangedByte) {
  for (const char *quant : {"f32", "int8", "int4"}) {
    done("quern", compile({"--quant", quant}));
    done("quern-run", {"verify", "-m", artifact_});
  }
  std::string bytes = folder_.read("m.quern");
  bytes[bytes.size() / 2] ^= 4;
  folder_.write("m.quern", bytes);
  expect_refused(call("quern-run", {"verify", "-m", artifact_}));
}

TEST_F(Driver, WrongUsageNamesTheNearest) {
  Result result = call("quern", {"complie", config_});
  expect_refused(result, 2);
  EXPECT_THAT(result.err, HasSubstr("compile"));
  result = call("quern", compile({"--qunat", "int4"}));
  expect_refused(result, 2);
  EXPECT_THAT(result.err, HasSubstr("--quant"));
  result = call("quern", compile({"--variant", "x86-64-v5"}));
  expect_refused(result, 2);
  EXPECT_THAT(result.err, HasSubstr("x86-64-v"));
  for (const std::vector<std::string> &more : {std::vector<std::string>{"--quant", "int7"},
                                               {"--to", "fuze"},
                                               {"--max-tokens", "0"},
                                               {"--max-seqs", "17", "--max-tokens", "16"},
                                               {"--synthetic", "x"},
                                               {"--target", "tpu"}})
    expect_refused(call("quern", compile(more)), 2);
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"compile x", "no output is given"},
      {"compile -o y", "no model is given"},
      {"compile x y -o z", "more than one model"},
      {"compile x -o", "-o needs a value"},
      {"compile x -o y -j -1", "-j takes 1 to"},
      {"compile x -o y -j 99999", "-j takes 1 to"},
      {"compile x -o y -c -1", "-c takes a whole number of 0 or more"},
      {"compile x -o y -c 99999999999999999999", "-c takes a whole number"},
      {"compile x -o y --max-tokens 99999999", "--max-tokens takes 1 to"},
      {"compile x -o y --max-seqs nan", "--max-seqs takes a whole number"},
      {"compile x -o y --synthetic -1", "--synthetic takes a whole number"},
      {"compile x -o y --without fuse-everything", "--without fuse-everything: no such fusion"},
      {"compile x -o y --ignore-keys a,,b", "--ignore-keys a,,b: a key without a name"},
      {"plan x --without fuse-rows,", "--without : no such fusion"},
      {"compile x -o y --quiet=1", "--quiet takes no value"},
      {"compile x -o y --target gpu", "--target gpu: no such target\nhint: did you mean cuda?"},
      {"compile x -o y --target cpu,cuda --variant sm_70", "--variant sm_70: no such variant"},
      {"compile x -o y --variant h100", "--variant h100: is one of the target cuda"},
      {"check x --target cuda --variant amx", "--variant amx: is one of the target cpu"},
      {"plan x --target gpu", "--target gpu: no such target"},
      {"check", "no model is given"},
      {"check x y", "more than one model"},
      {"check x --synthetic y", "--synthetic takes a whole number"},
      {"check x --slots 2", "unknown flag --slots"},
      {"check x --quant f31", "--quant f31: no such format"},
      {"plan", "no model is given"},
      {"plan x --slots 0", "--slots takes 1 to"},
      {"plan x --slots 9999999", "--slots takes 1 to"},
      {"plan x --memory much", "--memory takes a number of bytes"},
      {"inspect", "no file is given"},
      {"inspect x --svg", "--svg needs a value"},
      {"inspect x --kernel", "did you mean --kernels?"},
      {"eval -m x", "--text is missing"},
      {"eval -m x --text y -t -1", "-t takes 1 to"},
      {"run -m x --tokens y", "'y' is not a token id"},
      {"serve", "unknown verb 'serve'"},
      {"inspcet x", "did you mean inspect?"},
  };
  for (const auto &[line, error] : mistakes) {
    std::istringstream words(line);
    const Result mistake = call(
        "quern", {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()});
    expect_refused(mistake, 2);
    EXPECT_THAT(mistake.err, HasSubstr(error)) << line;
    EXPECT_THAT(mistake.err, HasSubstr("\nhint: ")) << line;
  }
  EXPECT_THAT(folder_.names(), ElementsAre("config.json"));
}

TEST_F(Driver, WhatCannotBeDoneIsSaidAndLeavesNothing) {
  expect_refused(call("quern", {"compile", folder_.path("none.gguf"), "-o", artifact_}));
  expect_refused(call("quern", {"compile", config_, "--synthetic", "1", "-o", "/nonexistent/x"}));
  expect_refused(call("quern", {"compile", config_, "--synthetic", "1", "-o", folder_.path()}));
  expect_refused(call("quern", {"compile", config_, "--synthetic", "1", "-o", config_}));
  expect_refused(call("quern", compile({"--variant", "h100"})), 2);
  expect_refused(call("quern", compile({"-c", "999999999999"})));
  expect_refused(call("quern", {"inspect", config_}));
  EXPECT_THAT(folder_.names(), ElementsAre("config.json"));
  EXPECT_EQ(folder_.read("config.json"), small_llama().dump());
}

TEST_F(Driver, CheckListsEveryProblem) {
  EXPECT_EQ(done("quern", {"check", config_, "--synthetic", "1", "--json"}).json()["ok"], true);
  auto config = small_llama();
  config["num_attention_heads"] = 7;
  config["hidden_act"] = "wavelet";
  folder_.write("config.json", config.dump());
  const Result result = call("quern", {"check", config_, "--synthetic", "1", "--json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.json()["ok"], false);
  EXPECT_GE(result.json()["problems"].size(), 2u) << result.out;
  EXPECT_THAT(call("quern", {"check", config_, "--synthetic", "1"}).out, HasSubstr("wavelet"));
}

// Tests that one look finds what is wrong in every file of a model, and in every part of it.
TEST_F(Driver, CheckLooksEverywhere) {
  auto config = small_llama();
  config["num_hidden_layers"] = 1;
  config["hidden_act"] = "wavelet";
  config["spinor_width"] = 3;
  folder_.write("config.json", config.dump());
  folder_.write("tokenizer.json", R"({"model": {"type": "Trigram"}})");
  const auto layer = [](const char *name) {
    return std::string("model.layers.0.") + name + ".weight";
  };
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors = {
      {"model.embed_tokens.weight", {211, 96}}, {"model.norm.weight", {96}},
      {layer("input_layernorm"), {96}},         {layer("post_attention_layernorm"), {96}},
      {layer("self_attn.q_proj"), {96, 96}},    {layer("self_attn.k_proj"), {32, 96}},
      {layer("self_attn.v_proj"), {96, 32}}, // the wrong way round
      {layer("self_attn.o_proj"), {96, 96}},    {layer("mlp.gate_proj"), {160, 96}},
      {layer("mlp.down_proj"), {96, 160}}}; // and no up_proj
  nlohmann::json header;
  int64_t end = 0;
  for (const auto &[name, shape] : tensors) {
    int64_t bytes = 4;
    for (const int64_t n : shape)
      bytes *= n;
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  const std::string weights = std::string(reinterpret_cast<const char *>(&length), 8) + text +
                              std::string(static_cast<size_t>(end), '\0');
  folder_.write("model.safetensors", weights);
  const auto problems = [&] {
    const Result result = call("quern", {"check", folder_.path(), "--json"});
    EXPECT_EQ(result.code, 1);
    std::map<std::string, std::string> what;
    const auto json = result.json();
    for (const auto &problem : json["problems"])
      what[problem["where"]] = problem["what"];
    return what;
  };
  std::map<std::string, std::string> found = problems();
  EXPECT_EQ(found.size(), 5u) << testing::PrintToString(found);
  EXPECT_THAT(found["hidden_act"], HasSubstr("wavelet"));
  EXPECT_TRUE(found.contains("spinor_width"));
  EXPECT_THAT(found["tokenizer"], HasSubstr("Trigram"));
  EXPECT_THAT(found[layer("self_attn.v_proj")], HasSubstr("[32, 96]"));
  EXPECT_THAT(found[layer("mlp.up_proj")], HasSubstr("missing"));

  // A file that cannot be read at all hides nothing of the others.
  folder_.write("model.safetensors", weights.substr(0, weights.size() - 1));
  found = problems();
  EXPECT_TRUE(found.contains("spinor_width") && found.contains("tokenizer"));
  EXPECT_TRUE(found.contains(folder_.path("model.safetensors")));
  folder_.write("config.json", "{");
  found = problems();
  EXPECT_EQ(found.size(), 3u) << testing::PrintToString(found);
  EXPECT_THAT(found[config_], HasSubstr("not valid JSON"));
  for (const char *name :
       {"tokenizer_config.json", "generation_config.json", "special_tokens_map.json"})
    folder_.write(name, "{\"eos_token\": \"</s");
  found = problems();
  EXPECT_EQ(found.size(), 6u) << testing::PrintToString(found);
  EXPECT_THAT(found[folder_.path("generation_config.json")], HasSubstr("not valid JSON"));
}

TEST_F(Driver, CodeFromTheCacheIsTheSame) {
  const std::string cache = folder_.path("cache");
  const auto compiled = [&](std::vector<std::string> flags) {
    const Result result = done("quern", compile(std::move(flags)));
    return std::pair(folder_.read("m.quern"), result.err);
  };
  const std::string expected = compiled({}).first;
  ASSERT_FALSE(expected.empty());
  EXPECT_FALSE(std::filesystem::exists(cache));

  ASSERT_EQ(setenv("QUERN_CACHE", cache.c_str(), 1), 0);
  compiled({"--no-cache"});
  EXPECT_FALSE(std::filesystem::exists(cache));
  const auto [cold, cold_said] = compiled({"--timing"});
  EXPECT_TRUE(cold == expected);
  EXPECT_THAT(cold_said, HasSubstr(": optimization"));
  const auto [warm, warm_said] = compiled({"--timing"});
  EXPECT_TRUE(warm == expected);
  EXPECT_THAT(warm_said, HasSubstr("from the cache"));
  EXPECT_THAT(warm_said, Not(HasSubstr("optimization")));

  // Where it cannot be used, it is not.
  std::filesystem::remove_all(cache);
  folder_.write("cache", "a file");
  EXPECT_TRUE(compiled({}).first == expected);
  setenv("QUERN_CACHE", "off", 1);
}

TEST_F(Driver, EmitDirHasEveryStep) {
  const Result compiled =
      done("quern", compile({"--emit-dir", folder_.path("steps"), "--timing", "--remarks",
                             "--quant-report", folder_.path("report.json"), "--quant", "int4"}));
  EXPECT_THAT(compiled.err, HasSubstr("merged 3 linears of one input"));
  const std::string names = [&] {
    std::string all;
    for (const auto &entry : std::filesystem::directory_iterator(folder_.path("steps")))
      all += entry.path().filename().string() + " ";
    return all;
  }();
  for (const char *name :
       {"01-import.mlir", "02-raise.mlir", "03-normalize.mlir", "04-fuse.mlir", "05-quantize.mlir",
        "06-schedule.mlir", "07-plan.mlir", "08-order.mlir", ".ll", ".s "})
    EXPECT_THAT(names, HasSubstr(name));
  const auto report = nlohmann::json::parse(folder_.read("report.json"));
  EXPECT_FALSE(report["weights"].empty());
  double bytes = 0, elements = 0;
  for (const auto &weight : report["weights"]) {
    bytes += weight["bytes"].get<double>();
    elements += 8 * weight["bytes"].get<double>() / weight["bits_per_weight"].get<double>();
    // What int8 would be, of what has less: twice the bytes, but for scales, and a tenth of the
    // error.
    ASSERT_EQ(weight.contains("int8"), weight["format"] == "int4") << weight;
    if (weight.contains("int8")) {
      EXPECT_GT(weight["int8"]["bytes"], weight["bytes"].get<double>() * 1.5) << weight;
      EXPECT_GT(weight["int8"]["relative_error"], 0) << weight;
      EXPECT_LT(weight["int8"]["relative_error"], weight["relative_error"].get<double>() / 10)
          << weight;
    }
  }
  EXPECT_NEAR(report["bits_per_weight"], 8 * bytes / elements, 1e-6);
}

// Tests that code for tiles is made on any machine, alone or among all variants, and that where it
// cannot run the runtime says what is missing and takes another.
TEST_F(Driver, AmxIsCompiledAnywhereAndChosenWhereItRuns) {
  const auto held = [&] {
    return done("quern-run", {"devices", "-m", artifact_, "--json"}).json();
  };
  done("quern", {"compile", config_, "-o", artifact_, "-q", "--synthetic", "5", "--variant", "amx",
                 "--quant", "int4"});
  const auto alone = held();
  ASSERT_EQ(alone["variants"].size(), 1u);
  const auto &amx = alone["variants"][0];
  EXPECT_EQ(amx["name"], "amx");
  const Result run = call("quern-run", {"run", "-m", artifact_, "--tokens", "5,6,7", "-n", "2",
                                        "--temp", "0", "--ignore-eos"});
  if (amx["usable"] == true) {
    EXPECT_EQ(run.code, 0) << run.err;
  } else {
    EXPECT_THAT(amx["why"],
                HasSubstr("amx-tile, amx-int8, amx-bf16, which this CPU does not have"));
    expect_refused(run);
    EXPECT_THAT(run.err, HasSubstr("amx-tile"));
  }

  done("quern", {"compile", config_, "-o", artifact_, "-q", "--synthetic", "5"});
  const auto all = held();
  std::vector<std::string> names;
  for (const auto &variant : all["variants"])
    names.push_back(variant["name"]);
  EXPECT_THAT(names, ElementsAre("amx", "x86-64-v4", "x86-64-v3"));
  EXPECT_EQ(all["chosen"] == "amx", amx["usable"] == true);
}

TEST_F(Driver, ToStopsAtAPhaseAndPrintsIt) {
  for (const char *phase : {"import", "fuse", "plan", "order"}) {
    const Result result =
        done("quern", {"compile", config_, "--synthetic", "1", "--to", phase, "-q"});
    EXPECT_THAT(result.out, HasSubstr("func.func @step")) << phase;
  }
}

TEST_F(Driver, InspectHasTheKeysThatScriptsRead) {
  done("quern", compile({"--quant", "int8"}));
  const auto json = done("quern", {"inspect", artifact_, "--json"}).json();
  for (const char *key : {"plan", "entries", "variants", "formats", "kernels", "state", "proof"})
    EXPECT_TRUE(json.contains(key)) << key;
  for (const char *key : {"weights", "arena", "arena_bound", "state_per_slot", "state_per_token",
                          "slots", "ctx", "code", "total"})
    EXPECT_TRUE(json["plan"][key].is_number()) << key;
  EXPECT_GT(json["formats"].size(), 0u);
  EXPECT_EQ(json["synthetic"], true);
  const Result table = done(
      "quern", {"inspect", artifact_, "--kernels", "--plan", "--svg", folder_.path("plan.svg")});
  EXPECT_THAT(table.out, HasSubstr("SYNTHETIC"));
  EXPECT_THAT(folder_.read("plan.svg"), StartsWith("<svg"));
}

TEST_F(Driver, VerbsOfTheRuntimeAreHandedOver) {
  done("quern", compile());
  const std::vector<std::string> args = {"run", "-m", artifact_, "--tokens", "5,6",
                                         "-n",  "3",  "--temp",  "0",        "--json"};
  EXPECT_EQ(done("quern", args).json()["tokens"], done("quern-run", args).json()["tokens"]);
}

TEST_F(Driver, HelpFitsAScreenAndEndsWithAnExample) {
  for (const char *verb : {"compile", "check", "plan", "inspect"}) {
    const Result result = done("quern", {verb, "-h"});
    EXPECT_LE(std::count(result.out.begin(), result.out.end(), '\n'), 24) << verb;
    EXPECT_THAT(result.out, HasSubstr(std::string("example: quern ") + verb));
  }
  EXPECT_THAT(done("quern", {"--version"}).out, HasSubstr("LLVM 22"));
}

} // namespace
} // namespace quern::conformance
