// Tests code of attention among rows of equally long sequences against the reference interpreter:
// masks of keys with holes and padding at either end, in bounds that leave some queries nothing
// that they are shown, over lengths around a page; on every variant, by one worker and by two, who
// have to give the same bits.
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "runtime/abi/StepArgs.h"
#include "tests/codegen/cpu/GenericRun.h"
#include "tests/support/Variants.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace quern::test {
namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kWidth = 8;
constexpr int64_t kColumns = kHeads * kWidth, kKvColumns = kKvHeads * kWidth;
constexpr const char *kSizes = "a = 8 : i64, b = 512 : i64, n = 8 : i64";
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr const char *kAliases = R"(
!Q = tensor<?x32xf32, #quern.dims<"a*b">>
!K = tensor<?x16xf32, #quern.dims<"a*b">>
!M = tensor<?x1x1x?xf32, #quern.dims<"a", "b">>
!F = tensor<?x1x?x?xf32, #quern.dims<"a", "b", "b">>
)";

struct Form {
  const char *name, *bounds;
  bool whole = false; ///< the mask is of queries, too
};
constexpr Form kForms[] = {
    {"both", ""},
    {"causal", ", causal"},
    {"window", ", left = 3 : i64, right = 2 : i64"},
    {"wide", ", left = 70 : i64, right = 1 : i64"},
    {"behind", ", left = 5 : i64, causal"},
    {"causal_zero", ", causal, nan_is_zero"},
    {"window_zero", ", left = 3 : i64, right = 2 : i64, nan_is_zero"},
    {"whole", ", causal", true},
};

std::string body(const Form &form) {
  return absl::StrCat(
      "  %y = quern.attention_rows %q, %k, %v mask %m {heads = 4 : i64, kv_heads = 2 : i64, scale "
      "= 0.4 : f32, sequences = \"a\"",
      form.bounds, "} : (!Q, !K, !K, ", form.whole ? "!F" : "!M", ") -> !Q\n");
}
std::string arguments(const Form &form) {
  return absl::StrCat("(%q: !Q, %k: !K, %v: !K, %m: ", form.whole ? "!F" : "!M", ") -> ");
}

/// A kernel of each form.
std::string kernels() {
  std::string text = kAliases;
  for (const Form &form : kForms)
    absl::StrAppend(&text, "\nquern.kernel @", form.name, " attention_rows ", arguments(form),
                    "(!Q) {\n", body(form), "  quern.yield %y : !Q\n}");
  return text;
}

std::vector<float> normal(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> numbers(count);
  for (float &number : numbers) {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(random()) / 4294967296.0;
    number = static_cast<float>(sum);
  }
  return numbers;
}

/// What is added to a sequence's scores, key by key. Sequence by sequence: nothing, holes, padding
/// before, padding behind, holes and padding, little that does not hide, and all of it hidden.
/// Or hidden twice, here and there.
constexpr int64_t kSequences = 8;
float added(int64_t sequence, int64_t key, int64_t keys, float hides) {
  const bool hole = (key * 7 + sequence) % 5 < 2 || (key > 64 && key < 140);
  const bool before = key<(keys + 1) / 2, behind = key> keys / 3;
  switch (sequence) {
  case 1:
    return hole ? hides : 0;
  case 2:
    return before ? hides : 0;
  case 3:
    return behind ? hides : 0;
  case 4:
    return hole || key < keys / 4 ? hides : 0;
  case 5:
    return key % 3 == 0 ? -1.5F : 0;
  case 6:
    return hides;
  case 7:
    return hole ? 2 * hides : hides;
  default:
    return 0;
  }
}

struct Inputs {
  int64_t keys;
  std::vector<float> q, k, v, mask;
};

Inputs inputs(const Form &form, int64_t keys, float hides) {
  const auto rows = static_cast<size_t>(kSequences * keys);
  Inputs in{keys,
            normal(rows * kColumns, 1),
            normal(rows * kKvColumns, 2),
            normal(rows * kKvColumns, 3),
            {}};
  for (int64_t b = 0; b < kSequences; ++b)
    for (int64_t p = 0; p < (form.whole ? keys : 1); ++p)
      for (int64_t j = 0; j < keys; ++j)
        in.mask.push_back(added(b, form.whole ? (j + p) % keys : j, keys, hides));
  return in;
}

/// What the interpreter makes of them, in float64.
std::vector<double> expected(const Form &form, const Inputs &in) {
  mlir::MLIRContext context;
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      absl::StrCat(kAliases, "\nmodule attributes {quern.sizes = {", kSizes,
                   "}} {\nfunc.func @main", arguments(form), "!Q {\n", body(form),
                   "  return %y : !Q\n}\n}"),
      &context);
  EXPECT_TRUE(module);
  if (!module)
    return {};
  auto interpreter = reference::Interpreter::create(*module, {.float64 = true, .threads = 1});
  EXPECT_TRUE(interpreter.ok()) << interpreter.status();
  auto tensor = [&](const std::vector<float> &numbers, std::vector<int64_t> shape) {
    return reference::Tensor{
        mlir::Float32Type::get(&context), std::move(shape), {numbers.begin(), numbers.end()}, {}};
  };
  const int64_t rows = kSequences * in.keys;
  auto made =
      (*interpreter)
          ->call("main", std::vector<reference::Tensor>{
                             tensor(in.q, {rows, kColumns}), tensor(in.k, {rows, kKvColumns}),
                             tensor(in.v, {rows, kKvColumns}),
                             tensor(in.mask, {kSequences, 1, form.whole ? in.keys : 1, in.keys})});
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? made->front().floats : std::vector<double>();
}

void expectAsInterpreted(const Form &form, const std::vector<int64_t> &lengths, float hides) {
  static std::map<std::string, std::unique_ptr<GenericRun>> compiled;
  for (int64_t keys : lengths) {
    const Inputs in = inputs(form, keys, hides);
    const std::vector<double> want = expected(form, in);
    for (const char *variant : {"x86-64-v3", "x86-64-v4"}) {
      if (!whyNotRun(variant).empty())
        continue;
      auto &code = compiled[variant];
      if (!code)
        code = GenericRun::create(kernels(), kSizes, variant);
      ASSERT_TRUE(code);
      std::vector<Bytes> one;
      for (int workers : {1, 2}) {
        auto made =
            code->run(form.name, {bytesOf(in.q), bytesOf(in.k), bytesOf(in.v), bytesOf(in.mask)},
                      {want.size() * sizeof(float)}, {kSequences, keys, 0}, workers);
        const auto got = valuesOf<float>(made.front());
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i)
          ASSERT_TRUE(std::isnan(want[i]) ? std::isnan(got[i]) : std::abs(got[i] - want[i]) <= 2e-5)
              << got[i] << " is not " << want[i] << ": " << form.name << ", " << keys
              << " keys, hidden by " << hides << ", " << variant << ", " << workers
              << " workers: sequence " << i / (keys * kColumns) << ", position "
              << i / kColumns % keys << ", column " << i % kColumns;
        if (workers == 1)
          one = made;
        else
          EXPECT_EQ(one, made) << form.name << ", " << keys << " keys, " << variant;
      }
    }
  }
}

/// Around the queries of a tile and the keys of a page, and several of each.
const std::vector<int64_t> kLengths = {
    1, 2, 9, QUERN_KV_PAGE, QUERN_KV_PAGE + 1, 2 * QUERN_KV_PAGE + 30};

TEST(AttentionRows, SeesWhatAMaskOfKeysShows) { expectAsInterpreted(kForms[0], kLengths, kLowest); }
TEST(AttentionRows, SeesWhatIsShownBehindAQuery) {
  expectAsInterpreted(kForms[1], kLengths, kLowest);
  expectAsInterpreted(kForms[4], kLengths, kLowest);
}
TEST(AttentionRows, SeesWhatIsShownInAWindow) {
  expectAsInterpreted(kForms[2], kLengths, kLowest);
  expectAsInterpreted(kForms[3], kLengths, kLowest);
}
TEST(AttentionRows, HidesByOtherNumbersThanTheLowest) {
  for (const Form &form : {kForms[0], kForms[1], kForms[2], kForms[7]})
    expectAsInterpreted(form, {9, QUERN_KV_PAGE + 1, 2 * QUERN_KV_PAGE + 30}, -1e30F);
}
TEST(AttentionRows, AQueryThatSeesNothingIsZeroWhereThatIsAsked) {
  for (const Form &form : {kForms[5], kForms[6]})
    for (float hides : {-kInfinity, kLowest})
      expectAsInterpreted(form, {1, 9, 2 * QUERN_KV_PAGE + 30}, hides);
}
TEST(AttentionRows, AddsAMaskOfQueriesAndKeys) {
  expectAsInterpreted(kForms[7], {9, QUERN_KV_PAGE + 1}, kLowest);
}

} // namespace
} // namespace quern::test
