// Tests that rows of codes, scales and zero points become the values they stand for, in the format
// that holds them, by layouts written out here from their descriptions; and that parts which do not
// belong together are refused.
#include "ir/weights/CodedWeight.h"

#include "ir/weights/WeightStore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>

namespace quern::weights {
namespace {

using ::testing::HasSubstr;

/// What a test stores: integers q [outputs, inputs], z and scales [outputs, groups].
struct Matrix {
  int64_t outputs, inputs, group;
  int bits;
  std::vector<int> q, z;
  std::vector<float> scales;

  int64_t groups() const { return (inputs - 1) / group + 1; }
  int code(int64_t n, int64_t k) const { return q[static_cast<size_t>(n * inputs + k)]; }
  int zero(int64_t n, int64_t g) const { return z[static_cast<size_t>(n * groups() + g)]; }
  float scale(int64_t n, int64_t g) const { return scales[static_cast<size_t>(n * groups() + g)]; }
};

/// Random codes; zeros in least..most; scales that f16 has.
Matrix random_matrix(int64_t outputs, int64_t inputs, int64_t group, int bits, int least,
                     int most) {
  std::mt19937 engine(static_cast<uint32_t>(outputs * inputs + bits));
  Matrix m{outputs, inputs, group, bits, {}, {}, {}};
  const auto upto = [&](int n) { return static_cast<int>(engine() % static_cast<uint32_t>(n)); };
  for (int64_t i = 0; i < outputs * inputs; ++i)
    m.q.push_back(upto(1 << bits));
  for (int64_t i = 0; i < outputs * m.groups(); ++i) {
    m.z.push_back(least + upto(most - least + 1));
    m.scales.push_back(
        formats::f16_to_f32(static_cast<uint16_t>(0x2000 + upto(0x1000)))); // 2^-7 .. 2^-3
  }
  return m;
}

/// 32-bit words, written code by code.
class Words {
public:
  explicit Words(int64_t words) : words_(static_cast<size_t>(words)) {}
  /// ORs `code` in at `bit` of the stream whose word w lies at base + w * stride.
  void put(int64_t base, int64_t stride, int64_t bit, uint32_t code) {
    const uint64_t wide = uint64_t{code} << bit % 32;
    words_[static_cast<size_t>(base + bit / 32 * stride)] |= static_cast<uint32_t>(wide);
    if (wide >> 32)
      words_[static_cast<size_t>(base + (bit / 32 + 1) * stride)] |=
          static_cast<uint32_t>(wide >> 32);
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(words_)); }

private:
  std::vector<uint32_t> words_;
};

std::vector<std::byte> scale_bytes(const Matrix &m, Element element, bool by_group) {
  std::vector<std::byte> bytes;
  const auto add = [&](float scale) {
    uint32_t bits = std::bit_cast<uint32_t>(scale);
    if (element == Element::F16)
      bits = formats::f32_to_f16(scale);
    if (element == Element::BF16)
      bits >>= 16;
    for (int i = 0; i < element_bytes(element); ++i)
      bytes.push_back(static_cast<std::byte>(bits >> 8 * i));
  };
  for (int64_t i = 0; i < m.outputs * m.groups(); ++i)
    add(by_group ? m.scale(i % m.outputs, i / m.outputs) : m.scale(i / m.groups(), i % m.groups()));
  return bytes;
}

int64_t words_of(int64_t codes, int bits) { return (codes * bits + 31) / 32; }

/// Chooses a format for the parts, makes all rows in it and compares their values.
void expect_values(Coded coded, const Matrix &m, const PartBytes &parts, std::string_view format,
                   const std::function<int64_t(int64_t)> &group_of) {
  const int64_t shape[] = {m.outputs, m.inputs};
  const auto sized = parts_of(coded, shape);
  ASSERT_TRUE(sized.ok()) << sized.status();
  ASSERT_EQ(sized->size(), parts.size());
  for (size_t i = 0; i < parts.size(); ++i)
    ASSERT_EQ((*sized)[i].bytes, static_cast<int64_t>(parts[i].size())) << (*sized)[i].name;
  const auto chosen = choose_format(coded, shape, parts);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(*chosen, format);
  const formats::Format &f = *formats::find_format(*chosen);
  // Parts that turned out to say nothing are gone.
  PartBytes left = parts;
  left.resize(parts_of(coded, shape)->size());
  std::vector<std::byte> rows(static_cast<size_t>(f.row_bytes(m.inputs) * m.outputs));
  std::vector<float> row(static_cast<size_t>(m.inputs));
  for (const int64_t step : {m.outputs, int64_t{3}}) {
    for (int64_t n = 0; n < m.outputs; n += step)
      ASSERT_TRUE(coded_rows(coded, shape, left, f, n, std::min(step, m.outputs - n),
                             rows.data() + n * f.row_bytes(m.inputs))
                      .ok());
    for (int64_t n = 0; n < m.outputs; ++n) {
      f.decode_row(rows.data() + n * f.row_bytes(m.inputs), m.inputs, row.data());
      for (int64_t k = 0; k < m.inputs; ++k) {
        const int64_t g = group_of(k);
        ASSERT_EQ(row[static_cast<size_t>(k)],
                  m.scale(n, g) * static_cast<float>(m.code(n, k) - m.zero(n, g)))
            << "row " << n << ", input " << k;
      }
    }
  }
}

void expect_gptq(const Matrix &m, Element element, bool less_one, std::string_view format,
                 const std::vector<int32_t> &index = {}) {
  Words codes(words_of(m.inputs, m.bits) * m.outputs);
  Words zeros(words_of(m.outputs, m.bits) * m.groups());
  const uint32_t mask = (1u << m.bits) - 1;
  for (int64_t n = 0; n < m.outputs; ++n) {
    for (int64_t k = 0; k < m.inputs; ++k)
      codes.put(n, m.outputs, k * m.bits, static_cast<uint32_t>(m.code(n, k)));
    for (int64_t g = 0; g < m.groups(); ++g)
      zeros.put(g * words_of(m.outputs, m.bits), 1, n * m.bits,
                static_cast<uint32_t>(m.zero(n, g) - (less_one ? 1 : 0)) & mask);
  }
  const auto scales = scale_bytes(m, element, /*by_group=*/true);
  Coded coded{.layout = Layout::Gptq, .bits = m.bits, .group = m.group, .zeros_less_one = less_one};
  coded.codes.element = Element::I32;
  coded.scales.element = element;
  coded.zeros = Part{.element = Element::I32};
  PartBytes parts = {codes.bytes(), scales, zeros.bytes()};
  if (!index.empty()) {
    coded.groups = Part{.element = Element::I32};
    parts.push_back(std::as_bytes(std::span(index)));
  }
  expect_values(coded, m, parts, format, [&](int64_t k) {
    return index.empty() ? k / m.group : index[static_cast<size_t>(k)];
  });
}

TEST(CodedWeight, GptqOfEveryWidth) {
  expect_gptq(random_matrix(32, 64, 32, 4, 8, 8), Element::F16, true, "int4:g32:sym");
  expect_gptq(random_matrix(32, 64, 32, 4, 0, 15), Element::F16, true, "int4:g32:asym:f32");
  expect_gptq(random_matrix(32, 64, 64, 4, 0, 15), Element::F16, false, "int4:g128:asym:f32");
  // Codes of two and three bits less any zero fit four.
  expect_gptq(random_matrix(32, 64, 32, 2, 0, 3), Element::F16, true, "int4:g32:sym");
  expect_gptq(random_matrix(32, 96, 32, 3, 0, 7), Element::F16, true, "int4:g32:sym");
  expect_gptq(random_matrix(32, 64, 32, 8, 128, 128), Element::F16, true, "int8");
  expect_gptq(random_matrix(32, 32, 32, 8, 0, 255), Element::F16, true, "int8:asym:f32");
  // One group that does not fill its last block.
  expect_gptq(random_matrix(8, 40, 40, 4, 0, 15), Element::F16, true, "int4:g128:asym:f32");
  // Groups that no block of 32 lies in.
  expect_gptq(random_matrix(8, 64, 16, 4, 8, 8), Element::F16, true, "f32");
}

// Tests that longer groups take one scale (and zero point) each, and rows one, in codes of their
// own bits.
TEST(CodedWeight, LongGroupsAndRowsTakeOneScaleEach) {
  for (const int64_t group : {128, 256})
    for (const Element element : {Element::F16, Element::BF16, Element::F32}) {
      const auto matrix = [&](int bits, int least, int most) {
        Matrix m = random_matrix(32, 2 * group + 64, group, bits, least, most);
        for (float &scale : m.scales)
          if (element == Element::BF16)
            scale = std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & 0xffff0000);
          else if (element == Element::F32)
            scale *= 1.2345f;
        return m;
      };
      expect_gptq(matrix(2, 2, 2), element, true, "int2:g128:sym:f32");
      expect_gptq(matrix(3, 4, 4), element, false, "int3:g128:sym:f32");
      expect_gptq(matrix(4, 8, 8), element, true, "int4:g128:sym:f32");
      expect_gptq(matrix(8, 128, 128), element, true, "int8:g128:sym:f32");
      if (element == Element::F32)
        continue;
      expect_gptq(matrix(2, 0, 3), element, true, "int2:g128:asym:f32");
      expect_gptq(matrix(3, 0, 7), element, true, "int3:g128:asym:f32");
      expect_gptq(matrix(4, 0, 15), element, true, "int4:g128:asym:f32");
    }
  for (const int64_t inputs : {64, 160}) {
    expect_gptq(random_matrix(32, inputs, inputs, 4, 8, 8), Element::F16, true, "int4:row:sym:f32");
    expect_gptq(random_matrix(32, inputs, inputs, 8, 128, 128), Element::F32, true,
                "int8:row:sym:f32");
  }
}

TEST(CodedWeight, GptqWithScalesOfMoreBits) {
  Matrix m = random_matrix(32, 64, 32, 4, 8, 8);
  for (float &scale : m.scales)
    scale *= 1.2345f;
  expect_gptq(m, Element::F32, true, "int4:g32:sym:f32");
  m.z = random_matrix(32, 64, 32, 4, 0, 15).z;
  // scale*q and scale*z would be rounded apart: codes of eight bits hold q - z itself.
  expect_gptq(m, Element::F32, true, "int8:sym:f32");
  Matrix eight = random_matrix(32, 64, 32, 8, 0, 255);
  for (float &scale : eight.scales)
    scale *= 1.2345f;
  expect_gptq(eight, Element::F32, true, "f32");
}

TEST(CodedWeight, GptqInTheOrderOfImportance) {
  const Matrix m = random_matrix(32, 64, 32, 4, 0, 15);
  std::vector<int32_t> index(64);
  for (size_t k = 0; k < index.size(); ++k)
    index[k] = static_cast<int32_t>(k * 7 / 3 % 2);
  expect_gptq(m, Element::F16, true, "f32", index);
  for (size_t k = 0; k < index.size(); ++k)
    index[k] = static_cast<int32_t>(k / 32);
  expect_gptq(m, Element::F16, true, "int4:g32:asym:f32", index);
}

TEST(CodedWeight, AwqsOrder) {
  constexpr int kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  const Matrix m = random_matrix(24, 64, 32, 4, 0, 15);
  Words codes(64 * 3), zeros(2 * 3);
  for (int64_t word = 0; word < 3; ++word)
    for (int nibble = 0; nibble < 8; ++nibble) {
      const int64_t n = 8 * word + kOrder[nibble];
      for (int64_t k = 0; k < 64; ++k)
        codes.put(k * 3 + word, 1, 4 * nibble, static_cast<uint32_t>(m.code(n, k)));
      for (int64_t g = 0; g < 2; ++g)
        zeros.put(g * 3 + word, 1, 4 * nibble, static_cast<uint32_t>(m.zero(n, g)));
    }
  const auto scales = scale_bytes(m, Element::F16, /*by_group=*/true);
  Coded coded{.layout = Layout::Awq, .group = 32};
  coded.codes.element = Element::I32;
  coded.scales.element = Element::F16;
  coded.zeros = Part{.element = Element::I32};
  expect_values(coded, m, {codes.bytes(), scales, zeros.bytes()}, "int4:g32:asym:f32",
                [](int64_t k) { return k / 32; });
}

TEST(CodedWeight, WordsAlongTheRows) {
  for (const int bits : {3, 4, 5, 8}) {
    // The outputs' zeros do not fill their last word, nor the inputs' codes theirs.
    Matrix m = random_matrix(21, 75, 75, bits, 0, (1 << bits) - 1);
    for (float &scale : m.scales) // as bf16 has them
      scale = std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & 0xffff0000);
    Words codes(21 * words_of(75, bits)), zeros(words_of(21, bits));
    for (int64_t n = 0; n < 21; ++n) {
      for (int64_t k = 0; k < 75; ++k)
        codes.put(n * words_of(75, bits), 1, k * bits, static_cast<uint32_t>(m.code(n, k)));
      zeros.put(0, 1, n * bits, static_cast<uint32_t>(m.zero(n, 0)));
    }
    const auto scales = scale_bytes(m, Element::BF16, /*by_group=*/false);
    Coded coded{.layout = Layout::Words, .bits = bits, .group = 75};
    coded.codes.element = Element::I32;
    coded.scales.element = Element::BF16;
    coded.zeros = Part{.element = Element::I32};
    expect_values(coded, m, {codes.bytes(), scales, zeros.bytes()},
                  bits == 3   ? "int3:g128:asym:f32"
                  : bits == 4 ? "int4:g128:asym:f32"
                  : bits == 5 ? "int8:row:sym:f32"
                              : "int8:asym:f32",
                  [](int64_t) { return 0; });
  }
}

TEST(CodedWeight, SignedBytes) {
  const Matrix m = random_matrix(5, 70, 32, 8, 128, 128);
  std::vector<int8_t> codes;
  for (const int q : m.q)
    codes.push_back(static_cast<int8_t>(q - 128));
  const auto scales = scale_bytes(m, Element::F32, /*by_group=*/false);
  Coded coded{.layout = Layout::Bytes, .bits = 8, .group = 32};
  coded.codes.element = Element::I8;
  coded.scales.element = Element::F32;
  expect_values(coded, m, {std::as_bytes(std::span(codes)), scales}, "int8:sym:f32",
                [](int64_t k) { return k / 32; });
}

TEST(CodedWeight, EightBitFloats) {
  // 1.5, -2^-9 (the smallest), 448 (the largest) and a NaN, in two blocks of two rows and columns.
  const uint8_t codes[] = {0x3c, 0x81, 0x7e, 0x7f};
  Coded coded{.layout = Layout::Bytes, .bits = 8, .group = 2, .group_rows = 2};
  coded.codes.element = Element::E4M3;
  coded.scales.element = Element::F32;
  const int64_t shape[] = {1, 4};
  for (const auto &[second, format] : {std::pair{0.3f, "f32"}, {0.25f, "bf16"}}) {
    const float scales[] = {2, second};
    const PartBytes parts = {std::as_bytes(std::span(codes)), std::as_bytes(std::span(scales))};
    ASSERT_EQ(*choose_format(coded, shape, parts), format);
    const formats::Format &f = *formats::find_format(format);
    std::vector<std::byte> row(static_cast<size_t>(f.row_bytes(4)));
    ASSERT_TRUE(coded_rows(coded, shape, parts, f, 0, 1, row.data()).ok());
    float values[4];
    f.decode_row(row.data(), 4, values);
    EXPECT_EQ(values[0], 3.0f);
    EXPECT_EQ(values[1], -0x1p-8f);
    EXPECT_EQ(values[2], 448 * second);
    EXPECT_NE(values[3], values[3]);
  }
}

TEST(CodedWeight, NibblesWithScalesOfScales) {
  // Three rows of five: 15 codes, the first of a byte in its high bits, in blocks of four.
  const uint8_t codes[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xe0};
  const uint8_t absmax[] = {2, 0, 255, 1};
  float table[16], scale_table[256] = {};
  for (int i = 0; i < 16; ++i)
    table[i] = 0.1f * static_cast<float>(i - 7);
  scale_table[0] = 0.3f;
  scale_table[1] = -0.7f;
  scale_table[2] = 0.9f;
  scale_table[255] = 1.1f;
  const float scale_scales[] = {1.7f, 0.6f};
  Coded coded{.layout = Layout::Nibbles, .group = 4, .scale_offset = 0.123f, .scale_group = 3};
  coded.codes.element = coded.scales.element = Element::U8;
  coded.table = coded.scale_table = coded.scale_scales = Part{.element = Element::F32};
  const int64_t shape[] = {3, 5};
  const PartBytes parts = {std::as_bytes(std::span(codes)), std::as_bytes(std::span(absmax)),
                           std::as_bytes(std::span(table)), std::as_bytes(std::span(scale_table)),
                           std::as_bytes(std::span(scale_scales))};
  ASSERT_EQ(*choose_format(coded, shape, parts), "f32");
  float rows[10];
  ASSERT_TRUE(coded_rows(coded, shape, parts, *formats::find_format("f32"), 1, 2,
                         reinterpret_cast<std::byte *>(rows))
                  .ok());
  for (int i = 0; i < 10; ++i) {
    const int e = 5 + i; // its code is e
    const float product = scale_table[absmax[e / 4]] * scale_scales[e / 4 / 3];
    const float scale = product + 0.123f;
    EXPECT_EQ(rows[i], table[e] * scale) << e;
  }
}

TEST(CodedWeight, MicroscalingFp4OfSeveralMatrices) {
  // Two matrices of two rows of 32: input k of row n has code (k + n) % 16, in the low bits where k
  // is even; the exponents are 127 + n.
  const float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
  std::vector<uint8_t> codes, exponents;
  for (int n = 0; n < 4; ++n) {
    for (int k = 0; k < 32; k += 2)
      codes.push_back(static_cast<uint8_t>((k + n) % 16 | (k + 1 + n) % 16 << 4));
    exponents.push_back(static_cast<uint8_t>(127 + n));
  }
  Coded coded{.layout = Layout::Mxfp4, .bits = 4, .group = 32};
  coded.codes.element = Element::U8;
  coded.scales.element = Element::E8M0;
  const int64_t shape[] = {2, 2, 32};
  const auto sized = parts_of(coded, shape);
  ASSERT_TRUE(sized.ok()) << sized.status();
  EXPECT_EQ((*sized)[0].bytes, 64);
  EXPECT_EQ((*sized)[1].bytes, 4);
  const PartBytes parts = {std::as_bytes(std::span(codes)), std::as_bytes(std::span(exponents))};
  ASSERT_EQ(*choose_format(coded, shape, parts), "mxfp4");
  EXPECT_TRUE(can_hold(coded, shape, "mxfp4"));
  EXPECT_FALSE(can_hold(coded, shape, "bf16"));
  const formats::Format &format = *formats::find_format("mxfp4");
  std::vector<std::byte> rows(static_cast<size_t>(3 * format.row_bytes(32)));
  ASSERT_TRUE(coded_rows(coded, shape, parts, format, 1, 3, rows.data()).ok());
  for (int n = 1; n < 4; ++n) {
    float values[32];
    format.decode_row(rows.data() + (n - 1) * format.row_bytes(32), 32, values);
    for (int k = 0; k < 32; ++k)
      EXPECT_EQ(values[k], std::ldexp(e2m1[(k + n) % 16], n)) << n << " " << k;
  }
  coded.group = 16;
  EXPECT_THAT(std::string(parts_of(coded, shape).status().message()), HasSubstr("groups of 32"));
}

TEST(CodedWeight, RefusesAGroupThatThereIsNoneOf) {
  Coded coded{.layout = Layout::Gptq, .group = 32};
  coded.codes.element = Element::I32;
  coded.scales.element = Element::F16;
  coded.groups = Part{.element = Element::I32};
  const int64_t shape[] = {8, 64};
  const std::vector<std::byte> codes(256), scales(32);
  for (const int32_t bad : {2, -1, 1 << 30}) {
    std::vector<int32_t> index(64, 1);
    index[5] = bad;
    const PartBytes parts = {codes, scales, std::as_bytes(std::span(index))};
    Coded asked = coded;
    EXPECT_THAT(std::string(choose_format(asked, shape, parts).status().message()),
                HasSubstr("input 5 is said to be in group " + std::to_string(bad)));
    // Also where it was another when the format was chosen.
    std::vector<std::byte> rows(8 * 64 * 4);
    EXPECT_FALSE(
        coded_rows(coded, shape, parts, *formats::find_format("f32"), 0, 8, rows.data()).ok());
  }
}

TEST(CodedWeight, RefusesCodesThatAFormatChosenBeforeDoesNotHold) {
  const Matrix m = random_matrix(8, 32, 32, 4, 8, 8);
  Coded coded{.layout = Layout::Gptq, .group = 32};
  coded.codes.element = Element::I32;
  coded.scales.element = Element::F16;
  coded.zeros = Part{.element = Element::I32};
  const std::vector<std::byte> codes(128, std::byte{0xff}), scales(16), zeros(4, std::byte{0});
  const int64_t shape[] = {8, 32};
  std::vector<std::byte> row(18);
  EXPECT_THAT(std::string(coded_rows(coded, shape, {codes, scales, zeros},
                                     *formats::find_format("int4:g32:sym"), 0, 1, row.data())
                              .message()),
              HasSubstr("have changed while they were read"));
}

TEST(CodedWeight, RefusesWhatContradictsItself) {
  Coded good{.layout = Layout::Words, .group = 32};
  good.codes.element = Element::I32;
  good.scales.element = Element::F16;
  const int64_t shape[] = {8, 64};
  ASSERT_TRUE(parts_of(good, shape).ok());
  const auto refused = [&](auto change, std::span<const int64_t> of) {
    Coded coded = good;
    change(coded);
    return !parts_of(coded, of).ok();
  };
  const auto same = [](Coded &) {};
  EXPECT_TRUE(refused(same, std::vector<int64_t>{8}));
  EXPECT_TRUE(refused(same, std::vector<int64_t>{8, 0}));
  EXPECT_TRUE(refused(same, std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40}));
  EXPECT_TRUE(refused([](Coded &c) { c.bits = 9; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.group = 0; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.group_rows = -1; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.codes.element = Element::F16; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.scales.element = Element::U8; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.table = Part{}; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.zeros_less_one = true; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.layout = Layout::Bytes; }, shape));
  EXPECT_TRUE(refused([](Coded &c) { c.layout = Layout::Awq; }, std::vector<int64_t>{12, 64}));
}

} // namespace
} // namespace quern::weights
