// Where the workers of a step meet, when, and which chunk of work is whose.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

QK_BEGIN
// Not inlined: it is called between all kernels, and waits anyway.
QK_OUTLINE void qk_barrier(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  constexpr int kSpins = 4096; // some 0.2 ms of pauses before the first yield
  constexpr int kSpinsLater = 64;
  QuernBarrier *barrier = args->barrier;
  if (num_workers <= 1) {
    barrier->chunks = 0;
    return;
  }
  // Read before arriving: once all have arrived, the phase may change at any time.
  const uint32_t phase = __atomic_load_n(&barrier->phase, __ATOMIC_RELAXED);
  const uint32_t others = __atomic_fetch_add(&barrier->arrived, 1, __ATOMIC_ACQ_REL);
  if (others + 1 == static_cast<uint32_t>(num_workers)) {
    // The release below publishes these, too, before anyone can arrive again.
    __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->chunks, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->phase, phase + 1, __ATOMIC_RELEASE);
    return;
  }
  int spins = kSpins;
  while (__atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE) == phase) {
    __builtin_ia32_pause();
    if (--spins == 0) {
      if (args->yield != nullptr)
        args->yield();
      spins = kSpinsLater;
    }
  }
}

QK_KERNEL int64_t qk_next_chunk(const QuernStepArgs *args) {
  return __atomic_fetch_add(&args->barrier->chunks, 1, __ATOMIC_RELAXED);
}

QK_OUTLINE void qk_report_fault(const QuernStepArgs *args, int64_t dispatch, int64_t site,
                                int64_t value, int64_t limit) {
  QuernFault *fault = args->fault;
  // Whoever reads it waits for all workers first.
  if (fault == nullptr || __atomic_exchange_n(&fault->found, 1, __ATOMIC_RELAXED) != 0)
    return;
  fault->dispatch = static_cast<int32_t>(dispatch);
  fault->site = static_cast<int32_t>(site);
  fault->value = value;
  fault->limit = limit;
}

// Not inlined: a bucket has hundreds of calls, and a step that nobody times pays a nanosecond for
// each.
QK_OUTLINE void qk_note_time(const QuernStepArgs *args, int32_t worker, int64_t dispatch) {
  if (args->ticks != nullptr && worker == 0)
    args->ticks[dispatch] = __builtin_ia32_rdtsc();
}
QK_END
