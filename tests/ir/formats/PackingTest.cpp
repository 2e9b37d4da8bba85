// Tests that a row unpacked from its panel is the row its format decodes, exactly, for every
// format.
#include "ir/formats/Packing.h"

#include "ir/formats/PackedRow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace quern::formats {
namespace {

/// Random rows of `format`: random bytes, but for the f16 fields, which stay finite.
std::vector<std::byte> random_weight(const Format &format, int64_t channels, int64_t inputs,
                                     uint32_t seed) {
  std::mt19937 engine(seed);
  const auto row_bytes = static_cast<size_t>(format.row_bytes(inputs));
  std::vector<std::byte> bytes(static_cast<size_t>(channels) * row_bytes);
  for (std::byte &byte : bytes)
    byte = static_cast<std::byte>(engine() & 255);
  // Clearing the second highest bit of a float's top byte keeps its exponent from being all ones.
  // It does no harm to what else may lie there, so every byte that may be such a top byte is
  // treated.
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(format.block_bytes())) {
    const size_t size = static_cast<size_t>(format.block_bytes());
    for (const size_t top : {size_t{1}, size_t{3}, size_t{7}, size - 3, size - 1})
      if (top < size && at + top < bytes.size())
        bytes[at + top] &= std::byte{0xbf};
  }
  if (format.header_bytes() != 0) // two floats in front of each row
    for (size_t row = 0; row < bytes.size(); row += row_bytes)
      for (const size_t top : {size_t{3}, size_t{7}})
        bytes[row + top] &= std::byte{0xbf};
  return bytes;
}

class PackingOf : public testing::TestWithParam<const Format *> {};

TEST_P(PackingOf, UnpacksToTheSameFloats) {
  const Format &format = *GetParam();
  for (const int64_t channels : {1, 16, 37}) {
    for (const int64_t inputs : {int64_t{256}, int64_t{768}, int64_t{40}, int64_t{1}}) {
      if (inputs < format.block() && !format.can_encode())
        continue; // GGUF's rows are whole blocks
      const std::vector<std::byte> weight = random_weight(format, channels, inputs, 7);
      const Packing &packing = format.packing();
      const auto size = static_cast<size_t>(packing.bytes(channels, inputs));
      std::vector<std::byte> packed(size + 8, std::byte{0xee});
      pack_weight(format, weight.data(), channels, inputs, packed.data());
      for (size_t i = size; i < packed.size(); ++i)
        ASSERT_EQ(packed[i], std::byte{0xee}) << "written past the end";

      std::vector<float> expected(static_cast<size_t>(inputs)), unpacked(expected.size());
      for (int64_t channel = 0; channel < Packing::panels(channels) * kPanelLanes; ++channel) {
        rows_from_packed(packing, packed.data(), channel, 1, inputs, unpacked.data());
        if (channel >= channels) {
          for (const float value : unpacked)
            ASSERT_EQ(value, 0) << "padding channel " << channel;
          continue;
        }
        format.decode_row(weight.data() + channel * format.row_bytes(inputs), inputs,
                          expected.data());
        ASSERT_EQ(std::memcmp(expected.data(), unpacked.data(), expected.size() * 4), 0)
            << format.name() << " channel " << channel << " of " << inputs << " inputs";
      }
    }
  }
}

TEST_P(PackingOf, ManyRowsAreWhatEachIsAlone) {
  const Format &format = *GetParam();
  const Packing &packing = format.packing();
  constexpr int64_t kChannels = 53; // 4 panels
  for (const int64_t inputs : {int64_t{256}, int64_t{40}}) {
    if (inputs < format.block() && !format.can_encode())
      continue; // GGUF's rows are whole blocks
    const std::vector<std::byte> weight = random_weight(format, kChannels, inputs, 8);
    std::vector<std::byte> packed(static_cast<size_t>(packing.bytes(kChannels, inputs)));
    pack_weight(format, weight.data(), kChannels, inputs, packed.data());
    for (const auto &[first, count] :
         {std::pair{0, 53}, {0, 16}, {5, 3}, {15, 2}, {7, 40}, {9, 0}}) {
      std::vector<float> rows(static_cast<size_t>(count * inputs + 1), -7.0f);
      rows_from_packed(packing, packed.data(), first, count, inputs, rows.data());
      EXPECT_EQ(rows.back(), -7.0f) << "written past the end";
      std::vector<float> row(static_cast<size_t>(inputs));
      for (int64_t channel = first; channel < first + count; ++channel) {
        decode_packed_row(packing,
                          packed.data() + channel / kPanelLanes * packing.panel_bytes(inputs),
                          static_cast<int>(channel % kPanelLanes), inputs, row.data());
        ASSERT_EQ(std::memcmp(row.data(), &rows[static_cast<size_t>((channel - first) * inputs)],
                              row.size() * sizeof(float)),
                  0)
            << format.name() << " channel " << channel << " of " << inputs << " inputs";
      }
    }
  }
}

/// Of the formats that Quern encodes as codes: rows of floats have no padding.
using PaddedPackingOf = PackingOf;

TEST_P(PaddedPackingOf, PaddingInputsHaveTheZeroCode) {
  const Format &format = *GetParam();
  const Packing &packing = format.packing();
  const std::vector<std::byte> weight = random_weight(format, 16, 40, 9);
  std::vector<std::byte> packed(static_cast<size_t>(packing.bytes(16, 40)));
  pack_weight(format, weight.data(), 16, 40, packed.data());
  const auto *panel = reinterpret_cast<const uint8_t *>(packed.data());
  for (int lane = 0; lane < kPanelLanes; ++lane)
    for (int k = 40; k < 64; ++k)
      ASSERT_EQ(packed_code(packing, panel, k, lane), packing.zero_point);
}

TEST_P(PackingOf, HasANameThatParses) {
  const Packing &packing = GetParam()->packing();
  const auto parsed = parse_packing(packing_name(packing));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, packing);
}

std::string format_name(const testing::TestParamInfo<const Format *> &info) {
  std::string name = info.param->name();
  for (char &c : name)
    c = c == ':' ? '_' : c;
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, PackingOf,
                         testing::ValuesIn(all_formats().begin(), all_formats().end()),
                         format_name);

std::vector<const Format *> padded_formats() {
  std::vector<const Format *> padded;
  for (const Format *format : all_formats())
    if (!format->packing().is_float() && format->can_encode())
      padded.push_back(format);
  return padded;
}
INSTANTIATE_TEST_SUITE_P(All, PaddedPackingOf, testing::ValuesIn(padded_formats()), format_name);

TEST(Packing, LayoutIsAsDocumented) {
  // One q4_0 block a channel: the code of input k of channel c is (c + k) & 15.
  const Format &format = *find_format("q4_0");
  std::vector<std::byte> weight(16 * 18);
  for (int channel = 0; channel < 16; ++channel) {
    std::byte *block = weight.data() + channel * 18;
    const uint16_t scale = f32_to_f16(static_cast<float>(channel + 1));
    std::memcpy(block, &scale, 2);
    for (int i = 0; i < 16; ++i)
      block[2 + i] = static_cast<std::byte>(((channel + i) & 15) | ((channel + i + 16) & 15) << 4);
  }
  ASSERT_EQ(packing_name(format.packing()), "q4.g32.z8.f16");
  ASSERT_EQ(format.packing().panel_bytes(32), 288);
  std::vector<std::byte> packed(288);
  pack_weight(format, weight.data(), 16, 32, packed.data());
  for (int row = 0; row < 4; ++row)
    for (int lane = 0; lane < 16; ++lane)
      for (int i = 0; i < 4; ++i) {
        const auto byte =
            std::to_integer<int>(packed[static_cast<size_t>(64 * row + 4 * lane + i)]);
        EXPECT_EQ(byte & 15, (lane + 4 * row + i) & 15);
        EXPECT_EQ(byte >> 4, (lane + 4 * (row + 4) + i) & 15);
      }
  for (int lane = 0; lane < 16; ++lane) {
    uint16_t scale = 0;
    std::memcpy(&scale, packed.data() + 256 + 2 * lane, 2);
    EXPECT_EQ(f16_to_f32(scale), static_cast<float>(lane + 1));
  }
}

TEST(Packing, SizesAndNames) {
  const auto packing = [](const char *format) { return find_format(format)->packing(); };
  EXPECT_EQ(packing_name(packing("q4_1")), "q4.g32.z0.min.f16");
  EXPECT_EQ(packing("q4_1").record_bytes(), 320);
  EXPECT_EQ(packing_name(packing("q8_0")), "q8.g32.z128.f16");
  EXPECT_EQ(packing("q8_0").record_bytes(), 544);
  EXPECT_EQ(packing_name(packing("q4_k")), "q4.g32.z0.min.u8.s256");
  EXPECT_EQ(packing("q4_k").record_bytes(), 256 + 2 * 16);
  EXPECT_EQ(packing("q4_k").panel_bytes(512), 2 * (64 + 8 * 288));
  EXPECT_EQ(packing("q4_k").panel_bytes(288), 2 * 64 + 9 * 288);
  EXPECT_EQ(packing("q4_k").record_at(7), 64 + 7 * 288);
  EXPECT_EQ(packing("q4_k").record_at(8), 64 + 8 * 288 + 64);
  EXPECT_EQ(packing("q4_k").super_at(8), 64 + 8 * 288);
  EXPECT_EQ(packing_name(packing("int4")), "q4.g32.z0.min.u8.row");
  EXPECT_EQ(packing("int4").panel_bytes(576), 128 + 18 * 288);
  EXPECT_EQ(packing("int4").record_at(8), 128 + 8 * 288);
  EXPECT_EQ(packing("int4").super_at(8), 0);
  EXPECT_EQ(packing_name(packing("q6_k")), "q6.g16.z32.i8.s256");
  EXPECT_EQ(packing("q6_k").record_bytes(), 32 * 12 + 2 * 16);
  EXPECT_EQ(packing("q6_k").panel_bytes(256), 32 + 8 * 416);
  EXPECT_EQ(packing_name(packing("q3_k")), "q3.g16.z4.i6.s256");
  EXPECT_EQ(packing_name(packing("q2_k")), "q2.g16.z0.min.u4.s256");
  EXPECT_EQ(packing_name(packing("mxfp4")), "e2m1.g32.z12.e8m0");
  EXPECT_EQ(packing_name(packing("iq4_nl")), "iq4.g32.z128.f16");
  EXPECT_EQ(packing_name(packing("iq4_xs")), "iq4.g32.z128.i8.s256");
  EXPECT_EQ(packing_name(packing("nvfp4")), "e2m1.g16.z12.e4m3");
  EXPECT_EQ(packing_name(packing("iq3_xxs")), "iq3xxs.g32.z128.odd.s256");
  for (const char *lattice :
       {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"}) // the file's bytes
    EXPECT_EQ(packing(lattice).panel_bytes(768), 16 * find_format(lattice)->row_bytes(768))
        << lattice;
  EXPECT_EQ(packing_name(packing("tq2_0")), "q2.g32.z1.s256");
  EXPECT_EQ(packing_name(packing("tq1_0")), "t5.g32.z1.s256");
  EXPECT_EQ(packing("tq1_0").panel_bytes(512), 2 * 16 * 54);
  EXPECT_EQ(packing("bf16").bytes(17, 3), 2 * 16 * 3 * 2);
  EXPECT_EQ(packing("int8").panel_bytes(33), 2 * 544);
  EXPECT_EQ(packing("int4:g128:sym"), packing("q4_0"));
  EXPECT_FALSE(parse_packing("q3.g32.z0.f16").ok());
}

// Tests that a packed weight takes no more than 1.03 times its format's bytes.
TEST(Packing, TakesTheFormatsBytes) {
  for (const Format *format : all_formats()) {
    if (format->can_encode() && format->block() > 32) // int4's longer groups repeat their scale
      continue;
    EXPECT_LE(static_cast<double>(format->packing().bytes(16, 4096)),
              1.03 * 16 * static_cast<double>(format->row_bytes(4096)))
        << format->name();
  }
}

// Tests that the names of the table are those of what it makes.
TEST(Packing, NamesAreOfWhatTheyAreMadeOf) {
#define QUERN_CHECK(NAME, FIELDS) EXPECT_EQ(packing_symbol(packings::NAME), #NAME);
  QUERN_FOR_EACH_PACKING(QUERN_CHECK)
#undef QUERN_CHECK
}

} // namespace
} // namespace quern::formats
