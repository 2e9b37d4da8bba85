// Tests the tiles that stand in for AMX's: against a scalar model of the product, and that they
// keep to what the instructions say of shapes, strides and what lies beyond a tile's rows.
#include "codegen/cpu/microkernels/AmxEmulation.h"

#include "ir/formats/Half.h"
#include "tests/codegen/microkernels/Support.h"

#include <array>

namespace quern::micro {
namespace {

struct Shape {
  int rows, row_bytes;
};

/// What LDTILECFG reads, for the first tiles.
std::array<uint8_t, 64> configuration(std::span<const Shape> shapes) {
  std::array<uint8_t, 64> bytes = {1};
  for (size_t tile = 0; tile < shapes.size(); ++tile) {
    bytes[16 + 2 * tile] = static_cast<uint8_t>(shapes[tile].row_bytes);
    bytes[48 + tile] = static_cast<uint8_t>(shapes[tile].rows);
  }
  return bytes;
}

/// Whole numbers of eight bits, with a sign.
std::vector<uint16_t> random_numbers(native::Random &random, size_t count) {
  std::vector<uint16_t> numbers(count);
  for (uint16_t &number : numbers)
    number = formats::f32_to_bf16(static_cast<float>(random.below(511)) - 255);
  return numbers;
}

TEST(EmulatedTiles, MultiplyWholeNumbersExactly) {
  native::Random random(1);
  EmulatedTiles tiles;
  for (const auto &[m, n, k] : {std::array{16, 16, 32}, {16, 16, 8}, {1, 1, 2}, {7, 5, 6}}) {
    const Shape shapes[] = {{m, 4 * n}, {m, 2 * k}, {k / 2, 4 * n}};
    tiles.configure(configuration(shapes).data());
    const int stride = k + random.below(9);
    const auto a = random_numbers(random, static_cast<size_t>(m) * stride);
    const auto b = random_numbers(random, static_cast<size_t>(k) * n);
    std::vector<float> sums(m * n);
    for (float &sum : sums)
      sum = static_cast<float>(random.below(1 << 20));
    tiles.load(0, sums.data(), 4 * n);
    tiles.load(1, a.data(), 2 * stride);
    tiles.load(2, b.data(), 4 * n);
    for (const int times : {1, 2}) { // sums are added to
      tiles.multiply(0, 1, 2);
      std::vector<float> got(m * n);
      tiles.store(0, got.data(), 4 * n);
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          float want = sums[i * n + j];
          for (int c = 0; c < k; ++c)
            want += static_cast<float>(times) * formats::bf16_to_f32(a[i * stride + c]) *
                    formats::bf16_to_f32(b[c / 2 * 2 * n + 2 * j + c % 2]);
          ASSERT_EQ(got[i * n + j], want) << m << "x" << n << "x" << k << " at " << i << "," << j;
        }
    }
  }
}

TEST(EmulatedTiles, TouchNoMemoryBeyondTheirRows) {
  EmulatedTiles tiles;
  const Shape shapes[] = {{3, 8}};
  tiles.configure(configuration(shapes).data());
  std::vector<uint8_t> from(2 * 20 + 8); // three rows, and not a byte more
  for (size_t i = 0; i < from.size(); ++i)
    from[i] = static_cast<uint8_t>(i + 1);
  tiles.load(0, from.data(), 20);
  std::vector<uint8_t> to(4 * 16, 255);
  tiles.store(0, to.data(), 16);
  for (int row = 0; row < 4; ++row)
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(to[16 * row + i], row < 3 && i < 8 ? from[20 * row + i] : 255) << row << "," << i;
  tiles.zero(0);
  tiles.store(0, to.data(), 8);
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(to[i], 0);
}

// Tests that what the CPU refuses ends the program: a kernel that does it fails its test here.
TEST(EmulatedTilesDeathTest, RefuseWhatTheCpuRefuses) {
  const auto run = [](std::span<const Shape> shapes, auto use) {
    EmulatedTiles tiles;
    tiles.configure(configuration(shapes).data());
    use(tiles);
  };
  const Shape good[] = {{16, 64}, {16, 64}, {16, 64}};
  const Shape deep[] = {{16, 64}, {16, 64}, {4, 64}}; // four rows of weights, 16 of inputs
  const Shape tall[] = {{17, 64}};
  const Shape wide[] = {{16, 65}};
  const Shape nine[9] = {{1, 4}, {1, 4}, {1, 4}, {1, 4}, {1, 4}, {1, 4}, {1, 4}, {1, 4}, {1, 4}};
  const auto nothing = [](EmulatedTiles &) {};
  run(good, [](EmulatedTiles &tiles) { tiles.multiply(0, 1, 2); });
  EXPECT_DEATH(run(deep, [](EmulatedTiles &tiles) { tiles.multiply(0, 1, 2); }), "");
  EXPECT_DEATH(run(good, [](EmulatedTiles &tiles) { tiles.multiply(0, 1, 1); }), "");
  EXPECT_DEATH(run(good, [](EmulatedTiles &tiles) { tiles.zero(3); }), "");
  EXPECT_DEATH(run(tall, nothing), "");
  EXPECT_DEATH(run(wide, nothing), "");
  EXPECT_DEATH(run(nine, nothing), "");
  EXPECT_DEATH(run(good,
                   [](EmulatedTiles &tiles) {
                     tiles.release();
                     tiles.zero(0);
                   }),
               "");
}

} // namespace
} // namespace quern::micro
