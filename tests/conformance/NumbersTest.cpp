// Tests what is said of models whose numbers are out of the ordinary: when they are compiled, by
// name; by `verify` and `run` where they run. Never wrong in silence, never the machine's fault.
#include "tests/conformance/Programs.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace quern::conformance {
namespace {

using testing::HasSubstr;
using testing::Not;

const char kUp[] = "model.layers.1.mlp.up_proj.weight";
const std::vector<int32_t> kTokens = {3, 1, 4, 1, 5};

class Numbers : public testing::Test {
protected:
  Numbers() : golden_(read_golden("qwen2")), tensors_(golden_["tensors"]) {}

  /// A tensor's numbers, to be changed.
  std::vector<float> numbers(const std::string &name) const {
    const std::string bytes = golden_bytes(name, tensors_[name]);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  void set(const std::string &name, const std::vector<float> &values) {
    tensors_[name] = {{"shape", tensors_[name]["shape"]}, {"values", values}};
  }
  void scale(const std::string &name, float factor) {
    std::vector<float> values = numbers(name);
    for (float &value : values)
      value *= factor;
    set(name, values);
  }

  Result compile(const std::vector<std::string> &flags) const {
    model_.write_config(golden_["config"]);
    model_.write_tensors(tensors_);
    std::vector<std::string> args = {"compile",  model_.path(), "-o",
                                     artifact(), "--variant",   "native"};
    args.insert(args.end(), flags.begin(), flags.end());
    return call("quern", args);
  }
  std::string artifact() const { return model_.path("m.quern"); }

  nlohmann::json golden_, tensors_;
  ModelFolder model_;
  SharedCache cache_; // the code does not depend on the numbers
};

TEST_F(Numbers, NothingIsSaidOfOrdinaryOnes) {
  for (const char *quant : {"keep", "int8", "int4", "int4:g32:sym", "f16"})
    EXPECT_THAT(compile({"--quant", quant}).err, Not(HasSubstr("_proj"))) << quant;
}

TEST_F(Numbers, WeightsThatAreNoNumbersAreNamed) {
  std::vector<float> up = numbers(kUp);
  up[24 * 3 + 5] = NAN;
  up[24 * 7] = INFINITY;
  set(kUp, up);
  const Result kept = compile({"--quant", "keep"});
  EXPECT_EQ(kept.code, 0) << kept.err;
  const std::string found = std::string(kUp) + ": 2 of its 960 elements are not finite, the first, "
                                               "[3, 5], is NaN";
  EXPECT_THAT(kept.err, HasSubstr("note: " + found));
  EXPECT_THAT(kept.err, HasSubstr("the reference logits are not finite at 3 of 3 positions"));
  const auto proof = done("quern", {"inspect", artifact(), "--json"}).json()["proof"];
  EXPECT_THAT(proof["notes"][0].get<std::string>(), HasSubstr(found));

  const Result verified = done("quern-run", {"verify", "-m", artifact()});
  EXPECT_THAT(verified.err, HasSubstr(found));
  EXPECT_THAT(verified.out, HasSubstr("not this machine"));
  const Result ran = call("quern-run", {"run", "-m", artifact(), "--tokens", "3,1", "-n", "1"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr(found));
  EXPECT_THAT(ran.err, HasSubstr("hint: "));
  EXPECT_THAT(
      done("quern-run", {"logits", "-m", artifact(), "--tokens", "3,1", "-o", model_.path("l.npy")})
          .err,
      HasSubstr("note: the logits of 2 of 2 positions are not finite"));

  const Result quantized = compile({"--quant", "int8"});
  EXPECT_EQ(quantized.code, 1);
  EXPECT_THAT(quantized.err, HasSubstr(std::string(kUp) + ", row 3: element 5 is nan"));
  EXPECT_THAT(quantized.err, HasSubstr("\nhint: --quant keep"));
}

TEST_F(Numbers, TensorsAndNormsOfZerosAreNamed) {
  scale("model.norm.weight", 0);
  scale(kUp, 0);
  scale("model.layers.0.self_attn.q_proj.bias", 0);
  for (const char *quant : {"keep", "int8", "int4"}) {
    const Result result = compile({"--quant", quant});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("note: model.norm.weight: all of its 24 elements are zero"));
    EXPECT_THAT(result.err, HasSubstr(std::string("note: ") + kUp + ": all of its 960 elements"));
    EXPECT_THAT(result.err, Not(HasSubstr("bias")));
    done("quern-run", {"verify", "-m", artifact()});
  }
}

// Tests that a tensor that f16 scales cannot follow is refused by name, beside others that it is
// packed with, and held by formats that can.
TEST_F(Numbers, NoFormatRoundsATensorAway) {
  scale(kUp, 1e-9f);
  for (const char *quant : {"int8", "int4:g32:sym", "int4:g64:asym", "f16"}) {
    const Result result = compile({"--quant", quant});
    EXPECT_EQ(result.code, 1) << quant;
    EXPECT_THAT(result.err, HasSubstr(std::string("error: ") + kUp)) << quant;
    EXPECT_THAT(result.err, HasSubstr("would lose 100 % of it")) << quant;
    EXPECT_THAT(result.err, HasSubstr("\nhint: --quant bf16")) << quant;
    EXPECT_FALSE(std::filesystem::exists(artifact()));
  }
  for (const char *quant : {"int4", "bf16", "keep"}) {
    const Result result = compile({"--quant", quant});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, Not(HasSubstr(kUp))) << quant;
  }
  scale(kUp, 1e18f); // 1e9 times what it was
  EXPECT_EQ(compile({"--quant", "int4"}).code, 0);
  const Result large = compile({"--quant", "int8"});
  EXPECT_EQ(large.code, 1);
  EXPECT_THAT(large.err, HasSubstr(kUp));
  EXPECT_THAT(large.err, HasSubstr("beyond what an f16 scale can reach"));
}

// Tests that keys beyond f16 do not make every answer NaN: they are stored as the largest number,
// which is noted, in every kind of kv state the same as the interpreter says.
TEST_F(Numbers, KeysBeyondTheirFormatAreItsLargest) {
  const std::string bias = "model.layers.1.self_attn.k_proj.bias";
  std::vector<float> values = numbers(bias);
  values[1] = 70000;
  set(bias, values);
  for (const char *kv : {"auto", "f16", "bf16", "int8", "f32"}) {
    const Result result = compile({"--quant", "int8", "--kv", kv});
    EXPECT_EQ(result.code, 0) << result.err;
    const bool ends = std::string(kv) == "auto" || std::string(kv) == "f16";
    EXPECT_EQ(result.err.find("beyond what its format holds") != std::string::npos, ends) << kv;
    EXPECT_EQ(result.err.find("--kv bf16 keeps them") != std::string::npos, ends) << kv;
    for (const float logit : logits(artifact(), kTokens).values)
      ASSERT_TRUE(std::isfinite(logit)) << kv;
    EXPECT_EQ(logits(artifact(), kTokens), logits(artifact(), kTokens, {"--chunk", "1"})) << kv;
    done("quern-run", {"verify", "-m", artifact()});
  }
}

// Tests that keys and values that f16 rounds away are noted, with a kv state that keeps them.
TEST_F(Numbers, KeysTooSmallForTheirFormatAreNoted) {
  EXPECT_THAT(compile({"--quant", "int8"}).err, Not(HasSubstr("kv state")));
  for (const char *part : {"weight", "bias"})
    scale(std::string("model.layers.1.self_attn.k_proj.") + part, 1e-9f);
  for (const char *kv : {"f16", "bf16", "int8", "f32"}) {
    const Result result = compile({"--quant", "keep", "--kv", kv});
    EXPECT_EQ(result.code, 0) << result.err;
    const bool lost = std::string(kv) == "f16";
    EXPECT_EQ(result.err.find("so small that their format rounds") != std::string::npos, lost)
        << kv << result.err;
    EXPECT_EQ(result.err.find("--kv bf16 keeps them") != std::string::npos, lost) << kv;
    done("quern-run", {"verify", "-m", artifact()});
  }
}

// Tests that numbers that are finite, and whose squares float32 does not hold, are not put down to
// the machine, and named by the layer they are in: sums of squares in a norm, scores in attention.
TEST_F(Numbers, ProductsBeyondFloat32AreTheModels) {
  for (const bool norms : {true, false}) {
    tensors_ = golden_["tensors"];
    if (norms)
      scale("model.layers.0.mlp.down_proj.weight", 1e22f);
    else
      for (const char *part : {"q_proj.bias", "k_proj.bias"})
        scale(std::string("model.layers.1.self_attn.") + part, 1e25f);
    const Result result = compile({"--quant", "keep", "--kv", "f32"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err,
                HasSubstr(norms ? "note: quern.rms_norm (model.layers.1.input_layernorm)"
                                : "note: quern.attention (model.layers.1.self_attn)"));
    EXPECT_THAT(result.err, HasSubstr("beyond float32 (3.4e38)"));
    const Result verified = done("quern-run", {"verify", "-m", artifact()});
    EXPECT_THAT(verified.err, HasSubstr("beyond float32 (3.4e38)"));
    EXPECT_THAT(verified.out, HasSubstr("not this machine"));
  }
}

} // namespace
} // namespace quern::conformance
