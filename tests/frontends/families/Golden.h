// A module held to one of the goldens of tests/frontends/goldens.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GOLDEN_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GOLDEN_H

#include "ir/reference/Interpreter.h"
#include "tests/frontends/families/GoldenFiles.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace quern {

/// Runs the module on the golden's tokens in float64 and compares all logits: within 1e-4 of their
/// standard deviation (make_goldens.py says why).
inline void expect_logits(mlir::ModuleOp module, const nlohmann::json &golden) {
  auto interpreter = reference::Interpreter::create(module, {.float64 = true});
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
}

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GOLDEN_H
