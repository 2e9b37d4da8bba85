// A linear recurrence over chunks of a sequence's tokens: what they add to the state and read of it
// are products of matrices, and how they correct each other is a triangular system (the WY
// representation). The state is read and written once a chunk.
//
// With S the state before the chunk, F(i, s) the product of the decays from token s + 1 to i, and
// P(i) of all to i, token i adds k_i u_i to the state, and reads
//
//     r_i S_i = (r_i P(i)) S + sum_(s <= i) (r_i F(i, s) k_s) u_s
//
// where u_i is v_i; or with a delta beta_i (v_i - k_i (decay_i S_(i-1))), which looks like a read,
// so that u solves a system whose matrix is strictly lower triangular. A free correction adds b_i
// w_i as well, w_i = a_i S_(i-1). Decays are multiplied up, and never divided by.
//
// Where a decay is a head's, F is a number that multiplies r_i k_s. Where every key has its own,
// the numbers r_i F(i, s) k_s are sums that no product of matrices gives without a quotient, so
// chunks are short, and these sums are added up one by one.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_RECURRENCECHUNKS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_RECURRENCECHUNKS_CUH

#include "codegen/cuda/device/Mma.cuh"

namespace quern {

enum class Corrects { nothing, delta, freely };

/// kColumns columns of a state of [kKeys][kValues], which lie in a block's shared memory from a
/// sequence's first chunk to the last. Rows of tokens beyond the sequence's end are clear()ed,
/// which changes nothing: so numbers depend on the sequence alone. kBonus: r reads the state before
/// its token, and of the token itself bonus k v.
template <int kKeys, int kValues, int kColumns, int kChunk, bool kByKey, Corrects kCorrects,
          bool kBonus>
class RecurrenceChunks {
  static_assert(kColumns % 16 == 0 && (kChunk == 16 || (kChunk == 32 && !kByKey)));
  static_assert(kByKey || (kCorrects != Corrects::freely && !kBonus));
  static constexpr bool kDelta = kCorrects == Corrects::delta;
  static constexpr bool kFreely = kCorrects == Corrects::freely;
  static constexpr bool kSolves = kCorrects != Corrects::nothing;

  // Rows lie so far apart that fragments of them are in different banks.
  static constexpr int kRows = (kKeys + 15) / 16 * 16; ///< of the state: the last ones are 0
  static constexpr int kKeyStride = kRows + 8;
  static constexpr int kValueStride = kColumns + 4;
  static constexpr int kPairStride = kChunk + 4;

  // Where what lies, in floats.
  static constexpr int kKeysOf = kChunk * kKeyStride;
  static constexpr int kValuesOf = kChunk * kValueStride;
  static constexpr int kPairs = kChunk * kPairStride;
  static constexpr int kR = kRows * kValueStride;
  static constexpr int kK = kR + (kKeysOf > kValuesOf ? kKeysOf : kValuesOf);
  static constexpr int kA = kK + kKeysOf, kB = kA + (kFreely ? kKeysOf : 0);
  static constexpr int kDecay = kB + (kFreely ? kKeysOf : 0);
  static constexpr int kSinceStart = kDecay + (kByKey ? kKeysOf : kChunk);
  static constexpr int kV = kSinceStart + (kByKey ? kRows : kChunk);
  static constexpr int kW = kV + kValuesOf;
  static constexpr int kBeta = kW + (kFreely ? kValuesOf : 0);
  static constexpr int kReadOfK = kBeta + (kDelta ? kChunk : 0);
  static constexpr int kReadOfB = kReadOfK + kPairs;
  static constexpr int kSystem = kReadOfB + (kFreely ? kPairs : 0);
  static constexpr int kCorrectedK = kSystem + (kSolves ? kPairs : 0);
  static constexpr int kFactors = kCorrectedK + (kFreely ? kPairs : 0);

public:
  static constexpr int kTokens = kChunk;
  static constexpr int kFloats = kFactors + (kByKey ? 0 : kPairs);

  /// `memory`: kFloats of shared memory. `state`: the head's. `column`: its first here.
  QN_DEVICE RecurrenceChunks(float *memory, float *state, int column)
      : memory_(memory), state_(state + column), columns_(kValues - column) {
    for (int at = thread(); at < kRows * kColumns; at += kThreads) {
      const int i = at / kColumns, j = at % kColumns;
      memory_[i * kValueStride + j] = i < kKeys && j < columns_ ? state_[i * kValues + j] : 0.0f;
    }
  }
  /// Writes the state back. The threads have met since the last step().
  QN_DEVICE void keep() const {
    for (int at = thread(); at < kKeys * kColumns; at += kThreads) {
      const int i = at / kColumns, j = at % kColumns;
      if (j < columns_)
        state_[i * kValues + j] = memory_[i * kValueStride + j];
    }
  }

  // What a warp writes for a token of the chunk before step(): kKeys numbers of r, k, a, b and, by
  // key, of the decay, else one; kColumns of v; and beta.
  QN_DEVICE float *r(int token) const { return memory_ + kR + token * kKeyStride; }
  QN_DEVICE float *k(int token) const { return memory_ + kK + token * kKeyStride; }
  QN_DEVICE float *a(int token) const { return memory_ + kA + token * kKeyStride; }
  QN_DEVICE float *b(int token) const { return memory_ + kB + token * kKeyStride; }
  QN_DEVICE float *decay(int token) const {
    return memory_ + kDecay + token * (kByKey ? kKeyStride : 1);
  }
  QN_DEVICE float *v(int token) const { return memory_ + kV + token * kValueStride; }
  QN_DEVICE float *beta(int token) const { return memory_ + kBeta + token; }
  /// What was read after step(), kColumns a token, until the next token is written.
  QN_DEVICE const float *out(int token) const { return memory_ + kR + token * kValueStride; }

  /// Clears what lies behind the keys of a token that the warp writes.
  QN_DEVICE void pad(int token) const {
    if constexpr (kRows != kKeys)
      if (const int n = kKeys + lane(); n < kRows)
        set_keys(token, n, 0.0f);
  }
  /// Writes a token that changes nothing.
  QN_DEVICE void clear(int token) const {
    for (int n = lane(); n < kKeys; n += kWarpLanes)
      set_keys(token, n, 1.0f);
    pad(token);
    for (int j = lane(); j < kColumns; j += kWarpLanes)
      v(token)[j] = 0.0f;
    if (lane() == 0) {
      if constexpr (!kByKey)
        *decay(token) = 1.0f;
      if constexpr (kDelta)
        *beta(token) = 0.0f;
    }
  }

  /// The chunk's tokens, which are written and seen by all threads. `bonus`: the head's.
  QN_DEVICE void step(const float *bonus) const {
    if constexpr (kByKey) {
      pair_by_key(bonus);
      __syncthreads();
      decay_keys();
      __syncthreads();
    } else {
      multiply_decays();
      __syncthreads();
      pair_by_head();
    }
    float read[kWide][4] = {};
    read_before(read);
    __syncthreads();
    if constexpr (kSolves) {
      solve();
      __syncthreads();
    }
    read_and_update(read);
  }

private:
  /// Writes number n of a token's keys as 0, and of its decays as `decay_is`.
  QN_DEVICE void set_keys(int token, int n, float decay_is) const {
    r(token)[n] = 0.0f;
    k(token)[n] = 0.0f;
    if constexpr (kFreely) {
      a(token)[n] = 0.0f;
      b(token)[n] = 0.0f;
    }
    if constexpr (kByKey)
      decay(token)[n] = decay_is;
  }

  /// Two inputs of a row.
  struct Two {
    float first, second;
  };
  QN_DEVICE static Two two(const float *at) {
    const float2 both = *reinterpret_cast<const float2 *>(at);
    return {both.x, both.y};
  }
  /// sums += A B, 16 rows and kTiles * 8 columns of it, over `inputs`, a multiple of 8. a(row,
  /// input) and b(input, column) are their elements, and those of the next input. Of eight inputs a
  /// lane has two that follow each other.
  template <int kTiles, class A, class B>
  QN_DEVICE static void multiply(float (&sums)[kTiles][4], int inputs, A a, B b) {
    multiply_both<kTiles, 1>(&sums, inputs, a, a, b);
  }
  /// The same for kOf = 2 matrices of rows, and one of columns.
  template <int kTiles, int kOf, class A, class Other, class B>
  QN_DEVICE static void multiply_both(float (*sums)[kTiles][4], int inputs, A a, Other other, B b) {
    const int at = lane() / 4;
#pragma unroll 2
    for (int n = lane() % 4 * 2; n < inputs; n += 8) {
      SplitFloats<4> left[kOf];
      const auto put = [&](int of, int row, Two inputs) {
        left[of].set(row, inputs.first);
        left[of].set(row + 2, inputs.second);
      };
      put(0, 0, a(at, n));
      put(0, 1, a(at + 8, n));
      if constexpr (kOf == 2) {
        put(1, 0, other(at, n));
        put(1, 1, other(at + 8, n));
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const Two inputs = b(n, tile * 8 + at);
        SplitFloats<2> right;
        right.set(0, inputs.first);
        right.set(1, inputs.second);
#pragma unroll
        for (int of = 0; of < kOf; ++of)
          mma_floats(sums[of][tile], left[of], right);
      }
    }
  }
  /// body(row, column, sum) for each of this lane's sums.
  template <int kTiles, class Body>
  QN_DEVICE static void each(float (&sums)[kTiles][4], Body body) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        body(lane() / 4 + i / 2 * 8, tile * 8 + lane() % 4 * 2 + i % 2, sums[tile][i]);
  }

  // Of [tokens][columns] a warp has kWide tiles beside each other, or none.
  static constexpr int kWarpsOfRow = kWarps / (kChunk / 16);
  static constexpr int kWide = (kColumns / 8 + kWarpsOfRow - 1) / kWarpsOfRow;
  QN_DEVICE static int own_row() { return warp() / kWarpsOfRow * 16; }
  QN_DEVICE static int own_column() { return warp() % kWarpsOfRow * kWide * 8; }
  QN_DEVICE static bool has_own() { return own_column() < kColumns; }

  /// Sums of x S, and of y S.
  template <int kOf>
  QN_DEVICE void read_state(float (*sums)[kWide][4], const float *x, const float *y) const {
    const int from = own_row() * kKeyStride;
    const float *const s = memory_ + own_column();
    multiply_both<kWide, kOf>(
        sums, kRows, [&](int i, int n) { return two(x + from + i * kKeyStride + n); },
        [&](int i, int n) { return two(y + from + i * kKeyStride + n); },
        [&](int n, int j) { return Two{s[n * kValueStride + j], s[(n + 1) * kValueStride + j]}; });
  }
  /// sums += M u, M lower triangular, of [tokens][tokens].
  QN_DEVICE void read_tokens(float (&sums)[kWide][4], const float *pairs, const float *u) const {
    const float *const from = pairs + own_row() * kPairStride;
    const float *const values = u + own_column();
    multiply(
        sums, own_row() + 16, [&](int i, int s) { return two(from + i * kPairStride + s); },
        [&](int s, int j) {
          return Two{values[s * kValueStride + j], values[(s + 1) * kValueStride + j]};
        });
  }

  // ---- A decay a head

  /// F(i, s), 0 for s > i, and P(i).
  QN_DEVICE void multiply_decays() const {
    const int s = thread();
    if (s >= kChunk)
      return;
    float factor = 0.0f;
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      factor = i == s ? 1.0f : factor * memory_[kDecay + i];
      memory_[kFactors + i * kPairStride + s] = factor;
      if (s == 0)
        memory_[kSinceStart + i] = memory_[kDecay] * factor;
    }
  }
  /// What r_i reads of k_s, and of the system what k_i does: tiles on and below the diagonal.
  QN_DEVICE void pair_by_head() const {
    constexpr int kBelow = kChunk == 16 ? 2 : 6;
    const float *const factors = memory_ + kFactors;
    for (int job = warp(); job < (kDelta ? 2 * kBelow : kBelow); job += kWarps) {
      const bool system = job >= kBelow;
      const int tile = system ? job - kBelow : job;
      const int row = tile < 2 ? 0 : 16, column = (tile < 2 ? tile : tile - 2) * 8;
      const float *const left = (system ? k(0) : r(0)) + row * kKeyStride;
      const float *const right = k(0) + column * kKeyStride;
      float sums[1][4] = {};
      multiply(
          sums, kRows, [&](int i, int n) { return two(left + i * kKeyStride + n); },
          [&](int n, int s) { return two(right + s * kKeyStride + n); });
      each(sums, [&](int i, int s, float sum) {
        i += row;
        s += column;
        const float pair = factors[i * kPairStride + s] * sum;
        if (!system)
          memory_[kReadOfK + i * kPairStride + s] = pair;
        else if constexpr (kDelta)
          memory_[kSystem + s * kPairStride + i] = i > s ? -*beta(i) * pair : 0.0f;
      });
    }
  }

  // ---- A decay a key

  /// The sums over all lanes of 16 numbers of each, the first; lane l gets that of number l / 2.
  template <int kMany = 8> QN_DEVICE static float sum_of_16(float (&parts)[17]) {
    const bool upper = (lane() & 2 * kMany) != 0;
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      const float mine = upper ? parts[i + kMany] : parts[i];
      const float others = upper ? parts[i] : parts[i + kMany];
      parts[i] = mine + __shfl_xor_sync(~0u, others, 2 * kMany);
    }
    if constexpr (kMany > 1)
      return sum_of_16<kMany / 2>(parts);
    else
      return parts[0] + __shfl_xor_sync(~0u, parts[0], 1);
  }

  /// What r_i, k_i and a_i read of k_s and b_s. A warp has two of s, an early one and a late one
  /// that 17 tokens read together, one after the other.
  QN_DEVICE void pair_by_key(const float *bonus) const {
    const int early = warp(), late = kChunk - 1 - warp(), begin_late = kChunk - warp();
    // Of place `at` of the 17.
    const auto reader = [&](int at) {
      return at < begin_late ? early + at : late + at - begin_late;
    };
    float reads_k[17] = {}, reads_b[17] = {}, system[17] = {}, corrected_k[17] = {};
    for (int n = lane(); n < kKeys; n += kWarpLanes) {
      float of_k = 0.0f, of_b = 0.0f;
#pragma unroll
      for (int at = 0; at < 17; ++at) {
        const int i = reader(at);
        const bool own = at == 0 || at == begin_late; // the token itself
        const float before_k = of_k, before_b = of_b;
        const float key = k(i)[n], left = decay(i)[n];
        of_k = own ? key : of_k * left;
        if constexpr (kFreely) {
          of_b = own ? b(i)[n] : of_b * left;
          corrected_k[at] = fma(a(i)[n], before_k, corrected_k[at]);
          system[at] = fma(a(i)[n], before_b, system[at]);
          reads_b[at] = fma(r(i)[n], of_b, reads_b[at]);
        }
        if constexpr (kDelta)
          system[at] = fma(key, of_k, system[at]);
        const float read = !kBonus ? of_k : own ? bonus[n] * key : before_k;
        reads_k[at] = fma(r(i)[n], read, reads_k[at]);
      }
    }
    // Those of the first 16 places are two lanes' each, the last one is all lanes'.
    const auto put = [&](float (&parts)[17], bool itself, float *matrix, int of_row, int of_column,
                         auto by) {
      const float first = sum_of_16(parts), last = warp_sum(parts[16]); // of all lanes
      const float sum = lane() == 1 ? last : first;
      const int at = lane() == 1 ? 16 : lane() / 2;
      const int i = reader(at), s = at < begin_late ? early : late;
      if (lane() % 2 == 0 || lane() == 1)
        matrix[i * of_row + s * of_column] = i != s || itself ? by(i) * sum : 0.0f;
      // Tokens before s read nothing of it.
      const int before = lane() < early ? lane() : lane() - early;
      if (lane() < early + late)
        matrix[before * of_row + (lane() < early ? early : late) * of_column] = 0.0f;
    };
    const auto one = [](int) { return 1.0f; };
    put(reads_k, true, memory_ + kReadOfK, kPairStride, 1, one);
    if constexpr (kFreely) {
      put(reads_b, true, memory_ + kReadOfB, kPairStride, 1, one);
      put(corrected_k, false, memory_ + kCorrectedK, kPairStride, 1, one);
      put(system, false, memory_ + kSystem, 1, kPairStride, one);
    }
    if constexpr (kDelta)
      put(system, false, memory_ + kSystem, 1, kPairStride, [&](int i) { return -*beta(i); });
  }

  /// r and a become what they read of the state before the chunk, the decay what k reads of it, k
  /// and b what the chunk leaves of them.
  QN_DEVICE void decay_keys() const {
    for (int n = thread(); n < kKeys; n += kThreads) {
      float left[kChunk], all = 1.0f, rest = 1.0f;
#pragma unroll
      for (int i = 0; i < kChunk; ++i) {
        left[i] = decay(i)[n];
        if constexpr (kFreely)
          a(i)[n] *= all;
        if constexpr (kBonus)
          r(i)[n] *= all;
        all *= left[i];
        if constexpr (!kBonus)
          r(i)[n] *= all;
        if constexpr (kDelta)
          decay(i)[n] = k(i)[n] * all;
      }
      memory_[kSinceStart + n] = all;
#pragma unroll
      for (int i = kChunk - 1; i >= 0; --i) {
        k(i)[n] *= rest;
        if constexpr (kFreely)
          b(i)[n] *= rest;
        rest *= left[i];
      }
    }
    for (int n = kKeys + thread(); n < kRows; n += kThreads)
      memory_[kSinceStart + n] = 1.0f;
  }

  // ---- What all have

  /// What r reads of the state before the chunk, and the right side of the system: v becomes beta
  /// (v - k (decay S)), or w what a reads.
  QN_DEVICE void read_before(float (&read)[kWide][4]) const {
    float sums[2][kWide][4] = {};
    if (!has_own())
      return;
    read_state<kSolves ? 2 : 1>(sums, r(0), kFreely ? a(0) : kByKey ? decay(0) : k(0));
#pragma unroll
    for (int tile = 0; tile < kWide; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        read[tile][i] = sums[0][tile][i];
    if constexpr (!kByKey)
      each(read, [&](int i, int, float &sum) { sum *= memory_[kSinceStart + own_row() + i]; });
    if constexpr (kFreely)
      read_tokens(sums[1], memory_ + kCorrectedK, v(0));
    if constexpr (kSolves)
      each(sums[1], [&](int i, int j, float sum) {
        i += own_row();
        j += own_column();
        if constexpr (kFreely) {
          memory_[kW + i * kValueStride + j] = sum;
        } else {
          const float known = kByKey ? sum : memory_[kSinceStart + i] * sum;
          v(i)[j] = *beta(i) * (v(i)[j] - known);
        }
      });
  }

  /// u, or w, of its right side: a column is a thread's.
  QN_DEVICE void solve() const {
    const int column = thread();
    if (column >= kColumns)
      return;
    float *const of = memory_ + (kFreely ? kW : kV) + column;
    float solved[kChunk];
#pragma unroll
    for (int i = 0; i < kChunk; ++i)
      solved[i] = of[i * kValueStride];
#pragma unroll
    for (int s = 0; s < kChunk; ++s)
#pragma unroll
      for (int i = s + 1; i < kChunk; ++i)
        solved[i] = fma(memory_[kSystem + s * kPairStride + i], solved[s], solved[i]);
#pragma unroll
    for (int i = 0; i < kChunk; ++i)
      of[i * kValueStride] = solved[i];
  }

  /// What r reads goes where r was, which nobody needs any more; the state becomes that after the
  /// chunk.
  QN_DEVICE void read_and_update(float (&read)[kWide][4]) const {
    if (has_own()) {
      read_tokens(read, memory_ + kReadOfK, v(0));
      if constexpr (kFreely)
        read_tokens(read, memory_ + kReadOfB, memory_ + kW);
      each(read, [&](int i, int j, float sum) {
        memory_[kR + (own_row() + i) * kValueStride + own_column() + j] = sum;
      });
    }
    // The wider, the seldomer keys are read and split.
    constexpr int kAcross = kRows >= 16 * kWarps && kColumns % 32 == 0 ? 4 : 2;
    constexpr int kGroups = kColumns / 8 / kAcross;
    for (int job = warp(); job < kRows / 16 * kGroups; job += kWarps) {
      const int row = job / kGroups * 16, column = job % kGroups * kAcross * 8;
      float *const s = memory_ + row * kValueStride + column;
      float after[kAcross][4];
      each(after, [&](int i, int j, float &sum) {
        sum = s[i * kValueStride + j] * memory_[kSinceStart + (kByKey ? row + i : kChunk - 1)];
      });
      add_tokens(after, k(0) + row, v(0) + column);
      if constexpr (kFreely)
        add_tokens(after, b(0) + row, memory_ + kW + column);
      each(after, [&](int i, int j, float sum) { s[i * kValueStride + j] = sum; });
    }
    __syncthreads();
  }
  /// sums += sum over the tokens of what is left of y_s, times u_s.
  template <int kTiles>
  QN_DEVICE void add_tokens(float (&sums)[kTiles][4], const float *y, const float *u) const {
    const float *const factors = memory_ + kFactors + (kChunk - 1) * kPairStride;
    multiply(
        sums, kChunk,
        [&](int i, int s) {
          const Two keys{y[s * kKeyStride + i], y[(s + 1) * kKeyStride + i]};
          return kByKey ? keys : Two{keys.first * factors[s], keys.second * factors[s + 1]};
        },
        [&](int s, int j) { return Two{u[s * kValueStride + j], u[(s + 1) * kValueStride + j]}; });
  }

  float *memory_, *state_;
  int columns_; ///< of the state that are here, or more
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_RECURRENCECHUNKS_CUH
