// Writing a model to a file and reading it, for tests.
#ifndef QUERN_TESTS_FRONTENDS_ONNX_READING_H
#define QUERN_TESTS_FRONTENDS_ONNX_READING_H

#include "frontends/onnx/OnnxFile.h"
#include "tests/frontends/onnx/OnnxModels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace quern::onnx::test {

/// A folder of the test's own, empty.
inline std::filesystem::path fresh_folder() {
  const auto *info = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "quern-onnx" /
                                       info->test_suite_name() / info->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline std::string write_file(const std::filesystem::path &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

/// "where: what" of each problem, a line each.
inline std::string text_of(const Problems &problems) {
  std::string text;
  for (const Problem &problem : problems.list())
    text += problem.where + ": " + problem.what + "\n";
  return text;
}

/// What is wrong with the model; "" if nothing is.
inline std::string problems_of(const ModelProto &model) {
  Problems problems;
  read_model(write_file(fresh_folder() / "m.onnx", model.SerializeAsString()), problems);
  return text_of(problems);
}

inline Model read_sound(const ModelProto &proto) {
  Problems problems;
  auto model =
      read_model(write_file(fresh_folder() / "m.onnx", proto.SerializeAsString()), problems);
  EXPECT_EQ(text_of(problems), "");
  return model ? *std::move(model) : Model{};
}

inline ValueId find_value(const Model &model, const std::string &name) {
  const auto found = std::ranges::find(model.values, name, &Value::name);
  EXPECT_NE(found, model.values.end()) << name;
  return found == model.values.end() ? 0 : static_cast<ValueId>(found - model.values.begin());
}

} // namespace quern::onnx::test

#endif // QUERN_TESTS_FRONTENDS_ONNX_READING_H
