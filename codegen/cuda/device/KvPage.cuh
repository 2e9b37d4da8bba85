// How a head's keys or values lie in a page of kv state (runtime/abi/StepArgs.h): where each number
// is, what it is as a float, and how it is stored.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_KVPAGE_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_KVPAGE_CUH

#include "codegen/cuda/device/Math.cuh"
#include "codegen/cuda/device/State.cuh"
#include "runtime/abi/KvFormats.h"
#include "runtime/abi/StepArgs.h"

namespace quern {

namespace kv {

inline constexpr int kPage = QUERN_KV_PAGE, kGroup = QUERN_KV_GROUP;
static_assert(kGroup == kWarpLanes, "a lane stores a number of a group");

template <KvFormat> struct Stored {
  using Type = u16;
};
template <> struct Stored<KvFormat::f32> {
  using Type = float;
};
template <> struct Stored<KvFormat::int8> {
  using Type = i8;
};

/// A number as it is stored; a code of int8 without its scale.
template <KvFormat F> QN_DEVICE float as_float(typename Stored<F>::Type x) {
  if constexpr (F == KvFormat::f16)
    return float_of_f16(x);
  else if constexpr (F == KvFormat::bf16)
    return float_of_bf16(x);
  else
    return static_cast<float>(x);
}

QN_DEVICE u16 nearest_f16(float x) {
  u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

/// As f16 or bf16. Finite numbers beyond these become the largest that they hold: an infinite key
/// makes every score infinite, and their differences NaN.
template <KvFormat F> QN_DEVICE u16 narrowed(float x) {
  constexpr u32 kLargest = kv_facts(F).largest;
  const u32 bits = __float_as_uint(x), size = bits & 0x7fffffffu;
  const bool beyond = size > kLargest && size < 0x7f800000u;
  const float kept = __uint_as_float(beyond ? (bits ^ size) | kLargest : bits);
  if constexpr (F == KvFormat::f16)
    return nearest_f16(kept);
  else
    return static_cast<u16>(__float_as_uint(round_bf16(kept)) >> 16);
}

QN_DEVICE u32 warp_largest(u32 value) {
  for (int apart = 16; apart != 0; apart /= 2)
    value = most(value, __shfl_xor_sync(~0u, value, apart));
  return value;
}

/// The keys or values of a head in a page, kDim numbers a position.
template <KvFormat F, int kDim> struct Part {
  using Type = typename Stored<F>::Type;
  static constexpr bool kScaled = kv_facts(F).scaled;
  static_assert(int{sizeof(Type)} == kv_facts(F).bytes);
  /// Floats that lie before the numbers: [group][position].
  static constexpr int kScales = static_cast<int>(kv_scales(F, kDim));
  static constexpr int kBytes = static_cast<int>(kv_part_bytes(F, kDim));

  QN_DEVICE static const float *scales(const u8 *part) {
    return reinterpret_cast<const float *>(part);
  }
  QN_DEVICE static const Type *numbers(const u8 *part) {
    return reinterpret_cast<const Type *>(part + kScales * 4);
  }

  /// Where number i of the key, or of the value, at `place` lies.
  QN_DEVICE static int key_at(int i, int place) {
    return place / 16 * 16 * kDim + 16 * i + place % 16;
  }
  QN_DEVICE static int value_at(int i, int place) {
    const int column = i - i % 16;
    const int width = kDim - column < 16 ? kDim - column : 16;
    return column * kPage + place * width + i % 16;
  }

  /// Stores numbers at `place`, by a warp; at(i) is where number i lies.
  template <class At> QN_DEVICE static void store(const float *x, u8 *part, int place, At at) {
    Type *const to = reinterpret_cast<Type *>(part + kScales * 4);
    for (int first = 0; first < kDim; first += kGroup) {
      const int i = first + lane();
      const float value = i < kDim ? x[i] : 0.0f;
      Type stored;
      if constexpr (kScaled) {
        const u32 size = __float_as_uint(value) & 0x7fffffffu, largest = warp_largest(size);
        const float amax = __uint_as_float(largest);
        const bool zero = amax < 0x1p-110f, finite = largest < 0x7f800000u;
        const float inverse = zero || !finite ? 0.0f : 127.0f / amax;
        const float code = (size < 0x7f800000u ? value * inverse : 0.0f) + 0x1.8p23f;
        stored = static_cast<i8>(__float_as_uint(code));
        if (lane() == 0)
          reinterpret_cast<float *>(part)[first / kGroup * kPage + place] =
              zero ? 0.0f : amax / 127.0f;
      } else if constexpr (F == KvFormat::f32) {
        stored = value;
      } else {
        stored = narrowed<F>(value);
      }
      if (i < kDim)
        to[at(i)] = stored;
    }
  }
};

} // namespace kv

/// Stores a head's key at `place` of its keys in a page, by a warp: rounded to nearest even, where
/// what is finite stays so; in int8 by groups with a scale each.
template <KvFormat F, int kDim> QN_DEVICE void store_key(const float *key, u8 *keys, int place) {
  using Part = kv::Part<F, kDim>;
  Part::store(key, keys, place, [&](int i) { return Part::key_at(i, place); });
}

/// The same of a value.
template <KvFormat F, int kDim>
QN_DEVICE void store_value(const float *value, u8 *values, int place) {
  using Part = kv::Part<F, kDim>;
  Part::store(value, values, place, [&](int i) { return Part::value_at(i, place); });
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_KVPAGE_CUH
