// The format that docs/guides/adding-a-format.md adds, made by doing what it says
// (tests/docs/Follow.cmake).
#include "ir/formats/Format.h"

#include "frontends/gguf/GgufTypes.h"
#include "ir/formats/Packing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace quern::formats {
namespace {

constexpr int64_t kInputs = 256;

/// Rows of two blocks each, with bits that differ from row to row.
std::vector<std::byte> rows_of(const Format &format, int64_t rows) {
  std::vector<std::byte> bytes(static_cast<size_t>(rows * format.row_bytes(kInputs)));
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i * 37 % 251);
  for (size_t block = 0; block < bytes.size() / 18; ++block) {
    const uint16_t half = static_cast<uint16_t>(0x3400 + block % 16); // 0.25 and a little
    std::memcpy(bytes.data() + block * 18, &half, 2);
  }
  return bytes;
}

TEST(AddedFormat, IsInTheTables) {
  const Format *format = find_format("q1_0");
  ASSERT_NE(format, nullptr);
  EXPECT_EQ(format->bits_per_weight(), 1.125);
  EXPECT_FALSE(format->can_encode());
  const gguf::TensorType *type = gguf::tensor_type_of("q1_0");
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->number, 41u);
}

TEST(AddedFormat, DecodesEachBitToTheScaleOrItsNegative) {
  const Format &format = *find_format("q1_0");
  const std::vector<std::byte> row = rows_of(format, 1);
  std::vector<float> values(kInputs);
  format.decode_row(row.data(), kInputs, values.data());
  for (int64_t i = 0; i < kInputs; ++i) {
    const std::byte *block = row.data() + i / 128 * 18;
    uint16_t half;
    std::memcpy(&half, block, 2);
    const bool set = (block[2 + i % 128 / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
    EXPECT_EQ(values[static_cast<size_t>(i)], set ? f16_to_f32(half) : -f16_to_f32(half)) << i;
  }
}

TEST(AddedFormat, IsPackedExactly) {
  const Format &format = *find_format("q1_0");
  const int64_t channels = 20; // a whole panel and part of one
  const std::vector<std::byte> rows = rows_of(format, channels);
  const size_t panels = (channels + kPanelLanes - 1) / kPanelLanes;
  std::vector<std::byte> packed(panels *
                                static_cast<size_t>(format.packing().panel_bytes(kInputs)));
  pack_weight(format, rows.data(), channels, kInputs, packed.data());
  std::vector<float> unpacked(channels * kInputs), decoded(kInputs);
  rows_from_packed(format.packing(), packed.data(), 0, channels, kInputs, unpacked.data());
  for (int64_t channel = 0; channel < channels; ++channel) {
    format.decode_row(rows.data() + channel * format.row_bytes(kInputs), kInputs, decoded.data());
    EXPECT_EQ(std::memcmp(decoded.data(), unpacked.data() + channel * kInputs, kInputs * 4), 0)
        << "channel " << channel;
  }
}

} // namespace
} // namespace quern::formats
