// Kernels whose anchor stores keys and values in the pages of a kv state: a head of a token is a
// warp's.
#include "codegen/cuda/KvFormat.h"
#include "codegen/cuda/RowValues.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateKvAppend() {
  auto append = cast<KvAppendOp>(anchor);
  ArrayRef<int64_t> shape = append.getState().getType().getShape();
  const int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  const StateFormat format = append.getState().getType().getFormat();
  const int64_t keyBytes = kvPartBytes(format, keyDim);
  const int64_t headBytes = kvHeadBytes(append.getState().getType());
  const std::string tokens = count(rowsOf(append.getKeys().getType()));
  constexpr int64_t kWarps = 8;
  setWork(
      [heads](const BucketShape &of) { return llvm::divideCeil(of.max_tokens * heads, kWarps); });
  include("KvPage.cuh");
  text.open("for (int item = worker * kWarps + warp(); item < ", times(tokens, heads),
            "; item += workers * kWarps)");
  text.line("const int token = item / ", heads, ", head = item % ", heads, ";");
  text.line("const int position = ", index("positions", "token"), ";");
  text.line("u8 *const keys = ",
            kvPage(append.getState(), index("token_seq", "token"), "position / QUERN_KV_PAGE"),
            " + head * ", headBytes, ";");
  {
    RowValues rows(*this, "token", Team::Warp);
    auto store = [&](llvm::StringRef what, mlir::Value value, int64_t dim,
                     const std::string &target) {
      const std::string numbers = rows.place(value, absl::StrCat("head * ", dim), dim);
      text.line("store_", what.str(), "<", deviceName(format), ", ", dim, ">(", numbers, ", ",
                target, ", position % QUERN_KV_PAGE);");
    };
    store("key", append.getKeys(), keyDim, "keys");
    if (append.getValues())
      store("value", append.getValues(), valueDim, absl::StrCat("keys + ", keyBytes));
  }
  if (sharedBytes() != 0) // what the next item's values are written over
    sync(Team::Warp);
  text.close();
  if (sharedBytes() != 0)
    sync();
  return success();
}

} // namespace quern::cuda
