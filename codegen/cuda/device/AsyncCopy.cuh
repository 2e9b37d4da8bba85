// Copies from global to shared memory that go on while a thread computes (cp.async), and a warp's
// ring of them.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_ASYNCCOPY_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_ASYNCCOPY_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// How the second cache treats what is read once: it is the first to go.
QN_DEVICE u64 evict_first() {
  u64 policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
/// Begins a copy of 16 bytes: not by way of the first cache, 128 bytes at a time into the second.
/// Both addresses are multiples of 16.
QN_DEVICE void copy_async(void *to, const void *from, u64 policy) {
  asm volatile("cp.async.cg.shared.global.L2::cache_hint.L2::128B [%0], [%1], 16, %2;" ::"r"(
                   static_cast<u32>(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from)), "l"(policy)
               : "memory");
}
/// Ends a group of the thread's copies, which may be empty.
QN_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `kPending` of the thread's groups are not there. Others see what a thread
/// copied once they have met it.
template <int kPending> QN_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// A warp's stages, filled and read in turn: `kStages` groups of copies are always under way or
/// waiting to be read.
template <int kStages, int kStageBytes> class CopyRing {
public:
  QN_DEVICE explicit CopyRing(u8 *stages) : stages_(stages) {}

  /// Where the next unit goes. After the copies to it, submit().
  QN_DEVICE u8 *next() const { return stages_ + filling_ * kStageBytes; }
  QN_DEVICE void submit() {
    commit_copies();
    filling_ = filling_ + 1 == kStages ? 0 : filling_ + 1;
  }
  /// The oldest unit, once it is there for all of the warp; kStages were submitted before.
  QN_DEVICE const u8 *wait() const {
    wait_copies<kStages - 1>();
    __syncwarp();
    return next(); // the one to be filled next is the oldest
  }
  /// The warp is through with the oldest unit.
  QN_DEVICE static void release() { __syncwarp(); }

private:
  u8 *stages_;
  int filling_ = 0;
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_ASYNCCOPY_CUH
