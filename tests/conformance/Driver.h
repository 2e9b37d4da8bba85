// What tests of `quern` as a process begin with: a small model's config, and where its artifact
// goes.
#ifndef QUERN_TESTS_CONFORMANCE_DRIVER_H
#define QUERN_TESTS_CONFORMANCE_DRIVER_H

#include "tests/conformance/Programs.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace quern::conformance {

class Driver : public testing::Test {
protected:
  void SetUp() override {
    folder_.write("config.json", small_llama().dump());
    config_ = folder_.path("config.json");
    artifact_ = folder_.path("m.quern");
  }
  std::vector<std::string> compile(std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"compile",     config_, "-o",        artifact_, "-q",
                                     "--synthetic", "5",     "--variant", "native"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  Folder folder_;
  std::string config_;
  std::string artifact_;
};

inline void expect_refused(const Result &result, int code = 1) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_THAT(result.err, testing::StartsWith("error: "));
  EXPECT_THAT(result.out, testing::IsEmpty());
}

} // namespace quern::conformance

#endif // QUERN_TESTS_CONFORMANCE_DRIVER_H
