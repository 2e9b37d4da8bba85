// quern-run as a process, for tests of what it is called with and what it says.
#ifndef QUERN_TESTS_RUNTIME_CLI_CALL_H
#define QUERN_TESTS_RUNTIME_CLI_CALL_H

#include "runtime/cli/Npy.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace quern::cli {

struct Result {
  int code = -1; // -1: a signal
  std::string out, err;
};

inline std::string quoted(const std::string &text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

inline std::string contents(const std::string &path) {
  const auto bytes = test::read_file(path);
  return std::string(bytes.begin(), bytes.end());
}

inline Result call(const std::vector<std::string> &args, const std::string &input = "") {
  const std::string in = test::write_file(
      "stdin", std::span(reinterpret_cast<const uint8_t *>(input.data()), input.size()));
  const std::string out = test::fresh_path("stdout"), err = test::fresh_path("stderr");
  std::string command = quoted(QUERN_RUN);
  for (const std::string &arg : args)
    command += " " + quoted(arg);
  const int status = std::system((command + " <" + in + " >" + out + " 2>" + err).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents(out), contents(err)};
}

/// The error of a call that must end with that exit code and say what is wrong.
inline std::string refused(const std::vector<std::string> &args, int code = 1) {
  const Result result = call(args);
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_THAT(result.err, testing::StartsWith("error: "));
  EXPECT_EQ(result.out, "");
  return result.err;
}

inline std::vector<float> floats(const std::string &path) {
  auto array = read_npy(path);
  EXPECT_TRUE(array.ok()) << array.status();
  std::vector<float> values(array.ok() ? array->bytes.size() / 4 : 0);
  if (!values.empty())
    std::memcpy(values.data(), array->bytes.data(), array->bytes.size());
  return values;
}

inline int32_t greedy(std::vector<int32_t> tokens) {
  const std::vector<float> logits = test::fake_logits(tokens);
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

} // namespace quern::cli

#endif // QUERN_TESTS_RUNTIME_CLI_CALL_H
