// The family that docs/guides/adding-a-family.md adds, made by doing what it says (Follow.cmake):
// its models are Qwen 2's under another name, so they give Qwen 2's logits.
#include "frontends/Import.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/Golden.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern {
namespace {

using nlohmann::json;

void expect_imports(const std::string &path, const json &golden) {
  EXPECT_THAT(check_model(path), testing::IsEmpty());
  mlir::MLIRContext context;
  auto model = import_model(path, {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->family, "x");
  expect_logits(*model->module, golden);
}

TEST(AddedFamily, ReadsHuggingFace) {
  const json golden = read_golden("qwen2");
  json config = golden["config"];
  config["model_type"] = "x";
  config["architectures"] = {"XForCausalLM"};
  config["attention_bias"] = true;
  // Qwen's windows, which family x knows nothing of.
  for (const char *key : {"layer_types", "max_window_layers", "use_sliding_window"})
    config.erase(key);
  ModelFolder folder;
  folder.write_config(config);
  folder.write_tensors(golden["tensors"]);
  expect_imports(folder.path(), golden);
}

TEST(AddedFamily, ReadsGguf) {
  const json golden = read_golden("qwen2");
  ModelFolder folder;
  folder.write("x.gguf", to_gguf(golden, "x").bytes());
  expect_imports(folder.path("x.gguf"), golden);
}

} // namespace
} // namespace quern
