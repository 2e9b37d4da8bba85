// Kernels whose anchor is attention among rows of the step: each worker packs the keys and values
// that its queries see into a page of its own, laid out as one of kv state is, and goes over it
// with the same tiles.
//
// A sequence lies in the step as a whole, from position 0 on, so that pages begin at the same
// positions whatever else is in the step: a row's sums have one order. Which rows are a sequence's
// the batch says, or, where all are equally long, their number.
#include "codegen/cpu/AttentionTiles.h"
#include "codegen/cpu/RowValues.h"
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
        keys(code.scratch<float>(QUERN_KV_PAGE * keyDim)),
        values(code.scratch<float>(QUERN_KV_PAGE * valueDim)) {
    if (!stays(op.getKey()))
      keyRows = code.scratch<float>(QUERN_KV_PAGE * keyDim);
    if (!stays(op.getValue()))
      valueRows = code.scratch<float>(QUERN_KV_PAGE * valueDim);
    biased = op.getBuckets() || op.getMask();
    if (biased)
      bias = code.scratch<float>(tokens * group * QUERN_KV_PAGE);
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

  /// The tile that begins at position `start` of the sequence, and a kv head.
  void attend(const RowStates &total, const Sequence &sequence, Value start, Value kvHead) {
    Value firstToken = code.add(sequence.firstQuery, start);
    Value numTokens = code.min(code.c(tokens), code.sub(sequence.queries, start));
    Value rows = code.mul(numTokens, group), stop = code.add(start, numTokens);
    readQueries(firstToken, numTokens, kvHead);
    code.loop(code.c(0), rows, [&](Value r) { begin(total, r); });
    if (op.getBuckets())
      writeLines(kvHead);
    Value length = sequence.keys, firstPage = code.c(0), seen = length;
    if (left)
      firstPage = code.div(code.max(code.c(0), code.add(start, -left)), QUERN_KV_PAGE);
    if (op.getCausal())
      seen = code.min(length, stop);
    else if (right)
      seen = code.min(length, code.add(stop, right));
    code.loop(firstPage, code.ceilDiv(seen, QUERN_KV_PAGE), [&](Value page) {
      Value pageStart = code.mul(page, QUERN_KV_PAGE);
      HeadPage packed = pack(code.add(sequence.firstKey, pageStart),
                             code.min(code.c(QUERN_KV_PAGE), code.sub(length, pageStart)), kvHead);
      code.loop(code.c(0), rows, [&](Value r) {
        Value position = code.add(start, code.div(r, group));
        Value own = code.sub(position, pageStart);
        Value all = code.sub(length, pageStart), to = all;
        if (op.getCausal())
          to = code.min(all, code.add(own, 1));
        else if (right)
          to = code.min(all, code.add(own, right + 1));
        see(r, left ? code.max(code.c(0), code.add(own, -left)) : code.c(0), to);
        if (op.getBuckets())
          writeBias(r, own);
        if (op.getMask())
          writeMask(r, {sequence.number, headOf(kvHead, r), position, pageStart}, length);
      });
      tiles(code.c(0), code.mul(code.div(rows, kTallest), kTallest), rows,
            [&](Value r, int64_t height) { attendTile(total, packed, r, height); });
    });
    if (op.getNanIsZero())
      code.loop(code.c(0), rows, [&](Value r) { zeroIfUnseen(sumAt(total, r)); });
    finish(total, firstToken, kvHead, rows);
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

  /// What the mask adds to a row's scores of the page whose first position is at[3]; `length`: the
  /// keys that there are.
  void writeMask(Value row, std::array<Value, 4> at, Value length) {
    const auto type = cast<RankedTensorType>(op.getMask().getType());
    Value page = at[3], offset = code.c(0);
    for (int64_t dim = 0; dim < 4; ++dim) {
      const bool one = type.getDimSize(dim) == 1;
      Value size = type.isDynamicDim(dim)
                       ? kernel.count(dimNames(type)[type.getDynamicDimIndex(dim)])
                       : code.c(type.getDimSize(dim));
      if (!one)
        offset = code.mul(offset, size);
      if (!one && dim < 3)
        offset = code.add(offset, at[static_cast<size_t>(dim)]);
    }
    auto line = code.at(kernel.pointer(op.getMask()), offset);
    auto to = code.at(bias, code.mul(row, QUERN_KV_PAGE));
    Value last = type.getDimSize(3) == 1 ? code.c(0) : code.sub(length, code.c(1));
    // A row all of whose scores are as low as a float can be has equal weights, as it has without
    // the bound; a running maximum begins at -1e30.
    Value lowest = code.cf(-1e29f);
    Value infinity = code.cf(-std::numeric_limits<float>::infinity());
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value added = code.loadF(line, code.min(code.add(page, i), last));
      Value bounded = arith::MaximumFOp::create(code.b, added, lowest);
      Value none = arith::CmpFOp::create(code.b, arith::CmpFPredicate::OEQ, added, infinity);
      added = code.select(none, added, bounded);
      if (op.getBuckets())
        added = code.fadd(added, code.loadF(to, i));
      code.storeF(added, to, i);
    });
  }

  /// A sum of no weights at all becomes 1, so that its row is 0.
  void zeroIfUnseen(Pointer<float> sum) {
    Value weights = code.loadF(sum, code.c(0));
    Value none = arith::CmpFOp::create(code.b, arith::CmpFPredicate::OEQ, weights, code.cf(0));
    code.storeF(code.select(none, code.cf(1), weights), sum, code.c(0));
  }

  AttentionRowsOp op;
  int64_t left, right;
  Pointer<float> keys, values; ///< a page
  /// Its rows, where they have to be computed first; else null.
  Pointer<float> keyRows, valueRows;
  int64_t farthest = 0;
  Pointer<float> lines; ///< [group][2 farthest + 1]
  Value buckets;
};
} // namespace

LogicalResult Kernel::generateAttentionRows() {
  AttentionRows(*this, cast<AttentionRowsOp>(anchor)).generate();
  return success();
}
