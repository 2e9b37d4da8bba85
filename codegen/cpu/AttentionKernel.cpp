// Kernels whose anchor is attention over the pages of a kv state.
#include "codegen/cpu/AttentionTiles.h"
#include "codegen/cpu/Kernel.h"
#include "passes/analysis/Buffers.h"
#include "passes/target/BlockScratch.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {
// Query rows that share each page of keys and values while it is in cache.
constexpr int64_t kTileRows = 48;
constexpr int64_t kBlockPages = QUERN_KEY_BLOCK_PAGES;

TileSizes sizesOf(AttentionOp op, bool single) {
  ArrayRef<int64_t> shape = op.getState().getType().getShape();
  const auto heads = static_cast<int64_t>(op.getHeads());
  const int64_t kvHeads = shape[0] * op.headRuns();
  return {.heads = heads,
          .kvHeads = kvHeads,
          .keyDim = shape[1],
          .valueDim = shape[2],
          .tokens = single ? 1 : tileTokens(heads / kvHeads, kTileRows),
          .scale = op.getScale().convertToFloat(),
          .softcap = op.getSoftcap().convertToFloat()};
}

/// The generator of one attention kernel.
class Attention : AttentionTiles {
public:
  explicit Attention(Kernel &kernel) : Attention(kernel, cast<AttentionOp>(kernel.anchor)) {}
  Attention(Kernel &kernel, AttentionOp op)
      : AttentionTiles(kernel, op.getQuery(), sizesOf(op, kernel.single)), op(op) {
    runs = op.headRuns();
    shared = op.getState().getType().getShared();
    window = op.getWindow();
    format = op.getState().getType().getFormat();
    keyBytes = kvPartBytes(format, keyDim);
    headBytes = kvHeadBytes(op.getState().getType());
    if (shared || (!kernel.single && format != StateFormat::f32))
      pageFloats = code.scratch<float>(QUERN_KV_PAGE * (keyDim + valueDim));
    if (op.getAlibi()) {
      bias = code.scratch<float>(tokens * group * QUERN_KV_PAGE);
      biased = true;
      slopes = code.floats(*op.getAlibi());
    }
  }

  /// Every sequence's tokens in tiles, times the kv heads, are the chunks of work. Those with the
  /// longest history come first, so that the last ones, for which nobody waits long, are short.
  void generateMany() {
    int64_t maxRows = tokens * group;
    RowStates block = onStack(maxRows), total = onStack(maxRows);
    auto chunk = code.scratch<int64_t>(1), done = code.scratch<int64_t>(1);
    auto fetch = [&] { code.store(kernel.nextChunk(), chunk); };
    auto fetched = [&] { return code.load(code.i64(), chunk); };
    code.store(code.c(0), done);
    fetch();
    code.loop(code.c(0), kernel.count("B"), [&](Value seq) {
      Value first = kernel.index(offsetof(QuernStepArgs, cu_seqlens), seq);
      Value end = kernel.index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
      Value items = code.mul(code.ceilDiv(code.sub(end, first), tokens), kvHeads);
      Value last = code.add(code.load(code.i64(), done), items);
      code.store(last, done);
      auto mine = [&] { return code.less(fetched(), last); };
      code.whilst(mine, [&] {
        Value item = code.sub(code.sub(last, code.c(1)), fetched());
        Value firstToken = code.add(first, code.mul(code.div(item, kvHeads), tokens));
        Value numTokens = code.min(code.c(tokens), code.sub(end, firstToken));
        Value kvHead = code.rem(item, kvHeads), rows = code.mul(numTokens, group);
        Value start = kernel.index(offsetof(QuernStepArgs, positions), firstToken);
        readQueries(firstToken, numTokens, kvHead);
        auto [firstPage, pages] = pagesFrom(start, numTokens);
        beginTotals(total, kvHead, rows);
        code.loop(code.div(firstPage, kBlockPages), code.ceilDiv(pages, kBlockPages),
                  [&](Value number) {
                    Value next = code.mul(code.add(number, 1), kBlockPages);
                    next = code.min(next, code.sub(pages, code.c(1)));
                    attend(block, seq, kvHead, rows, start, number, firstPage, pages,
                           keysOf(seq, kvHead, next));
                    merge(total, block, rows);
                  });
        finish(total, firstToken, kvHead, rows);
        fetch();
      });
    });
  }

  /// One token: the workers take blocks of keys and kv heads and leave what they found in shared
  /// memory; then each worker merges the heads that are its own. As many blocks at a time as
  /// that memory holds, in halves: while one is merged the other may be filled already.
  void generateOne() {
    constexpr int64_t kRound = target::BlockScratch::kBlocksARound;
    target::BlockScratch scratch{op.facts().partials};
    auto shared = [&](Value row) {
      auto at = code.at(kernel.shared, code.mul(row, scratch.stride()));
      return RowStates{at, code.at(at, code.c(scratch.maxAt())),
                       code.at(at, code.c(scratch.maxAt() + 1)), scratch.stride(),
                       scratch.stride()};
    };
    auto ownHeads = [&](std::function<void(Value)> body) {
      code.loop(kernel.worker, code.c(kvHeads), kernel.workers, body);
    };
    Value none = code.c(0), rows = code.c(group);
    Value start = kernel.index(offsetof(QuernStepArgs, positions), none);
    auto [firstPage, pages] = pagesFrom(start, code.c(1));
    Value firstBlock = code.div(firstPage, kBlockPages), blocks = code.ceilDiv(pages, kBlockPages);
    // A single block's heads are assigned as they are owned, and need no barrier.
    Value several = code.less(code.c(1), code.sub(blocks, firstBlock));
    ownHeads([&](Value kvHead) { beginTotals(shared(code.mul(kvHead, group)), kvHead, rows); });
    code.loop(firstBlock, blocks, code.c(kRound), [&](Value first) {
      Value count = code.min(code.c(kRound), code.sub(blocks, first));
      Value half = code.rem(code.div(code.sub(first, firstBlock), kRound), 2);
      // The row of block `number` of this round and a kv head's first query.
      auto rowOf = [&](Value number, Value kvHead) {
        Value of = code.add(code.mul(half, kRound), number);
        return code.add(code.mul(code.add(of, 1), heads), code.mul(kvHead, group));
      };
      Value items = code.mul(count, kvHeads);
      scheduleGuided(items, several, [&](Value item, Value next) {
        Value number = code.div(item, kvHeads), kvHead = code.rem(item, kvHeads);
        next = code.min(next, code.sub(items, code.c(1)));
        Value nextPage = code.mul(code.add(first, code.div(next, kvHeads)), kBlockPages);
        nextPage = code.max(nextPage, firstPage);
        readQueries(none, code.c(1), kvHead);
        attend(shared(rowOf(number, kvHead)), none, kvHead, rows, start, code.add(first, number),
               firstPage, pages, keysOf(none, code.rem(next, kvHeads), nextPage));
      });
      code.when(several, [&] {
        code.call("qk_barrier",
                  {kernel.args, code.toI32(kernel.worker), code.toI32(kernel.workers)});
      });
      ownHeads([&](Value kvHead) {
        code.loop(code.c(0), count, [&](Value number) {
          merge(shared(code.mul(kvHead, group)), shared(rowOf(number, kvHead)), rows);
        });
      });
    });
    ownHeads([&](Value kvHead) { finish(shared(code.mul(kvHead, group)), none, kvHead, rows); });
  }

private:
  /// Calls body(item, next) for items of [0, count), each by one worker: `worker`, `worker` +
  /// `workers` and so on; where `fetch` holds, up to half of them, and the rest for whoever comes.
  /// `next` is this worker's next item; not less than `count` if it has none.
  void scheduleGuided(Value count, Value fetch, std::function<void(Value, Value)> body) {
    Value half = code.mul(code.div(count, code.mul(kernel.workers, 2)), kernel.workers);
    Value assigned = code.select(fetch, half, count);
    auto at = code.scratch<int64_t>(1), ahead = code.scratch<int64_t>(1);
    auto read = [&](Value from) { return code.load(code.i64(), from); };
    auto advance = [&] {
      code.store(read(ahead), at);
      code.store(code.add(read(at), kernel.workers), ahead);
      code.when(code.less(code.sub(assigned, code.c(1)), read(ahead)),
                [&] { code.store(code.add(assigned, kernel.nextChunk()), ahead); });
    };
    code.store(code.sub(kernel.worker, kernel.workers), ahead);
    advance();
    advance();
    code.whilst([&] { return code.less(read(at), count); },
                [&] {
                  body(read(at), read(ahead));
                  advance();
                });
  }

  /// The first page that a token at `start` sees, and one past the last of the tile's.
  std::pair<Value, Value> pagesFrom(Value start, Value numTokens) {
    Value first = code.c(0);
    if (window)
      first = code.div(code.max(code.c(0), code.add(start, 1 - window)), QUERN_KV_PAGE);
    return {first, code.ceilDiv(code.add(start, numTokens), QUERN_KV_PAGE)};
  }

  void beginTotals(const RowStates &states, Value kvHead, Value rows) {
    code.loop(code.c(0), rows, [&](Value r) {
      begin(states, r);
      if (op.getSinks()) { // as if a position with that score and zeros had been seen
        auto sinks = kernel.pointer(op.getSinks());
        code.store(code.loadF(sinks, headOf(kvHead, r)), maxAt(states, r));
        code.store(code.cf(1), sumAt(states, r));
      }
    });
  }

  /// The keys of a head in a page of a sequence; its values follow.
  Pointer<const QkKeys> keysOf(Value seq, Value kvHead, Value page) {
    return Pointer<const QkKeys>(code.atBytes(kernel.kvPage(op.getState(), seq, page),
                                              code.mul(code.div(kvHead, runs), headBytes)));
  }

  /// The rows' attention over block `number` of keys. `after` are the keys that this worker reads
  /// next, to be fetched ahead.
  void attend(const RowStates &states, Value seq, Value kvHead, Value rows, Value start,
              Value number, Value firstPage, Value pages, Pointer<const QkKeys> after) {
    code.loop(code.c(0), rows, [&](Value r) { begin(states, r); });
    Value from = code.mul(number, kBlockPages), end = code.min(code.add(from, kBlockPages), pages);
    code.loop(code.max(from, firstPage), end, [&](Value page) {
      Value next = code.add(page, 1);
      Pointer<const QkKeys> following =
          keysOf(seq, kvHead, code.min(next, code.sub(end, code.c(1))));
      attendPage(states, kvHead, rows, start, page, keysOf(seq, kvHead, page),
                 Pointer<const QkKeys>(code.select(code.less(next, end), following, after)));
    });
  }

  void attendPage(const RowStates &states, Value kvHead, Value rows, Value start, Value page,
                  Pointer<const QkKeys> keys, Pointer<const QkKeys> nextKeys) {
    HeadPage stored{format, keys, Pointer<const QkValues>(code.atBytes(keys, code.c(keyBytes))),
                    nextKeys};
    Value pageStart = code.mul(page, QUERN_KV_PAGE);
    code.loop(code.c(0), rows, [&](Value r) {
      Value end = code.sub(code.add(code.add(start, code.div(r, group)), 1), pageStart);
      Value begin = window ? code.max(code.c(0), code.add(end, -window)) : code.c(0);
      see(r, begin, end);
      if (slopes)
        writeBias(kvHead, r, code.add(start, code.div(r, group)), pageStart);
    });
    Value sixes = code.mul(code.div(rows, kTallest), kTallest);
    if (shared)
      stored = valuesApart(stored);
    Value done = pageFloats && !shared ? attendFloats(states, stored, sixes) : code.c(0);
    tiles(done, sixes, rows,
          [&](Value r, int64_t height) { attendTile(states, stored, r, height); });
  }

  /// The page, of keys alone, as one of floats that has values, too.
  HeadPage valuesApart(const HeadPage &page) {
    code.call(("qk_attn_shared_" + stringifyStateFormat(format)).str(), {packed(page), pageFloats});
    Pointer<const QkKeys> keys = page.keys;
    if (format != StateFormat::f32)
      keys = Pointer<const QkKeys>(pageFloats);
    Pointer<const QkValues> values(code.at(pageFloats, code.c(QUERN_KV_PAGE * keyDim)));
    return {StateFormat::f32, keys, values, keys};
  }

  /// Attends with the rows that come in sixes, where they are enough for it, over the page turned
  /// into floats. Gives how many that were.
  Value attendFloats(const RowStates &states, const HeadPage &page, Value sixes) {
    std::string name = stringifyStateFormat(page.format).str();
    Value enough = code.call("qk_attn_floats_from_" + name, {});
    Value rows = code.select(code.less(sixes, enough), code.c(0), sixes);
    code.when(code.less(code.c(0), rows), [&] {
      code.call("qk_attn_floats_" + name, {packed(page), pageFloats});
      Pointer<const QkKeys> keys(pageFloats);
      Pointer<const QkValues> values(code.at(pageFloats, code.c(QUERN_KV_PAGE * keyDim)));
      HeadPage floats{StateFormat::f32, keys, values, keys};
      code.loop(code.c(0), rows, code.c(kTallest),
                [&](Value row) { attendTile(states, floats, row, kTallest); });
    });
    return rows;
  }

  /// ALiBi of a row, a query at `position`, for the page of positions from `first` on.
  void writeBias(Value kvHead, Value row, Value position, Value first) {
    Value slope = code.loadF(slopes, headOf(kvHead, row));
    auto to = code.at(bias, code.mul(row, QUERN_KV_PAGE));
    auto rounded = [&](Value at) {
      return code.call("qk_round_bf16", {code.fmul(slope, code.toF32(at))});
    };
    Value from = code.toI32(first), own = code.toI32(position);
    Value ownRounded = op.getAlibiBf16() ? rounded(own) : Value();
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value key = code.add(from, code.toI32(i));
      Value value = ownRounded ? code.fmul(scale, code.fsub(rounded(key), ownRounded))
                               : code.fmul(slope, code.toF32(code.sub(key, own)));
      code.storeF(value, to, i);
    });
  }

  void merge(const RowStates &total, const RowStates &block, Value rows) {
    code.loop(code.c(0), rows, [&](Value r) {
      code.call("qk_attn_merge_row",
                {softmaxFrom(total, r), softmaxFrom(block, r), code.c(valueDim)});
    });
  }

  AttentionOp op;
  int64_t runs; ///< that the heads of a kv head are cut into, each as if it had one of its own
  int64_t window, keyBytes, headBytes;
  bool shared; ///< values are the first columns of the keys
  StateFormat format;
  Pointer<const float> slopes;
  Pointer<float> pageFloats; ///< a page's keys and values as floats; null where they are none else
};
} // namespace

LogicalResult Kernel::generateAttention() {
  Attention attention(*this);
  if (single)
    attention.generateOne();
  else
    attention.generateMany();
  return success();
}
