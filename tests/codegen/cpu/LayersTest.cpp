// Tests that layers that are alike are written once, as a loop, so that code does not grow with
// them.
#include "codegen/cpu/CpuCodegen.h"
#include "compiler/pipeline/Pipeline.h"
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace quern::test {
namespace {

namespace fs = std::filesystem;

std::string llama(int layers) {
  return absl::StrCat(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 6,
  "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5, "max_position_embeddings": 256,
  "hidden_act": "silu", "rope_theta": 10000.0, "num_hidden_layers": )",
                      layers, "}");
}

// Layers with a window and without take turns.
std::string gemma2(int layers) {
  return absl::StrCat(R"({"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"],
  "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 4,
  "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6, "max_position_embeddings": 640,
  "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10000.0, "query_pre_attn_scalar": 16,
  "attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0, "sliding_window": 75,
  "num_hidden_layers": )",
                      layers, "}");
}

/// The kernels and buckets of a model, as text.
std::string kernelsOf(const std::string &config) {
  std::string folder = (fs::temp_directory_path() / "quern-layers-XXXXXX").string();
  EXPECT_TRUE(mkdtemp(folder.data()));
  std::ofstream(folder + "/config.json") << config;
  mlir::MLIRContext context;
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  ImportOptions import;
  import.synthetic = 5;
  auto imported = import_model(folder + "/config.json", import, context);
  fs::remove_all(folder);
  std::string kernels;
  if (!imported.ok()) {
    ADD_FAILURE() << imported.status();
    return kernels;
  }
  PipelineOptions pipeline;
  pipeline.quant = "int4";
  EXPECT_TRUE(mlir::succeeded(runTo(*imported->module, Phase::order, pipeline)));
  cpu::Options options;
  options.emit = [&](std::string_view name, std::string_view text) {
    EXPECT_EQ(name, "kernels.mlir");
    kernels = text;
  };
  const auto generated = cpu::generate(*imported->module, {}, options);
  EXPECT_TRUE(generated.ok()) << generated.status();
  return kernels;
}

int64_t count(std::string_view text, std::string_view what) {
  int64_t found = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size()))
    ++found;
  return found;
}

constexpr const char *kLoop = "llvm.loop_annotation = ";
// What is called, by and in the kernels.
constexpr const char *kCall = "call @";
constexpr int64_t kBuckets = 3; // decode1, decode, prefill

// Numbers of layers that the plan treats alike: where a buffer has another place in each layer, its
// address is read from a table, which takes a line or two more.
TEST(Layers, AreALoopOfEachBucket) {
  const std::string some = kernelsOf(llama(7)), more = kernelsOf(llama(12));
  EXPECT_EQ(count(some, kLoop), kBuckets);
  EXPECT_EQ(count(more, kLoop), kBuckets);
  EXPECT_EQ(count(some, kCall), count(more, kCall));
  EXPECT_EQ(count(some, "\n"), count(more, "\n"));
}

TEST(Layers, ThatTakeTurnsAreALoopOverTheirPattern) {
  const std::string some = kernelsOf(gemma2(12)), more = kernelsOf(gemma2(14));
  EXPECT_EQ(count(some, kLoop), kBuckets);
  EXPECT_EQ(count(more, kLoop), kBuckets);
  EXPECT_EQ(count(some, kCall), count(more, kCall));
  EXPECT_EQ(count(some, "\n"), count(more, "\n"));
}

TEST(Layers, OneIsNoLoop) { EXPECT_EQ(count(kernelsOf(llama(1)), kLoop), 0); }

} // namespace
} // namespace quern::test
