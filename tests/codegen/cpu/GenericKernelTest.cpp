// Tests code of general regions, op by op, against plain C++: on every variant, by one to three
// workers, which all have to give the same bits. Numbers are such that sums of them are exact in
// any order, but where the order is what is tested.
#include "tests/codegen/cpu/GenericKernels.h"
#include "tests/codegen/cpu/GenericRun.h"
#include "tests/support/Variants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <set>

namespace quern::test {
namespace {

const char *const kVariants[] = {"x86-64-v3", "x86-64-v4"};
constexpr const char *kSizes = "a = 64 : i64, b = 2048 : i64, c = 64 : i64, n = 20 : i64";

/// Multiples of a quarter of either sign, or integers, none of them 0.
template <class T> std::vector<T> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<T> values(count);
  for (T &value : values) {
    const double number = static_cast<double>(random() % 24 + 1) * (random() % 2 ? 1 : -1);
    value = static_cast<T>(std::is_integral_v<T> ? number : number / 4);
  }
  return values;
}

/// Runs a kernel of GenericKernels.h; its results. `fault`, `after`: as GenericRun has them.
std::vector<Bytes> run(const std::string &kernel, const std::vector<Bytes> &inputs,
                       const std::vector<size_t> &results, const std::vector<int64_t> &sizes,
                       QuernFault *fault = nullptr, std::vector<int64_t> *after = nullptr) {
  static std::map<std::string, std::unique_ptr<GenericRun>> compiled;
  std::vector<Bytes> all;
  for (const char *variant : kVariants) {
    if (!whyNotRun(variant).empty())
      continue;
    auto &code = compiled[variant];
    if (!code)
      code = GenericRun::create(generic_kernels(), kSizes, variant);
    if (!code)
      return std::vector<Bytes>(results.size());
    for (int workers : {1, 2, 3}) {
      auto made = code->run(kernel, inputs, results, sizes, workers, fault, after);
      if (all.empty())
        all = made;
      EXPECT_EQ(all, made) << kernel << ", " << variant << ", " << workers << " workers";
    }
  }
  return all;
}
template <class T>
std::vector<T> run1(const std::string &kernel, const std::vector<Bytes> &inputs, size_t count,
                    const std::vector<int64_t> &sizes) {
  return valuesOf<T>(run(kernel, inputs, {count * sizeof(T)}, sizes).front());
}

/// Sizes a and b of matrices: empty, around the lanes of a vector, more than a run.
const std::vector<std::pair<int, int>> kShapes = {{0, 3},  {3, 0},  {1, 1},  {1, 15},
                                                  {3, 16}, {5, 17}, {2, 33}, {3, 1500}};

template <class T> void expectBroadcast(const std::string &type) {
  for (auto [a, b] : kShapes) {
    const auto x = numbers<T>(a * b, 1), y = numbers<T>(b, 2);
    std::vector<T> want;
    for (int i = 0; i < a; ++i)
      for (int j = 0; j < b; ++j)
        want.push_back(static_cast<T>(static_cast<T>(x[i * b + j] * y[j]) + y[j]));
    EXPECT_EQ(run1<T>("row_" + type, {bytesOf(x), bytesOf(y)}, want.size(), {a, b, 0}), want)
        << type << " " << a << "x" << b;
  }
}
TEST(GenericKernel, BroadcastsARowOfFloat32) { expectBroadcast<float>("f32"); }
TEST(GenericKernel, BroadcastsARowOfFloat64) { expectBroadcast<double>("f64"); }
TEST(GenericKernel, BroadcastsARowOfFloat16) { expectBroadcast<_Float16>("f16"); }
TEST(GenericKernel, BroadcastsARowOfInt8) { expectBroadcast<int8_t>("i8"); }
TEST(GenericKernel, BroadcastsARowOfInt16) { expectBroadcast<int16_t>("i16"); }
TEST(GenericKernel, BroadcastsARowOfInt32) { expectBroadcast<int32_t>("i32"); }
TEST(GenericKernel, BroadcastsARowOfInt64) { expectBroadcast<int64_t>("i64"); }

uint16_t bf16(double value) { // exact to 8 bits, or rounded to nearest even
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
// Tests that a bfloat16 is rounded after each operation.
TEST(GenericKernel, RoundsBFloat16AfterEachOperation) {
  const int a = 3, b = 17;
  const auto x = numbers<float>(a * b, 1), y = numbers<float>(b, 2);
  std::vector<uint16_t> xs, ys, want;
  for (float value : x)
    xs.push_back(bf16(value * 1.3));
  for (float value : y)
    ys.push_back(bf16(value * 1.7));
  for (int i = 0; i < a; ++i)
    for (int j = 0; j < b; ++j)
      want.push_back(
          bf16(from_bf16(bf16(from_bf16(xs[i * b + j]) * from_bf16(ys[j]))) + from_bf16(ys[j])));
  EXPECT_EQ(run1<uint16_t>("row_bf16", {bytesOf(xs), bytesOf(ys)}, want.size(), {a, b, 0}), want);
}

TEST(GenericKernel, ConvertsBetweenTypes) {
  // 1 + 2^-11 + 2^-40 is above a tie of float16, which float32 would lose.
  const std::vector<double> x = {1.5, -2.25, 1 + 0x1p-11 + 0x1p-40, 65504, 1e6, 0x1p-26, NAN};
  const int b = static_cast<int>(x.size());
  std::vector<_Float16> halves = run1<_Float16>("f64_f16", {bytesOf(x)}, b, {0, b, 0});
  for (int i = 0; i + 1 < b; ++i)
    EXPECT_EQ(static_cast<double>(halves[i]), static_cast<double>(static_cast<_Float16>(x[i])))
        << x[i];
  EXPECT_TRUE(std::isnan(static_cast<float>(halves.back())));
  const auto brains = run1<uint16_t>("f64_bf16", {bytesOf(x)}, b, {0, b, 0});
  for (int i = 0; i + 1 < b; ++i)
    EXPECT_EQ(brains[i], bf16(x[i])) << x[i];
  EXPECT_TRUE(std::isnan(from_bf16(brains.back())));
  EXPECT_EQ(run1<uint16_t>("f16_bits", {bytesOf(halves)}, b, {0, b, 0})[1],
            std::bit_cast<uint16_t>(halves[1]));
  EXPECT_EQ(run1<double>("f16_f64", {bytesOf(halves)}, b, {0, b, 0})[1], -2.25);
  const std::vector<uint8_t> bools = {0, 1, 1, 0, 1};
  EXPECT_EQ(run1<float>("bool_f32", {bytesOf(bools)}, 5, {0, 5, 0}),
            (std::vector<float>{0, 1, 1, 0, 1}));
  const std::vector<uint8_t> codes = {0x38, 0xb8};
  EXPECT_EQ(run1<int32_t>("f8_bits", {bytesOf(codes)}, 2, {0, 2, 0}),
            (std::vector<int32_t>{0x38, 0xb8 - 256}));
  const std::vector<uint8_t> nibbles = {0x0f, 0x03, 0x08};
  EXPECT_EQ(run1<int32_t>("i4_i32", {bytesOf(nibbles)}, 3, {0, 3, 0}),
            (std::vector<int32_t>{-1, 3, -8}));
}

// Tests that lane i of 16 takes elements i, i+16, ..., and that lanes are combined in a tree.
TEST(GenericKernel, SumsARowIn16Lanes) {
  for (auto [a, b] : kShapes) {
    std::vector<float> x = numbers<float>(a * b, 3), want;
    for (float &value : x)
      value *= 1.1f; // the order shows
    for (int i = 0; i < a; ++i) {
      float lanes[16] = {};
      for (int j = 0; j < b; ++j)
        lanes[j % 16] += x[i * b + j];
      for (int half = 8; half >= 1; half /= 2)
        for (int lane = 0; lane < half; ++lane)
          lanes[lane] += lanes[lane + half];
      want.push_back(lanes[0]);
    }
    EXPECT_EQ(run1<float>("sum_rows", {bytesOf(x)}, a, {a, b, 0}), want) << a << "x" << b;
    std::vector<float> all(b);
    for (int i = 0; i < a; ++i)
      for (int j = 0; j < b; ++j)
        all[j] += x[i * b + j];
    EXPECT_EQ(run1<float>("sum_columns", {bytesOf(x)}, b, {a, b, 0}), all) << a << "x" << b;
  }
}

TEST(GenericKernel, ReducesByOtherOperations) {
  for (auto [a, b] : kShapes) {
    if (b == 0)
      continue;
    const auto x = numbers<float>(a * b, 4);
    const auto n = numbers<int64_t>(a * b, 5);
    std::vector<float> most, best;
    std::vector<int64_t> where, product;
    float sum = 0;
    std::vector<uint8_t> bits, all;
    for (int i = 0; i < a; ++i) {
      const auto *row = x.data() + i * b;
      const auto *at = std::max_element(row, row + b);
      most.push_back(*at);
      where.push_back(at - row);
      int64_t times = 1;
      bool every = true;
      for (int j = 0; j < b; ++j) {
        times = static_cast<int64_t>(static_cast<uint64_t>(times) *
                                     static_cast<uint64_t>(n[i * b + j]));
        bits.push_back(row[j] > -5.9f);
        every = every && bits.back();
        sum += row[j];
      }
      product.push_back(times);
      all.push_back(every);
    }
    const std::vector<int64_t> sizes = {a, b, 0};
    EXPECT_EQ(run1<float>("max_rows", {bytesOf(x)}, a, sizes), most);
    EXPECT_EQ(run1<int64_t>("product_rows", {bytesOf(n)}, a, sizes), product);
    EXPECT_EQ(run1<uint8_t>("all_rows", {bytesOf(bits)}, a, sizes), all);
    EXPECT_EQ(run1<float>("sum_all", {bytesOf(x)}, 1, sizes), std::vector<float>{sum});
    auto both = run("argmax_rows", {bytesOf(x)}, {a * sizeof(float), a * sizeof(int64_t)}, sizes);
    EXPECT_EQ(valuesOf<float>(both[0]), most);
    EXPECT_EQ(valuesOf<int64_t>(both[1]), where);
  }
}

TEST(GenericKernel, NormalizesInOneRegion) {
  const int a = 5, b = 33;
  const auto x = numbers<float>(a * b, 6);
  auto made = run1<float>("softmax", {bytesOf(x)}, a * b, {a, b, 0});
  for (int i = 0; i < a; ++i) {
    double sum = 0;
    for (int j = 0; j < b; ++j)
      sum += std::exp(static_cast<double>(x[i * b + j]));
    for (int j = 0; j < b; ++j)
      EXPECT_NEAR(made[i * b + j], std::exp(static_cast<double>(x[i * b + j])) / sum, 1e-6);
  }
}

TEST(GenericKernel, SlicesPadsAndConcatenates) {
  for (auto [a, b] : std::vector<std::pair<int, int>>{{1, 4}, {3, 16}, {5, 17}, {4, 33}}) {
    const auto x = numbers<float>(a * b, 7), y = numbers<float>(a * b, 8);
    const std::vector<int64_t> sizes = {a, b, 0};
    std::vector<float> sliced, padded, across, down, twice;
    for (int i = 0; i < a; ++i)
      for (int j = 0; j < b / 2; ++j)
        sliced.push_back(x[i * b + 1 + 2 * j - (b % 2 == 0 && 0)]);
    EXPECT_EQ(run1<float>("slice", {bytesOf(x)}, a * (b / 2), sizes), sliced);
    for (int i = -1; i < a + 2; ++i)
      for (int j = -3; j < b; ++j)
        padded.push_back(i < 0 || i >= a || j < 0 ? 9.0f : x[i * b + j]);
    EXPECT_EQ(run1<float>("pad", {bytesOf(x)}, padded.size(), sizes), padded);
    for (int i = 0; i < a; ++i) {
      across.insert(across.end(), x.begin() + i * b, x.begin() + (i + 1) * b);
      across.insert(across.end(), y.begin() + i * b, y.begin() + (i + 1) * b);
      across.push_back(7);
    }
    EXPECT_EQ(run1<float>("concat_columns", {bytesOf(x), bytesOf(y)}, across.size(), sizes),
              across);
    for (float value : across)
      twice.push_back(value + value);
    EXPECT_EQ(run1<float>("concat_inside", {bytesOf(x), bytesOf(y)}, twice.size(), sizes), twice);
    down = x;
    down.insert(down.end(), y.begin(), y.end());
    EXPECT_EQ(run1<float>("concat_rows", {bytesOf(x), bytesOf(y)}, down.size(), sizes), down);
  }
}

TEST(GenericKernel, MovesElements) {
  const int a = 5, b = 4, c = 33;
  const auto x = numbers<float>(a * b * c, 9);
  std::vector<float> want;
  for (int j = 0; j < b; ++j)
    for (int i = 0; i < a; ++i)
      for (int k = 0; k < c; ++k)
        want.push_back(x[(i * b + j) * c + k]);
  EXPECT_EQ(run1<float>("transpose", {bytesOf(x)}, want.size(), {a, b, c}), want);
  EXPECT_EQ(run1<float>("merge", {bytesOf(x)}, x.size(), {a, b, c}), x);
  // The heads of rows, transposed back: [a, b*c] as [a, b, c] read as [b, a, c].
  EXPECT_EQ(run1<float>("heads", {bytesOf(x)}, want.size(), {a, b, c}), want);
  const std::vector<int64_t> rows = {2, 0, 4, 4};
  std::vector<float> gathered;
  for (int64_t row : rows)
    for (int k = 0; k < c; ++k)
      gathered.push_back(x[static_cast<size_t>(row * c + k)]);
  EXPECT_EQ(run1<float>("gather",
                        {bytesOf(std::vector<float>(x.begin(), x.begin() + a * c)), bytesOf(rows)},
                        gathered.size(), {a, b, c}),
            gathered);
}

TEST(GenericKernel, ReadsConstantsAndIndices) {
  const int a = 3, b = 4;
  std::vector<float> want;
  const float table[] = {0.5, -1, 2, 4};
  for (int i = 0; i < a; ++i)
    for (int j = 0; j < b; ++j)
      want.push_back(table[j] + static_cast<float>(i * 10 + b + 2 * 2));
  EXPECT_EQ(run1<float>("constants", {}, want.size(), {a, 4, 9}), want);
  EXPECT_EQ(run1<int64_t>("scalar", {bytesOf(std::vector<int64_t>{41})}, 1, {0, 0, 0}),
            std::vector<int64_t>{42});
  const std::vector<float> x = {3, -2, 0, 5};
  auto both = run("two_results", {bytesOf(x)}, {16, 32}, {0, 4, 0});
  EXPECT_EQ(valuesOf<float>(both[0]), (std::vector<float>{9, 4, 0, 25}));
  EXPECT_EQ(valuesOf<int64_t>(both[1]), (std::vector<int64_t>{6, -1, -1, 15}));
}

TEST(GenericKernel, MultipliesMatrices) {
  for (auto [a, b, c] :
       {std::tuple(1, 1, 1), {5, 17, 33}, {64, 288, 16}, {3, 700, 5}, {7, 0, 4}, {17, 16, 61}}) {
    const auto x = numbers<float>(2 * a * b, 10), y = numbers<float>(2 * b * c, 11);
    std::vector<float> want, bias(c), transposed(2 * c * b);
    std::vector<double> xd(x.begin(), x.end()), yd(y.begin(), y.end()), wantd;
    for (int n = 0; n < 2; ++n)
      for (int i = 0; i < a; ++i)
        for (int k = 0; k < c; ++k) {
          double sum = 0;
          for (int j = 0; j < b; ++j) {
            sum += xd[(n * a + i) * b + j] * yd[(n * b + j) * c + k];
            transposed[(n * c + k) * b + j] = y[(n * b + j) * c + k];
          }
          want.push_back(static_cast<float>(sum));
          wantd.push_back(sum);
        }
    const std::vector<int64_t> sizes = {a, b, c};
    EXPECT_EQ(run1<float>("matmul_f32", {bytesOf(x), bytesOf(y)}, want.size(), sizes), want)
        << a << " " << b << " " << c;
    EXPECT_EQ(run1<double>("matmul_f64", {bytesOf(xd), bytesOf(yd)}, want.size(), sizes), wantd);
    EXPECT_EQ(
        run1<float>("matmul_transposed", {bytesOf(x), bytesOf(transposed)}, want.size(), sizes),
        want);
  }
}

TEST(GenericKernel, Convolves) {
  // [2, c, 6, b], padded by one, by [4, c, 3, 3]; and each channel by its own 3x3.
  for (auto [b, c] : {std::pair(5, 3), {16, 2}, {33, 4}}) {
    const int rows = 6, from = 2;
    const auto x = numbers<float>(from * c * rows * b, 12);
    const auto w = numbers<float>(4 * c * 9, 13);
    std::vector<float> want, own;
    auto at = [&, b = b, c = c](int n, int ch, int y, int z) {
      return y < 0 || y >= rows || z < 0 || z >= b ? 0.0f : x[((n * c + ch) * rows + y) * b + z];
    };
    for (int n = 0; n < from; ++n)
      for (int o = 0; o < 4; ++o)
        for (int y = 0; y < rows; ++y)
          for (int z = 0; z < b; ++z) {
            float sum = 0;
            for (int ch = 0; ch < c; ++ch)
              for (int k = 0; k < 9; ++k)
                sum += at(n, ch, y + k / 3 - 1, z + k % 3 - 1) * w[(o * c + ch) * 9 + k];
            want.push_back(sum);
          }
    for (int n = 0; n < from; ++n)
      for (int ch = 0; ch < c; ++ch)
        for (int y = 0; y < rows; ++y)
          for (int z = 0; z < b; ++z) {
            float sum = 0;
            for (int k = 0; k < 9; ++k)
              sum += at(n, ch, y + k / 3 - 1, z + k % 3 - 1) * w[ch * 9 + k];
            own.push_back(sum);
          }
    EXPECT_EQ(run1<float>("conv", {bytesOf(x), bytesOf(w)}, want.size(), {0, b, c}), want);
    EXPECT_EQ(run1<float>("conv_depthwise", {bytesOf(x), bytesOf(w)}, own.size(), {0, b, c}), own);
  }
}

TEST(GenericKernel, AppliesAffineMaps) {
  // (i - 5) floordiv 2 + (i - 5) mod 3 + b
  EXPECT_EQ(run1<int64_t>("applied", {bytesOf(std::vector<int64_t>(7, 100))}, 7, {0, 7, 0}),
            (std::vector<int64_t>{105, 107, 105, 107, 108, 107, 108}));
}

/// The functions of one number, and what C has for them.
const std::pair<const char *, double (*)(double)> kFunctions[] = {
    {"exp", std::exp},
    {"log", std::log},
    {"log1p", std::log1p},
    {"expm1", std::expm1},
    {"sin", std::sin},
    {"cos", std::cos},
    {"tan", std::tan},
    {"asin", std::asin},
    {"acos", std::acos},
    {"atan", std::atan},
    {"sinh", std::sinh},
    {"cosh", std::cosh},
    {"tanh", std::tanh},
    {"asinh", std::asinh},
    {"acosh", std::acosh},
    {"atanh", std::atanh},
    {"erf", std::erf},
    {"sqrt", std::sqrt},
    {"floor", std::floor},
    {"ceil", std::ceil},
    {"trunc", std::trunc},
    {"round", std::round},
    {"absf", std::fabs},
    {"roundeven", std::nearbyint},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
    {"powf", [](double x) { return std::pow(x, x); }},
    {"remf", [](double x) { return std::fmod(x, 0.75); }}};

// Tests that each function is what it is called, to a few units of the type's last place.
template <class T> void expectFunctions(const std::string &type, double unit) {
  std::vector<double> x = {0.25, -0.5, 0.75, 1, -1.5, 2.5, -3.25, 10, 0.0078125};
  x.resize(19, 1.25);
  std::vector<T> given;
  for (double value : x) {
    if constexpr (std::is_same_v<T, uint16_t>)
      given.push_back(bf16(value));
    else
      given.push_back(static_cast<T>(value));
  }
  for (const auto &[name, function] : kFunctions) {
    if (unit > 0x1p-23 &&
        !std::set<std::string>{"exp", "sinh", "floor", "absf", "remf"}.contains(name))
      continue;
    const auto got =
        run1<T>(std::string(name) + "_" + type, {bytesOf(given)}, x.size(), {0, 19, 0});
    for (size_t i = 0; i < x.size(); ++i) {
      double value;
      if constexpr (std::is_same_v<T, uint16_t>)
        value = from_bf16(got[i]);
      else
        value = static_cast<double>(got[i]);
      const double want = function(x[i]);
      if (std::isnan(want))
        EXPECT_TRUE(std::isnan(value)) << name << "(" << x[i] << ")";
      else if (std::abs(want) < 30000)
        EXPECT_NEAR(value, want, std::abs(want) * 4 * unit + 1e-300)
            << type << " " << name << "(" << x[i] << ")";
    }
  }
}
TEST(GenericKernel, HasTheFunctionsOfFloat32) { expectFunctions<float>("f32", 0x1p-23); }
TEST(GenericKernel, HasTheFunctionsOfFloat64) { expectFunctions<double>("f64", 0x1p-52); }
TEST(GenericKernel, HasTheFunctionsOfFloat16) { expectFunctions<_Float16>("f16", 0x1p-10); }
TEST(GenericKernel, HasTheFunctionsOfBFloat16) { expectFunctions<uint16_t>("bf16", 0x1p-7); }

// What a kernel is to find at fault: site, value and limit, or nothing.
using Found = std::optional<std::array<int64_t, 3>>;
Found found(const QuernFault &fault) {
  if (fault.found == 0)
    return std::nullopt;
  EXPECT_EQ(fault.dispatch, 0);
  return std::array<int64_t, 3>{fault.site, fault.value, fault.limit};
}

// Tests that an index outside is told, whichever loop it is in, on every worker's share, and that
// the others are read as ever; in what has no elements the first is outside, too.
TEST(GenericKernel, ChecksIndices) {
  const int64_t a = 3, b = 40;
  const auto x = numbers<float>(a * b, 1);
  for (const auto &[outside, at] :
       {std::pair<int64_t, int64_t>{3, 3}, {-4, -1}, {99, 99}, {2, INT64_MAX}, {-1, INT64_MAX}})
    for (const size_t place : {size_t{0}, size_t{17}, size_t{39}}) {
      std::vector<int64_t> indices(b, -2);
      indices[place] = outside;
      QuernFault fault{};
      const auto rows = run("checked_gather", {bytesOf(x), bytesOf(indices)},
                            {static_cast<size_t>(b * b) * 4}, {a, b, 0, 0}, &fault);
      EXPECT_EQ(found(fault), at == INT64_MAX ? Found() : Found({{0, at, 3}}))
          << outside << " at " << place;
      const auto got = valuesOf<float>(rows.front());
      EXPECT_EQ(got[static_cast<size_t>((place + 1) % b * b + 5)], x[1 * b + 5]);
    }
  std::vector<float> five = {1, 2, 3, 4, 5};
  for (const int64_t outside : {int64_t{5}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
    std::vector<int64_t> indices = {4, 0, outside, 1, 2, 3};
    QuernFault fault{};
    run("gather_five", {bytesOf(five), bytesOf(indices)}, {24}, {0, 6, 0, 0}, &fault);
    EXPECT_EQ(found(fault), Found({{0, outside, 5}}));
  }
  QuernFault fault{};
  run("checked_gather", {bytesOf(x), bytesOf(std::vector<int64_t>{0})}, {4}, {0, 1, 0, 0}, &fault);
  EXPECT_EQ(found(fault).value_or(std::array<int64_t, 3>{})[2], 0);
  EXPECT_EQ(fault.found, 1u);
  run("checked_gather", {bytesOf(x), {}}, {0}, {0, 0, 0, 0}, &fault);
  EXPECT_EQ(fault.found, 0u);
  // The size differs from element to element.
  run("gather_below", {bytesOf(five), bytesOf(std::vector<int64_t>{0, 1, 2, 4, 4})}, {20},
      {0, 5, 0, 0}, &fault);
  EXPECT_EQ(found(fault), Found({{0, 4, 4}}));
}

TEST(GenericKernel, ChecksDivisors) {
  std::vector<int32_t> x(33, 12), y(33, 5);
  QuernFault fault{};
  auto got = run("divide", {bytesOf(x), bytesOf(y)}, {132}, {0, 33, 0, 0}, &fault);
  EXPECT_EQ(fault.found, 0u);
  y[32] = 0;
  got = run("divide", {bytesOf(x), bytesOf(y)}, {132}, {0, 33, 0, 0}, &fault);
  EXPECT_EQ(fault.found, 1u);
  EXPECT_EQ(valuesOf<int32_t>(got.front())[31], 2);
}

// Tests that positions are counted into the size that is theirs, up to what there is room for; and
// that another number than the type says is told.
TEST(GenericKernel, FindsWhereAMaskIsTrue) {
  std::vector<float> x = {0, 1, 2, -1, 0, 3};
  QuernFault fault{};
  std::vector<int64_t> after;
  auto got = run("where", {bytesOf(x)}, {48}, {2, 3, 7, 0}, &fault, &after);
  EXPECT_EQ(fault.found, 0u);
  EXPECT_EQ(after, (std::vector<int64_t>{2, 3, 7, 3}));
  auto places = valuesOf<int64_t>(got.front());
  places.resize(3);
  EXPECT_EQ(places, (std::vector<int64_t>{1, 2, 5}));
  run("where", {bytesOf(std::vector<float>(30, 1))}, {160}, {5, 6, 7, 0}, &fault, &after);
  EXPECT_EQ(found(fault), Found({{0, 30, 20}}));
  EXPECT_EQ(after[3], 20);
  for (const uint8_t last : {0, 1}) {
    std::vector<uint8_t> mask = {1, 0, 1, last};
    got = run("where_three", {bytesOf(mask)}, {24}, {2, 2, 0, 0}, &fault);
    EXPECT_EQ(found(fault), last ? Found() : Found({{0, 2, 3}}));
    EXPECT_EQ(valuesOf<int64_t>(got.front()), (std::vector<int64_t>{0, 2, last ? 3 : 0}));
  }
}

TEST(GenericKernel, IsRefusedWithAnOpThatHasNoCode) {
  EXPECT_EQ(GenericRun::refusal(R"(
quern.kernel @k generic (%x: tensor<4xi32>) -> (tensor<4xi32>) {
  %e = tensor.empty() : tensor<4xi32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : tensor<4xi32>) outs(%e : tensor<4xi32>) {
  ^bb0(%p: i32, %o: i32):
    %s = math.ipowi %p, %p : i32
    linalg.yield %s : i32
  } -> tensor<4xi32>
  quern.yield %r : tensor<4xi32>
})",
                                kSizes),
            "the cpu target has no code for 'math.ipowi' in a general region\n");
}

} // namespace
} // namespace quern::test
