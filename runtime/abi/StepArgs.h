// The contract between generated code and the runtime: what a bucket's function receives.
//
// Every bucket of an entry is one native function with C linkage, run by all workers at once
// (SPMD):
//
//     void quern_<entry>_<bucket>(const QuernStepArgs *args, int32_t worker, int32_t num_workers);
//
// This header is C so that generated code (which addresses the fields by offset), the microkernels
// (freestanding C++) and the runtime share one definition. Adding a field goes at the end and bumps
// QUERN_ABI_VERSION; the runtime refuses artifacts of another version.
#ifndef QUERN_RUNTIME_ABI_STEPARGS_H
#define QUERN_RUNTIME_ABI_STEPARGS_H

#include <stdint.h>

#define QUERN_ABI_VERSION 7

// Positions a page of kv state holds.
#define QUERN_KV_PAGE 64

// Pages of a key block. Attention sums over the positions of each block, then over blocks, so that
// the order of its float additions depends neither on how a sequence was cut into steps nor on how
// many workers share it.
#define QUERN_KEY_BLOCK_PAGES 4

// Numbers of a key or of a value that share a scale, where kv state is int8.
#define QUERN_KV_GROUP 32

#ifdef __cplusplus
extern "C" {
#endif

/// Workers meet here, and fetch work here in between. `arrived` counts up to num_workers; the last
/// to arrive resets it and `chunks`, the chunks of work given out since, then bumps `phase`, on
/// which the others spin. All zero when a step begins. Each field has its own cache line.
typedef struct QuernBarrier {
  uint32_t arrived;
  uint8_t pad0[60];
  uint32_t phase;
  uint8_t pad1[60];
  uint32_t chunks;
  uint8_t pad2[60];
} QuernBarrier;

/// What a worker leaves of a row of results of which only the largest is asked for: the largest of
/// the columns that it computed, the first among equals. A NaN is not larger than anything; before
/// the step, and where nothing was above it, -infinity and -1. Each has its own cache line.
typedef struct QuernArgmax {
  float value;
  int32_t column;
  uint8_t pad[56];
} QuernArgmax;

/// What went wrong in a step that a model's data decide: an index outside of what it indexes, a
/// division by 0. All zero when a step begins; the first that finds something writes it and goes on
/// with numbers that nobody is to see.
typedef struct QuernFault {
  uint32_t found;
  int32_t dispatch; ///< of the bucket, by number
  int32_t site;     ///< of the dispatch: the manifest's table says what it is
  int32_t pad;
  int64_t value; ///< the index, the number of elements
  int64_t limit; ///< the size, the number that there may be
} QuernFault;

/// kv state of the layers that keep the same positions (all of them, or those of one window size).
/// A page holds QUERN_KV_PAGE positions of every layer of the group; a layer finds its part at a
/// fixed offset inside the page. Page `block_tables[b][i]` holds positions
/// [i*QUERN_KV_PAGE, (i+1)*QUERN_KV_PAGE) of sequence b; in a group of window w it is there only
/// from the page on that holds position p-w+1, where p is the position of b's first token in the
/// step.
typedef struct QuernKvGroup {
  uint8_t *pages;                     ///< base of the pool; 64-byte aligned
  int64_t page_bytes;                 ///< bytes of one page, a multiple of 64
  const int32_t *const *block_tables; ///< [B] pointers to page numbers
} QuernKvGroup;

// Layout of one kv layer inside a page, for kv heads H and head dimension D (keys) and V (values),
// in float32, float16, bfloat16 or int8:
//   [H] { keys   [QUERN_KV_PAGE/16][D][16]
//         values [V/16][QUERN_KV_PAGE][16], and [QUERN_KV_PAGE][V%16] if that is not 0 }
// In int8, keys and values each begin with their scales, float32 [ceil(D/QUERN_KV_GROUP)]
// [QUERN_KV_PAGE]: a number is its code times the scale of its group and position.
// so a score is a sum over D with lanes over positions, an output a sum over positions with lanes
// over V (neither needs a horizontal reduction), and tiles of 16 lanes read memory in one line.

typedef struct QuernStepArgs {
  const uint8_t *weights;    ///< packed weights section
  uint8_t *arena;            ///< the bucket's activations; 64-byte aligned
  const void *const *inputs; ///< the entry's tensor inputs, in order (step: tokens int32 [T])
  void *const *outputs; ///< the entry's tensor results, in order (step: logits float32 [R, vocab])
  int64_t num_tokens;   ///< T: tokens of this step, all sequences packed
  int64_t num_seqs;     ///< B: sequences of this step
  int64_t num_rows;     ///< R: tokens whose outputs are wanted
  const int32_t *cu_seqlens; ///< [B+1] first token of each sequence; cu_seqlens[B] = T
  const int32_t *positions;  ///< [T] position of each token in its own sequence
  const int32_t *token_seq;  ///< [T] which of the B sequences each token belongs to
  const int32_t *rows;       ///< [R] indices of the wanted tokens, ascending
  const QuernKvGroup *kv;    ///< kv groups, in the manifest's order
  uint8_t *const
      *fixed_state; ///< [B] the slot's fixed-size state (recurrent, window); 64-byte aligned
  QuernBarrier *barrier;
  void (*yield)(void); // called by a worker that has waited long at a barrier
  /// Null, or [dispatches]: the device's clock when worker 0 begins each dispatch of the bucket,
  /// all that it had to wait for being there.
  uint64_t *ticks;
  /// Null, or [num_workers], in a bucket of one token whose only result has one row: that row's
  /// largest column is left here, and the row need not be written.
  QuernArgmax *argmax;
  /// Of an entry whose caller chooses sizes: their values, in the order of the module's
  /// `quern.sizes`. Those that the model counts are written by the kernel that does, to be read
  /// after the barrier behind it.
  int64_t *dims;
  QuernFault *fault; ///< null: nobody asks
} QuernStepArgs;

typedef void (*QuernBucketFn)(const QuernStepArgs *args, int32_t worker, int32_t num_workers);

/// A row of activations quantized to int8 (K padded to a multiple of 32 with zeros), as the
/// quantized linear kernels read it: K codes in groups of 16, then one QuernQ8Pair for every two
/// groups (32 codes, as many as a record of weights has).
///   value[k] = scale * code[k] in the pair's first group, scale * ratio * code[k] in its second
///   ratio is a power of two from 1/16 to 16: codes times weights' codes add up exactly over the
///   pair, in float32 too
///   code_sum[g] is the sum of the codes of group g
///   sum = scale * (code_sum[0] + ratio * code_sum[1]): what the weights' mins are multiplied with
typedef struct QuernQ8Pair {
  float scale;
  float ratio;
  float sum;
  int16_t code_sum[2];
} QuernQ8Pair;

/// Behind the pairs, from this byte of a row on, are up to 64 bytes a pair for what a variant's
/// products of many rows read instead. amx has the same codes as its tiles take them: 32 bfloat16
/// for a pair, code i of the first group and ratio * code i of the second interleaved. x86-64-v3
/// has 48 bytes for a pair, InterleavedPair of codegen/cpu/microkernels/InterleavedPairAvx2.h.
static inline int64_t quern_q8_rows_at(int64_t k) {
  const int64_t padded = (k + 31) / 32 * 32;
  return (padded + padded / 32 * (int64_t)sizeof(QuernQ8Pair) + 63) / 64 * 64;
}

/// Bytes from one row of K quantized activations to the next, an odd number of cache lines. A
/// product reads the same columns of many rows; were they a multiple of a power of two apart, they
/// would all lie in the same few sets of the first cache.
static inline int64_t quern_q8_row_bytes(int64_t k) {
  return ((quern_q8_rows_at(k) / 64 + (k + 31) / 32) | 1) * 64;
}

#ifdef __cplusplus
}
#endif

#endif // QUERN_RUNTIME_ABI_STEPARGS_H
