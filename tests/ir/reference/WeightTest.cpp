// Weights: where they come from, what the weight ops make of them, and the cache.
#include "ir/formats/Format.h"
#include "tests/ir/reference/TestModule.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdio>
#include <fstream>

namespace quern::reference {
namespace {

using ::testing::HasSubstr;

const std::vector<int32_t> kTokens = {3, 11, 0};
const Batch kBatch = {{{0, 0, kTokens}}, {}};

/// x W^T.
Matrix product(const Matrix &x, const Matrix &w) {
  Matrix y(x.rows, w.rows);
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t n = 0; n < w.rows; ++n)
      for (int64_t k = 0; k < w.cols; ++k)
        y.at(t, n) += x.at(t, k) * w.at(n, k);
  return y;
}

TEST(WeightTest, ConcatPutsRowsBelowRows) {
  Matrix w(7, 4);
  const Matrix a = synthetic("a", 2, 4), b = synthetic("b", 4, 4), c = synthetic("c", 1, 4);
  std::copy(a.values.begin(), a.values.end(), w.values.begin());
  std::copy(b.values.begin(), b.values.end(), w.values.begin() + 8);
  std::copy(c.values.begin(), c.values.end(), w.values.begin() + 24);
  expect_step(step_text(4, 7,
                        weight_text("a", "2x4") + weight_text("b", "4x4") + weight_text("c", "1x4"),
                        R"(%a = quern.weight_ref @a : !quern.weight<2x4, "f32">
%b = quern.weight_ref @b : !quern.weight<4x4, "f32">
%c = quern.weight_ref @c : !quern.weight<1x4, "f32">
%w = quern.weight_concat %a, %b, %c : (!quern.weight<2x4, "f32">, !quern.weight<4x4, "f32">, !quern.weight<1x4, "f32">) -> !quern.weight<7x4, "f32">
%y = quern.linear %x, %w : (!T4, !quern.weight<7x4, "f32">) -> !T7)"),
              kBatch, product(lookup(kTokens, 4), w));
}

TEST(WeightTest, ConcatPutsVectorsSideBySide) {
  const Matrix a = synthetic("a", 1, 2), b = synthetic("b", 1, 3);
  Matrix y = lookup(kTokens, 5);
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t c = 0; c < 5; ++c)
      y.at(t, c) += c < 2 ? a.at(0, c) : b.at(0, c - 2);
  expect_step(step_text(5, 5, weight_text("a", "2") + weight_text("b", "3"),
                        R"(%a = quern.weight_ref @a : !quern.weight<2, "f32">
%b = quern.weight_ref @b : !quern.weight<3, "f32">
%w = quern.weight_concat %a, %b : (!quern.weight<2, "f32">, !quern.weight<3, "f32">) -> !quern.weight<5, "f32">
%y = quern.binary add %x, %w : !T5, !quern.weight<5, "f32">)"),
              kBatch, y);
}

TEST(WeightTest, ConvertRoundsAsTheFormatDoes) {
  const formats::Format &format = *formats::find_format("int8");
  Matrix w = synthetic("w", 6, 64);
  for (int64_t n = 0; n < 6; ++n) {
    std::vector<float> row(w.values.begin() + n * 64, w.values.begin() + (n + 1) * 64);
    std::vector<std::byte> encoded(static_cast<size_t>(format.row_bytes(64)));
    ASSERT_TRUE(format.encode_row(row.data(), 64, encoded.data()).ok());
    format.decode_row(encoded.data(), 64, row.data());
    std::copy(row.begin(), row.end(), w.values.begin() + n * 64);
  }
  expect_step(step_text(64, 6, weight_text("w", "6x64"),
                        R"(%w = quern.weight_ref @w : !quern.weight<6x64, "f32">
%q = quern.weight_convert %w : !quern.weight<6x64, "f32"> -> !quern.weight<6x64, "int8">
%y = quern.linear %x, %q : (!T64, !quern.weight<6x64, "int8">) -> !T6)"),
              kBatch, product(lookup(kTokens, 64), w));
}

TEST(WeightTest, ConvertToAFormatThatIsOnlyReadFails) {
  TestModule module(step_text(32, 2, weight_text("w", "2x32"),
                              R"(%w = quern.weight_ref @w : !quern.weight<2x32, "f32">
%q = quern.weight_convert %w : !quern.weight<2x32, "f32"> -> !quern.weight<2x32, "q4_1">
%y = quern.linear %x, %q : (!T32, !quern.weight<2x32, "q4_1">) -> !T2)"));
  ReferenceState state;
  EXPECT_THAT(module.interpreter()->step(kBatch, state).status().ToString(),
              HasSubstr("quern.linear: weights cannot be converted to q4_1"));
}

TEST(WeightTest, MapsAreRoundedToFloat32) {
  const Matrix w = synthetic("w", 1, 4);
  const auto of = [](const std::string &fn, double x) {
    return fn == "neg_exp"   ? -std::exp(x)
           : fn == "add_one" ? 1 + x
           : fn == "scale"   ? double(0.3f) * x
                             : std::log1p(std::exp(x));
  };
  for (const std::string fn : {"neg_exp", "add_one", "softplus", "scale"}) {
    Matrix y = lookup(kTokens, 4);
    for (int64_t t = 0; t < 3; ++t)
      for (int64_t c = 0; c < 4; ++c)
        y.at(t, c) *= static_cast<double>(static_cast<float>(of(fn, w.at(0, c))));
    expect_step(step_text(4, 4, weight_text("w", "4"),
                          std::string(R"(%w = quern.weight_ref @w : !quern.weight<4, "f32">
%m = quern.weight_map ")") + fn +
                              R"(" %w)" + (fn == "scale" ? " {factor = 0.3 : f32}" : "") +
                              R"( : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
%y = quern.binary mul %x, %m : !T4, !quern.weight<4, "f32">)"),
                kBatch, y);
  }
}

TEST(WeightTest, CumulatesTheSoftmaxOfColumns) {
  const Matrix w = synthetic("w", 4, 3);
  Matrix sums(4, 3);
  for (int64_t c = 0; c < 3; ++c) {
    double total = 0;
    for (int64_t r = 0; r < 4; ++r)
      total += std::exp(w.at(r, c));
    for (int64_t r = 1; r < 4; ++r)
      sums.at(r, c) = sums.at(r - 1, c) + std::exp(w.at(r, c)) / total;
  }
  for (double &value : sums.values)
    value = static_cast<double>(static_cast<float>(value));
  expect_step(step_text(3, 4, weight_text("w", "4x3"),
                        R"(%w = quern.weight_ref @w : !quern.weight<4x3, "f32">
%m = quern.weight_map "cumulated_softmax" %w : !quern.weight<4x3, "f32"> -> !quern.weight<4x3, "f32">
%y = quern.linear %x, %m : (!T3, !quern.weight<4x3, "f32">) -> !T4)"),
              kBatch, product(lookup(kTokens, 3), sums));
}

TEST(WeightTest, ReshapeKeepsTheElementsOrder) {
  // [2, 6] as [4, 3]: rows of the result cross no block, but start inside the input's rows.
  Matrix w = synthetic("w", 2, 6);
  w.rows = 4;
  w.cols = 3;
  expect_step(step_text(3, 4, weight_text("w", "2x6"),
                        R"(%w = quern.weight_ref @w : !quern.weight<2x6, "f32">
%r = quern.weight_reshape %w : !quern.weight<2x6, "f32"> -> !quern.weight<4x3, "f32">
%y = quern.linear %x, %r : (!T3, !quern.weight<4x3, "f32">) -> !T4)"),
              kBatch, product(lookup(kTokens, 3), w));
}

TEST(WeightTest, TransposeTurnsColumnsIntoRows) {
  const Matrix w = synthetic("w", 5, 3);
  Matrix turned(3, 5);
  for (int64_t n = 0; n < 3; ++n)
    for (int64_t k = 0; k < 5; ++k)
      turned.at(n, k) = w.at(k, n);
  expect_step(step_text(5, 3, weight_text("w", "5x3"),
                        R"(%w = quern.weight_ref @w : !quern.weight<5x3, "f32">
%t = quern.weight_transpose %w : !quern.weight<5x3, "f32"> -> !quern.weight<3x5, "f32">
%y = quern.linear %x, %t : (!T5, !quern.weight<3x5, "f32">) -> !T3)"),
              kBatch, product(lookup(kTokens, 5), turned));
}

TEST(WeightTest, TransposeOfBlocksFails) {
  TestModule module(step_text(32, 32, weight_text("w", "32x32", 1, 0, "int8"),
                              R"(%w = quern.weight_ref @w : !quern.weight<32x32, "int8">
%t = quern.weight_transpose %w : !quern.weight<32x32, "int8"> -> !quern.weight<32x32, "int8">
%y = quern.linear %x, %t : (!T32, !quern.weight<32x32, "int8">) -> !T32)"));
  ReferenceState state;
  EXPECT_THAT(module.interpreter()->step(kBatch, state).status().ToString(),
              HasSubstr("weights in blocks of int8 cannot be transposed"));
}

TEST(WeightTest, RowsAreBlocksAtEvenDistances) {
  // Rows 1 2, 6 7 of 9, as the keys of two heads of [query 1, key 2, value 2].
  const Matrix w = synthetic("w", 10, 4), b = synthetic("b", 1, 10);
  Matrix chosen(4, 4);
  const int64_t rows[] = {1, 2, 6, 7};
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t k = 0; k < 4; ++k)
      chosen.at(n, k) = w.at(rows[n], k);
  Matrix y = product(lookup(kTokens, 4), chosen);
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t n = 0; n < 4; ++n)
      y.at(t, n) += b.at(0, rows[n]);
  expect_step(step_text(4, 4, weight_text("w", "10x4") + weight_text("b", "10"),
                        R"(%w = quern.weight_ref @w : !quern.weight<10x4, "f32">
%b = quern.weight_ref @b : !quern.weight<10, "f32">
%wk = quern.weight_rows %w {offset = 1 : i64, block = 2 : i64, stride = 5 : i64} : !quern.weight<10x4, "f32"> -> !quern.weight<4x4, "f32">
%bk = quern.weight_rows %b {offset = 1 : i64, block = 2 : i64, stride = 5 : i64} : !quern.weight<10, "f32"> -> !quern.weight<4, "f32">
%y = quern.linear %x, %wk, %bk : (!T4, !quern.weight<4x4, "f32">, !quern.weight<4, "f32">) -> !T4)"),
              kBatch, y);
}

TEST(WeightTest, RowsAreNeighboursUnlessSaidOtherwise) {
  const Matrix w = synthetic("w", 10, 4);
  Matrix chosen(3, 4);
  std::copy_n(w.values.begin() + 28, 12, chosen.values.begin());
  expect_step(step_text(4, 3, weight_text("w", "10x4"),
                        R"(%w = quern.weight_ref @w : !quern.weight<10x4, "f32">
%r = quern.weight_rows %w {offset = 7 : i64} : !quern.weight<10x4, "f32"> -> !quern.weight<3x4, "f32">
%y = quern.linear %x, %r : (!T4, !quern.weight<3x4, "f32">) -> !T3)"),
              kBatch, product(lookup(kTokens, 4), chosen));
}

/// A file of floats 0, 1/8, 2/8 ... that goes away with the test.
class WeightFile {
public:
  WeightFile() {
    std::vector<float> numbers(64);
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = static_cast<float>(i) / 8;
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char *>(numbers.data()), 64 * sizeof(float));
  }
  ~WeightFile() { std::remove(path_.c_str()); }
  const std::string &path() const { return path_; }

private:
  std::string path_ = ::testing::TempDir() + "quern-reference-weights.bin";
};

TEST(WeightTest, FilesAreReadAtTheOffset) {
  const WeightFile file;
  std::string text = step_text(
      4, 2, "quern.weight @w : !quern.weight<2x4, \"f32\"> {file = 0 : i32, offset = 32 : i64}\n",
      "%w = quern.weight_ref @w : !quern.weight<2x4, \"f32\">\n"
      "%y = quern.linear %x, %w : (!T4, !quern.weight<2x4, \"f32\">) -> !T2");
  text.replace(text.find("module {"), 8,
               "module attributes {quern.files = [\"" + file.path() + "\"]} {");
  Matrix w(2, 4);
  for (size_t i = 0; i < 8; ++i)
    w.values[i] = static_cast<double>(i + 8) / 8;
  expect_step(text, kBatch, product(lookup(kTokens, 4), w));
}

TEST(WeightTest, AMissingFileIsNamed) {
  TestModule module("module attributes {quern.files = [\"/nowhere/weights.gguf\"]} {}");
  const auto interpreter = Interpreter::create(module.get());
  EXPECT_THAT(interpreter.status().ToString(), HasSubstr("/nowhere/weights.gguf"));
}

TEST(WeightTest, AWeightOutsideItsFileIsAnError) {
  const WeightFile file;
  std::string text = step_text(
      4, 2, "quern.weight @w : !quern.weight<2x4, \"f32\"> {file = 0 : i32, offset = 232 : i64}\n",
      "%w = quern.weight_ref @w : !quern.weight<2x4, \"f32\">\n"
      "%y = quern.linear %x, %w : (!T4, !quern.weight<2x4, \"f32\">) -> !T2");
  text.replace(text.find("module {"), 8,
               "module attributes {quern.files = [\"" + file.path() + "\"]} {");
  TestModule module(text);
  ReferenceState state;
  EXPECT_FALSE(module.interpreter()->step(kBatch, state).ok());
}

const char kPackedText[] = R"(quern.packed @p : !quern.weight<2x4, "f32"> packing "f32" {
  %0 = quern.weight_ref @w : !quern.weight<2x4, "f32">
  quern.yield %0 : !quern.weight<2x4, "f32">
}
)";
const char kPackedUse[] = "%w = quern.weight_ref @p : !quern.weight<2x4, \"f32\">\n"
                          "%y = quern.linear %x, %w : (!T4, !quern.weight<2x4, \"f32\">) -> !T2";

TEST(WeightTest, PackedWeightsAreWhatTheirBodiesYield) {
  expect_step(step_text(4, 2, weight_text("w", "2x4") + kPackedText, kPackedUse), kBatch,
              product(lookup(kTokens, 4), synthetic("w", 2, 4)));
}

TEST(WeightTest, PackedWeightsMayBeReadFromElsewhere) {
  TestModule module(step_text(4, 2, weight_text("w", "2x4") + kPackedText, kPackedUse));
  auto interpreter = module.interpreter(
      {.float64 = true,
       .packed = [](const std::string &symbol, int64_t first, int64_t count, float *out) {
         EXPECT_EQ(symbol, "p");
         for (int64_t i = 0; i < count * 4; ++i)
           out[i] = static_cast<float>(first * 4 + i);
         return absl::OkStatus();
       }});
  Matrix w(2, 4);
  for (size_t i = 0; i < 8; ++i)
    w.values[i] = static_cast<double>(i);
  const Matrix y = product(lookup(kTokens, 4), w);
  ReferenceState state;
  const auto output = interpreter->step(kBatch, state);
  ASSERT_TRUE(output.ok()) << output.status();
  for (size_t i = 0; i < y.values.size(); ++i)
    EXPECT_NEAR(output->values[i], y.values[i], 1e-12);
}

/// Counts how often its rows are decoded.
class CountingWeight final : public Weight {
public:
  CountingWeight(int64_t rows, int64_t cols) : Weight({rows, cols}, "f32") {}
  absl::Status read(int64_t first, int64_t count, float *out) const override {
    ++reads;
    std::fill_n(out, count * cols(), static_cast<float>(first));
    return absl::OkStatus();
  }
  mutable int reads = 0;
};

TEST(WeightCacheTest, KeepsTheLatestBlocksThatFit) {
  auto weight = std::make_shared<CountingWeight>(1000, 1024);
  const int64_t step = WeightCache::block_rows(*weight);
  const size_t block_bytes = static_cast<size_t>(step) * 1024 * sizeof(float);
  WeightCache cache(2 * block_bytes);
  auto read = [&](int64_t block) {
    const auto rows = cache.block(weight, block);
    EXPECT_TRUE(rows.ok());
    EXPECT_EQ((**rows)[0], static_cast<float>(block * step));
    return weight->reads;
  };
  EXPECT_EQ(read(0), 1);
  EXPECT_EQ(read(1), 2);
  EXPECT_EQ(read(0), 2);
  EXPECT_EQ(read(2), 3); // throws out block 1
  EXPECT_EQ(read(0), 3);
  EXPECT_EQ(read(1), 4);
  EXPECT_EQ((*cache.block(weight, 999 / step))->size(),
            static_cast<size_t>((1000 - 999 / step * step) * 1024)); // the last is short
}

} // namespace
} // namespace quern::reference
