// Tests code of general regions: each op, element type and way to share out against plain C++.
#include "tests/codegen/cpu/GenericRun.h"
#include "tests/support/Variants.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace quern::test {
namespace {

const char *const kVariants[] = {"x86-64-v3", "x86-64-v4"};

/// Small numbers of either sign, none of them 0.
template <class T> std::vector<T> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<T> values(count);
  for (T &value : values) {
    const double number = static_cast<double>(random() % 64) / 4 + 0.25;
    const bool negative = random() % 2 && std::is_signed_v<T>;
    value = static_cast<T>(std::is_floating_point_v<T> ? (negative ? -number : number)
                                                       : (negative ? -1 - number : 1 + number));
  }
  return values;
}

std::string generic(const std::string &body) {
  return absl::StrReplaceAll(body, {{"PAR2", R"(["parallel", "parallel"])"},
                                    {"PAR1", R"(["parallel"])"},
                                    {"PAR3", R"(["parallel", "parallel", "parallel"])"},
                                    {"PR", R"(["parallel", "reduction"])"},
                                    {"RP", R"(["reduction", "parallel"])"}});
}

/// Runs a kernel on every variant that there is and by one to three workers, which all have to give
/// the same bits; the results.
std::vector<Bytes> runAll(const std::string &text, const std::string &sizes,
                          const std::vector<Bytes> &inputs, const std::vector<size_t> &results,
                          const std::vector<int64_t> &dims) {
  std::vector<Bytes> all;
  for (const char *variant : kVariants) {
    if (!whyNotRun(variant).empty())
      continue;
    auto run = GenericRun::create(generic(text), sizes, variant);
    if (!run)
      return {};
    for (int workers : {1, 2, 3}) {
      auto made = run->run(inputs, results, dims, workers);
      if (all.empty())
        all = made;
      EXPECT_EQ(all, made) << variant << " by " << workers << "\n" << text;
    }
  }
  return all;
}

constexpr const char *kAdd = R"(
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
!T = tensor<?x?xTYPE, #quern.dims<"a", "b">>
!R = tensor<?xTYPE, #quern.dims<"b">>
quern.kernel @k generic (%x: !T, %y: !R) -> (!T) {
  %a = quern.size "a"
  %b = quern.size "b"
  %e = tensor.empty(%a, %b) : !T
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = PAR2} ins(%x, %y : !T, !R) outs(%e : !T) {
  ^bb0(%p: TYPE, %q: TYPE, %o: TYPE):
    %s = OP %p, %q : TYPE
    linalg.yield %s : TYPE
  } -> !T
  quern.yield %r : !T
})";

template <class T>
void expectBroadcast(const std::string &type, const std::string &op,
                     const std::function<T(T, T)> &function) {
  for (auto [a, b] : {std::pair(0, 3), {1, 1}, {1, 15}, {3, 16}, {5, 17}, {2, 33}, {3, 1500}}) {
    const auto x = numbers<T>(a * b, 1), y = numbers<T>(b, 2);
    std::vector<T> want;
    for (int i = 0; i < a; ++i)
      for (int j = 0; j < b; ++j)
        want.push_back(function(x[i * b + j], y[j]));
    auto made = runAll(absl::StrReplaceAll(kAdd, {{"TYPE", type}, {"OP", op}}),
                       "a = 16 : i64, b = 2048 : i64", {bytesOf(x), bytesOf(y)},
                       {want.size() * sizeof(T)}, {a, b});
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(valuesOf<T>(made[0]), want) << op << " " << type << " " << a << "x" << b;
  }
}

TEST(GenericKernel, BroadcastsARow) {
  expectBroadcast<float>("f32", "arith.addf", [](float x, float y) { return x + y; });
}
TEST(GenericKernel, ComputesInEveryType) {
  expectBroadcast<double>("f64", "arith.divf", [](double x, double y) { return x / y; });
  expectBroadcast<int64_t>("i64", "arith.muli", [](int64_t x, int64_t y) { return x * y; });
}

} // namespace
} // namespace quern::test
