// Kernels on kv state: attention, and storing keys and values.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/Rows.h"
#include "passes/analysis/Buffers.h"

#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {
// Query rows that share each page of keys and values while it is in cache.
constexpr int64_t kTileRows = 48;
// The most rows that a microkernel takes at once.
constexpr int64_t kTallest = 6;
constexpr int64_t kBlockPages = QUERN_KEY_BLOCK_PAGES;

/// Tokens a tile spans, for `group` query heads a kv head: about kTileRows rows, a multiple of
/// kTallest where that is possible.
int64_t tileTokens(int64_t group) {
  const int64_t most = std::max<int64_t>(1, kTileRows / group);
  for (int64_t tokens = most; tokens > most / 2; --tokens)
    if (tokens * group % kTallest == 0)
      return tokens;
  return most;
}

/// The online softmax of some rows, as arrays: a sum of values every `stride` floats, a maximum and
/// a sum of weights every `step`.
struct RowStates {
  Value values, max, sum;
  int64_t stride, step;
};

/// The generator of one attention kernel. Row t * group + g of a tile of tokens and a kv head is
/// the query of token t and head kvHead * group + g.
class Attention {
public:
  explicit Attention(Kernel &kernel)
      : kernel(kernel), code(kernel.code), op(cast<AttentionOp>(kernel.anchor)) {
    ArrayRef<int64_t> shape = op.getState().getType().getShape();
    kvHeads = shape[0];
    keyDim = shape[1];
    valueDim = shape[2];
    heads = op.getHeads();
    group = heads / kvHeads;
    window = op.getWindow();
    format = op.getState().getType().getFormat();
    keyBytes = kvPartBytes(format, keyDim);
    valueBytes = kvPartBytes(format, valueDim);
    tokens = kernel.single ? 1 : tileTokens(group);
    int64_t maxRows = tokens * group;
    query = code.scratch(code.f32(), maxRows * keyDim);
    low = code.scratch(code.i32(), maxRows);
    high = code.scratch(code.i32(), maxRows);
    scale = code.cf(op.getScale().convertToFloat());
    softcap = code.cf(op.getSoftcap().convertToFloat());
    bias = LLVM::ZeroOp::create(code.b, code.ptr());
    if (!kernel.single && format != StateFormat::f32)
      pageFloats = code.scratch(code.f32(), QUERN_KV_PAGE * (keyDim + valueDim));
    if (llvm::any_of(kernel.yield.getOperandTypes(), llvm::IsaPred<Q8RowsType>))
      finished = code.scratch(code.f32(), maxRows * valueDim);
    if (op.getAlibi()) {
      bias = code.scratch(code.f32(), maxRows * QUERN_KV_PAGE);
      slopes = code.floats(*op.getAlibi());
    }
  }

  /// Every sequence's tokens in tiles, times the kv heads, are the pieces of work. Those with the
  /// longest history come first, so that the last ones, for which nobody waits long, are short.
  void generateMany() {
    int64_t maxRows = tokens * group;
    RowStates block = onStack(maxRows), total = onStack(maxRows);
    Value ticket = code.scratch(code.i64(), 1), done = code.scratch(code.i64(), 1);
    auto fetch = [&] { code.store(kernel.nextTicket(), ticket); };
    auto fetched = [&] { return code.load(code.i64(), ticket); };
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
    constexpr int64_t kRound = BlockScratch::kBlocksARound;
    BlockScratch scratch{op.facts().partials};
    auto shared = [&](Value row) {
      Value at = code.at(kernel.shared, code.f32(), code.mul(row, scratch.stride()));
      return RowStates{at, code.at(at, code.f32(), code.c(scratch.maxAt())),
                       code.at(at, code.f32(), code.c(scratch.maxAt() + 1)), scratch.stride(),
                       scratch.stride()};
    };
    auto ownHeads = [&](std::function<void(Value)> body) {
      code.loop(kernel.worker, code.c(kvHeads), kernel.workers, body);
    };
    Value none = code.c(0), rows = code.c(group);
    Value start = kernel.index(offsetof(QuernStepArgs, positions), none);
    auto [firstPage, pages] = pagesFrom(start, code.c(1));
    Value firstBlock = code.div(firstPage, kBlockPages), blocks = code.ceilDiv(pages, kBlockPages);
    // A single block's heads are dealt as they are owned, and need no barrier.
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
      deal(items, several, [&](Value item, Value next) {
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
  void deal(Value count, Value fetch, std::function<void(Value, Value)> body) {
    Value half = code.mul(code.div(count, code.mul(kernel.workers, 2)), kernel.workers);
    Value dealt = code.select(fetch, half, count);
    Value at = code.scratch(code.i64(), 1), ahead = code.scratch(code.i64(), 1);
    auto read = [&](Value from) { return code.load(code.i64(), from); };
    auto advance = [&] {
      code.store(read(ahead), at);
      code.store(code.add(read(at), kernel.workers), ahead);
      code.when(code.less(code.sub(dealt, code.c(1)), read(ahead)),
                [&] { code.store(code.add(dealt, kernel.nextTicket()), ahead); });
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

  RowStates onStack(int64_t rows) {
    return {code.scratch(code.f32(), rows * valueDim), code.scratch(code.f32(), rows),
            code.scratch(code.f32(), rows), valueDim, 1};
  }
  Value valuesAt(const RowStates &states, Value row) {
    return code.at(states.values, code.f32(), code.mul(row, states.stride));
  }
  Value maxAt(const RowStates &states, Value row) {
    return code.at(states.max, code.f32(), code.mul(row, states.step));
  }
  Value sumAt(const RowStates &states, Value row) {
    return code.at(states.sum, code.f32(), code.mul(row, states.step));
  }
  Value headOf(Value kvHead, Value row) {
    return code.add(code.mul(kvHead, group), code.rem(row, group));
  }

  /// Writes a tile's queries to `query`.
  void readQueries(Value firstToken, Value numTokens, Value kvHead) {
    code.loop(code.c(0), numTokens, [&](Value t) {
      Rows values(kernel, code.add(firstToken, t));
      Value from = code.mul(kvHead, group * keyDim);
      Value target = code.at(query, code.f32(), code.mul(t, group * keyDim));
      values.write(op.getQuery(), from, group * keyDim, target);
    });
  }

  /// The first page that a token at `start` sees, and one past the last of the tile's.
  std::pair<Value, Value> pagesFrom(Value start, Value numTokens) {
    Value first = code.c(0);
    if (window)
      first = code.div(code.max(code.c(0), code.add(start, 1 - window)), QUERN_KV_PAGE);
    return {first, code.ceilDiv(code.add(start, numTokens), QUERN_KV_PAGE)};
  }

  void begin(const RowStates &states, Value row) {
    code.call("qk_attn_init_row",
              {maxAt(states, row), sumAt(states, row), valuesAt(states, row), code.c(valueDim)});
  }
  void beginTotals(const RowStates &states, Value kvHead, Value rows) {
    code.loop(code.c(0), rows, [&](Value r) {
      begin(states, r);
      if (op.getSinks()) { // as if a position with that score and zeros had been seen
        Value sinks = kernel.pointer(op.getSinks());
        code.store(code.loadF(sinks, headOf(kvHead, r)), maxAt(states, r));
        code.store(code.cf(1), sumAt(states, r));
      }
    });
  }

  /// The keys of a head in a page of a sequence; its values follow.
  Value keysOf(Value seq, Value kvHead, Value page) {
    return code.atBytes(kernel.kvPage(op.getState(), seq, page),
                        code.mul(kvHead, keyBytes + valueBytes));
  }

  /// The rows' attention over block `number` of keys. `after` are the keys that this worker reads
  /// next, to be fetched ahead.
  void attend(const RowStates &states, Value seq, Value kvHead, Value rows, Value start,
              Value number, Value firstPage, Value pages, Value after) {
    code.loop(code.c(0), rows, [&](Value r) { begin(states, r); });
    Value from = code.mul(number, kBlockPages), end = code.min(code.add(from, kBlockPages), pages);
    code.loop(code.max(from, firstPage), end, [&](Value page) {
      Value next = code.add(page, 1);
      Value following = keysOf(seq, kvHead, code.min(next, code.sub(end, code.c(1))));
      attendPage(states, kvHead, rows, start, page, keysOf(seq, kvHead, page),
                 code.select(code.less(next, end), following, after));
    });
  }

  /// A page's keys and values of a head, and the keys that are read after them.
  struct HeadPage {
    StateFormat format;
    Value keys, values, next;
  };

  void attendPage(const RowStates &states, Value kvHead, Value rows, Value start, Value page,
                  Value keys, Value nextKeys) {
    HeadPage stored{format, keys, code.atBytes(keys, code.c(keyBytes)), nextKeys};
    Value pageStart = code.mul(page, QUERN_KV_PAGE);
    code.loop(code.c(0), rows, [&](Value r) {
      Value end = code.sub(code.add(code.add(start, code.div(r, group)), 1), pageStart);
      Value begin = window ? code.max(code.c(0), code.add(end, -window)) : code.c(0);
      code.store(code.toI32(code.min(begin, code.c(QUERN_KV_PAGE))), code.at(low, code.i32(), r));
      Value stop = code.max(code.c(0), code.min(end, code.c(QUERN_KV_PAGE)));
      code.store(code.toI32(stop), code.at(high, code.i32(), r));
      if (slopes)
        writeBias(kvHead, r, code.add(start, code.div(r, group)), pageStart);
    });
    auto tile = [&](Value r, int64_t height) { attendTile(states, stored, r, height); };
    Value sixes = code.mul(code.div(rows, kTallest), kTallest), left = code.sub(rows, sixes);
    Value fours = code.mul(code.div(left, 4), 4), last = code.sub(left, fours);
    Value done = pageFloats ? attendFloats(states, stored, sixes) : code.c(0);
    code.loop(done, sixes, code.c(kTallest), [&](Value r) { tile(r, kTallest); });
    code.when(code.equal(fours, code.c(4)), [&] { tile(sixes, 4); });
    for (int64_t height : {1, 2, 3})
      code.when(code.equal(last, code.c(height)), [&] { tile(code.add(sixes, fours), height); });
  }

  /// `height` rows from `row` on.
  void attendTile(const RowStates &states, const HeadPage &page, Value row, int64_t height) {
    code.call(("qk_attn_block_" + stringifyStateFormat(page.format) + "_m" + Twine(height)).str(),
              {code.at(query, code.f32(), code.mul(row, keyDim)), code.c(keyDim), page.keys,
               page.values, page.next, code.at(low, code.i32(), row),
               code.at(high, code.i32(), row), scale, softcap,
               slopes ? code.at(bias, code.f32(), code.mul(row, QUERN_KV_PAGE)) : bias,
               code.c(keyDim), code.c(valueDim), maxAt(states, row), sumAt(states, row),
               code.c(states.step), valuesAt(states, row), code.c(states.stride)});
  }

  /// Attends with the rows that come in sixes, where they are enough for it, over the page turned
  /// into floats. Gives how many that were.
  Value attendFloats(const RowStates &states, const HeadPage &page, Value sixes) {
    std::string name = stringifyStateFormat(page.format).str();
    Value enough = code.call("qk_attn_floats_from_" + name, code.i64(), {});
    Value rows = code.select(code.less(sixes, enough), code.c(0), sixes);
    code.when(code.less(code.c(0), rows), [&] {
      code.call("qk_attn_floats_" + name,
                {page.keys, page.values, page.next, code.c(keyDim), code.c(valueDim), pageFloats});
      HeadPage floats{StateFormat::f32, pageFloats,
                      code.at(pageFloats, code.f32(), code.c(QUERN_KV_PAGE * keyDim)), pageFloats};
      code.loop(code.c(0), rows, code.c(kTallest),
                [&](Value row) { attendTile(states, floats, row, kTallest); });
    });
    return rows;
  }

  /// ALiBi of a row, a query at `position`, for the page of positions from `first` on.
  void writeBias(Value kvHead, Value row, Value position, Value first) {
    Value slope = code.loadF(slopes, headOf(kvHead, row));
    Value to = code.at(bias, code.f32(), code.mul(row, QUERN_KV_PAGE));
    auto rounded = [&](Value at) {
      return code.call("qk_round_bf16", code.f32(), {code.fmul(slope, code.toF32(at))});
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
                {maxAt(total, r), sumAt(total, r), valuesAt(total, r),
                 code.load(code.f32(), maxAt(block, r)), code.load(code.f32(), sumAt(block, r)),
                 valuesAt(block, r), code.c(valueDim)});
    });
  }

  /// Writes the rows' results, as floats, quantized, or both.
  void finish(const RowStates &total, Value firstToken, Value kvHead, Value rows) {
    const int64_t width = group * valueDim, cols = heads * valueDim,
                  bytes = quern_q8_row_bytes(cols);
    Value column = code.mul(kvHead, width);
    auto finishTo = [&](Value to, int64_t stride) {
      code.loop(code.c(0), rows, [&](Value r) {
        Value at =
            code.add(code.mul(code.div(r, group), stride), code.mul(code.rem(r, group), valueDim));
        code.call("qk_attn_finish_row", {valuesAt(total, r), code.load(code.f32(), sumAt(total, r)),
                                         code.c(valueDim), code.at(to, code.f32(), at)});
      });
    };
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      if (!isa<Q8RowsType>(value.getType())) {
        Value at = code.add(code.mul(firstToken, cols), column);
        finishTo(code.at(kernel.result(i), code.f32(), at), cols);
        continue;
      }
      finishTo(finished, width);
      code.call("qk_quantize_columns",
                {finished, code.c(width), code.div(rows, group), column, code.c(width),
                 code.c(cols), code.atBytes(kernel.result(i), code.mul(firstToken, bytes)),
                 code.c(bytes)});
    }
  }

  Kernel &kernel;
  Code &code;
  AttentionOp op;
  int64_t kvHeads, keyDim, valueDim, heads, group, window, tokens, keyBytes, valueBytes;
  StateFormat format;
  Value query, low, high, scale, softcap, bias, slopes;
  Value pageFloats; ///< a page's keys and values as floats; null where they are none else
  Value finished;   ///< a tile's results, if they are to be quantized; else null
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

LogicalResult Kernel::generateKvAppend() {
  auto append = cast<KvAppendOp>(anchor);
  ArrayRef<int64_t> shape = append.getState().getType().getShape();
  int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  StateFormat format = append.getState().getType().getFormat();
  int64_t keyBytes = kvPartBytes(format, keyDim), valueBytes = kvPartBytes(format, valueDim);
  std::string name = stringifyStateFormat(format).str();
  Value key = code.scratch(code.f32(), keyDim), value = code.scratch(code.f32(), valueDim);
  Value tokens = count(rowsOf(append.getKeys().getType()));
  auto store = [&](Value item) {
    Value token = code.div(item, heads), head = code.rem(item, heads);
    Value position = index(offsetof(QuernStepArgs, positions), token);
    Value seq = index(offsetof(QuernStepArgs, token_seq), token);
    Value page = kvPage(append.getState(), seq, code.div(position, QUERN_KV_PAGE));
    Value place = code.rem(position, QUERN_KV_PAGE);
    Rows rows(*this, token);
    rows.write(append.getKeys(), code.mul(head, keyDim), keyDim, key);
    rows.write(append.getValues(), code.mul(head, valueDim), valueDim, value);
    Value keys = code.atBytes(page, code.mul(head, keyBytes + valueBytes));
    code.call("qk_store_key_" + name, {key, code.c(keyDim), keys, place});
    code.call("qk_store_value_" + name,
              {value, code.c(valueDim), code.atBytes(keys, code.c(keyBytes)), place});
  };
  if (single) { // heads as attention has them, so that a page stays in one worker's caches
    code.loop(worker, code.c(heads), workers, store);
  } else {
    auto [from, to] = code.share(code.mul(tokens, heads), worker, workers);
    code.loop(from, to, store);
  }
  return success();
}
