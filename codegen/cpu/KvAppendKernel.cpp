// Kernels whose anchor stores keys and values in the pages of a kv state.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "passes/analysis/Buffers.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateKvAppend() {
  auto append = cast<KvAppendOp>(anchor);
  ArrayRef<int64_t> shape = append.getState().getType().getShape();
  int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  StateFormat format = append.getState().getType().getFormat();
  int64_t keyBytes = kvPartBytes(format, keyDim);
  int64_t headBytes = kvHeadBytes(append.getState().getType());
  std::string name = stringifyStateFormat(format).str();
  auto key = code.scratch<float>(keyDim), value = code.scratch<float>(valueDim);
  Value tokens = count(rowsOf(append.getKeys().getType()));
  auto store = [&](Value item) {
    Value token = code.div(item, heads), head = code.rem(item, heads);
    Value position = index(offsetof(QuernStepArgs, positions), token);
    Value seq = index(offsetof(QuernStepArgs, token_seq), token);
    Value page = kvPage(append.getState(), seq, code.div(position, QUERN_KV_PAGE));
    Value place = code.rem(position, QUERN_KV_PAGE);
    RowValues rows(*this, token);
    rows.write(append.getKeys(), code.mul(head, keyDim), keyDim, key);
    if (append.getValues())
      rows.write(append.getValues(), code.mul(head, valueDim), valueDim, value);
    Pointer<QkKeys> keys(code.atBytes(page, code.mul(head, headBytes)));
    code.call("qk_store_key_" + name, {key, code.c(keyDim), keys, place});
    if (!append.getValues())
      return;
    Pointer<QkValues> values(code.atBytes(keys, keyBytes));
    code.call("qk_store_value_" + name, {value, code.c(valueDim), values, place});
  };
  if (single) { // heads as attention has them, so that a page stays in one worker's caches
    code.loop(worker, code.c(heads), workers, store);
  } else {
    auto [from, to] = code.share(code.mul(tokens, heads), worker, workers);
    code.loop(from, to, store);
  }
  return success();
}
