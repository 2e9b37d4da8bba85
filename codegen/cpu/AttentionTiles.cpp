// See AttentionTiles.h.
#include "codegen/cpu/AttentionTiles.h"

#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace quern::cpu {

int64_t tileTokens(int64_t group, int64_t rows) {
  constexpr int64_t kAtOnce = 6; // AttentionTiles::kTallest
  const int64_t most = std::max<int64_t>(1, rows / group);
  for (int64_t tokens = most; tokens > most / 2; --tokens)
    if (tokens * group % kAtOnce == 0)
      return tokens;
  return most;
}

AttentionTiles::AttentionTiles(Kernel &kernel, mlir::Value queries, const TileSizes &sizes)
    : kernel(kernel), code(kernel.code), queries(queries), heads(sizes.heads),
      kvHeads(sizes.kvHeads), keyDim(sizes.keyDim), valueDim(sizes.valueDim),
      group(sizes.heads / sizes.kvHeads), tokens(sizes.tokens) {
  const int64_t maxRows = tokens * group;
  query = code.scratch<float>(maxRows * keyDim);
  low = code.scratch<int32_t>(maxRows);
  high = code.scratch<int32_t>(maxRows);
  scale = code.cf(sizes.scale);
  softcap = code.cf(sizes.softcap);
  bias = code.null<float>();
  if (llvm::any_of(kernel.yield.getOperandTypes(), llvm::IsaPred<Q8RowsType>))
    finished = code.scratch<float>(maxRows * valueDim);
}

RowStates AttentionTiles::onStack(int64_t rows) {
  return {code.scratch<float>(rows * valueDim), code.scratch<float>(rows),
          code.scratch<float>(rows), valueDim, 1};
}

Pointer<const QkSoftmax> AttentionTiles::softmaxFrom(const RowStates &states, Value row) {
  return code.pack<QkSoftmax>({.max = maxAt(states, row),
                               .sum = sumAt(states, row),
                               .step = code.c(states.step),
                               .acc = code.at(states.values, code.mul(row, states.stride)),
                               .acc_stride = code.c(states.stride)});
}

void AttentionTiles::readQueries(Value firstToken, Value numTokens, Value kvHead) {
  code.loop(code.c(0), numTokens, [&](Value t) {
    RowValues values(kernel, code.add(firstToken, t));
    Value from = code.mul(kvHead, group * keyDim);
    auto target = code.at(query, code.mul(t, group * keyDim));
    values.write(queries, from, group * keyDim, target);
  });
}

void AttentionTiles::see(Value row, Value from, Value to) {
  Value page = code.c(QUERN_KV_PAGE);
  code.store(code.toI32(code.min(from, page)), code.at(low, row));
  code.store(code.toI32(code.max(code.c(0), code.min(to, page))), code.at(high, row));
}

Pointer<const QkPage> AttentionTiles::packed(const HeadPage &page) {
  return code.pack<QkPage>({.keys = page.keys,
                            .values = page.values,
                            .next_keys = page.next,
                            .d = code.c(keyDim),
                            .v = code.c(valueDim)});
}

void AttentionTiles::tiles(Value done, Value sixes, Value rows,
                           std::function<void(Value, int64_t)> body) {
  Value left = code.sub(rows, sixes);
  Value fours = code.mul(code.div(left, 4), 4), last = code.sub(left, fours);
  code.loop(done, sixes, code.c(kTallest), [&](Value r) { body(r, kTallest); });
  code.when(code.equal(fours, code.c(4)), [&] { body(sixes, 4); });
  for (int64_t height : {1, 2, 3})
    code.when(code.equal(last, code.c(height)), [&] { body(code.add(sixes, fours), height); });
}

void AttentionTiles::attendTile(const RowStates &states, const HeadPage &page, Value row,
                                int64_t height) {
  Pointer<float> added = biased ? code.at(bias, code.mul(row, QUERN_KV_PAGE)) : bias;
  if (unbiased)
    added = Pointer<float>(code.select(unbiased, code.null<float>(), added));
  auto tile = code.pack<QkQueries>({.q = code.at(query, code.mul(row, keyDim)),
                                    .stride = code.c(keyDim),
                                    .lo = code.at(low, row),
                                    .hi = code.at(high, row),
                                    .bias = added,
                                    .scale = scale,
                                    .softcap = softcap});
  code.call(("qk_attn_block_" + stringifyStateFormat(page.format) + "_m" + Twine(height)).str(),
            {tile, packed(page), softmaxFrom(states, row)});
}

void AttentionTiles::finish(const RowStates &total, Value firstToken, Value kvHead, Value rows) {
  const int64_t width = group * valueDim, cols = heads * valueDim, bytes = quern_q8_row_bytes(cols);
  Value column = code.mul(kvHead, width);
  auto finishTo = [&](Pointer<float> to, int64_t stride) {
    code.loop(code.c(0), rows, [&](Value r) {
      Value at =
          code.add(code.mul(code.div(r, group), stride), code.mul(code.rem(r, group), valueDim));
      code.call("qk_attn_finish_row", {softmaxFrom(total, r), code.c(valueDim), code.at(to, at)});
    });
  };
  for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
    if (!isa<Q8RowsType>(value.getType())) {
      Value at = code.add(code.mul(firstToken, cols), column);
      finishTo(code.at(kernel.result(i), at), cols);
      continue;
    }
    finishTo(finished, width);
    code.call("qk_quantize_columns",
              {code.pack<QkColumns>(
                  {.x = finished,
                   .x_stride = code.c(width),
                   .rows = code.div(rows, group),
                   .first = column,
                   .count = code.c(width),
                   .k = code.c(cols),
                   .to = code.atBytes(kernel.result<QkQ8Row>(i), code.mul(firstToken, bytes)),
                   .to_stride = code.c(bytes)})});
  }
}

} // namespace quern::cpu
