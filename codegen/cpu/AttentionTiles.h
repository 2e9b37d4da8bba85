// What the kernels of attention have in common: tiles of queries against pages of keys and values,
// be these a kv state's or packed from rows of the step.
//
// Row t * group + g of a tile of tokens and a kv head is the query of token t and head kvHead *
// group + g.
#ifndef QUERN_CODEGEN_CPU_ATTENTIONTILES_H
#define QUERN_CODEGEN_CPU_ATTENTIONTILES_H

#include "codegen/cpu/Kernel.h"

namespace quern::cpu {

/// The online softmax of some rows, as arrays: a sum of values every `stride` floats, a maximum and
/// a sum of weights every `step`.
struct RowStates {
  Pointer<float> values, max, sum;
  int64_t stride, step;
};

/// The op's sizes and numbers, and how many tokens a tile has at most.
struct TileSizes {
  int64_t heads, kvHeads, keyDim, valueDim, tokens;
  float scale, softcap;
};

/// Tokens a tile spans, for `group` query heads a kv head: about `rows` rows, a multiple of what
/// the microkernels take at once where that is possible.
int64_t tileTokens(int64_t group, int64_t rows);

class AttentionTiles {
public:
  AttentionTiles(Kernel &kernel, mlir::Value queries, const TileSizes &sizes);

protected:
  /// The most rows that a microkernel takes at once.
  static constexpr int64_t kTallest = 6;

  /// A page's keys and values of a head, and the keys that are read after them.
  struct HeadPage {
    StateFormat format;
    Pointer<const QkKeys> keys;
    Pointer<const QkValues> values;
    Pointer<const QkKeys> next;
  };

  RowStates onStack(int64_t rows);
  Pointer<float> maxAt(const RowStates &states, Value row) {
    return code.at(states.max, code.mul(row, states.step));
  }
  Pointer<float> sumAt(const RowStates &states, Value row) {
    return code.at(states.sum, code.mul(row, states.step));
  }
  /// The rows' states from `row` on, as microkernels have them.
  Pointer<const QkSoftmax> softmaxFrom(const RowStates &states, Value row);
  Value headOf(Value kvHead, Value row) {
    return code.add(code.mul(kvHead, group), code.rem(row, group));
  }
  void begin(const RowStates &states, Value row) {
    code.call("qk_attn_init_row", {softmaxFrom(states, row), code.c(valueDim)});
  }

  /// Writes a tile's queries to `query`.
  void readQueries(Value firstToken, Value numTokens, Value kvHead);

  /// Has row r of the tile see positions [from, to) of the page, which are clamped to it.
  void see(Value row, Value from, Value to);

  Pointer<const QkPage> packed(const HeadPage &page);

  /// Calls body(row, height) for tiles that make up [done, rows), where sixes, a multiple of
  /// kTallest, are those that come in the tallest.
  void tiles(Value done, Value sixes, Value rows, std::function<void(Value, int64_t)> body);

  /// `height` rows from `row` on.
  void attendTile(const RowStates &states, const HeadPage &page, Value row, int64_t height);

  /// Writes the rows' results, as floats, quantized, or both.
  void finish(const RowStates &total, Value firstToken, Value kvHead, Value rows);

  Kernel &kernel;
  Code &code;
  mlir::Value queries;
  int64_t heads, kvHeads, keyDim, valueDim, group, tokens;
  Pointer<float> query;
  Pointer<float> bias; ///< [rows][QUERN_KV_PAGE], or null: what is added to scores
  bool biased = false; ///< `bias` is there
  Value unbiased;      ///< where there: whether the page's `bias` is all zero and not to be read
  Pointer<int32_t> low, high;
  Value scale, softcap;
  Pointer<float> finished; ///< a tile's results, if they are to be quantized; else null
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_ATTENTIONTILES_H
