// config.json as people have it: every name of a key, keys that change nothing, classes spelled in
// many ways, and what a user can pass over.
#include "frontends/Import.h"
#include "frontends/families/Aliases.h"
#include "frontends/families/Families.h"
#include "ir/quern/QuernDialect.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <tuple>

namespace quern {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const std::string kFolder = QUERN_SOURCE_DIR "/tests/frontends/families/";

std::string text_of(const std::string &path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Python's json module writes Infinity bare.
json parse_python(std::string text) {
  for (size_t at; (at = text.find(" Infinity")) != std::string::npos;)
    text.replace(at, 9, R"({"__float__": "Infinity"})");
  return json::parse(text);
}
json config_classes() { return parse_python(text_of(kFolder + "config_classes.json")); }
json published_configs() { return parse_python(text_of(kFolder + "published_configs.json")); }

std::string shown(const std::vector<Problem> &problems) {
  std::string text;
  for (const Problem &problem : problems)
    text += problem.where + ": " + problem.what + " (" + problem.hint + ")\n";
  return text;
}

class Config : public testing::Test {
protected:
  std::vector<Problem> problems(const json &config, std::vector<std::string> ignored_keys = {}) {
    folder_.write_config(config);
    return check_model(folder_.path("config.json"),
                       {.synthetic = 1, .ignored_keys = std::move(ignored_keys)});
  }
  ImportedModel import(const json &config, const ImportOptions &options = {.synthetic = 1}) {
    folder_.write_config(config);
    auto model = import_model(folder_.path("config.json"), options, context_);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? *std::move(model) : ImportedModel();
  }
  json llama() const { return read_golden("llama")["config"]; }

  ModelFolder folder_;
  mlir::MLIRContext context_;
};

// Tests that a config of transformers' class with every key it has by default is taken, but where
// such a config makes no model in transformers either.
TEST_F(Config, TakesEveryKeyOfTransformersClasses) {
  const std::map<std::string, std::string> none = {
      {"deepseek_v2", "num_experts_per_tok: this key is missing"},
      {"glm4_moe", "num_attention_heads: 96 heads do not divide hidden_size 4096"}};
  const json classes = config_classes();
  EXPECT_GE(classes.size(), 40u);
  for (const auto &[family, what] : classes.items()) {
    const std::string said = shown(problems(what["defaults"]));
    if (const auto why = none.find(family); why != none.end())
      EXPECT_THAT(said, StartsWith(why->second)) << family;
    else
      EXPECT_EQ(said, "") << family;
  }
}

// Tests that families read all names that transformers' attribute maps give their keys, and that
// such a name wins where both are there.
TEST_F(Config, ReadsAllNamesOfKeys) {
  const json classes = config_classes();
  for (const auto &[family, what] : classes.items())
    for (const auto &[alias, key] : what["attribute_map"].items()) {
      if (family == "recurrent_gemma" && alias == "layer_types")
        continue; // of a property that its class works out and that no file can set
      bool known = false;
      for (const Alias &entry : hf_aliases(family))
        known |= entry.alias == alias && entry.key == key.get<std::string>() &&
                 entry.kind == AliasKind::Map;
      EXPECT_TRUE(known) << family << ": " << alias << " is " << key;
    }
  const json gpt2 = published_configs()["configs"]["gpt2-xl"];
  json other = gpt2;
  other["hidden_size"] = 64;
  EXPECT_EQ(import(gpt2).hidden, 32);
  EXPECT_EQ(import(other).hidden, 64);
  other["hidden_size"] = nullptr;
  EXPECT_EQ(import(other).hidden, 32);
  other["hidden_size"] = "wide"; // a problem goes by the name that the file has
  EXPECT_EQ(problems(other).front().where, "hidden_size");
}

// Tests that a name of which transformers knows nothing does not count beside the one it reads, and
// that it is said where the two do not agree.
TEST_F(Config, PrefersTransformersNamesOfKeys) {
  const json published = published_configs()["configs"];
  const auto disagree = HasSubstr("do not agree");
  json falcon = published["falcon-7b"];
  const uint64_t hash = import(falcon).source_hash;
  falcon["n_head"] = 8;
  EXPECT_EQ(import(falcon).source_hash, hash);
  EXPECT_THAT(import(falcon).notes, Contains(AllOf(disagree, HasSubstr("'n_head'"))));
  falcon["n_head"] = falcon["num_attention_heads"];
  EXPECT_THAT(import(falcon).notes, Not(Contains(disagree)));
  falcon.erase("num_attention_heads"); // then it is all there is
  EXPECT_EQ(import(falcon).source_hash, hash);
  json gpt2 = published["gpt2-xl"]; // an attribute map's
  gpt2["hidden_size"] = 64;
  EXPECT_THAT(import(gpt2).notes, Contains(AllOf(disagree, HasSubstr("'hidden_size' counts"))));

  const json epoch = published["stablelm-first"];
  json stablelm = epoch;
  stablelm["model_type"] = "stablelm";
  stablelm["architectures"] = {"StableLmForCausalLM"};
  for (const auto &[first, key, one, other] :
       {std::tuple{"rope_pct", "partial_rotary_factor", 0.25, 0.5},
        std::tuple{"norm_eps", "layer_norm_eps", 1e-5, 1e-2}}) {
    SCOPED_TRACE(first);
    const auto with = [](json config, std::initializer_list<std::pair<const char *, double>> keys) {
      for (const auto &[name, value] : keys)
        config[name] = value;
      return config;
    };
    // In transformers' words, whose default is `one`.
    json bare = stablelm;
    bare.erase(first);
    const uint64_t ones = import(with(bare, {{key, one}})).source_hash;
    const uint64_t others = import(with(bare, {{key, other}})).source_hash;
    EXPECT_EQ(import(with(bare, {{key, other}, {first, one}})).source_hash, others);
    EXPECT_THAT(import(with(bare, {{key, other}, {first, one}})).notes, Contains(disagree));
    EXPECT_EQ(import(with(bare, {{first, other}})).source_hash, ones);
    EXPECT_THAT(import(with(bare, {{first, other}})).notes,
                Contains(AllOf(HasSubstr(first), HasSubstr("is passed over"))));
    // In the first code's.
    EXPECT_EQ(import(with(epoch, {{first, other}})).source_hash, others);
    EXPECT_EQ(import(with(epoch, {{first, other}, {key, one}})).source_hash, others);
    EXPECT_THAT(import(with(epoch, {{first, other}, {key, one}})).notes, Contains(disagree));
  }
}

// Tests that files are taken as they were published, and that other words for a model are the
// model.
TEST_F(Config, TakesPublishedFiles) {
  const json published = published_configs();
  for (const auto &[name, config] : published["configs"].items())
    EXPECT_EQ(shown(problems(config)), "") << name;
  for (const json &pair : published["same"])
    EXPECT_EQ(import(published["configs"][pair[0].get<std::string>()]).source_hash,
              import(published["configs"][pair[1].get<std::string>()]).source_hash)
        << pair;
}

TEST_F(Config, RefusesOtherHeadsOnly) {
  json config = llama();
  for (const char *name :
       {"LlamaForCausalLM", "LLaMAForCausalLM", "llamaforcausallm", "LlamaModel", "MyOwnLlama"}) {
    config["architectures"] = {name};
    EXPECT_EQ(shown(problems(config)), "") << name;
  }
  config["architectures"] = "LlamaForCausalLM"; // not a list
  EXPECT_EQ(shown(problems(config)), "");
  for (const char *name :
       {"LlamaForSequenceClassification", "LlamaForTokenClassification",
        "LlamaForQuestionAnswering", "LlamaForMaskedLM", "LlamaForRewardModel"}) {
    config["architectures"] = {name};
    EXPECT_THAT(problems(config), ElementsAre(Field(&Problem::where, "architectures"))) << name;
  }
  config["architectures"] = {"MistralForCausalLM"};
  EXPECT_THAT(import(config).notes, Contains(HasSubstr("model_type 'llama' decides")));
}

TEST_F(Config, FindsTheFamilyWithoutItsType) {
  json config = llama();
  config.erase("model_type");
  config["architectures"] = {"LlamaForCausalLM"};
  const ImportedModel model = import(config);
  EXPECT_EQ(model.family, "llama");
  EXPECT_THAT(model.notes, Contains(HasSubstr("taken for llama")));
  for (const json &names : {json(), json::array(), json{"NovelForCausalLM"},
                            json{"LlamaForCausalLM", "MistralForCausalLM"}}) {
    config["architectures"] = names;
    EXPECT_THAT(problems(config), ElementsAre(Field(&Problem::where, "model_type"))) << names;
  }
  config["model_type"] = "LLaMA";
  EXPECT_THAT(problems(config), ElementsAre(Field(&Problem::hint, "did you mean 'llama'?")));
}

// Tests that the hint of an unknown key is a command line that works, also together with what was
// given already.
TEST_F(Config, PassesOverWhatTheUserNames) {
  json config = llama();
  config["novel_trick"] = true;
  config["other"] = {{"depth", 2}};
  config["rope_parameters"]["twist"] = 3;
  std::vector<Problem> found = problems(config);
  const std::string all = "--ignore-keys novel_trick,other,rope_parameters.twist";
  EXPECT_THAT(found, ElementsAre(Field(&Problem::hint, HasSubstr(all)),
                                 Field(&Problem::hint, HasSubstr(all)),
                                 Field(&Problem::hint, HasSubstr(all))));
  found = problems(config, {"novel_trick"});
  EXPECT_THAT(found, ElementsAre(Field(&Problem::hint, HasSubstr(all)),
                                 Field(&Problem::hint, HasSubstr(all))));
  EXPECT_THAT(problems(config, {"novel_trick", "other", "rope_parameters.twist"}), IsEmpty());
  config["rope_parameters"].erase("twist");
  config.erase("other");
  EXPECT_EQ(import(config, {.synthetic = 1, .ignored_keys = {"novel_trick"}}).source_hash,
            import(llama()).source_hash);
  // What no list can name is not hinted at.
  config.erase("novel_trick");
  config["a,b"] = 1;
  EXPECT_THAT(problems(config),
              ElementsAre(Field(&Problem::hint, Not(HasSubstr("--ignore-keys")))));
}

TEST_F(Config, PassesOverNothingElse) {
  const json config = llama();
  EXPECT_THAT(problems(config, {"novel_trick"}),
              ElementsAre(AllOf(Field(&Problem::where, "--ignore-keys"),
                                Field(&Problem::what, HasSubstr("no key 'novel_trick'")))));
  for (const char *key : {"vocab_size", "rope_parameters", "rope_parameters.rope_theta"})
    EXPECT_THAT(problems(config, {key}),
                ElementsAre(AllOf(Field(&Problem::where, "--ignore-keys"),
                                  Field(&Problem::what, HasSubstr("Quern reads")))))
        << key;
  EXPECT_THAT(import(config, {.synthetic = 1, .ignored_keys = {"use_cache"}}).notes,
              Contains(HasSubstr("'use_cache' is known to change nothing")));
}

// Tests that what is read elsewhere is not said to change nothing.
TEST_F(Config, PassesOverNothingThatIsReadElsewhere) {
  json config = llama();
  config["eos_token_id"] = 2;
  config["architectures"] = {"LlamaForCausalLM"};
  config["quantization_config"] = {
      {"quant_method", "bitsandbytes"}, {"load_in_8bit", true}, {"load_in_4bit", false}};
  for (const char *key : {"model_type", "architectures", "eos_token_id", "quantization_config",
                          "quantization_config.quant_method"})
    for (const bool alone : {false, true}) {
      folder_.write_config(config);
      EXPECT_THAT(check_model(folder_.path("config.json"),
                              {.synthetic = 1, .formats_only = alone, .ignored_keys = {key}}),
                  Contains(AllOf(Field(&Problem::where, "--ignore-keys"),
                                 Field(&Problem::what, HasSubstr("Quern reads")))))
          << key << (alone ? ", of the config alone" : "");
    }
}

// Tests that rope_scaling is none where transformers takes it for none, and that keys which change
// the output are not hinted to be passed over.
TEST_F(Config, TellsRotationsOfKindsOfLayers) {
  const json plain = llama();
  for (const json &none : {json(false), json::object(), json()}) {
    json config = plain;
    config["rope_scaling"] = none;
    config["rope_parameters"]["rope_theta"] = 1234.0;
    json without = config;
    without.erase("rope_scaling");
    EXPECT_EQ(import(config).source_hash, import(without).source_hash) << none;
  }
  const auto refused = [](const char *where) {
    return ElementsAre(AllOf(Field(&Problem::where, where),
                             Field(&Problem::what, HasSubstr("by kinds of layers")),
                             Field(&Problem::hint, Not(HasSubstr("--ignore-keys")))));
  };
  const json flat = {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1234.0}};
  for (const char *family : {"gemma3_text", "olmo3"}) {
    json config = config_classes()[family]["defaults"];
    const json kinds = config["rope_parameters"];
    EXPECT_EQ(shown(problems(config)), "") << family;
    config["rope_parameters"] = flat;
    EXPECT_THAT(problems(config), refused("rope_parameters")) << family;
    config["rope_parameters"] = kinds;
    config["rope_scaling"] = flat;
    EXPECT_THAT(problems(config), refused("rope_scaling")) << family;
    config["rope_scaling"] = json::object();
    EXPECT_EQ(shown(problems(config)), "") << family;
  }
  json config = plain;
  config["rope_parameters"] = {{"full_attention", flat}, {"sliding_attention", flat}};
  EXPECT_THAT(problems(config), refused("rope_parameters"));
}

// Tests that windows of which transformers knows nothing in a family are noted where there would be
// any.
TEST_F(Config, NotesWindowsThatAreNot) {
  json config = llama();
  const auto noted = HasSubstr("every layer sees the whole sequence");
  config["sliding_window"] = 16;
  EXPECT_THAT(import(config).notes, Contains(noted));
  config["use_sliding_window"] = false;
  config["max_window_layers"] = 2;
  config["layer_types"] = json::array({"full_attention", "full_attention", "full_attention"});
  EXPECT_THAT(import(config).notes, Not(Contains(noted)));
  config["layer_types"][1] = "sliding_attention";
  EXPECT_THAT(import(config).notes, Contains(noted));
}

// Tests that a missing key means what it does in transformers, and null what it does there.
TEST_F(Config, TellsMissingFromNull) {
  const auto hash = [&](json config, const char *key, const json &value) {
    config.erase(key);
    if (!value.is_discarded())
      config[key] = value;
    return import(config, {.context = 8192, .synthetic = 1}).source_hash;
  };
  const json missing = json::parse("!", nullptr, false); // discarded
  const json published = published_configs()["configs"];
  const json &gemma2 = published["gemma-2"], &mistral = published["mistral-0.2"],
             &glm = published["glm-4"];
  for (const auto &[key, value] :
       {std::pair{"final_logit_softcapping", 30.0}, std::pair{"attn_logit_softcapping", 50.0}}) {
    EXPECT_EQ(hash(gemma2, key, missing), hash(gemma2, key, value)) << key;
    EXPECT_NE(hash(gemma2, key, missing), hash(gemma2, key, nullptr)) << key;
  }
  EXPECT_EQ(hash(mistral, "sliding_window", missing), hash(mistral, "sliding_window", 4096));
  EXPECT_NE(hash(mistral, "sliding_window", missing), hash(mistral, "sliding_window", nullptr));
  EXPECT_EQ(hash(glm, "attention_bias", missing), hash(glm, "attention_bias", true));
  // null is not the class's default, but what the code makes of it.
  for (const auto &[name, key, value] : {std::tuple{"glm-4", "partial_rotary_factor", json(1.0)},
                                         std::tuple{"ernie-4.5", "head_dim", json(8)},
                                         std::tuple{"falcon-7b", "multi_query", json(false)},
                                         std::tuple{"falcon-7b", "parallel_attn", json(false)}}) {
    EXPECT_EQ(hash(published[name], key, nullptr), hash(published[name], key, value)) << key;
    EXPECT_NE(hash(published[name], key, nullptr), hash(published[name], key, missing)) << key;
  }
  json smollm3 = published["smollm-3"]; // whose second layer is not rotated
  smollm3["use_sliding_window"] = true;
  smollm3["sliding_window"] = 16;
  EXPECT_EQ(hash(smollm3, "layer_types", missing),
            hash(smollm3, "layer_types", {"full_attention", "sliding_attention"}));
  EXPECT_EQ(hash(published["gemma"], "hidden_act", "gelu"),
            hash(published["gemma"], "hidden_act", "gelu_pytorch_tanh"));
}

// Tests that LongRoPE's factors are those of the context, and that it is said where short sequences
// are rotated as long ones.
TEST_F(Config, ChoosesLongRopesFactors) {
  json config = published_configs()["configs"]["phi-3-128k"]; // 64, of which 32 originally
  const auto noted = HasSubstr("-c 32 takes the factors for short sequences");
  EXPECT_THAT(import(config).notes, Contains(noted));
  const ImportedModel short_ones = import(config, {.context = 32, .synthetic = 1});
  EXPECT_THAT(short_ones.notes, Not(Contains(noted)));
  const uint64_t long_ones = import(config).source_hash;
  EXPECT_NE(short_ones.source_hash, long_ones);
  config["rope_scaling"]["type"] = "yarn"; // as the first of them called it
  EXPECT_EQ(import(config).source_hash, long_ones);
  config["rope_scaling"]["long_factor"] = config["rope_scaling"]["short_factor"];
  EXPECT_THAT(import(config).notes, Not(Contains(noted)));
}

// Tests that what flash-linear-attention's configs may say beyond what Quern computes is named, and
// what contradicts itself.
TEST_F(Config, RefusesWhatItDoesNotHaveOfFla) {
  const std::tuple<const char *, const char *, json> wrong[] = {
      {"gla", "attnres_block_size", 2},
      {"gla", "hidden_act", "powlu"},
      {"gla", "feature_map", "hedgehog"},
      {"gla", "num_kv_heads", 3},
      {"gla", "expand_k", 0.33},
      {"gla", "use_gv", true},
      {"gla", "clamp_min", 0.5},
      {"gla-shared", "conv_bias", true},
      {"gla-shared", "conv_size", 1},
      {"retnet", "expand_v", 0.1},
      {"delta_net", "qk_norm", "l1"},
      {"delta_net", "qk_activation", "gelu"},
      {"gated_deltanet", "num_v_heads", 3},
      {"gated_deltanet", "expand_v", 0.3},
      {"gated_deltanet", "output_gate_activation", "relu"},
      {"kda-bounded", "lower_bound", nullptr},
      {"kda-bounded", "lower_bound", 1.0},
      {"hgrn2", "expand_ratio", 7},
      {"hgrn", "expand_ratio", 0.01},
      {"linear_attn", "feature_map", "dpfp"},
      {"transformer", "num_heads", 5},
      {"mamba2-fla", "D_has_hdim", true},
      {"mamba3", "rope_fraction", 0.25},
      {"mamba3", "n_groups", 4},
      {"mamba3", "num_heads", 5},
      {"mamba3", "hidden_act", "gelu"},
  };
  for (const auto &[family, key, value] : wrong) {
    json config = read_golden(family)["config"];
    config[key] = value;
    EXPECT_THAT(problems(config), Contains(Field(&Problem::where, key))) << family << ' ' << key;
  }
  json config = read_golden("gated_deltanet")["config"];
  for (const auto &[where, value] : std::initializer_list<std::pair<const char *, json>>{
           {"attn.layers", {{"layers", {3}}, {"num_heads", 4}}},
           {"attn.num_heads", {{"layers", {1}}}},
           {"attn.num_heads", {{"layers", {1}}, {"num_heads", 5}}},
           {"attn.num_kv_heads", {{"layers", {1}}, {"num_heads", 4}, {"num_kv_heads", 3}}},
           {"attn.softcap", {{"layers", {1}}, {"num_heads", 4}, {"softcap", 3.0}}},
           {"attn[1].layers",
            {{{"layers", {1}}, {"num_heads", 4}}, {{"layers", {1}}, {"num_heads", 4}}}}}) {
    config["attn"] = value;
    EXPECT_THAT(problems(config), Contains(Field(&Problem::where, where))) << value;
  }
}

// Tests keys that transformers passes over in one family, which is said, and that no experts at all
// are none in any layer.
TEST_F(Config, PassesOverWhatTransformersDoesNotRead) {
  json nemotron = read_golden("nemotron_h-dense")["config"];
  const uint64_t hash = import(nemotron).source_hash;
  nemotron["attention_bias"] = true;
  nemotron["time_step_limit"] = {0.01, 0.3};
  const ImportedModel model = import(nemotron);
  EXPECT_EQ(model.source_hash, hash);
  EXPECT_THAT(model.notes, AllOf(Contains(HasSubstr("attention_bias is passed over")),
                                 Contains(HasSubstr("time_step_limit is passed over"))));

  json qwen = read_golden("qwen3_next")["config"];
  qwen["num_experts"] = 0;
  EXPECT_EQ(shown(problems(qwen)), "");
  int routes = 0;
  (*import(qwen).module)->walk([&](RouteOp) { ++routes; });
  EXPECT_EQ(routes, 0);

  json hunyuan = published_configs()["configs"]["hunyuan-a13b"];
  hunyuan["moe_intermediate_size"] = {48, 32};
  EXPECT_THAT(problems(hunyuan), ElementsAre(Field(&Problem::where, "moe_intermediate_size")));
}

} // namespace
} // namespace quern
