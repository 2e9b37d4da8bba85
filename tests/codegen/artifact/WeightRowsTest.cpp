// Tests that weight expressions give the rows their ops describe, however they are asked for.
#include "codegen/artifact/WeightRows.h"

#include "ir/formats/Half.h"

#include "mlir/Parser/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::artifact {
namespace {

using testing::HasSubstr;

/// The synthetic numbers of @w.
std::vector<float> made(int64_t n) {
  std::vector<float> values(static_cast<size_t>(n));
  weights::generate({7, "w", 1, 0}, 0, n, values.data());
  return values;
}

class WeightRowsTest : public testing::Test {
protected:
  /// The rows of `ops`, whose value %y is of type `to`, over %w, a synthetic weight of type `from`.
  absl::StatusOr<std::unique_ptr<WeightRows>> rows(const std::string &from, const std::string &ops,
                                                   const std::string &to) {
    context_.loadDialect<QuernDialect>();
    const std::string text =
        "quern.weight @w : !quern.weight<" + from +
        "> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64}\nquern.packed @p : !quern.weight<" +
        to + "> packing \"rows\" {\n%w = quern.weight_ref @w : !quern.weight<" + from + ">\n" +
        ops + "\nquern.yield %y : !quern.weight<" + to + ">\n}\n";
    module_ = mlir::parseSourceString<mlir::ModuleOp>(text, &context_);
    if (!module_)
      return absl::InternalError("the test's module does not parse:\n" + text);
    auto packed = *module_->getOps<PackedOp>().begin();
    return weight_rows(packed.getBody().front().getTerminator()->getOperand(0), store_);
  }

  /// Reads all rows, `step` at a time.
  static std::vector<float> read(const WeightRows &rows, int64_t step) {
    std::vector<float> values;
    Findings findings;
    for (int64_t row = 0; row < rows.rows(); row += step) {
      const int64_t here = std::min(step, rows.rows() - row);
      std::vector<float> some(static_cast<size_t>(here * rows.row_elements()));
      const absl::Status status = rows.read_floats(row, here, some.data(), findings);
      EXPECT_TRUE(status.ok()) << status;
      values.insert(values.end(), some.begin(), some.end());
    }
    return values;
  }

  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  weights::WeightStore store_;
};

const char kTranspose[] = R"(%y = quern.weight_transpose %w : !quern.weight<600x300, "f32"> -> )"
                          R"(!quern.weight<300x600, "f32">)";

std::vector<float> transposed() {
  // More elements than are worked on at a time.
  const std::vector<float> w = made(600 * 300);
  std::vector<float> turned(w.size());
  for (size_t k = 0; k < 600; ++k)
    for (size_t n = 0; n < 300; ++n)
      turned[n * 600 + k] = w[k * 300 + n];
  return turned;
}

TEST_F(WeightRowsTest, TransposedRowsAreColumns) {
  auto y = rows("600x300, \"f32\"", kTranspose, "300x600, \"f32\"");
  ASSERT_TRUE(y.ok()) << y.status();
  for (int64_t step : {1, 16, 300})
    EXPECT_EQ(read(**y, step), transposed()) << step;
}

TEST_F(WeightRowsTest, ConversionsRoundRowsOfTheTransposed) {
  auto y = rows("600x300, \"f32\"",
                "%t" + std::string(kTranspose + 2) +
                    "\n%y = quern.weight_convert %t : !quern.weight<300x600, \"f32\"> -> "
                    "!quern.weight<300x600, \"int8\">",
                "300x600, \"int8\"");
  ASSERT_TRUE(y.ok()) << y.status();
  std::vector<float> want = transposed();
  const formats::Format &format = *formats::find_format("int8");
  std::vector<std::byte> row(static_cast<size_t>(format.row_bytes(600)));
  for (float *at = want.data(); at != want.data() + want.size(); at += 600) {
    ASSERT_TRUE(format.encode_row(at, 600, row.data()).ok());
    format.decode_row(row.data(), 600, at);
  }
  for (int64_t step : {7, 300})
    EXPECT_EQ(read(**y, step), want) << step;
}

TEST_F(WeightRowsTest, HalvesKeepTheirBitsWhenTransposed) {
  auto y = rows("3x2, \"f16\"",
                R"(%y = quern.weight_transpose %w : !quern.weight<3x2, "f16"> -> )"
                R"(!quern.weight<2x3, "f16">)",
                "2x3, \"f16\"");
  ASSERT_TRUE(y.ok()) << y.status();
  const std::vector<float> w = made(6);
  std::vector<float> want;
  for (size_t n = 0; n < 2; ++n)
    for (size_t k = 0; k < 3; ++k)
      want.push_back(formats::f16_to_f32(formats::f32_to_f16(w[k * 2 + n])));
  EXPECT_EQ(read(**y, 2), want);
}

TEST_F(WeightRowsTest, BlocksOfRowsAreChosenWhereverAReadBegins) {
  auto y =
      rows("20x32, \"int8\"",
           R"(%y = quern.weight_rows %w {offset = 1 : i64, block = 3 : i64, stride = 6 : i64} )"
           R"(: !quern.weight<20x32, "int8"> -> !quern.weight<9x32, "int8">)",
           "9x32, \"int8\"");
  ASSERT_TRUE(y.ok()) << y.status();
  auto all = rows("20x32, \"int8\"",
                  "%y = quern.weight_convert %w : !quern.weight<20x32, "
                  "\"int8\"> -> !quern.weight<20x32, \"int8\">",
                  "20x32, \"int8\"");
  ASSERT_TRUE(all.ok()) << all.status();
  const std::vector<float> w = read(**all, 20);
  std::vector<float> want;
  for (int row : {1, 2, 3, 7, 8, 9, 13, 14, 15})
    want.insert(want.end(), w.begin() + row * 32, w.begin() + (row + 1) * 32);
  for (int64_t step : {1, 2, 4, 9})
    EXPECT_EQ(read(**y, step), want) << step;
}

TEST_F(WeightRowsTest, OfVectorsElementsAreChosen) {
  auto y =
      rows("20, \"f32\"",
           R"(%y = quern.weight_rows %w {offset = 2 : i64, block = 2 : i64, stride = 5 : i64} )"
           R"(: !quern.weight<20, "f32"> -> !quern.weight<8, "f32">)",
           "8, \"f32\"");
  ASSERT_TRUE(y.ok()) << y.status();
  const std::vector<float> w = made(20);
  std::vector<float> want;
  for (size_t i : {2, 3, 7, 8, 12, 13, 17, 18})
    want.push_back(w[i]);
  EXPECT_EQ(read(**y, 1), want);
}

TEST_F(WeightRowsTest, BlocksAreNotCut) {
  auto turned = rows("32x32, \"int8\"",
                     R"(%y = quern.weight_transpose %w : !quern.weight<32x32, "int8"> -> )"
                     R"(!quern.weight<32x32, "int8"> loc("h.0.attn.c_attn"))",
                     "32x32, \"int8\"");
  EXPECT_THAT(turned.status().ToString(),
              HasSubstr("h.0.attn.c_attn: is stored in blocks of int8 and cannot be transposed"));
  auto chosen = rows("64, \"int8\"",
                     R"(%y = quern.weight_rows %w {offset = 0 : i64} : !quern.weight<64, "int8"> )"
                     R"(-> !quern.weight<32, "int8"> loc("bias"))",
                     "32, \"int8\"");
  EXPECT_THAT(chosen.status().ToString(),
              HasSubstr("bias: is stored in blocks of int8 and cannot be taken apart"));
}

} // namespace
} // namespace quern::artifact
