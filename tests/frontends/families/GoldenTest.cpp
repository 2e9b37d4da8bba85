// The interpreter's logits of imported models against transformers', by tests/frontends/goldens.
#include "tests/frontends/families/Golden.h"

#include "frontends/Import.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

namespace quern {
namespace {

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ImportsToTheSameLogits) {
  nlohmann::json golden = read_golden(GetParam());
  ModelFolder folder;
  folder.write_config(golden["config"]);
  folder.write_tensors(golden["tensors"]);
  EXPECT_TRUE(check_model(folder.path()).empty());
  mlir::MLIRContext context;
  absl::StatusOr<ImportedModel> model = import_model(folder.path(), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  const nlohmann::json &config = golden["config"];
  const nlohmann::json &text = config.contains("text_config") ? config["text_config"] : config;
  const std::string type = text.value("model_type", "mamba_ssm"); // which says none
  EXPECT_EQ(model->family, type == "qwen3_vl_moe_text" ? "qwen3_moe" : type);
  EXPECT_EQ(model->vocab, static_cast<int64_t>(golden["logits"][0].size()));

  expect_logits(*model->module, golden);
}

std::string name_of(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param.substr(info.param.find('/') + 1);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Transformers, Golden, testing::ValuesIn(golden_names()), name_of);
INSTANTIATE_TEST_SUITE_P(OtherNames, Golden, testing::ValuesIn(golden_names("names/")), name_of);

} // namespace
} // namespace quern
