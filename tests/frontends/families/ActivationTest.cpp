// The activation functions that configs name are transformers': the dialect's meaning of each gives
// the values that transformers does, in float64
// (tests/frontends/goldens/functions/make_activations.py).
#include "frontends/families/Activations.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <set>

namespace quern {
namespace {

nlohmann::json goldens() {
  std::ifstream file(QUERN_SOURCE_DIR "/tests/frontends/goldens/functions/activations.json");
  return nlohmann::json::parse(file);
}

TEST(Activations, AreThoseOfTransformers) {
  const nlohmann::json golden = goldens();
  const auto x = golden["x"].get<std::vector<double>>();
  for (const auto &[name, function] : known_activations()) {
    const std::optional<UnaryKind> kind = symbolizeUnaryKind(function);
    ASSERT_TRUE(kind) << function << " is no function of quern.unary";
    ASSERT_TRUE(golden["functions"].contains(name)) << name;
    const auto y = golden["functions"][name].get<std::vector<double>>();
    for (size_t i = 0; i < x.size(); ++i) {
      // gelu_fast is written with ten digits of sqrt(2 / pi).
      const double tolerance = name == "gelu_fast" ? 1e-9 : 1e-12;
      EXPECT_NEAR(reference::unary_value(*kind, x[i]), y[i],
                  tolerance * std::max(1.0, std::abs(y[i])))
          << name << "(" << x[i] << ")";
    }
  }
}

TEST(Activations, AreAllButThese) {
  std::set<std::string> unknown;
  const nlohmann::json golden = goldens();
  for (const auto &[name, values] : golden["functions"].items())
    if (!known_activations().contains(name))
      unknown.insert(name);
  // What no decoder's MLP has: MEGA's attention, nothing at all, and a router's scores.
  EXPECT_THAT(unknown, testing::ElementsAre("laplace", "linear", "sqrtsoftplus"));
}

} // namespace
} // namespace quern
