// AMX's tiles in plain C++, for tests on machines without them: what Intel's manual says of
// LDTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED and TDPBF16PS (Software
// Developer's Manual, volume 2). Where the CPU would raise an exception, the program ends.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_AMXEMULATION_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_AMXEMULATION_H

#include <stdint.h>
#include <string.h>

namespace quern::micro {

/// A thread's tiles: none configured, to begin with.
class EmulatedTiles {
public:
  static constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

  /// From 64 bytes: palette, first row, 14 reserved, 16 widths of 16 bits, 16 heights.
  void configure(const void *config) {
    uint8_t bytes[64];
    memcpy(bytes, config, sizeof bytes);
    release();
    if (bytes[0] == 0)
      return;
    must(bytes[0] == 1 && bytes[1] == 0);
    for (int i = 2; i < 16; ++i)
      must(bytes[i] == 0);
    for (int tile = 0; tile < 16; ++tile) {
      uint16_t row_bytes;
      memcpy(&row_bytes, bytes + 16 + 2 * tile, 2);
      const uint8_t rows = bytes[48 + tile];
      must(tile < kTiles || (rows == 0 && row_bytes == 0)); // there are no more
      must(rows <= kRows && row_bytes <= kRowBytes && (rows == 0) == (row_bytes == 0));
      if (tile < kTiles)
        tiles_[tile].rows = rows, tiles_[tile].row_bytes = row_bytes;
    }
    configured_ = true;
  }
  void release() { *this = EmulatedTiles(); }
  void zero(int tile) {
    Tile &cleared = at(tile);
    memset(cleared.data, 0, sizeof cleared.data);
  }
  void load(int tile, const void *from, int64_t stride) {
    Tile &loaded = at(tile);
    memset(loaded.data, 0, sizeof loaded.data);
    for (int row = 0; row < loaded.rows; ++row)
      memcpy(loaded.data[row], static_cast<const uint8_t *>(from) + row * stride, loaded.row_bytes);
  }
  void store(int tile, void *to, int64_t stride) {
    const Tile &stored = at(tile);
    for (int row = 0; row < stored.rows; ++row)
      memcpy(static_cast<uint8_t *>(to) + row * stride, stored.data[row], stored.row_bytes);
  }
  /// sums[m][n] += the sum over even k of a[m][k] * b[k / 2][2 * n + k % 2] and that over odd k, of
  /// bfloat16: each an fma after the other, in float32 without denormals.
  void multiply(int sums, int a, int b) {
    Tile &c = product(sums, a, b);
    const Tile &left = at(a), &right = at(b);
    for (int m = 0; m < c.rows; ++m)
      for (int n = 0; n < c.row_bytes / 4; ++n) {
        float parts[2] = {0, 0};
        for (int pair = 0; pair < right.rows; ++pair)
          for (int i = 0; i < 2; ++i)
            parts[i] = normal(__builtin_fmaf(bf16(left.data[m], 2 * pair + i),
                                             bf16(right.data[pair], 2 * n + i), parts[i]));
        float sum;
        memcpy(&sum, c.data[m] + 4 * n, 4);
        sum = normal(normal(sum) + normal(parts[0] + parts[1]));
        memcpy(c.data[m] + 4 * n, &sum, 4);
      }
  }

private:
  struct Tile {
    uint8_t rows = 0;
    uint16_t row_bytes = 0;
    uint8_t data[kRows][kRowBytes] = {};
  };
  /// A denormal is zero.
  static float normal(float value) {
    return __builtin_fabsf(value) < 0x1p-126f ? __builtin_copysignf(0.0f, value) : value;
  }
  static float bf16(const uint8_t *row, int at) {
    uint16_t bits;
    memcpy(&bits, row + 2 * at, 2);
    return normal(__builtin_bit_cast(float, uint32_t{bits} << 16));
  }
  static void must(bool holds) {
    if (!holds)
      __builtin_trap();
  }
  /// The tile of a product's sums, whose shape must be that of its factors. What it has beyond its
  /// rows becomes zero.
  Tile &product(int sums, int a, int b) {
    Tile &c = at(sums);
    const Tile &left = at(a), &right = at(b);
    must(sums != a && sums != b && a != b);
    must(c.rows == left.rows && c.row_bytes == right.row_bytes && left.row_bytes == 4 * right.rows);
    must(c.row_bytes % 4 == 0 && left.row_bytes % 4 == 0);
    for (int m = c.rows; m < kRows; ++m)
      memset(c.data[m], 0, kRowBytes);
    return c;
  }
  Tile &at(int tile) {
    must(configured_ && tile >= 0 && tile < kTiles && tiles_[tile].rows != 0);
    return tiles_[tile];
  }

  bool configured_ = false;
  Tile tiles_[kTiles];
};

/// Those of this thread. Internal to each file, as everything that microkernels share.
static inline EmulatedTiles &emulated_tiles() {
  static thread_local EmulatedTiles tiles;
  return tiles;
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_AMXEMULATION_H
