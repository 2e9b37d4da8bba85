// Kernels whose anchor is attention among rows of the step: each worker packs the keys and values
// that its queries see into a page of its own, laid out as one of kv state is, and goes over it
// with the same tiles.
//
// A sequence lies in the step as a whole, from position 0 on, so that pages begin at the same
// positions whatever else is in the step: a row's sums have one order. Which rows are a sequence's
// the batch says, or, where all are equally long, their number.
#include "codegen/cpu/AttentionTiles.h"
#include "codegen/cpu/RowValues.h"
#include "passes/analysis/KeyMasks.h"
#include "passes/analysis/Sizes.h"
#include "runtime/abi/StepArgs.h"

#include <array>
#include <cstddef>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {
// Query rows that share a packed page. Packing one costs about what ten rows do with it.
constexpr int64_t kTileRows = 96, kTileRowsOfWideHeads = 48;
constexpr int64_t kWideHead = 128;
/// What a mask adds to what hides, whatever the score is, is no higher than this.
constexpr float kHidden = -1e28f;
constexpr float kLowest = std::numeric_limits<float>::lowest();

TileSizes sizesOf(AttentionRowsOp op) {
  const auto heads = static_cast<int64_t>(op.getHeads()),
             kvHeads = static_cast<int64_t>(op.getKvHeads());
  const bool wide = std::max(op.keyDim(), op.valueDim()) > kWideHead;
  return {.heads = heads,
          .kvHeads = kvHeads,
          .keyDim = op.keyDim(),
          .valueDim = op.valueDim(),
          .tokens = tileTokens(heads / kvHeads, wide ? kTileRowsOfWideHeads : kTileRows),
          .scale = op.getScale().convertToFloat(),
          .softcap = op.getSoftcap().convertToFloat()};
}

class AttentionRows : AttentionTiles {
public:
  AttentionRows(Kernel &kernel, AttentionRowsOp op)
      : AttentionTiles(kernel, op.getQuery(), sizesOf(op)), op(op),
        left(static_cast<int64_t>(op.getLeft())), right(static_cast<int64_t>(op.getRight())),
        keyMasked(masksKeys(op)), bounded(left || right || op.getCausal()),
        keys(code.scratch<float>(QUERN_KV_PAGE * keyDim)),
        values(code.scratch<float>(QUERN_KV_PAGE * valueDim)) {
    if (!stays(op.getKey()))
      keyRows = code.scratch<float>(QUERN_KV_PAGE * keyDim);
    if (!stays(op.getValue()))
      valueRows = code.scratch<float>(QUERN_KV_PAGE * valueDim);
    biased = op.getBuckets() || op.getMask();
    if (biased)
      bias = code.scratch<float>(tokens * group * QUERN_KV_PAGE);
    if (keyMasked) {
      keyLine = code.scratch<float>(QUERN_KV_PAGE);
      keyLineAdds = code.scratch<int64_t>(1);
      widened = code.scratch<int64_t>(tokens * group);
    }
    if (op.getBuckets()) {
      farthest = static_cast<int64_t>(op.getBuckets()->size()) / 2;
      lines = code.scratch<float>(group * (2 * farthest + 1));
      buckets = code.integers(llvm::to_vector_of<int64_t>(*op.getBuckets()));
    }
  }

  /// Every sequence's tokens in tiles, times the kv heads, are the chunks of work.
  void generate() {
    RowStates total = onStack(tokens * group);
    auto chunk = code.scratch<int64_t>(1), done = code.scratch<int64_t>(1);
    auto fetch = [&] { code.store(kernel.nextChunk(), chunk); };
    auto fetched = [&] { return code.load(code.i64(), chunk); };
    code.store(code.c(0), done);
    fetch();
    code.loop(code.c(0), kernel.count(op.getSequences().value_or("B")), [&](Value seq) {
      const Sequence rows = sequence(seq);
      Value before = code.load(code.i64(), done);
      Value last = code.add(before, code.mul(code.ceilDiv(rows.queries, tokens), kvHeads));
      code.store(last, done);
      code.whilst([&] { return code.less(fetched(), last); },
                  [&] {
                    Value item = code.sub(fetched(), before);
                    Value start = code.mul(code.div(item, kvHeads), tokens);
                    attend(total, rows, start, code.rem(item, kvHeads));
                    fetch();
                  });
    });
  }

private:
  /// A sequence's rows: the first query and the first key, and how many there are of each.
  struct Sequence {
    Value number, firstQuery, queries, firstKey, keys;
  };

  Sequence sequence(Value seq) {
    if (op.getSequences()) {
      Value sequences = kernel.count(*op.getSequences());
      Value queries = code.div(kernel.count(rowsOf(op.getQuery().getType())), sequences);
      Value keys = code.div(kernel.count(rowsOf(op.getKey().getType())), sequences);
      return {seq, code.mul(seq, queries), queries, code.mul(seq, keys), keys};
    }
    Value first = kernel.index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = kernel.index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    Value length = code.sub(end, first);
    return {seq, first, length, first, length};
  }

  /// Whether the rows lie in memory already, at most as columns of others.
  static bool stays(mlir::Value rows) { return !baseOf(rows).getDefiningOp(); }
  static mlir::Value baseOf(mlir::Value rows) {
    for (auto slice = rows.getDefiningOp<SliceOp>(); slice && slice.getGroups() == 1;
         slice = rows.getDefiningOp<SliceOp>())
      rows = slice.getInput();
    return rows;
  }

  /// A tile of queries: `rows` of the kv head's from position `start` of the sequence on.
  struct Tile {
    Sequence sequence;
    Value start, kvHead, rows;
  };

  void attend(const RowStates &total, const Sequence &sequence, Value start, Value kvHead) {
    Value firstToken = code.add(sequence.firstQuery, start);
    Value numTokens = code.min(code.c(tokens), code.sub(sequence.queries, start));
    Value rows = code.mul(numTokens, group), stop = code.add(start, numTokens);
    readQueries(firstToken, numTokens, kvHead);
    if (op.getBuckets())
      writeLines(kvHead);
    Value from = code.c(0), to = sequence.keys;
    if (left)
      from = code.max(from, code.add(start, -left));
    if (op.getCausal())
      to = code.min(to, stop);
    else if (right)
      to = code.min(to, code.add(stop, right));
    const Tile tile{sequence, start, kvHead, rows};
    if (keyMasked)
      attendShown(total, tile, from, to);
    else
      goOver(total, tile, from, to);
    if (op.getMask() && !op.getNanIsZero())
      code.loop(code.c(0), rows, [&](Value r) { nanIfUnseen(sumAt(total, r), sequence.keys); });
    finish(total, firstToken, kvHead, rows);
  }

  /// What the mask hides at either end of the sequence is left out; a tile of which a row was shown
  /// nothing is gone over again, all of it, hidden as it is: nothing is added to the other rows.
  void attendShown(const RowStates &total, const Tile &tile, Value from, Value to) {
    auto [first, last] = shownKeys(tile.sequence);
    auto round = code.scratch<int64_t>(1);
    code.store(code.c(0), round);
    auto now = [&] { return code.load(code.i64(), round); };
    code.whilst([&] { return code.less(now(), code.c(2)); },
                [&] {
                  Value all = code.equal(now(), code.c(1));
                  goOver(total, tile, code.select(all, code.c(0), code.max(from, first)),
                         code.select(all, tile.sequence.keys, code.min(to, last)), all);
                  Value again = code.select(sawNone(total, tile.rows), code.c(1), code.c(2));
                  code.store(code.select(all, code.c(2), again), round);
                });
  }

  /// The first key that the mask does not hide, and one behind the last.
  std::pair<Value, Value> shownKeys(const Sequence &sequence) {
    auto ends = code.scratch<int64_t>(2);
    auto first = ends, last = code.at(ends, code.c(1));
    code.store(sequence.keys, first);
    code.store(code.c(0), last);
    auto line = maskLine({sequence.number, code.c(0), code.c(0)});
    code.loop(code.c(0), sequence.keys, [&](Value i) {
      Value shown = arith::CmpFOp::create(code.b, arith::CmpFPredicate::UGT, code.loadF(line, i),
                                          code.cf(kHidden));
      Value before = code.load(code.i64(), first), behind = code.load(code.i64(), last);
      code.store(code.select(shown, code.min(before, i), before), first);
      code.store(code.select(shown, code.add(i, 1), behind), last);
    });
    return {code.load(code.i64(), first), code.load(code.i64(), last)};
  }

  /// Whether one of the rows has no score that is not hidden.
  Value sawNone(const RowStates &total, Value rows) {
    auto none = code.scratch<int64_t>(1);
    code.store(code.c(0), none);
    code.loop(code.c(0), rows, [&](Value r) {
      Value hidden =
          arith::CmpFOp::create(code.b, arith::CmpFPredicate::OLE,
                                code.loadF(maxAt(total, r), code.c(0)), code.cf(kHidden));
      code.store(code.select(hidden, code.c(1), code.load(code.i64(), none)), none);
    });
    return code.equal(code.load(code.i64(), none), code.c(1));
  }

  /// Writes to `widened` which rows of the tile see beyond their bounds where `all` holds: not
  /// those that -infinity hides everything from, within.
  void findWidened(const Tile &tile, Value all) {
    auto line = maskLine({tile.sequence.number, code.c(0), code.c(0)});
    code.loop(code.c(0), tile.rows, [&](Value r) {
      auto to = code.at(widened, r);
      code.store(code.c(0), to);
      code.when(all, [&] {
        Value position = code.add(tile.start, code.div(r, group));
        Value from = left ? code.max(code.c(0), code.add(position, -left)) : code.c(0);
        Value end = tile.sequence.keys;
        if (op.getCausal())
          end = code.min(end, code.add(position, 1));
        else if (right)
          end = code.min(end, code.add(position, right + 1));
        code.loop(from, end, [&](Value j) {
          Value some = arith::CmpFOp::create(code.b, arith::CmpFPredicate::UNE, code.loadF(line, j),
                                             code.cf(-std::numeric_limits<float>::infinity()));
          code.store(code.select(some, code.c(1), code.load(code.i64(), to)), to);
        });
      });
    });
  }

  /// The tile over the pages that hold keys [from, to), a row within what it sees of them; where
  /// `all`, if there, holds, beyond that too.
  void goOver(const RowStates &total, const Tile &tile, Value from, Value to, Value all = {}) {
    const Sequence &sequence = tile.sequence;
    Value rows = tile.rows, length = sequence.keys;
    code.loop(code.c(0), rows, [&](Value r) {
      begin(total, r);
      // Scores with masks may all be lower than -1e30, which the maximum begins at otherwise.
      if (op.getMask())
        code.storeF(code.cf(kLowest), maxAt(total, r), code.c(0));
    });
    if (keyMasked && bounded)
      findWidened(tile, all);
    Value firstPage = code.div(from, QUERN_KV_PAGE);
    code.loop(firstPage, code.ceilDiv(to, QUERN_KV_PAGE), [&](Value page) {
      Value pageStart = code.mul(page, QUERN_KV_PAGE);
      HeadPage packed =
          pack(code.add(sequence.firstKey, pageStart),
               code.min(code.c(QUERN_KV_PAGE), code.sub(length, pageStart)), tile.kvHead);
      if (keyMasked)
        writeKeyLine(sequence, pageStart, all);
      code.loop(code.c(0), rows, [&](Value r) {
        Value position = code.add(tile.start, code.div(r, group));
        Value own = code.sub(position, pageStart);
        Value end = code.sub(length, pageStart), low = code.c(0), high = end;
        if (left)
          low = code.max(low, code.add(own, -left));
        if (op.getCausal())
          high = code.min(end, code.add(own, 1));
        else if (right)
          high = code.min(end, code.add(own, right + 1));
        if (keyMasked && bounded) {
          Value wide = code.equal(code.load(code.i64(), code.at(widened, r)), code.c(1));
          see(r, code.select(wide, code.c(0), low), code.select(wide, end, high));
        } else
          see(r, low, high);
        if (op.getBuckets())
          writeBias(r, own);
        if (keyMasked)
          code.when(biasedHere(), [&] { addKeyLine(r, low, high); });
        else if (op.getMask())
          writeMask(r, {sequence.number, headOf(tile.kvHead, r), position}, pageStart, length);
      });
      if (keyMasked && !op.getBuckets())
        unbiased = code.equal(code.load(code.i64(), keyLineAdds), code.c(0));
      tiles(code.c(0), code.mul(code.div(rows, kTallest), kTallest), rows,
            [&](Value r, int64_t height) { attendTile(total, packed, r, height); });
      unbiased = {};
    });
  }

  /// The keys and values of `count` tokens from `token` on, as a page.
  HeadPage pack(Value token, Value count, Value kvHead) {
    auto [key, keyStride] = linesOf(op.getKey(), token, count, kvHead, keyDim, keyRows);
    code.call("qk_pack_keys",
              {key, code.c(keyStride), count, code.c(keyDim), Pointer<QkKeys>(keys)});
    auto [value, valueStride] = linesOf(op.getValue(), token, count, kvHead, valueDim, valueRows);
    code.call("qk_pack_values",
              {value, code.c(valueStride), count, code.c(valueDim), Pointer<QkValues>(values)});
    return {StateFormat::f32, Pointer<const QkKeys>(keys), Pointer<const QkValues>(values),
            Pointer<const QkKeys>(keys)};
  }

  /// Where a head's columns of neighbouring tokens lie, and how far they are apart: in `own`, if
  /// they have to be computed.
  std::pair<Pointer<const float>, int64_t> linesOf(mlir::Value rows, Value token, Value count,
                                                   Value kvHead, int64_t width,
                                                   Pointer<float> own) {
    Value column = code.mul(kvHead, width);
    if (!own)
      return {RowValues(kernel, token).place(rows, column, width), colsOf(baseOf(rows).getType())};
    code.loop(code.c(0), count, [&](Value t) {
      RowValues(kernel, code.add(token, t))
          .write(rows, column, width, code.at(own, code.mul(t, width)));
    });
    return {own, width};
  }

  /// Writes to `lines` what each head of the kv head adds at every distance.
  void writeLines(Value kvHead) {
    auto table = kernel.pointer(op.getBias());
    const int64_t size = 2 * farthest + 1;
    code.loop(group, [&](Value g) {
      Value head = code.add(code.mul(kvHead, group), g);
      auto to = code.at(lines, code.mul(g, size));
      code.loop(size, [&](Value i) {
        Value bucket = code.load(code.i64(), code.at(buckets, code.i64(), i));
        code.storeF(code.loadF(table, code.add(code.mul(bucket, heads), head)), to, i);
      });
    });
  }

  /// The bias of a row whose query is at position `own` of the page, or before or behind it.
  void writeBias(Value row, Value own) {
    auto line = code.at(lines, code.mul(code.rem(row, group), 2 * farthest + 1));
    auto to = code.at(bias, code.mul(row, QUERN_KV_PAGE));
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value at = code.add(code.sub(i, own), farthest);
      at = code.min(code.max(at, code.c(0)), code.c(2 * farthest));
      code.storeF(code.loadF(line, at), to, i);
    });
  }

  /// The mask's numbers for the keys of a sequence, a head and a position.
  Pointer<const float> maskLine(std::array<Value, 3> at) {
    const auto type = cast<RankedTensorType>(op.getMask().getType());
    Value offset = code.c(0);
    for (int64_t dim = 0; dim < 4; ++dim) {
      if (type.getDimSize(dim) == 1)
        continue;
      Value size = type.isDynamicDim(dim)
                       ? kernel.count(dimNames(type)[type.getDynamicDimIndex(dim)])
                       : code.c(type.getDimSize(dim));
      offset = code.mul(offset, size);
      if (dim < 3)
        offset = code.add(offset, at[static_cast<size_t>(dim)]);
    }
    return code.at(kernel.pointer(op.getMask()), offset);
  }

  bool masksOneKey() { return cast<RankedTensorType>(op.getMask().getType()).getDimSize(3) == 1; }

  /// What the mask adds to a row's scores of the page that begins at `page`; `length`: the keys
  /// that there are.
  void writeMask(Value row, std::array<Value, 3> at, Value page, Value length) {
    auto line = maskLine(at);
    auto to = code.at(bias, code.mul(row, QUERN_KV_PAGE));
    Value last = masksOneKey() ? code.c(0) : code.sub(length, code.c(1));
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value added = code.loadF(line, code.min(code.add(page, i), last));
      if (op.getBuckets())
        added = code.fadd(added, code.loadF(to, i));
      code.storeF(added, to, i);
    });
  }

  /// What a mask of keys adds to all rows' scores of the page, to `keyLine`; whether that is
  /// anything, to `keyLineAdds`.
  void writeKeyLine(const Sequence &sequence, Value page, Value all) {
    auto line = maskLine({sequence.number, code.c(0), code.c(0)});
    Value last = masksOneKey() ? code.c(0) : code.sub(sequence.keys, code.c(1));
    code.store(bounded ? code.select(all, code.c(1), code.c(0)) : code.c(0), keyLineAdds);
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value added = code.loadF(line, code.min(code.add(page, i), last));
      code.storeF(added, keyLine, i);
      Value adds = arith::CmpFOp::create(code.b, arith::CmpFPredicate::UNE, added, code.cf(0));
      code.store(code.select(adds, code.c(1), code.load(code.i64(), keyLineAdds)), keyLineAdds);
    });
  }

  Value biasedHere() { return code.equal(code.load(code.i64(), keyLineAdds), code.c(1)); }

  /// Adds it to the row's, of which [low, high) is no farther than the op's bounds.
  void addKeyLine(Value row, Value low, Value high) {
    auto to = code.at(bias, code.mul(row, QUERN_KV_PAGE));
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value added = code.loadF(keyLine, i);
      if (bounded) {
        Value within = code.select(code.less(i, low), code.less(i, i), code.less(i, high));
        Value outside = arith::MinimumFOp::create(code.b, added, code.cf(kLowest));
        added = code.select(within, added, outside);
      }
      if (op.getBuckets())
        added = code.fadd(added, code.loadF(to, i));
      code.storeF(added, to, i);
    });
  }

  /// A row that -infinity hides all keys from is no number, as its softmax is, unless the op says
  /// that it is 0: that is what a sum of no weights becomes.
  void nanIfUnseen(Pointer<float> sum, Value keys) {
    Value weights = code.loadF(sum, code.c(0));
    Value none = arith::CmpFOp::create(code.b, arith::CmpFPredicate::OEQ, weights, code.cf(0));
    Value nan = code.select(code.less(code.c(0), keys),
                            code.cf(std::numeric_limits<float>::quiet_NaN()), weights);
    code.storeF(code.select(none, nan, weights), sum, code.c(0));
  }

  AttentionRowsOp op;
  int64_t left, right;
  /// Its mask is of keys alone; and there are bounds, which may leave a query none that is shown.
  bool keyMasked, bounded;
  Pointer<float> keys, values; ///< a page
  /// Its rows, where they have to be computed first; else null.
  Pointer<float> keyRows, valueRows;
  int64_t farthest = 0;
  Pointer<float> lines; ///< [group][2 farthest + 1]
  Value buckets;
  Pointer<float> keyLine;       ///< what a mask of keys adds at the page's
  Pointer<int64_t> widened;     ///< a row's: 1 where it sees beyond its bounds
  Pointer<int64_t> keyLineAdds; ///< 1 where that is anything, else 0
};
} // namespace

LogicalResult Kernel::generateAttentionRows() {
  AttentionRows(*this, cast<AttentionRowsOp>(anchor)).generate();
  return success();
}
