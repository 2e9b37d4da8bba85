#include "runtime/device/cpu/Peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <immintrin.h>
#include <string_view>

namespace quern::device {
namespace {

// Each loop keeps enough independent accumulators in registers to cover the instruction's latency
// (4 or 5 cycles, two a cycle); the empty asm makes the compiler believe that they are used.
constexpr int kChains = 10;
constexpr int kRounds = 200000;

#define QUERN_KEEP(x) asm volatile("" : "+v"(x))

__attribute__((target("avx2,fma"))) void fma_256() {
  __m256 sums[kChains] = {}, a = _mm256_set1_ps(1.5f), b = _mm256_set1_ps(0.5f);
  for (int i = 0; i < kRounds; ++i)
#pragma unroll
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm256_fmadd_ps(a, b, sums[c]);
      QUERN_KEEP(sums[c]);
    }
}

__attribute__((target("avx512f"))) void fma_512() {
  __m512 sums[kChains] = {}, a = _mm512_set1_ps(1.5f), b = _mm512_set1_ps(0.5f);
  for (int i = 0; i < kRounds; ++i)
#pragma unroll
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(a, b, sums[c]);
      QUERN_KEEP(sums[c]);
    }
}

// AVX2 has no dot product: bytes to 16-bit pairs, those to 32 bits, and an addition.
__attribute__((target("avx2"))) void maddubs_256() {
  __m256i sums[kChains] = {}, ones = _mm256_set1_epi16(1);
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (int i = 0; i < kRounds; ++i)
#pragma unroll
    for (int c = 0; c < kChains; ++c) {
      QUERN_KEEP(a); // so that the product is made anew for every chain
      sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
      QUERN_KEEP(sums[c]);
    }
}

__attribute__((target("avx512f,avx512vnni"))) void dot_512() {
  __m512i sums[kChains] = {}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int i = 0; i < kRounds; ++i)
#pragma unroll
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], a, b);
      QUERN_KEEP(sums[c]);
    }
}

// 2x2 tiles of 16x16 sums, from 16x64 and 64x16 bytes each.
__attribute__((target("amx-tile,amx-int8"))) void tiles() {
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t columns[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int i = 0; i < kRounds / 20; ++i) { // 16 cycles each
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

struct Loop {
  std::string_view feature; // what an artifact that may use it declares
  bool integer;
  double ops; // one call's
  void (*run)();
};

// Best first.
constexpr Loop kLoops[] = {
    {"amx-int8", true, 2.0 * 16 * 16 * 64 * 4 * (kRounds / 20), tiles},
    {"avx512vnni", true, 2.0 * 64 * kChains * kRounds, dot_512},
    {"avx2", true, 2.0 * 32 * kChains * kRounds, maddubs_256},
    {"avx512f", false, 2.0 * 16 * kChains * kRounds, fma_512},
    {"fma", false, 2.0 * 8 * kChains * kRounds, fma_256},
};

void run_loop(void *loop, int, int) { static_cast<const Loop *>(loop)->run(); }

} // namespace

double probe_ops(WorkerPool &pool, bool integer, std::span<const std::string> features) {
  using Clock = std::chrono::steady_clock;
  const Loop *loop = std::find_if(std::begin(kLoops), std::end(kLoops), [&](const Loop &candidate) {
    return candidate.integer == integer &&
           std::find(features.begin(), features.end(), candidate.feature) != features.end();
  });
  if (loop == std::end(kLoops))
    return 0;
  double best = 0, spent = 0;
  while (spent < 0.1) {
    Loop copy = *loop;
    const auto start = Clock::now();
    pool.run(run_loop, &copy);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    spent += seconds;
    best = std::max(best, loop->ops * pool.size() / seconds);
  }
  return best;
}

} // namespace quern::device
