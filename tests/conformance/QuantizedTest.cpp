// Tests that quantized checkpoints compile with their own codes: the formats that an artifact says
// it has, and logits that are transformers' but for what integer activations cost.
#include "tests/conformance/Programs.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include <cmath>
#include <map>

namespace quern::conformance {
namespace {

struct Case {
  const char *golden;
  const char *format; ///< of the weights that are quantized; f32: their codes are expanded
};

class Quantized : public testing::TestWithParam<Case> {
  SharedCache cache_;
};

TEST_P(Quantized, KeepsItsCodes) {
  const auto golden = read_golden(GetParam().golden);
  const std::string format = GetParam().format;
  const ModelFolder model;
  model.write_config(golden["config"]);
  model.write_tensors(golden["tensors"]);
  const std::string artifact = model.path("m.quern");
  const Result compiled =
      done("quern", {"compile", model.path(), "-o", artifact, "--variant", "native", "--remarks"});
  std::map<std::string, int64_t> tensors;
  const auto inspected = done("quern", {"inspect", artifact, "--json"}).json();
  for (const auto &entry : inspected["formats"])
    tensors[entry["format"]] += entry["tensors"].get<int64_t>();
  EXPECT_GT(tensors[format], 0) << nlohmann::json(tensors);
  const bool expanded = format == "f32";
  // What they take in the files and packed is said, by format.
  EXPECT_NE(compiled.err.find(" packed as " + format + " ("), std::string::npos) << compiled.err;
  EXPECT_NE(done("quern", {"plan", model.path()}).err.find(" packed as " + format + " ("),
            std::string::npos);
  EXPECT_NE(done("quern", {"check", model.path()}).err.find(" packed as " + format + " ("),
            std::string::npos);
  EXPECT_EQ(expanded, compiled.err.find("no packing holds its codes") != std::string::npos)
      << compiled.err;

  const auto tokens = golden["tokens"].get<std::vector<int32_t>>();
  const std::vector<float> got = logits(artifact, tokens).values;
  double sum = 0, squares = 0, error = 0;
  size_t i = 0;
  for (const auto &row : golden["logits"])
    for (const double want : row) {
      ASSERT_LT(i, got.size());
      sum += want;
      squares += want * want;
      const double off = static_cast<double>(got[i++]) - want;
      error += off * off;
    }
  ASSERT_EQ(i, got.size());
  const auto n = static_cast<double>(i);
  const double deviation = std::sqrt(squares / n - sum / n * (sum / n));
  // Floats only add in another order. Integer weights are multiplied with activations of eight
  // bits, which models of 64 channels show at its largest: 1 to 5 % are measured. (That the weights
  // themselves are exact is shown by the goldens in the interpreter and by --quant f32.)
  const bool floats = expanded || format == "bf16";
  EXPECT_LT(std::sqrt(error / n), (floats ? 1e-4 : 0.1) * deviation);
  done("quern-run", {"verify", "-m", artifact});
}

// Tests that the config alone is planned as the folder is, and both as the artifact is.
TEST_P(Quantized, IsPlannedExactly) {
  auto golden = read_golden(GetParam().golden);
  make_uniform(golden);
  const ModelFolder model;
  model.write_config(golden["config"]);
  model.write_tensors(golden["tensors"]);
  const Result alone = done("quern", {"plan", model.path("config.json"), "--json"});
  EXPECT_NE(alone.err.find("note: this plan is of the config alone"), std::string::npos)
      << alone.err;
  const std::string artifact = model.path("m.quern");
  done("quern", {"compile", model.path(), "-o", artifact, "--variant", "native", "-q"});
  const auto inspected = done("quern", {"inspect", artifact, "--json"}).json()["plan"];
  const auto folder = done("quern", {"plan", model.path(), "--json"}).json();
  for (const char *key : {"weights", "arena", "state_per_slot", "state_per_token"}) {
    EXPECT_EQ(alone.json()[key], inspected[key]) << key;
    EXPECT_EQ(folder[key], inspected[key]) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Quantized,
    testing::Values(
        Case{"llama-gptq", "int4:g32:sym"}, Case{"llama-gptq-asym", "int4:g32:asym:f32"},
        Case{"llama-gptq-act-order", "f32"}, Case{"llama-gptq-8bit", "int8:row:sym:f32"},
        Case{"llama-gptq-8bit-asym", "int8:asym:f32"}, Case{"llama-gptq-3bit", "int4:g32:sym"},
        Case{"llama-gptq-f32", "int8:sym:f32"}, Case{"gpt2-gptq", "int4:g32:sym"},
        Case{"llama-awq", "int4:g32:asym:f32"}, Case{"llama-ct-int4", "int4:g32:sym:f32"},
        Case{"llama-ct-int4-asym", "int4:g128:asym:f32"}, Case{"llama-ct-int8", "int8:row:sym:f32"},
        Case{"llama-bnb", "f32"}, Case{"llama-bnb-plain-absmax", "f32"}, Case{"llama-fp8", "f32"},
        Case{"llama-fp8-powers", "bf16"}),
    [](const auto &info) {
      std::string name = info.param.golden;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

} // namespace
} // namespace quern::conformance
