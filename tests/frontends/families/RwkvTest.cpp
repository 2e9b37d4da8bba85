// What RWKV's configs may leave out and may not say. (The goldens hold what they compute.)
#include "frontends/Import.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

auto at(const std::string &where, const std::string &what) {
  return AllOf(Field(&Problem::where, HasSubstr(where)), Field(&Problem::what, HasSubstr(what)));
}

class Rwkv : public testing::Test {
protected:
  /// Of a config alone, its weights made up.
  std::vector<Problem> problems(const json &config) {
    folder_.write_config(config);
    return check_model(folder_.path("config.json"), {.synthetic = 1});
  }
  uint64_t hash(const json &config) {
    folder_.write_config(config);
    auto model = import_model(folder_.path("config.json"), {.synthetic = 1}, context_);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? model->source_hash : 0;
  }

  ModelFolder folder_;
  mlir::MLIRContext context_;
};

// Tests the defaults of the configuration classes, on models of two layers.
TEST_F(Rwkv, HasItsClassesDefaults) {
  const json seven = {{"model_type", "rwkv7"}, {"num_hidden_layers", 2}, {"hidden_size", 128}};
  json said = seven;
  said.update({{"vocab_size", 32000},
               {"head_dim", 64},
               {"intermediate_size", 512},
               {"decay_low_rank_dim", 64},
               {"gate_low_rank_dim", 128},
               {"a_low_rank_dim", 64},
               {"v_low_rank_dim", 16},
               {"norm_eps", 1e-5},
               {"fuse_norm", true}});
  EXPECT_EQ(hash(seven), hash(said));
  json other = said;
  other["head_dim"] = nullptr;
  other["num_heads"] = 2;
  EXPECT_EQ(hash(other), hash(said));
  // Ranks that layers work out of their width: sqrt(128) is 11.3, and the least is 32.
  json worked_out = said;
  for (const auto &[key, rank] :
       {std::pair("decay_low_rank_dim", 32), std::pair("gate_low_rank_dim", 64),
        std::pair("a_low_rank_dim", 32), std::pair("v_low_rank_dim", 32)}) {
    said[key] = rank;
    worked_out[key] = nullptr;
  }
  EXPECT_EQ(hash(worked_out), hash(said));

  const json six = {{"model_type", "rwkv6"}, {"num_hidden_layers", 2}, {"hidden_size", 128}};
  said = six;
  said.update({{"vocab_size", 65536},
               {"attention_hidden_size", 128},
               {"head_size", 64},
               {"head_size_divisor", 8},
               {"intermediate_size", 448},
               {"layer_norm_epsilon", 1e-5},
               {"rescale_every", 6}});
  EXPECT_EQ(hash(six), hash(said));
  said["rescale_every"] = 1;
  EXPECT_NE(hash(six), hash(said));
}

TEST_F(Rwkv, SaysWhatItDoesNotKnow) {
  const json seven = read_golden("rwkv7")["config"];
  const auto changed = [&](json config, const char *key, const json &value) {
    config[key] = value;
    return problems(config);
  };
  EXPECT_THAT(problems(seven), IsEmpty());
  for (const json &config : {seven, read_golden("names/rwkv6-fla")["config"]}) {
    EXPECT_THAT(changed(config, "attn", {{"layers", {1}}}), ElementsAre(at("attn", "attention")));
    EXPECT_THAT(changed(config, "hidden_act", "relu"), ElementsAre(at("hidden_act", "'relu'")));
  }
  EXPECT_THAT(changed(seven, "head_dim", 7), ElementsAre(at("head_dim", "do not divide 24")));
  EXPECT_THAT(changed(seven, "value_dim", 25), ElementsAre(at("attn", "are not 3 heads")));
  EXPECT_THAT(changed(read_golden("rwkv6")["config"], "head_size", 7),
              ElementsAre(at("head_size", "do not divide 24")));
}

// Tests that an older RWKV-5, whose heads have a decay each, is not taken for a later one.
TEST_F(Rwkv, KnowsTheGenerationByItsTensors) {
  json golden = read_golden("names/rwkv5-package");
  for (int i = 0; i < 3; ++i)
    golden["tensors"]["blocks." + std::to_string(i) + ".att.time_decay"]["shape"] = {3, 1};
  folder_.write_config(golden["config"]);
  folder_.write_tensors(golden["tensors"]);
  EXPECT_THAT(check_model(folder_.path()),
              testing::Contains(at("blocks.0.att.time_decay", "one number for each head")));
}

} // namespace
} // namespace quern
