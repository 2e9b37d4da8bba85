// Tests that formats decode as the `gguf` package does, bit for bit, that Quern's own formats
// encode well, and that
// `--quant` is parsed strictly.
#include "ir/formats/Format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

namespace quern::formats {
namespace {

using ::testing::HasSubstr;

std::vector<float> normal_values(int64_t n, uint32_t seed) {
  // Sums of uniforms from the raw engine: the library's distributions differ between
  // implementations.
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (float &value : values) {
    double sum = 0;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(engine()) / 4294967296.0;
    value = static_cast<float>(0.02 * (sum - 6));
  }
  return values;
}

ErrorStats encoding_error(const Format &format, const std::vector<float> &values) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(format.row_bytes(n)));
  EXPECT_TRUE(format.encode_row(values.data(), n, bytes.data()).ok());
  std::vector<float> decoded(values.size());
  format.decode_row(bytes.data(), n, decoded.data());
  ErrorStats stats;
  stats.add(values.data(), decoded.data(), n);
  return stats;
}

TEST(Format, NamesAreUniqueAndFound) {
  for (const Format *format : all_formats())
    EXPECT_EQ(find_format(format->name()), format);
  EXPECT_EQ(all_formats().size(), 50u);
  EXPECT_EQ(find_format("q1_0"), nullptr);
  const auto missing = require_format("q1_0");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("'q1_0'; there are f32, f16"));
}

TEST(Format, DecodesGgufBlocksBitExactly) {
  std::ifstream file(QUERN_SOURCE_DIR "/tests/ir/formats/gguf_blocks.bin", std::ios::binary);
  const std::string golden((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
  ASSERT_FALSE(golden.empty());
  int formats = 0;
  for (size_t at = 0; at < golden.size(); ++formats) {
    const std::string name(golden.data() + at);
    uint32_t block_bytes = 0, floats = 0;
    std::memcpy(&block_bytes, golden.data() + at + 8, 4);
    std::memcpy(&floats, golden.data() + at + 12, 4);
    const auto *blocks = reinterpret_cast<const std::byte *>(golden.data() + at + 16);
    std::vector<float> expected(floats);
    std::memcpy(expected.data(), blocks + block_bytes, size_t{floats} * 4);
    at += 16 + block_bytes + size_t{floats} * 4;

    const Format *format = find_format(name);
    ASSERT_NE(format, nullptr) << name;
    ASSERT_EQ(format->row_bytes(floats), block_bytes) << name;
    std::vector<float> decoded(floats);
    format->decode_row(blocks, floats, decoded.data());
    for (size_t i = 0; i < floats; ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), std::bit_cast<uint32_t>(expected[i]))
          << name << " element " << i << ": " << decoded[i] << " against " << expected[i];
    // Part of a row is the same values.
    std::vector<float> part(floats);
    format->decode_row(blocks, floats - 7, part.data());
    EXPECT_EQ(std::memcmp(part.data(), decoded.data(), (size_t{floats} - 7) * 4), 0) << name;
    EXPECT_EQ(part[floats - 1], 0) << name;
  }
  EXPECT_EQ(formats, 23);
}

TEST(Format, FloatFormatsRoundOnce) {
  const std::vector<float> values = {0.0f, -0.0f, 1.0f, 0.1f, -3.14159f, 1e-7f, 65504.0f};
  EXPECT_EQ(encoding_error(*find_format("f32"), values).sum_squared_error, 0);
  for (const char *name : {"f16", "bf16"}) {
    const Format &format = *find_format(name);
    std::vector<std::byte> bytes(static_cast<size_t>(format.row_bytes(7)));
    ASSERT_TRUE(format.encode_row(values.data(), 7, bytes.data()).ok());
    std::vector<float> decoded(7);
    format.decode_row(bytes.data(), 7, decoded.data());
    for (size_t i = 0; i < 7; ++i)
      EXPECT_EQ(decoded[i], format.name() == "f16" ? f16_to_f32(f32_to_f16(values[i]))
                                                   : bf16_to_f32(f32_to_bf16(values[i])));
  }
}

TEST(Format, EncodingErrorIsWhatItsBitsAllow) {
  // Error energy over signal energy for normally distributed weights, 4 % above what was measured.
  // Plain rounding to nearest has 0.0074 for g32 sym, 0.0061 asym, 2.9e-5 for int8: the search is
  // worth a sixth of the error, with a min a fifth.
  const std::vector<float> values = normal_values(1 << 14, 1);
  const std::pair<const char *, double> bounds[] = {
      {"int8", 2.5e-5},           {"int6", 2.9e-4},           {"int5", 1.17e-3},
      {"int4", 0.00494},          {"int3", 0.0216},           {"mxfp4", 0.0129},
      {"int4:g32:sym", 0.00657},  {"int4:g32:asym", 0.00492}, {"int4:g64:sym", 0.00802},
      {"int4:g64:asym", 0.00670}, {"int4:g128:sym", 0.00905}, {"int4:g128:asym", 0.00818},
  };
  for (const auto &[name, bound] : bounds) {
    const ErrorStats stats = encoding_error(*find_format(name), values);
    RecordProperty(name, std::to_string(stats.relative_energy()));
    EXPECT_LT(stats.relative_energy(), bound) << name;
    EXPECT_GT(stats.relative_energy(), bound / 2) << name;
    EXPECT_EQ(stats.count, 1 << 14);
  }
}

TEST(Format, EncodingWhatAFormatCanHoldIsExact) {
  // Codes that reach the end of their range times a power of two, and constants: the search must
  // find the scale.
  const std::vector<float> zeros(100, 0.0f), constant(100, 0.5f);
  std::vector<float> nibbles(304), bytes(304), halves(304), three(304),
      six; // a short group's own range is no multiple of the others'
  constexpr float kE2M1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (int i = 0; i < 304; ++i) {
    nibbles[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i % 16 - 8);
    bytes[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i * 17 % 32 * 8 - 127);
    halves[static_cast<size_t>(i)] = 0x1p-9f * (i % 16 < 8 ? 1 : -1) * kE2M1[i % 8];
    three[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i % 8 - 4);
  }
  for (int i = 0; i < 288; ++i)
    six.push_back(0.25f * static_cast<float>(i % 32 == 31 ? 31 : 2 * (i % 32) - 32));
  for (const Format *format : all_formats()) {
    if (!format->can_encode())
      continue;
    EXPECT_EQ(encoding_error(*format, zeros).sum_squared_error, 0) << format->name();
    if (format->packing().super != 0) { // a scale is a multiple of the row's, rounded
      const int bits = format->packing().bits;
      const auto &codes = bits < 4 ? three : bits == 6 ? six : nibbles;
      EXPECT_LT(encoding_error(*format, codes).relative_energy(), 1e-12) << format->name();
      EXPECT_LT(encoding_error(*format, constant).relative_energy(), 1e-12) << format->name();
      continue;
    }
    const bool int8 = format->name() == "int8", mxfp4 = format->name() == "mxfp4";
    EXPECT_EQ(encoding_error(*format, int8    ? bytes
                                      : mxfp4 ? halves
                                              : nibbles)
                  .sum_squared_error,
              0)
        << format->name();
    if (!int8) { // 0.5 / 127 is no f16
      EXPECT_EQ(encoding_error(*format, constant).sum_squared_error, 0) << format->name();
    }
  }
}

TEST(Format, EncodingIsDeterministicAndDecodedAgainIsTheSame) {
  // A decoded row is representable, so encoding it again must reproduce it.
  const std::vector<float> values = normal_values(1000, 2);
  for (const Format *format : all_formats()) {
    if (!format->can_encode())
      continue;
    std::vector<std::byte> bytes(static_cast<size_t>(format->row_bytes(1000)));
    ASSERT_TRUE(format->encode_row(values.data(), 1000, bytes.data()).ok());
    std::vector<float> decoded(1000);
    format->decode_row(bytes.data(), 1000, decoded.data());
    const double norm = encoding_error(*format, decoded).relative_energy();
    // With a min, the search may miss some groups' range; that loses a tenth of what the first
    // encoding did, at most.
    EXPECT_LT(norm, format->packing().has_min ? 5e-4 : 1e-6) << format->name();
  }
}

TEST(Format, AGroupIsEncodedAsAmongAnyOthers) {
  // Groups are searched eight at a time: what lies beside one, and how many there are, is nothing
  // to it. A short last group is none the worse for the groups that are not there.
  const std::vector<float> values = normal_values(1000, 3);
  for (const Format *format : all_formats()) {
    if (!format->can_encode() || format->packing().super != 0)
      continue;
    std::vector<std::byte> row(static_cast<size_t>(format->row_bytes(1000)));
    ASSERT_TRUE(format->encode_row(values.data(), 1000, row.data()).ok());
    for (int64_t first = 0; first < 1000; first += format->block()) {
      const int64_t n = std::min<int64_t>(format->block(), 1000 - first);
      std::vector<std::byte> alone(static_cast<size_t>(format->block_bytes()));
      ASSERT_TRUE(format->encode_row(&values[static_cast<size_t>(first)], n, alone.data()).ok());
      EXPECT_EQ(std::memcmp(alone.data(), &row[static_cast<size_t>(format->row_bytes(first))],
                            alone.size()),
                0)
          << format->name() << " from " << first;
    }
  }
}

TEST(Format, FarFromZeroAGroupIsEncodedByItsSpread) {
  // Mins in f16: around 2, they have steps of a thousandth, which is a twentieth of a code's.
  std::vector<float> values = normal_values(4096, 4);
  const double spread = encoding_error(*find_format("int4:g32:asym"), values).sum_squared_error;
  for (float &value : values)
    value += 2;
  const double far = encoding_error(*find_format("int4:g32:asym"), values).sum_squared_error;
  EXPECT_LT(far, 1.1 * spread);
}

// Tests that rows of any size are held alike where their scales have float32's range.
TEST(Format, TwoLevelScalesHoldRowsOfAnySize) {
  const std::vector<float> values = normal_values(4096, 5);
  for (const char *name : {"int3", "int4", "int5", "int6", "mxfp4"}) {
    const Format &format = *find_format(name);
    const double usual = encoding_error(format, values).relative_energy();
    for (const float size : {1e-25f, 1e-15f, 1e-9f, 1e5f, 1e8f, 1e20f, 1e36f}) {
      std::vector<float> sized = values;
      for (float &value : sized)
        value *= size;
      // Where exponents are whole, where their steps begin decides.
      EXPECT_NEAR(encoding_error(format, sized).relative_energy(), usual,
                  (format.packing().scale == ScaleType::E8M0 ? 0.1 : 0.02) * usual)
          << name << " " << size;
    }
  }
}

// Tests that scales that are not finite are known from values that are not, in any format: a block
// in 32 has one where its bytes are anything.
TEST(Format, ScalesThatAreNotFiniteAreFound) {
  std::mt19937 engine(6);
  for (const Format *format : all_formats()) {
    const int n = 2 * format->block();
    std::vector<std::byte> row(static_cast<size_t>(format->row_bytes(n)));
    std::vector<float> decoded(static_cast<size_t>(n));
    int found = 0;
    for (int i = 0; i < 2000 && !format->is_float(); ++i) {
      for (std::byte &byte : row)
        byte = static_cast<std::byte>(engine() & 255);
      format->decode_row(row.data(), n, decoded.data());
      const bool finite = std::ranges::all_of(decoded, [](float x) { return std::isfinite(x); });
      // Of float32 scales the products may overflow.
      if (format->has_finite_scales(row.data(), n))
        EXPECT_TRUE(finite || format->packing().scale == ScaleType::F32 ||
                    format->packing().super_type() == ScaleType::F32)
            << format->name();
      else
        EXPECT_FALSE(finite) << format->name();
      found += !format->has_finite_scales(row.data(), n);
    }
    EXPECT_EQ(found > 0, !format->is_float() && format->name() != "nvfp4") << format->name();
  }
}

// Tests that what an f16 scale reaches with the last code is held, as well as smaller elements are.
TEST(Format, ElementsBeyondF16AreHeldWhereTheirScaleIsNot) {
  for (const auto &[name, highest] :
       {std::pair("int8", 127), std::pair("int4:g32:sym", 7), std::pair("int4:g128:sym", 7)}) {
    const Format &format = *find_format(name);
    std::vector<float> values = normal_values(1024, 7);
    const double usual = encoding_error(format, values).relative_energy();
    const float largest =
        std::abs(*std::ranges::max_element(values, {}, [](float x) { return std::abs(x); }));
    const float limit = static_cast<float>(highest) * 65504;
    for (float &value : values)
      value *= 0.999f * limit / largest;
    EXPECT_LT(encoding_error(format, values).relative_energy(), 1.2 * usual) << name;
    std::ranges::fill(values, -limit);
    EXPECT_EQ(encoding_error(format, values).relative_energy(), 0) << name;
    std::vector<std::byte> bytes(static_cast<size_t>(format.row_bytes(1024)));
    values[9] = 1.001f * limit;
    const std::string beyond(format.encode_row(values.data(), 1024, bytes.data()).message());
    EXPECT_THAT(beyond, HasSubstr("beyond what an f16 scale can reach")) << name;
    EXPECT_THAT(beyond, HasSubstr("\nhint: --quant bf16")) << name;
    values[700] = 3.4e38f; // beyond bf16, too
    EXPECT_THAT(std::string(format.encode_row(values.data(), 1024, bytes.data()).message()),
                HasSubstr("\nhint: --quant f32"))
        << name;
  }
}

TEST(Format, RefusesWhatItCannotHold) {
  std::vector<float> values(64, 1.0f);
  std::vector<std::byte> bytes(256);
  values[40] = std::numeric_limits<float>::quiet_NaN();
  const absl::Status nan = find_format("int8")->encode_row(values.data(), 64, bytes.data());
  EXPECT_THAT(std::string(nan.message()), HasSubstr("element 40 is nan"));
  values[40] = 1e6f;
  const absl::Status large =
      find_format("int4:g64:asym")->encode_row(values.data(), 64, bytes.data());
  EXPECT_EQ(large.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(
      std::string(find_format("f16")->encode_row(values.data(), 64, bytes.data()).message()),
      HasSubstr("element 40 is 1e+06, beyond f16's 65504\nhint: --quant bf16"));
  values[41] = std::numeric_limits<float>::max();
  EXPECT_THAT(
      std::string(find_format("bf16")->encode_row(values.data(), 64, bytes.data()).message()),
      HasSubstr("element 41 is 3.40282e+38, beyond bf16's 3.39e38\nhint: --quant f32"));
  values[41] = 0;
  EXPECT_TRUE(find_format("bf16")->encode_row(values.data(), 64, bytes.data()).ok());
  EXPECT_EQ(find_format("q4_k")->encode_row(values.data(), 64, bytes.data()).code(),
            absl::StatusCode::kUnimplemented);
}

// Tests that a block of mxfp4 takes the power of two with the least error, up to the ends of
// float32.
TEST(Format, Mxfp4TakesTheBestExponent) {
  const Format &format = *find_format("mxfp4");
  std::mt19937 engine(9);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> values = normal_values(32, static_cast<uint32_t>(trial));
    if (trial % 3 == 0)
      values[static_cast<size_t>(trial % 32)] *= 5; // an outlier
    const double error = encoding_error(format, values).sum_squared_error;
    double least = 1e9;
    for (int exponent = -20; exponent < 0; ++exponent) {
      double sum = 0;
      for (const float value : values) {
        double nearest = 1e9;
        for (const double size : {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0})
          nearest = std::min(
              nearest, std::abs(std::abs(static_cast<double>(value)) - std::ldexp(size, exponent)));
        sum += nearest * nearest;
      }
      least = std::min(least, sum);
    }
    EXPECT_NEAR(error, least, 1e-6 * least) << trial;
  }
  for (const float end : {0x1.fp127f, -0x1.8p127f, 0x1p-126f, 0x1p-124f}) {
    const std::vector<float> values(40, end);
    EXPECT_LT(encoding_error(format, values).relative_energy(), std::abs(end) > 1 ? 0.1 : 0.3)
        << end;
  }
}

TEST(QuantFlag, ParsesEverySpelling) {
  const std::pair<const char *, const char *> spellings[] = {
      {"f32", "f32"},
      {"bf16", "bf16"},
      {"int8", "int8"},
      {"int4", "int4"},
      {"int4:g32", "int4:g32:sym"},
      {"int4:g64", "int4:g64:sym"},
      {"int4,asym", "int4:g32:asym"},
      {"int4:g128,asym", "int4:g128:asym"},
      {"int4:g64:asym", "int4:g64:asym"},
      {"int6", "int6"},
      {"int5", "int5"},
      {"int3", "int3"},
      {"mxfp4", "mxfp4"},
  };
  for (const auto &[flag, name] : spellings) {
    const auto choice = parse_quant_flag(flag);
    ASSERT_TRUE(choice.ok()) << flag;
    ASSERT_FALSE(choice->keep());
    EXPECT_EQ(choice->format->name(), name);
  }
  ASSERT_TRUE(parse_quant_flag("keep").ok());
  EXPECT_TRUE(parse_quant_flag("keep")->keep());
}

TEST(QuantFlag, RefusesTheRest) {
  for (const char *flag :
       {"", "int7", "q4_0", "int4:g128:sym:f32", "int3:g32", "mxfp4,sym", "int4:", "int4:g16",
        "int4:g32,g64", "int4,sym,asym", "int8:g32", "keep,sym", "int4:g32,sym,", "INT4"}) {
    const auto choice = parse_quant_flag(flag);
    ASSERT_FALSE(choice.ok()) << flag;
    EXPECT_THAT(std::string(choice.status().message()),
                HasSubstr("one of keep, f32, f16, bf16, int8, int6, int5, "
                          "int4[:g32|g64|g128][,sym|asym], mxfp4, int3"));
  }
}

} // namespace
} // namespace quern::formats
