// Tests that what is no number, all zeros or lost in conversion is found in the model's tensors, by
// name, and that nothing is said of tensors like any others.
#include "codegen/artifact/WeightFindings.h"

#include "ir/formats/Half.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace quern::artifact {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::byte> encoded(const formats::Format &format, const std::vector<float> &values) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(format.row_bytes(n)));
  EXPECT_TRUE(format.encode_row(values.data(), n, bytes.data()).ok());
  return bytes;
}

TensorFinding named(const std::string &name, std::vector<int64_t> shape) {
  TensorFinding tensor;
  tensor.name = name;
  tensor.shape = std::move(shape);
  return tensor;
}

/// What is found in `rows`, one after the other, of a tensor that is `shape`.
TensorFinding look(const std::string &format, const std::vector<std::vector<float>> &rows,
                   std::vector<int64_t> shape) {
  TensorFinding found = named("up.weight", std::move(shape));
  const formats::Format &of = *formats::find_format(format);
  int64_t at = 0;
  for (const std::vector<float> &row : rows) {
    found.look(of, encoded(of, row).data(), static_cast<int64_t>(row.size()), at);
    at += static_cast<int64_t>(row.size());
  }
  return found;
}

std::vector<std::string> notes(const TensorFinding &tensor) {
  Findings findings;
  findings.tensor(&tensor, tensor);
  return weight_notes({findings});
}

/// What a conversion of `values` to `format` is found to lose.
Findings converted(const std::string &format, const std::vector<float> &values) {
  const formats::Format &to = *formats::find_format(format);
  const auto n = static_cast<int64_t>(values.size());
  std::vector<float> decoded(values.size());
  to.decode_row(encoded(to, values).data(), n, decoded.data());
  formats::ErrorStats error;
  error.add(values.data(), decoded.data(), n);
  Findings findings;
  findings.error.add(error);
  ConversionFinding fresh;
  fresh.name = "up.weight";
  fresh.format = &to;
  findings.conversion(&to, fresh).compare(values.data(), decoded.data(), n, error);
  return findings;
}

std::vector<float> waves(float size) {
  std::vector<float> values(4096);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = size * std::sin(static_cast<float>(i * i % 997));
  return values;
}

TEST(WeightFindings, ElementsThatAreNotFinite) {
  for (const char *format : {"f32", "f16", "bf16"}) {
    const TensorFinding found = look(format, {{1, 2, 3}, {4, 5, NAN}, {-INFINITY, 8, 9}}, {3, 3});
    EXPECT_EQ(found.not_finite, 2) << format;
    EXPECT_THAT(notes(found), ElementsAre(HasSubstr("up.weight: 2 of its 9 elements are not "
                                                    "finite, the first, [1, 2], is NaN")))
        << format;
    EXPECT_THAT(
        notes(look(format, {{1, INFINITY, 3}}, {3})),
        ElementsAre(HasSubstr("1 of its 3 elements is not finite, the first, [1], is inf")));
    EXPECT_THAT(notes(look(format, {{1, 2}, {3, -0.0f}}, {2, 2})), IsEmpty());
  }
}

TEST(WeightFindings, ScalesThatAreNotFinite) {
  const formats::Format &format = *formats::find_format("int8"); // stored as q8_0
  auto row = encoded(format, std::vector<float>(80, 0.5f));
  const uint16_t infinity = 0x7c00;
  std::memcpy(row.data() + format.block_bytes(), &infinity, 2);
  TensorFinding found = named("blk.0.ffn_up.weight", {2, 80});
  found.look(*formats::find_format("q8_0"), row.data(), 80, 80);
  EXPECT_THAT(notes(found), ElementsAre(HasSubstr("32 of its 160 elements are not finite, the "
                                                  "first, [1, 32], is")));
}

TEST(WeightFindings, ExponentsThatFloat32DoesNotHold) {
  const formats::Format &mxfp4 = *formats::find_format("mxfp4");
  std::vector<std::byte> row(3 * 17, std::byte{0x55}); // exponent 85, twice 3 everywhere
  const auto found = [&](int exponent) {
    row[17] = static_cast<std::byte>(exponent);
    TensorFinding tensor = named("blk.0.ffn_up.weight", {96});
    tensor.look(mxfp4, row.data(), 96, 0);
    return notes(tensor);
  };
  EXPECT_THAT(found(253), IsEmpty()); // 2^125 * 6
  for (const int exponent : {254, 255})
    EXPECT_THAT(found(exponent),
                ElementsAre(HasSubstr("blk.0.ffn_up.weight: 32 of its 96 elements are not finite, "
                                      "the first, [32], is inf")));
}

TEST(WeightFindings, TensorsOfZeros) {
  const std::vector<float> zeros(64, 0.0f), last = [] {
    std::vector<float> values(64, 0.0f);
    values.back() = 1e-3f;
    return values;
  }();
  for (const char *format : {"f32", "bf16", "int8", "int4", "int4:g64:asym"}) {
    TensorFinding found = look(format, {zeros, zeros}, {2, 64});
    EXPECT_THAT(notes(found), ElementsAre("up.weight: all of its 128 elements are zero"));
    found.zero_is_normal = true;
    EXPECT_THAT(notes(found), IsEmpty());
    EXPECT_THAT(notes(look(format, {zeros, last}, {2, 64})), IsEmpty()) << format;
  }
}

TEST(WeightFindings, PartsOfATensorAreAddedUp) {
  Findings findings;
  const int reader = 0, other = 0;
  const std::vector<float> with_nan = {0, NAN};
  const formats::Format &f32 = *formats::find_format("f32");
  const TensorFinding fresh = named("w", {4, 2});
  for (const int64_t row : {3, 1}) {
    Findings piece;
    piece.tensor(&reader, fresh).look(f32, encoded(f32, with_nan).data(), 2, 2 * row);
    findings.add(piece);
  }
  ASSERT_EQ(findings.tensors().size(), 1u);
  EXPECT_EQ(findings.tensors()[0].not_finite, 2);
  EXPECT_EQ(findings.tensors()[0].first, 3);
  // Another weight that is made of the same tensor.
  Findings again;
  again.tensor(&other, findings.tensors()[0]);
  EXPECT_THAT(weight_notes({findings, again}), ElementsAre(HasSubstr("2 of its 8 elements")));
}

TEST(WeightFindings, ManyTensorsAreCounted) {
  Findings findings;
  std::vector<int> readers(11);
  for (int &reader : readers)
    findings.tensor(&reader, named("w" + std::to_string(&reader - readers.data()), {9}));
  const auto all = weight_notes({findings});
  ASSERT_EQ(all.size(), 9u);
  EXPECT_EQ(all.back(), "3 more tensors are all zeros");
}

TEST(WeightFindings, OrdinaryWeightsFitEveryFormat) {
  for (const formats::Format *format : formats::all_formats())
    if (format->can_encode())
      for (const float size : {0.02f, 1e-3f, 10.0f}) {
        const Findings findings = converted(format->name(), waves(size));
        EXPECT_TRUE(check_conversions(findings).ok()) << format->name();
        EXPECT_THAT(weight_notes({findings}), IsEmpty()) << format->name() << " " << size;
      }
}

TEST(WeightFindings, WhatAFormatRoundsAwayIsRefused) {
  for (const char *format : {"int8", "int4:g32:sym", "int4:g128:asym", "f16"}) {
    const absl::Status status = check_conversions(converted(format, waves(1e-9f)));
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << format;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(std::string("up.weight: ") + format + " would lose 100 % of it"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("ends at 6e-8\nhint: --quant bf16"));
  }
  for (const char *format : {"int4", "bf16", "f32"}) // whose scales have float32's range
    EXPECT_THAT(weight_notes({converted(format, waves(1e-9f))}), IsEmpty()) << format;
}

// Tests that bf16 is not named for what it would lose as well.
TEST(WeightFindings, HintsNameWhatHoldsTheTensor) {
  for (const char *format : {"int8", "f16"})
    EXPECT_THAT(std::string(check_conversions(converted(format, waves(3e-42f))).message()),
                HasSubstr("\nhint: --quant f32"))
        << format;
  EXPECT_THAT(std::string(check_conversions(converted("bf16", waves(1e-41f))).message()),
              HasSubstr("\nhint: --quant f32"));
  Findings worse = converted("int8", waves(1e-9f));
  ConversionFinding twice = worse.conversions()[0];
  twice.error.sum_squared_error = 4 * twice.error.sum_squares;
  const int reader = 0;
  Findings findings;
  findings.conversion(&reader, twice);
  EXPECT_THAT(std::string(check_conversions(findings).message()),
              HasSubstr("would lose more than all of it"));
}

TEST(WeightFindings, WhatAFormatHardlyHoldsIsNoted) {
  for (const char *format : {"int8", "f16"}) {
    const Findings findings = converted(format, waves(2e-7f));
    EXPECT_TRUE(check_conversions(findings).ok()) << format;
    EXPECT_THAT(weight_notes({findings}),
                ElementsAre(HasSubstr(std::string("up.weight: ") + format + " loses ")))
        << format;
  }
}

TEST(WeightFindings, OutliersThatLeaveNothingElseAreNoted) {
  std::vector<float> values = waves(0.02f);
  values[1000] = 5e4f;
  for (const char *format : {"int8", "int4:g32:sym", "int4:g128:sym"}) {
    const Findings findings = converted(format, values);
    EXPECT_TRUE(check_conversions(findings).ok()) << format;
    const bool small = std::string(format) == "int4:g128:sym"; // 1 group of 32
    EXPECT_THAT(
        weight_notes({findings}),
        ElementsAre(HasSubstr(small ? "1 of its 32 groups of 128" : "1 of its 128 groups of 32")))
        << format;
  }
}

} // namespace
} // namespace quern::artifact
