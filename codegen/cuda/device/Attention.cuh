// Attention over the pages of a kv state with online softmax, a block of threads for the queries of
// a few tokens that share a kv head.
//
// Positions are taken a key block at a time, QUERN_KEY_BLOCK_PAGES pages, which begin at multiples
// of it: first scores, a position a thread; then the softmax's weights, a row a warp; then sums of
// values, a column a thread. What lies at positions that no row sees is never read, and a row only
// ever multiplies values of those that it sees: the others may be NaN. So a row's result depends on
// what it sees alone, to the bit, not on what shares the tile.
//
// The softmax's exponential is the accurate one: beside the products with keys and values it costs
// little.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_ATTENTION_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_ATTENTION_CUH

#include "codegen/cuda/device/Arrivals.cuh"
#include "codegen/cuda/device/KvPage.cuh"
#include "codegen/cuda/device/Quantize.cuh"

namespace quern {

/// The queries of a few tokens of a sequence, and of a few of the heads that share a kv head. Row
/// token * heads + head is a query.
struct AttentionTile {
  int seq;
  int first_token; ///< in the step
  int tokens;      ///< how many
  int start;       ///< the first token's position
  int kv_head;
  int first_head; ///< of those that share the kv head
  int heads;      ///< how many
};

/// The specialisation `S` is a struct of constants:
///   kFormat, kKeyDim, kValueDim   of the kv state
///   kShared                       values are the first columns of the keys, and not stored
///   kKvHeads, kGroup              kv heads, and the query heads that share one
///   kTokens, kHeads               the most of a tile; where kHeads < kGroup, kTokens is 1
///   kWindow                       positions that a token sees, its own among them; 0: all
///   kScale, kSoftcap              as quern.attention has them; no softcap: 0
///   kAlibi, kAlibiBf16            whether scores have a bias, and how it is rounded
template <class S> struct Attention {
  static constexpr int kRows = S::kTokens * S::kHeads;
  static constexpr int kBlock = QUERN_KEY_BLOCK_PAGES * QUERN_KV_PAGE;
  static constexpr int kHeadTiles = (S::kGroup + S::kHeads - 1) / S::kHeads;
  static_assert(kBlock == kThreads, "a thread takes a position of a key block");

  using Keys = kv::Part<S::kFormat, S::kKeyDim>;
  using Values = kv::Part<S::kFormat, S::kValueDim>;
  static constexpr int kHeadBytes = Keys::kBytes + (S::kShared ? 0 : Values::kBytes);

  /// A query's floats, padded so that four are read at once.
  static constexpr int kQueryStride = (S::kKeyDim + 3) / 4 * 4;

  // Of a key block, a column's positions are dealt to kParts threads, four at a time.
  static constexpr int kColumns = (S::kValueDim + 15) / 16 * 16;
  static constexpr int kParts = kColumns >= kThreads ? 1 : kThreads / kColumns;
  static constexpr int kColumnsOfThread = (kColumns + kThreads - 1) / kThreads;

  /// Floats of shared memory, 16-byte aligned, that a block needs.
  static constexpr int kFloats =
      2 * QUERN_KEY_BLOCK_PAGES + kRows * (kQueryStride + kBlock + S::kValueDim + 4);
  /// That memory.
  struct Memory {
    const u8 **pages;   ///< [QUERN_KEY_BLOCK_PAGES] the head's part of a key block's pages
    float *query;       ///< [kRows][kQueryStride]
    float *weights;     ///< [kRows][kBlock]; sums of values of the parts, too
    float *total;       ///< [kRows][kValueDim] sums of values, and
    float *max, *sum;   ///< [kRows] of the key blocks so far
    float *keep, *take; ///< [kRows] what they and a key block's are multiplied with

    QN_DEVICE explicit Memory(float *at)
        : pages(reinterpret_cast<const u8 **>(at)), query(at + 2 * QUERN_KEY_BLOCK_PAGES),
          weights(query + kRows * kQueryStride), total(weights + kRows * kBlock),
          max(total + kRows * S::kValueDim), sum(max + kRows), keep(sum + kRows),
          take(keep + kRows) {}
  };

  // ---- Items of work

  /// Tiles of a sequence's tokens, in the order of kv heads and heads.
  QN_DEVICE static int items(int tokens) {
    return (tokens + S::kTokens - 1) / S::kTokens * S::kKvHeads * kHeadTiles;
  }
  /// Those with the longest history come first.
  QN_DEVICE static AttentionTile item(const QuernCudaStep &step, int seq, int first, int end,
                                      int number) {
    number = items(end - first) - 1 - number;
    const int part = number % (S::kKvHeads * kHeadTiles);
    AttentionTile tile;
    tile.seq = seq;
    tile.first_token = first + number / (S::kKvHeads * kHeadTiles) * S::kTokens;
    tile.tokens = least(S::kTokens, end - tile.first_token);
    tile.start = step.positions[tile.first_token];
    tile.kv_head = part / kHeadTiles;
    tile.first_head = part % kHeadTiles * S::kHeads;
    tile.heads = least(S::kHeads, S::kGroup - tile.first_head);
    return tile;
  }

  /// The row's token in the tile, and its query head.
  QN_DEVICE static int token_of(int row) { return S::kTokens == 1 ? 0 : row / S::kHeads; }
  QN_DEVICE static int head_of(const AttentionTile &tile, int row) {
    return tile.kv_head * S::kGroup + tile.first_head + (S::kTokens == 1 ? row : row % S::kHeads);
  }
  QN_DEVICE static int rows_of(const AttentionTile &tile) {
    return S::kTokens == 1 && S::kGroup % S::kHeads == 0 ? kRows : tile.tokens * tile.heads;
  }

  /// Rows that are computed: those of absent heads of one token are, too.
  QN_DEVICE static int computed(const AttentionTile &tile) {
    return S::kTokens == 1 ? kRows : tile.tokens * S::kHeads;
  }
  /// In an unrolled loop over kRows rows: whether the others are not computed.
  QN_DEVICE static bool ends(const AttentionTile &tile, int row) {
    return S::kTokens > 1 && row % S::kHeads == 0 && row >= computed(tile);
  }

  /// The first position that some row sees, and one past the last.
  QN_DEVICE static int first_seen(const AttentionTile &tile) {
    return S::kWindow == 0 ? 0 : most(0, tile.start + 1 - S::kWindow);
  }
  QN_DEVICE static int end_seen(const AttentionTile &tile) { return tile.start + tile.tokens; }
  QN_DEVICE static int first_block(const AttentionTile &tile) { return first_seen(tile) / kBlock; }
  QN_DEVICE static int end_block(const AttentionTile &tile) {
    return (end_seen(tile) + kBlock - 1) / kBlock;
  }

  // ---- A single token, whose key blocks are shared out in runs

  /// The most runs; a lane of a warp merges each.
  static constexpr int kMostRuns = kWarpLanes;
  /// Floats from a row of partials to the next: sums of values, the maximum, the sum. A row is a
  /// query head of a run.
  static constexpr int kPartialMax = (S::kValueDim + 15) / 16 * 16;
  static constexpr int kPartialStride = kPartialMax + 16;

  /// Key blocks [first, end) in `runs` runs of `blocks`. That depends on the token's position
  /// alone.
  struct Runs {
    int first, end, blocks, runs;

    QN_DEVICE int from(int run) const { return first + run * blocks; }
    QN_DEVICE int to(int run) const { return least(from(run) + blocks, end); }
  };
  QN_DEVICE static Runs runs_at(int position) {
    Runs of;
    of.first = (S::kWindow == 0 ? 0 : most(0, position + 1 - S::kWindow)) / kBlock;
    of.end = position / kBlock + 1;
    of.blocks = (of.end - of.first + kMostRuns - 1) / kMostRuns;
    of.runs = (of.end - of.first + of.blocks - 1) / of.blocks;
    return of;
  }

  /// Leaves the totals of a run for the block that comes last, which gathers them. True for that
  /// one: it has all of `runs` runs' in its memory then. `arrivals`: a number of each of a token's
  /// tiles.
  QN_DEVICE static bool gather(const AttentionTile &tile, const Memory &memory, float *partials,
                               int run, int runs, unsigned *arrivals) {
    constexpr int kHeadsOfAll = S::kKvHeads * S::kGroup;
    const int rows = rows_of(tile);
    const auto at = [&](int of_run, int row) {
      return partials + (of_run * kHeadsOfAll + head_of(tile, row)) * kPartialStride;
    };
#pragma unroll 1
    for (int i = thread(); i < rows * S::kValueDim; i += kThreads)
      at(run, i / S::kValueDim)[i % S::kValueDim] = memory.total[i];
    if (thread() < rows) {
      at(run, thread())[kPartialMax] = memory.max[thread()];
      at(run, thread())[kPartialMax + 1] = memory.sum[thread()];
    }
    const int number = tile.kv_head * kHeadTiles + tile.first_head / S::kHeads;
    if (!last_to_arrive(arrivals + number, static_cast<unsigned>(runs),
                        reinterpret_cast<int *>(memory.weights)))
      return false;
    // What each run's sums are multiplied with lies where the weights were, a row after another's.
#pragma unroll 1
    for (int row = warp(); row < rows; row += kWarps) {
      const bool there = lane() < runs;
      const float maximum = there ? at(lane(), row)[kPartialMax] : kNothing;
      const float sum = there ? at(lane(), row)[kPartialMax + 1] : 0.0f;
      const float largest = warp_max(maximum);
      const float factor = sum == 0.0f ? 0.0f : math::exponential(maximum - largest);
      const float all = warp_sum(sum * factor);
      memory.weights[row * kBlock + lane()] = factor;
      if (lane() == 0)
        memory.sum[row] = all;
    }
    __syncthreads();
#pragma unroll 1
    for (int i = thread(); i < rows * S::kValueDim; i += kThreads) {
      const int row = i / S::kValueDim;
      float sum = 0.0f;
      for (int r = 0; r < runs; ++r)
        sum = fma(at(r, row)[i % S::kValueDim], memory.weights[row * kBlock + r], sum);
      memory.total[i] = sum;
    }
    __syncthreads();
    return true;
  }

  // ---- The walk over key blocks

  /// Makes the totals those of rows that have seen nothing but, where there are `sinks` (a score
  /// for each query head), a position of that score whose value is 0. The queries of heads that the
  /// tile does not have become 0.
  QN_DEVICE static void begin(const AttentionTile &tile, const Memory &memory, const float *sinks) {
#pragma unroll 1
    for (int i = thread(); i < kRows * S::kValueDim; i += kThreads)
      memory.total[i] = 0.0f;
    const int rows = rows_of(tile);
    if (thread() < kRows) {
      const bool sink = sinks != nullptr && thread() < rows;
      memory.max[thread()] = sink ? sinks[head_of(tile, thread())] : kNothing;
      memory.sum[thread()] = sink ? 1.0f : 0.0f;
    }
#pragma unroll 1
    for (int i = rows * kQueryStride + thread(); i < computed(tile) * kQueryStride; i += kThreads)
      memory.query[i] = 0.0f;
  }

  /// Adds key blocks [from, to) to the totals. page_of(page) is the state's part of a page of the
  /// sequence. The threads have met since queries and totals were written, and have met again when
  /// it is done.
  template <class PageOf>
  QN_DEVICE static void attend(PageOf page_of, const AttentionTile &tile, int from, int to,
                               const float *slopes, const Memory &memory) {
    for (int block = from; block < to; ++block) {
      if (thread() < QUERN_KEY_BLOCK_PAGES) {
        const int page = block * QUERN_KEY_BLOCK_PAGES + thread();
        if (page * QUERN_KV_PAGE < end_seen(tile) && (page + 1) * QUERN_KV_PAGE > first_seen(tile))
          memory.pages[thread()] = page_of(page) + tile.kv_head * kHeadBytes;
      }
      __syncthreads();
      score(tile, block * kBlock, slopes, memory);
      __syncthreads();
      weigh(tile, block * kBlock, memory);
      __syncthreads();
      add_values(tile, block * kBlock, memory);
      __syncthreads();
    }
  }

  /// Divides the totals by their sums: zeros for a row that has seen nothing. The threads have met
  /// before, and meet after.
  QN_DEVICE static void finish(const AttentionTile &tile, const Memory &memory) {
#pragma unroll 1 // the division's rare path is a call, around which registers would spill
    for (int i = thread(); i < rows_of(tile) * S::kValueDim; i += kThreads) {
      const float sum = memory.sum[i / S::kValueDim];
      memory.total[i] = sum == 0.0f ? 0.0f : memory.total[i] / sum;
    }
    __syncthreads();
  }

  /// Writes the finished rows' columns of a result of floats.
  QN_DEVICE static void write(const AttentionTile &tile, const Memory &memory, float *result) {
    constexpr int kCols = S::kKvHeads * S::kGroup * S::kValueDim;
    const int width = tile.heads * S::kValueDim;
#pragma unroll 1
    for (int i = thread(); i < tile.tokens * width; i += kThreads)
      result[i64(tile.first_token + i / width) * kCols + head_of(tile, 0) * S::kValueDim +
             i % width] = memory.total[i];
  }

  /// The same of one of quantized rows. A tile's columns are whole pairs of groups, or end with the
  /// row.
  QN_DEVICE static void write_q8(const AttentionTile &tile, const Memory &memory, u8 *result,
                                 i64 row_bytes) {
    constexpr int kCols = S::kKvHeads * S::kGroup * S::kValueDim;
    const int width = tile.heads * S::kValueDim, pairs = (width + 31) / 32;
#pragma unroll 1
    for (int i = warp(); i < tile.tokens * pairs; i += kWarps) {
      const int token = i / pairs, column = i % pairs * 32 + lane();
      const float x = column < width ? memory.total[token * width + column] : 0.0f;
      quantize_pair<kCols>(x, head_of(tile, 0) * S::kValueDim / 32 + i % pairs,
                           result + (tile.first_token + token) * row_bytes);
    }
  }

private:
  /// The maximum of a row that has seen nothing.
  static constexpr float kNothing = -1e30f;
  QN_DEVICE static float unseen() { return -math::infinity(); }

  QN_DEVICE static bool sees(const AttentionTile &tile, int token, int position) {
    const int own = tile.start + token;
    return position <= own && (S::kWindow == 0 || position > own - S::kWindow);
  }

  /// The head's part of the page that holds a place of the key block. What is loaded from shared
  /// memory does not say that it points to global memory.
  QN_DEVICE static const u8 *page_at(const Memory &memory, int place) {
    const u8 *const page = memory.pages[place / QUERN_KV_PAGE];
    __builtin_assume(__isGlobal(page));
    return page;
  }

  /// Whether some row sees one of the positions of a warp's lanes.
  QN_DEVICE static bool concerns(const AttentionTile &tile, int base, int warp) {
    base += warp * kWarpLanes;
    return base < end_seen(tile) && base + kWarpLanes > first_seen(tile);
  }

  /// Scores of all rows for this thread's position, from `base` on.
  QN_DEVICE static void score(const AttentionTile &tile, int base, const float *slopes,
                              const Memory &memory) {
    const int rows = rows_of(tile), position = base + thread();
    if (!concerns(tile, base, warp()))
      return;
    float sums[kRows] = {};
    const bool any = position >= first_seen(tile) && position < end_seen(tile);
    if (any)
      products(tile, page_at(memory, thread()), thread() % QUERN_KV_PAGE, memory.query, sums);
    float *const scores = memory.weights + thread();
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (ends(tile, row))
        break;
      scores[row * kBlock] = sums[row];
    }
#pragma unroll 1
    for (int row = 0; row < computed(tile); ++row) {
      const int token = token_of(row);
      float score = unseen();
      if (any && row < rows && sees(tile, token, position)) {
        score = scores[row * kBlock] * S::kScale;
        if constexpr (S::kSoftcap != 0.0f)
          score = math::hyperbolic_tangent(score / S::kSoftcap) * S::kSoftcap;
        if constexpr (S::kAlibi)
          score += bias(slopes[head_of(tile, row)], position, tile.start + token);
      }
      scores[row * kBlock] = score;
    }
  }

  /// ALiBi for a key at `position` of a query at `own`.
  QN_DEVICE static float bias(float slope, int position, int own) {
    if constexpr (S::kAlibiBf16)
      return S::kScale * (round_bf16(slope * static_cast<float>(position)) -
                          round_bf16(slope * static_cast<float>(own)));
    else
      return slope * static_cast<float>(position - own);
  }

  /// Adds the products of all queries with the key at `place` of a page, over its numbers in order.
  QN_DEVICE static void products(const AttentionTile &tile, const u8 *page, int place,
                                 const float *query, float (&sums)[kRows]) {
    // A multiple of 8 is taken in eights rather than with code of its own for what is left.
    constexpr int kAtOnce = kRows > 8 || S::kKeyDim % 16 == 8 ? 8 : 16;
    constexpr int kWhole = S::kKeyDim / kAtOnce * kAtOnce;
    const auto *const keys = Keys::numbers(page) + Keys::key_at(0, place);
    const float *const scales = Keys::scales(page) + place;
#pragma unroll 1
    for (int first = 0; first < kWhole; first += kAtOnce)
      some_products<kAtOnce>(tile, keys + 16 * first, scale_of(scales, first), query + first, sums);
    if constexpr (kWhole != S::kKeyDim)
      some_products<S::kKeyDim - kWhole>(tile, keys + 16 * kWhole, scale_of(scales, kWhole),
                                         query + kWhole, sums);
  }
  QN_DEVICE static float scale_of(const float *scales, int first) {
    if constexpr (Keys::kScaled)
      return scales[first / kv::kGroup * QUERN_KV_PAGE];
    else
      return 1.0f;
  }
  template <int N>
  QN_DEVICE static void some_products(const AttentionTile &tile, const typename Keys::Type *keys,
                                      float scale, const float *query, float (&sums)[kRows]) {
    float numbers[N];
#pragma unroll
    for (int i = 0; i < N; ++i) {
      numbers[i] = kv::as_float<S::kFormat>(keys[16 * i]);
      if constexpr (Keys::kScaled)
        numbers[i] *= scale;
    }
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (ends(tile, row))
        break;
      const float *const q = query + row * kQueryStride;
#pragma unroll
      for (int i = 0; i + 4 <= N; i += 4) {
        const float4 four = *reinterpret_cast<const float4 *>(q + i);
        sums[row] = fma(four.x, numbers[i], sums[row]);
        sums[row] = fma(four.y, numbers[i + 1], sums[row]);
        sums[row] = fma(four.z, numbers[i + 2], sums[row]);
        sums[row] = fma(four.w, numbers[i + 3], sums[row]);
      }
#pragma unroll
      for (int i = N / 4 * 4; i < N; ++i)
        sums[row] = fma(q[i], numbers[i], sums[row]);
    }
  }

  /// Turns scores into weights, and says how each row's sums are merged with the totals.
  QN_DEVICE static void weigh(const AttentionTile &tile, int base, const Memory &memory) {
#pragma unroll 1
    for (int row = warp(); row < computed(tile); row += kWarps) {
      float *const scores = memory.weights + row * kBlock + lane();
      float maximum = kNothing, sum = 0.0f;
#pragma unroll
      for (int i = 0; i < kBlock / kWarpLanes; ++i)
        if (concerns(tile, base, i))
          maximum = most(scores[i * kWarpLanes], maximum);
      maximum = warp_max(maximum);
#pragma unroll 2
      for (int i = 0; i < kBlock / kWarpLanes; ++i) {
        if (!concerns(tile, base, i))
          continue;
        const float weight = math::exponential_below(scores[i * kWarpLanes] - maximum);
        scores[i * kWarpLanes] = weight;
        sum += weight;
      }
      sum = warp_sum(sum);
      if (lane() == 0)
        merge(row, maximum, sum, memory);
    }
  }

  /// Merges a row's maximum and sum of weights with those of its totals. Where it has seen nothing
  /// these stay as they are.
  QN_DEVICE static void merge(int row, float maximum, float sum, const Memory &memory) {
    float keep = 1.0f, take = 0.0f;
    if (sum != 0.0f) {
      const float before = memory.max[row], larger = before > maximum ? before : maximum;
      keep = math::exponential(before - larger);
      take = math::exponential(maximum - larger);
      memory.max[row] = larger;
      memory.sum[row] = fma(memory.sum[row], keep, sum * take);
    }
    memory.keep[row] = keep;
    memory.take[row] = take;
  }

  /// Adds the weighted values of the key block at `base` to the totals.
  QN_DEVICE static void add_values(const AttentionTile &tile, int base, const Memory &memory) {
    const int part = thread() / kColumns;
    float sums[kColumnsOfThread][kRows] = {};
    if (part < kParts)
#pragma unroll
      for (int n = 0; n < kColumnsOfThread; ++n)
        if (const int column = thread() % kColumns + n * kThreads; column < S::kValueDim)
          sum_values(tile, base, part, column, memory, sums[n]);
    if constexpr (kParts == 1) {
#pragma unroll
      for (int n = 0; n < kColumnsOfThread; ++n)
        if (const int column = thread() + n * kThreads; column < S::kValueDim)
#pragma unroll
          for (int row = 0; row < kRows; ++row) {
            if (ends(tile, row))
              break;
            add_to_total(row, column, sums[n][row], memory);
          }
    } else {
      __syncthreads(); // weights are read no more
      const int column = thread() % kColumns;
      if (part < kParts && column < S::kValueDim)
#pragma unroll
        for (int row = 0; row < kRows; ++row) {
          if (ends(tile, row))
            break;
          memory.weights[(part * kRows + row) * S::kValueDim + column] = sums[0][row];
        }
      __syncthreads();
#pragma unroll 1
      for (int i = thread(); i < computed(tile) * S::kValueDim; i += kThreads) {
        float sum = memory.weights[i];
        for (int p = 1; p < kParts; ++p)
          sum += memory.weights[p * kRows * S::kValueDim + i];
        add_to_total(i / S::kValueDim, i % S::kValueDim, sum, memory);
      }
    }
  }
  QN_DEVICE static void add_to_total(int row, int column, float sum, const Memory &memory) {
    float &total = memory.total[row * S::kValueDim + column];
    total = fma(total, memory.keep[row], sum * memory.take[row]);
  }

  /// A column's values of positions that are four at a time in a part.
  struct ColumnValues {
    const Memory &memory;
    int column, width;

    QN_DEVICE ColumnValues(const Memory &memory, int column)
        : memory(memory), column(column), width(least(S::kValueDim - column / 16 * 16, 16)) {}

    QN_DEVICE float at(int place) const {
      float value[1];
      load(place, place, place + 1, value);
      return value[0];
    }
    /// Of several that lie in one page, from `place` on: 0 for those outside of [from, to).
    template <int N> QN_DEVICE void load(int place, int from, int to, float (&values)[N]) const {
      static_assert(QUERN_KV_PAGE % N == 0);
      const u8 *const page = page_at(memory, place);
      const int in_page = place % QUERN_KV_PAGE;
      const int group = column / kv::kGroup * QUERN_KV_PAGE + in_page;
#pragma unroll
      for (int i = 0; i < N; ++i) {
        values[i] = 0.0f;
        if (place + i < from || place + i >= to)
          continue;
        if constexpr (S::kShared) {
          values[i] =
              kv::as_float<S::kFormat>(Keys::numbers(page)[Keys::key_at(column, in_page + i)]);
          if constexpr (Keys::kScaled)
            values[i] *= Keys::scales(page)[group + i];
        } else {
          const u8 *const own = page + Keys::kBytes;
          values[i] = kv::as_float<S::kFormat>(Values::numbers(
              own)[column / 16 * 16 * QUERN_KV_PAGE + (in_page + i) * width + column % 16]);
          if constexpr (Values::kScaled)
            values[i] *= Values::scales(own)[group + i];
        }
      }
    }
  };

  /// Sums over a part of the key block's positions for one column, in order. Several fours are
  /// loaded before they are needed.
  QN_DEVICE static void sum_values(const AttentionTile &tile, int base, int part, int column,
                                   const Memory &memory, float (&sums)[kRows]) {
    constexpr int kFour = 4, kFours = 4, kStep = kParts * kFour;
    const int from = most(first_seen(tile) - base, 0), to = least(end_seen(tile) - base, kBlock);
    // Positions that every row sees.
    const int last = tile.start + tile.tokens - 1;
    const int all_from = S::kWindow == 0 ? 0 : most(last + 1 - S::kWindow - base, 0);
    const int all_to = tile.start + 1 - base;
    const ColumnValues values(memory, column);
#pragma unroll 1
    for (int first = part * kFour; first < to; first += kFours * kStep) {
      const int end = first + (kFours - 1) * kStep + kFour;
      if (end <= from)
        continue;
      if (S::kTokens == 1 || tile.tokens == 1 || (first >= all_from && end <= all_to)) {
        // All rows see the same. What nobody sees weighs 0, and is 0 here.
        float v[kFours][kFour];
        const auto seen = [&](int n) {
          const int place = first + n * kStep;
          return place < to && place + kFour > from;
        };
#pragma unroll
        for (int n = 0; n < kFours; ++n)
          if (seen(n))
            values.load(first + n * kStep, from, to, v[n]);
#pragma unroll
        for (int n = 0; n < kFours; ++n) {
          const int place = first + n * kStep;
          if (!seen(n))
            continue;
          const float *const weights = memory.weights + place;
#pragma unroll
          for (int row = 0; row < kRows; ++row) {
            if (ends(tile, row))
              break;
            const float4 w = *reinterpret_cast<const float4 *>(weights + row * kBlock);
            sums[row] = fma(w.x, v[n][0], sums[row]);
            sums[row] = fma(w.y, v[n][1], sums[row]);
            sums[row] = fma(w.z, v[n][2], sums[row]);
            sums[row] = fma(w.w, v[n][3], sums[row]);
          }
        }
        continue;
      }
      if constexpr (S::kTokens > 1)
#pragma unroll 1
        for (int n = 0; n < kFours * kFour; ++n) {
          const int place = first + n / kFour * kStep + n % kFour;
          if (place >= from && place < to)
            add_where_seen(tile, base, place, values.at(place), memory, sums);
        }
    }
  }
  QN_DEVICE static void add_where_seen(const AttentionTile &tile, int base, int place, float v,
                                       const Memory &memory, float (&sums)[kRows]) {
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (ends(tile, row))
        break;
      if (sees(tile, token_of(row), base + place))
        sums[row] = fma(memory.weights[row * kBlock + place], v, sums[row]);
    }
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_ATTENTION_CUH
