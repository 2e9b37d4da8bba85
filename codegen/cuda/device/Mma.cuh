// Matrix products of a warp on the tensor cores.
//
// Of lane l, g = l / 4 and t = l % 4: it has of A (16 rows) rows g and g + 8, of B (8 columns)
// column g, of the sums (16 x 8) rows g and g + 8 of columns 2t and 2t + 1, in that order. Its
// inputs are 4t .. 4t+3, and of 32 also 16+4t .. 16+4t+3. An order of inputs that A and B share
// changes nothing.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_MMA_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_MMA_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// sums += A * B over 16 inputs: A unsigned bytes, B signed ones. Exact.
QN_DEVICE void mma_u8_s8(int (&sums)[4], const u32 (&a)[2], u32 b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
               "{%0,%1,%2,%3};"
               : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(b));
}
/// The same over 32.
QN_DEVICE void mma_u8_s8(int (&sums)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// sums += A * B over 8 inputs, of which the tensor cores read 11 bits of the significand. Of A a
/// lane has inputs t of both rows and then t + 4 of both, of B inputs t and t + 4.
QN_DEVICE void mma_tf32(float (&sums)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Floats of a fragment, each as two that the tensor cores read: what they read of it, and what
/// they do not, which loses its last two or three bits.
template <int kCount> struct SplitFloats {
  u32 high[kCount], low[kCount];

  QN_DEVICE void set(int i, float x) {
    high[i] = __float_as_uint(x) & 0xffffe000u;
    low[i] = __float_as_uint(x - __uint_as_float(high[i]));
  }
};
/// sums += A * B, as exact as floats: but for the products of what is low in both, which are below
/// 2^-20 of theirs.
QN_DEVICE void mma_floats(float (&sums)[4], const SplitFloats<4> &a, const SplitFloats<2> &b) {
  mma_tf32(sums, a.low, b.high);
  mma_tf32(sums, a.high, b.low);
  mma_tf32(sums, a.high, b.high);
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_MMA_CUH
