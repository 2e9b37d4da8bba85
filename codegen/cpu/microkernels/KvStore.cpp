// Storing a head's key or value where its position lies in a page of kv state (StepArgs.h).
//
// A key's numbers go to as many lines, one to each. They are converted as vectors and copied one by
// one: the compiler, given a loop that does both, scatters vectors, which is slower.
#include "codegen/cpu/microkernels/Int8Codes.h"
#include "codegen/cpu/microkernels/KvPage.h"
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Transpose.h"

namespace quern::micro {

/// The bits of the largest number that T holds, as a float32.
template <class T> inline constexpr uint32_t kLargestBits = kv_facts(kFormatOf<T>).largest;

/// Finite numbers beyond what T holds become the largest that it does: an infinite key makes every
/// score infinite, and their differences NaN. Infinities and NaN stay what they are.
template <class T> QK_INLINE F32x16 saturated(F32x16 x) {
  const U32x16 sizes = magnitudes(x), signs = __builtin_bit_cast(U32x16, x) ^ sizes;
  const auto beyond = (sizes > kLargestBits<T>)&(sizes < 0x7f800000u);
  return __builtin_bit_cast(F32x16, U32x16(signs | (beyond ? U32x16(kLargestBits<T>) : sizes)));
}

/// Up to kGroup numbers as they are stored, which share a scale if T has one.
template <class T> struct StoredGroup {
  alignas(64) T numbers[kGroup];
  float scale = 1;

  /// The first `count` floats; the others are 0.
  QK_INLINE void set(StoredGroup &group, const float *x, int64_t count) {
    static_assert(kGroup == 32, "two vectors");
    const F32x16 halves[2] = {load_masked(x, first_lanes(count)),
                              load_masked(x + 16, first_lanes(count - 16))};
    if constexpr (kScaled<T>) {
      const U32x16 sizes[2] = {magnitudes(halves[0]), magnitudes(halves[1])};
      const auto scaling = Scaling<Vector<float, 1>>::of(
          Vector<uint32_t, 1>(__builtin_reduce_max(__builtin_elementwise_max(sizes[0], sizes[1]))));
      group.scale = scaling.scale[0];
      QK_UNROLL for (int half = 0; half < 2; ++half)
          store(group.numbers + 16 * half,
                as_bytes(quantize(halves[half], sizes[half], scaling.inverse[0])));
    } else {
      QK_UNROLL for (int half = 0; half < 2; ++half)
          store(group.numbers + 16 * half, narrowed(halves[half]));
    }
  }

private:
  QK_INLINE auto narrowed(F32x16 x) {
    if constexpr (__is_same(T, BFloat16))
      return convert<Vector<uint16_t, 16>>(
          __builtin_bit_cast(U32x16, round_to_bf16(saturated<T>(x))) >> 16);
    else if constexpr (sizeof(T) == 2)
      return convert<Vector<T, 16>>(saturated<T>(x));
    else
      return x;
  }
};

/// Stores `dim` numbers at `place` of a page's keys or values; at(i) is where number i lies.
template <class T, class At>
QK_INLINE void store_numbers(const float *x, int64_t dim, void *part, int64_t place, At at) {
  auto *scales = static_cast<float *>(part);
  auto *numbers = reinterpret_cast<T *>(scales + floats_before<T>(dim));
  for (int64_t first = 0; first < dim; first += kGroup) {
    const int64_t count = dim - first < kGroup ? dim - first : kGroup;
    StoredGroup<T> group;
    StoredGroup<T>::set(group, x + first, count);
    if constexpr (kScaled<T>)
      scales[first / kGroup * kPage + place] = group.scale;
#pragma clang loop vectorize(disable)
    for (int64_t i = 0; i < count; ++i)
      numbers[at(first + i)] = group.numbers[i];
  }
}

template <class T>
QK_INLINE void store_key(const float *key, int64_t dim, void *keys, int64_t place) {
  const int64_t lane = place % 16, strip = (place - lane) * dim;
  store_numbers<T>(key, dim, keys, place,
                   [&](int64_t i) __attribute__((always_inline)) { return strip + 16 * i + lane; });
}

template <class T>
QK_INLINE void store_value(const float *value, int64_t dim, void *values, int64_t place) {
  store_numbers<T>(value, dim, values, place, [&](int64_t i) __attribute__((always_inline)) {
    const int64_t column = i - i % 16;
    const int64_t width = dim - column < 16 ? dim - column : 16;
    return column * kPage + place * width + i % 16;
  });
}

/// The keys of `count` tokens as a page's first: squares of 16 positions and numbers at a time.
QK_INLINE void pack_keys(const float *rows, int64_t stride, int64_t count, int64_t d, float *keys) {
  for (int64_t first = 0; first < count; first += 16) {
    const int64_t many = count - first < 16 ? count - first : 16;
    for (int64_t column = 0; column < d; column += 16) {
      const int64_t width = d - column < 16 ? d - column : 16;
      const Mask16 mask = first_lanes(width);
      const float *at = rows + first * stride + column;
      F32x16 square[16];
      QK_UNROLL for (int p = 0; p < 16; ++p) square[p] =
          p < many ? load_masked(at + p * stride, mask) : F32x16(0.0f);
      transpose(square);
      float *to = keys + first * d + 16 * column;
      QK_UNROLL for (int i = 0; i < 16; ++i) if (i < width) store(to + 16 * i, square[i]);
    }
  }
}

/// The same of values.
QK_INLINE void pack_values(const float *rows, int64_t stride, int64_t count, int64_t v,
                           float *values) {
  for (int64_t column = 0; column < v; column += 16) {
    const int64_t width = v - column < 16 ? v - column : 16;
    const Mask16 mask = first_lanes(width);
    float *to = values + column * kPage;
    for (int64_t p = 0; p < count; ++p)
      store_masked(to + p * width, mask, load_masked(rows + p * stride + column, mask));
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_KV_STORE(NAME, T, FACTS)                                                                \
  QK_KERNEL void qk_store_key_##NAME(const float *key, int64_t d, QkKeys *keys, int64_t place) {   \
    store_key<T>(key, d, keys, place);                                                             \
  }                                                                                                \
  QK_KERNEL void qk_store_value_##NAME(const float *value, int64_t v, QkValues *values,            \
                                       int64_t place) {                                            \
    store_value<T>(value, v, values, place);                                                       \
  }
QUERN_FOR_EACH_KV_FORMAT(QK_KV_STORE)

QK_KERNEL void qk_pack_keys(const float *rows, int64_t stride, int64_t count, int64_t d,
                            QkKeys *keys) {
  pack_keys(rows, stride, count, d, reinterpret_cast<float *>(keys));
}
QK_KERNEL void qk_pack_values(const float *rows, int64_t stride, int64_t count, int64_t v,
                              QkValues *values) {
  pack_values(rows, stride, count, v, reinterpret_cast<float *>(values));
}
QK_END
