// Vectors for the microkernels: 16 lanes of float whatever the variant, so that one source, with
// one order of operations, serves them all. clang splits them where registers are narrower.
//
// Everything here and in the other internal headers is static and always inlined: native builds
// compile it several times for different instruction sets into one program, and nothing may be
// shared between those.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_VECTOR_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_VECTOR_H

#include <stdint.h>

#define QK_INLINE static inline __attribute__((always_inline))
// Kernels are inlined wherever they are called, unless marked otherwise.
#define QK_KERNEL __attribute__((always_inline))
#define QK_OUTLINE __attribute__((noinline))
// What a kernel that is inlined calls and that is not: with arguments one by one, so that those
// that are the same for all callers become constants of it. A struct's fields would not.
#define QK_SHARED static __attribute__((noinline))
#define QK_UNROLL _Pragma("clang loop unroll(full)")
#define QK_LOOP _Pragma("clang loop unroll(disable)")

namespace quern::micro {

/// How far ahead of its loads a kernel that streams a panel prefetches, in bytes: over a page,
/// which hardware prefetchers do not cross. One row by q4_g32_z0_min_f16 from memory: 10.8 GB/s
/// without, 12.2 at 1024, 13.4 at 2048, 14.0 at 4096 and 8192.
inline constexpr int kPrefetchAhead = 4096;

template <class T, int N> struct VectorOf {
  typedef T type __attribute__((ext_vector_type(N)));
};
template <class T, int N> using Vector = typename VectorOf<T, N>::type;

using F32x16 = Vector<float, 16>;
using I32x16 = Vector<int32_t, 16>;
using U32x16 = Vector<uint32_t, 16>;
using Mask16 = Vector<bool, 16>;

/// What a pointer at the boundary points at, as bytes: microkernels alone know how it is laid out.
QK_INLINE const uint8_t *bytes_of(const void *from) { return static_cast<const uint8_t *>(from); }
QK_INLINE uint8_t *bytes_of(void *from) { return static_cast<uint8_t *>(from); }

/// Vectors are loaded and stored at any address.
template <class V> QK_INLINE V load(const void *from) {
  V value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
template <class V> QK_INLINE void store(void *to, V value) {
  __builtin_memcpy(to, &value, sizeof value);
}

template <class T> QK_INLINE T fma(T a, T b, T c) { return __builtin_elementwise_fma(a, b, c); }
template <class V, class From> QK_INLINE V convert(From value) {
  return __builtin_convertvector(value, V);
}

/// Makes the compiler have values in registers before it goes on, and in this order: left alone it
/// finishes one row of sums after the other, and keeps what the rows share instead.
template <class V> QK_INLINE void pin(V &value) { __asm__ volatile("" : "+v"(value)); }
template <class V, int N> QK_INLINE void pin(V (&values)[N]) {
  QK_UNROLL for (int n = 0; n < N; ++n) pin(values[n]);
}

/// The same pointer, of which the compiler knows nothing: what is read through it is read again,
/// where keeping it would take a register that there is not.
template <class T> QK_INLINE const T *again(const T *at) {
  __asm__ volatile("" : "+r"(at));
  return at;
}

QK_INLINE I32x16 lane_index() {
  return I32x16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}
/// The first n lanes (all if n >= 16).
QK_INLINE Mask16 first_lanes(int64_t n) {
  return convert<Mask16>(lane_index() < static_cast<int32_t>(n < 16 ? n : 16));
}
/// Loads the lanes of the mask and touches no other memory; the other lanes are `otherwise`.
QK_INLINE F32x16 load_masked(const float *from, Mask16 mask, float otherwise = 0.0f) {
  return __builtin_masked_load(mask, from, F32x16(otherwise));
}
QK_INLINE void store_masked(float *to, Mask16 mask, F32x16 value) {
  __builtin_masked_store(mask, value, to);
}

QK_INLINE Vector<float, 8> low(F32x16 v) {
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
}
QK_INLINE Vector<float, 8> high(F32x16 v) {
  return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
}
/// Combines the lanes with `op` in the fixed tree: lane i with i+8, then i+4, i+2, i+1.
template <class Op> QK_INLINE float combine_lanes(F32x16 v, Op op) {
  const Vector<float, 8> by8 = op(low(v), high(v));
  const Vector<float, 4> by4 = op(by8.lo, by8.hi);
  const Vector<float, 2> by2 = op(by4.lo, by4.hi);
  return op(by2.x, by2.y);
}
struct Add {
  template <class T> __attribute__((always_inline)) T operator()(T a, T b) const { return a + b; }
};
struct Max {
  template <class T> __attribute__((always_inline)) T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};

/// bfloat16 as the bits it is made of; clang's __bf16 would be slow without its instructions.
struct BFloat16 {
  uint16_t bits;
};

/// N consecutive elements of a float type as float32, exactly.
template <class T, int N> QK_INLINE Vector<float, N> load_as_float(const uint8_t *from) {
  if constexpr (sizeof(T) == 4)
    return load<Vector<float, N>>(from);
  else if constexpr (__is_same(T, BFloat16)) {
    using Floats = Vector<float, N>;
    return __builtin_bit_cast(Floats, convert<Vector<uint32_t, N>>(load<Vector<uint16_t, N>>(from))
                                          << 16);
  } else
    return convert<Vector<float, N>>(load<Vector<T, N>>(from));
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_VECTOR_H
