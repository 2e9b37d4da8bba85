// AMX's tile instructions, with tile numbers as template arguments: the CPU's own, or what
// AmxEmulation.h makes of them (QK_AMX_EMULATED), for tests on machines without tiles.
//
// A tile is up to 16 rows of up to 64 bytes, as the configuration says. A kernel configures tiles
// before it uses any and releases them when it is done; nothing of them outlives it.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_AMX_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_AMX_H

#include "codegen/cpu/microkernels/Vector.h"

#if defined(__AMX_BF16__)
#define QK_AMX 1
#include <immintrin.h>
#elif defined(QK_AMX_EMULATED)
#define QK_AMX 1
#include "codegen/cpu/microkernels/AmxEmulation.h"
#endif

#ifdef QK_AMX

namespace quern::micro {

/// Most rows of a tile.
inline constexpr int kTileRows = 16;

/// What LDTILECFG reads: palette 1 has eight tiles.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

#ifdef __AMX_BF16__

QK_INLINE void tile_configure(const TileConfig &config) { _tile_loadconfig(&config); }
QK_INLINE void tile_release() { _tile_release(); }
template <int Tile> QK_INLINE void tile_zero() { _tile_zero(Tile); }
/// Rows that lie `stride` bytes apart.
template <int Tile> QK_INLINE void tile_load(const void *from, int64_t stride) {
  _tile_loadd(Tile, from, stride);
}
template <int Tile> QK_INLINE void tile_store(void *to, int64_t stride) {
  _tile_stored(Tile, to, stride);
}
/// sums[m][n] += over k of a[m][k] * b[k / 2][2 * n + k % 2], of bfloat16, in float32: first the
/// even k in ascending order, each with an fma, and the odd ones likewise, then both together.
/// Denormals count as zeros.
template <int Sums, int A, int B> QK_INLINE void tile_multiply() { _tile_dpbf16ps(Sums, A, B); }

#else

QK_INLINE void tile_configure(const TileConfig &config) { emulated_tiles().configure(&config); }
QK_INLINE void tile_release() { emulated_tiles().release(); }
template <int Tile> QK_INLINE void tile_zero() { emulated_tiles().zero(Tile); }
template <int Tile> QK_INLINE void tile_load(const void *from, int64_t stride) {
  emulated_tiles().load(Tile, from, stride);
}
template <int Tile> QK_INLINE void tile_store(void *to, int64_t stride) {
  emulated_tiles().store(Tile, to, stride);
}
template <int Sums, int A, int B> QK_INLINE void tile_multiply() {
  emulated_tiles().multiply(Sums, A, B);
}

#endif

} // namespace quern::micro

#endif // QK_AMX

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_AMX_H
