// The interpreter's logits of imported models against transformers', by tests/frontends/goldens.
#include "frontends/Import.h"
#include "ir/reference/Interpreter.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

namespace quern {
namespace {

using nlohmann::json;

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto &entry :
       std::filesystem::directory_iterator(QUERN_SOURCE_DIR "/tests/frontends/goldens"))
    if (entry.path().extension() == ".json")
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ImportsToTheSameLogits) {
  json golden = json::parse(
      std::ifstream(QUERN_SOURCE_DIR "/tests/frontends/goldens/" + GetParam() + ".json"));
  ModelFolder folder;
  folder.write_config(golden["config"]);
  folder.write_tensors(golden["tensors"]);
  EXPECT_TRUE(checkModel(folder.path()).empty());
  mlir::MLIRContext context;
  absl::StatusOr<ImportedModel> model = importModel(folder.path(), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->family, golden["config"]["model_type"].get<std::string>());
  EXPECT_EQ(model->vocab, golden["config"]["vocab_size"].get<int64_t>());

  auto interpreter = reference::Interpreter::create(*model->module, {.float64 = true});
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  auto tokens = golden["tokens"].get<std::vector<int32_t>>();
  std::vector<int32_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  reference::ReferenceState state;
  absl::StatusOr<reference::Output> logits =
      (*interpreter)
          ->step({.sequences = {{.slot = 0, .start = 0, .tokens = tokens}}, .rows = rows}, state);
  ASSERT_TRUE(logits.ok()) << logits.status();

  auto wanted = golden["logits"].get<std::vector<std::vector<double>>>();
  ASSERT_EQ(logits->rows, static_cast<int64_t>(wanted.size()));
  ASSERT_EQ(logits->cols, static_cast<int64_t>(wanted.front().size()));
  double sum = 0, squares = 0, worst = 0;
  for (size_t r = 0; r < wanted.size(); ++r)
    for (size_t c = 0; c < wanted[r].size(); ++c) {
      double want = wanted[r][c];
      sum += want;
      squares += want * want;
      worst = std::max(
          worst, std::abs(logits->at(static_cast<int64_t>(r), static_cast<int64_t>(c)) - want));
    }
  double count = static_cast<double>(wanted.size() * wanted.front().size());
  double deviation = std::sqrt(squares / count - sum / count * (sum / count));
  EXPECT_LT(worst, 1e-4 * deviation) << "the logits' deviation is " << deviation;
  RecordProperty("error_of_deviation", std::to_string(worst / deviation));
}

INSTANTIATE_TEST_SUITE_P(Transformers, Golden, testing::ValuesIn(golden_names()),
                         [](const testing::TestParamInfo<std::string> &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
} // namespace quern
