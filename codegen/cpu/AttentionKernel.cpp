// Kernels on kv state: attention, and storing keys and values.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/Rows.h"

#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {
// Query rows that share each page of keys and values while it is in cache.
constexpr int64_t kTileRows = 32;

/// Tokens a tile spans, for `group` query heads a kv head: about kTileRows rows, a multiple of the
/// widest microkernel's 8 where that is possible.
int64_t tileTokens(int64_t group) {
  int64_t tokens = std::max<int64_t>(1, kTileRows / group);
  while (tokens > 1 && (tokens * group) % 8)
    --tokens;
  return tokens > 1 ? tokens : std::max<int64_t>(1, kTileRows / group);
}
} // namespace

LogicalResult Kernel::generateAttention() {
  auto attention = cast<AttentionOp>(anchor);
  ArrayRef<int64_t> shape = attention.getState().getType().getShape();
  int64_t kvHeads = shape[0], keyDim = shape[1], valueDim = shape[2];
  int64_t heads = attention.getHeads(), group = heads / kvHeads, window = attention.getWindow();
  int64_t tokens = single ? 1 : tileTokens(group), maxRows = tokens * group;

  Value query = code.scratch(code.f32(), maxRows * keyDim);
  Value sums = code.scratch(code.f32(), maxRows * valueDim);
  Value rowMax = code.scratch(code.f32(), maxRows), rowSum = code.scratch(code.f32(), maxRows);
  Value low = code.scratch(code.i32(), maxRows), high = code.scratch(code.i32(), maxRows);
  Value scale = code.cf(attention.getScale().convertToFloat());
  Value softcap = code.cf(attention.getSoftcap().convertToFloat());
  Value bias = LLVM::ZeroOp::create(code.b, code.ptr()), slopes;
  if (attention.getAlibi()) {
    bias = code.scratch(code.f32(), maxRows * QUERN_KV_PAGE);
    slopes = code.floats(*attention.getAlibi());
  }
  // What row r of a tile of `kvHead` is a query of.
  auto headOf = [&](Value kvHead, Value r) {
    return code.add(code.mul(kvHead, group), code.rem(r, group));
  };
  // The biases of row r, a query at `position`, for the page of positions from `first` on.
  auto alibi = [&](Value kvHead, Value r, Value position, Value first) {
    Value slope = code.loadF(slopes, headOf(kvHead, r));
    Value row = code.at(bias, code.f32(), code.mul(r, QUERN_KV_PAGE));
    auto rounded = [&](Value at) {
      return code.call("qk_round_bf16", code.f32(), {code.fmul(slope, code.toF32(at))});
    };
    Value from = code.toI32(first), query = code.toI32(position);
    Value own = attention.getAlibiBf16() ? rounded(query) : Value();
    code.loop(QUERN_KV_PAGE, [&](Value i) {
      Value key = code.add(from, code.toI32(i));
      Value value = own ? code.fmul(scale, code.fsub(rounded(key), own))
                        : code.fmul(slope, code.toF32(code.sub(key, query)));
      code.storeF(value, row, i);
    });
  };

  auto tile = [&](Value seq, Value kvHead, Value firstToken, Value numTokens) {
    Value rows = code.mul(numTokens, group);
    Value start = index(offsetof(QuernStepArgs, positions), firstToken);
    // Row token * group + g of the tile is query head kvHead * group + g.
    code.loop(code.c(0), numTokens, [&](Value t) {
      Rows values(*this, code.add(firstToken, t));
      Value from = code.mul(kvHead, group * keyDim);
      Value target = code.at(query, code.f32(), code.mul(t, group * keyDim));
      values.write(attention.getQuery(), from, group * keyDim, target);
    });
    code.loop(code.c(0), rows, [&](Value r) {
      code.call("qk_attn_init_row",
                {code.at(rowMax, code.f32(), r), code.at(rowSum, code.f32(), r),
                 code.at(sums, code.f32(), code.mul(r, valueDim)), code.c(valueDim)});
      if (attention.getSinks()) { // as if a position with that score and zeros had been seen
        code.storeF(code.loadF(pointer(attention.getSinks()), headOf(kvHead, r)), rowMax, r);
        code.storeF(code.cf(1), rowSum, r);
      }
    });
    Value firstPage = code.c(0);
    if (window)
      firstPage = code.div(code.max(code.c(0), code.add(start, 1 - window)), QUERN_KV_PAGE);
    Value pages = code.ceilDiv(code.add(start, numTokens), QUERN_KV_PAGE);
    code.loop(firstPage, pages, [&](Value page) {
      Value base = kvPage(attention.getState(), seq, page);
      Value keys = code.atBytes(base, code.mul(kvHead, keyDim * QUERN_KV_PAGE * 4));
      Value values = code.atBytes(base, code.add(code.mul(kvHead, QUERN_KV_PAGE * valueDim * 4),
                                                 kvHeads * keyDim * QUERN_KV_PAGE * 4));
      Value pageStart = code.mul(page, QUERN_KV_PAGE);
      code.loop(code.c(0), rows, [&](Value r) {
        Value end = code.sub(code.add(code.add(start, code.div(r, group)), 1), pageStart);
        Value begin = window ? code.max(code.c(0), code.add(end, -window)) : code.c(0);
        code.store(code.toI32(code.min(begin, code.c(QUERN_KV_PAGE))), code.at(low, code.i32(), r));
        Value stop = code.max(code.c(0), code.min(end, code.c(QUERN_KV_PAGE)));
        code.store(code.toI32(stop), code.at(high, code.i32(), r));
        if (slopes)
          alibi(kvHead, r, code.add(start, code.div(r, group)), pageStart);
      });
      auto block = [&](Value r, int64_t height) {
        code.call("qk_attn_block_m" + std::to_string(height),
                  {code.at(query, code.f32(), code.mul(r, keyDim)), code.c(keyDim), keys, values,
                   code.at(low, code.i32(), r), code.at(high, code.i32(), r), scale, softcap,
                   slopes ? code.at(bias, code.f32(), code.mul(r, QUERN_KV_PAGE)) : bias,
                   code.c(keyDim), code.c(valueDim), code.at(rowMax, code.f32(), r),
                   code.at(rowSum, code.f32(), r), code.at(sums, code.f32(), code.mul(r, valueDim)),
                   code.c(valueDim)});
      };
      Value eights = code.mul(code.div(rows, 8), 8), fours = code.mul(code.div(rows, 4), 4);
      code.loop(code.c(0), eights, code.c(8), [&](Value r) { block(r, 8); });
      code.loop(eights, fours, code.c(4), [&](Value r) { block(r, 4); });
      for (int64_t height : {1, 2, 3})
        code.when(code.equal(code.sub(rows, fours), code.c(height)), [&] { block(fours, height); });
    });
    code.loop(code.c(0), rows, [&](Value r) {
      Value token = code.add(firstToken, code.div(r, group));
      Value head = headOf(kvHead, r);
      Value column = code.add(code.mul(token, heads * valueDim), code.mul(head, valueDim));
      code.call("qk_attn_finish_row",
                {code.at(sums, code.f32(), code.mul(r, valueDim)), code.loadF(rowSum, r),
                 code.c(valueDim), code.at(result(0), code.f32(), column)});
    });
  };

  // Work items are (tile, kv head) of each sequence, dealt to the workers in turn: neighbours in
  // causal order cost about the same.
  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    Value items = code.mul(code.ceilDiv(code.sub(end, first), tokens), kvHeads);
    code.loop(code.rem(code.add(worker, seq), workers), items, workers, [&](Value item) {
      Value firstToken = code.add(first, code.mul(code.div(item, kvHeads), tokens));
      Value numTokens = single ? code.c(1) : code.min(code.c(tokens), code.sub(end, firstToken));
      tile(seq, code.rem(item, kvHeads), firstToken, numTokens);
    });
  });
  return success();
}

LogicalResult Kernel::generateKvAppend() {
  auto append = cast<KvAppendOp>(anchor);
  ArrayRef<int64_t> shape = append.getState().getType().getShape();
  int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  Value key = code.scratch(code.f32(), keyDim);
  Value tokens = count(rowsOf(append.getKeys().getType()));
  auto [from, to] = code.share(code.mul(tokens, heads), worker, workers);
  code.loop(from, to, [&](Value item) {
    Value token = code.div(item, heads), head = code.rem(item, heads);
    Value position = index(offsetof(QuernStepArgs, positions), token);
    Value seq = index(offsetof(QuernStepArgs, token_seq), token);
    Value page = kvPage(append.getState(), seq, code.div(position, QUERN_KV_PAGE));
    Value place = code.rem(position, QUERN_KV_PAGE);
    Rows rows(*this, token);
    rows.write(append.getKeys(), code.mul(head, keyDim), keyDim, key);
    Value keys = code.atBytes(page, code.mul(head, keyDim * QUERN_KV_PAGE * 4));
    code.loop(keyDim, [&](Value i) {
      code.storeF(code.loadF(key, i), keys, code.add(code.mul(i, QUERN_KV_PAGE), place));
    });
    Value values = code.atBytes(page, heads * keyDim * QUERN_KV_PAGE * 4);
    Value target = code.add(code.mul(head, QUERN_KV_PAGE * valueDim), code.mul(place, valueDim));
    rows.write(append.getValues(), code.mul(head, valueDim), valueDim,
               code.at(values, code.f32(), target));
  });
  return success();
}
