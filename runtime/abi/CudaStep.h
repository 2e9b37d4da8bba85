// The contract between generated CUDA code and the runtime: what a kernel is launched with.
//
// A kernel of the schedule is launched as
//
//     extern "C" __global__ void NAME(const QuernCudaStep *step, operands...);
//
// with QUERN_CUDA_THREADS threads a block, where the operands are 64-bit numbers in the order of
// the dispatch's operands, then its results, then its scratch memory: an address for rows, weights
// and indices; two numbers for a state (its kv group, its offset in the page or in the slot);
// nothing for the batch. They do not change from step to step, so that a schedule can be one CUDA
// graph: what changes lies in the step, which the runtime makes on the host (in pinned memory) and
// copies at once.
//
// This header is read by NVRTC too, which has no standard headers; types are those that both have.
// Adding a field goes at the end and bumps QUERN_CUDA_ABI_VERSION; the runtime refuses code of
// another version.
#ifndef QUERN_RUNTIME_ABI_CUDASTEP_H
#define QUERN_RUNTIME_ABI_CUDASTEP_H

#define QUERN_CUDA_ABI_VERSION 1

// Threads of every block: 8 warps.
#define QUERN_CUDA_THREADS 256

// Groups of blocks of a launch that count themselves.
#define QUERN_CUDA_ARRIVALS 256

#ifdef __cplusplus
extern "C" {
#endif

/// kv state of the layers that keep the same positions, as QuernKvGroup of StepArgs.h, with the
/// block tables as one matrix. Pages lie on the device exactly as they do on the host.
typedef struct QuernCudaKvGroup {
  unsigned char *pages;   ///< base of the pool; 256-byte aligned
  long long page_bytes;   ///< bytes of one page, a multiple of 64
  const int *block_table; ///< [B][table_stride] page numbers
  long long table_stride; ///< numbers a sequence
} QuernCudaKvGroup;

/// A step, in device memory. Arrays are as in QuernStepArgs (StepArgs.h).
typedef struct QuernCudaStep {
  long long num_tokens;              ///< T
  long long num_seqs;                ///< B
  long long num_rows;                ///< R
  const int *cu_seqlens;             ///< [B+1]
  const int *positions;              ///< [T]
  const int *token_seq;              ///< [T]
  const int *rows;                   ///< [R]
  const QuernCudaKvGroup *kv;        ///< kv groups, in the manifest's order
  unsigned char *const *fixed_state; ///< [B] the slot's fixed-size state; 256-byte aligned
  /// Null, or one number, 0 when the step begins, in a bucket of one token whose only result has
  /// one row: the step leaves the row's largest column here, and need not write the row. A column c
  /// of value v is order(v) * 2^32 + (2^32 - 1 - c), where order(v) are v's bits as an unsigned
  /// number that grows with v; the largest of these numbers is what is asked for. A NaN counts as
  /// nothing.
  unsigned long long *argmax;
  /// Arrivals of blocks at barriers of the whole grid; 0 when a launch begins.
  unsigned *barrier;
  /// [QUERN_CUDA_ARRIVALS] Arrivals of blocks that share work inside of a kernel, of which the last
  /// finishes it: 0 when a kernel begins, and when it ends.
  unsigned *arrivals;
} QuernCudaStep;

#ifdef __cplusplus
}
#endif

#endif // QUERN_RUNTIME_ABI_CUDASTEP_H
