// Kernels whose anchor is attention over the pages of a kv state: a block takes the queries of a
// few tokens that share a kv head (codegen/cuda/device/Attention.cuh).
#include "codegen/cuda/KvFormat.h"
#include "codegen/cuda/RowValues.h"
#include "passes/target/BlockScratch.h"
#include "runtime/abi/CudaStep.h"

#include <absl/strings/str_join.h>

#include <numeric>

using namespace mlir;

namespace quern::cuda {
namespace {

constexpr int64_t kBlock = QUERN_KEY_BLOCK_PAGES * QUERN_KV_PAGE;
/// Runs of key blocks that a single token's are shared out in: Attention::kMostRuns.
constexpr int64_t kMostRuns = 32;

/// What a tile's sizes are chosen from, and they.
struct Tiling {
  int64_t group, keyDim, valueDim;
  int64_t tokens = 1, heads = 1; ///< the most of a tile

  /// Floats of shared memory that a row needs.
  int64_t rowFloats() const { return llvm::alignTo(keyDim, 4) + kBlock + valueDim + 4; }
  int64_t headTiles() const { return llvm::divideCeil(group, heads); }
  /// Attention::kFloats of the device library.
  int64_t floats() const { return 2 * QUERN_KEY_BLOCK_PAGES + tokens * heads * rowFloats(); }

  /// Rows enough to read keys and values rarely; no more than a thread has sums for in its
  /// registers, and than leave room for other blocks in shared memory. `quantized`: a tile's
  /// columns are whole pairs of groups.
  void choose(bool single, bool quantized) {
    constexpr int64_t kMostSums = 16, kMostFloats = 12 << 10;
    const int64_t columns = llvm::divideCeil(valueDim, QUERN_CUDA_THREADS); // of a thread
    const int64_t most = std::clamp<int64_t>(kMostFloats / rowFloats(), 1,
                                             std::max<int64_t>(1, kMostSums / columns));
    heads = llvm::divideCeil(group, llvm::divideCeil(group, most));
    if (heads < group && quantized)
      heads = std::min<int64_t>(group, llvm::alignTo(heads, 32 / std::gcd<int64_t>(32, valueDim)));
    tokens = single || heads < group ? 1 : std::max<int64_t>(1, most / group);
  }
};

} // namespace

LogicalResult Kernel::generateAttention() {
  auto attention = cast<AttentionOp>(anchor);
  ArrayRef<int64_t> shape = attention.getState().getType().getShape();
  const int64_t kvHeads = shape[0], heads = attention.getHeads();
  const StateFormat format = attention.getState().getType().getFormat();
  Tiling tiling{heads / kvHeads, shape[1], shape[2]};
  tiling.choose(single, llvm::any_of(yield.getOperandTypes(), llvm::IsaPred<Q8RowsType>));
  // A run of more heads than blocks can count is a sequence's like any other.
  const bool one = single && kvHeads * tiling.headTiles() <= QUERN_CUDA_ARRIVALS;
  setWork([=](const BucketShape &of) {
    if (one)
      return kMostRuns * kvHeads * tiling.headTiles();
    const int64_t tiles = llvm::divideCeil(of.max_tokens, tiling.tokens) + of.max_seqs - 1;
    return tiles * kvHeads * tiling.headTiles();
  });

  // As many as leave registers enough: with more rows, or a pointer more, a few would spill.
  if (one && tiling.heads <= 4 && !attention.getSinks())
    setResident(3);
  include("Attention.cuh");
  Text constants;
  constants.open("struct ", name(), "_constants");
  constants.line("static constexpr KvFormat kFormat = ", deviceName(format), ";");
  constants.line("static constexpr int kKeyDim = ", tiling.keyDim,
                 ", kValueDim = ", tiling.valueDim, ";");
  constants.line("static constexpr bool kShared = ",
                 attention.getState().getType().getShared() ? "true" : "false", ";");
  constants.line("static constexpr int kKvHeads = ", kvHeads, ", kGroup = ", tiling.group, ";");
  constants.line("static constexpr int kTokens = ", tiling.tokens, ", kHeads = ", tiling.heads,
                 ";");
  constants.line("static constexpr int kWindow = ", attention.getWindow(), ";");
  constants.line("static constexpr float kScale = ", literal(attention.getScale().convertToFloat()),
                 ", kSoftcap = ", literal(attention.getSoftcap().convertToFloat()), ";");
  constants.line("static constexpr bool kAlibi = ", attention.getAlibi() ? "true" : "false",
                 ", kAlibiBf16 = ", attention.getAlibiBf16() ? "true" : "false", ";");
  constants.close("};");
  declare(constants.str());
  std::string slopes = "nullptr";
  if (attention.getAlibi()) {
    slopes = name() + "_slopes";
    declare(absl::StrCat(
        "__device__ const float ", slopes, "[] = {",
        absl::StrJoin(*attention.getAlibi(), ", ",
                      [](std::string *out, float slope) { absl::StrAppend(out, literal(slope)); }),
        "};"));
  }

  text.line("using Tile = Attention<", name(), "_constants>;");
  const std::string memory = shared("float", tiling.floats(), "on_chip");
  text.line("static_assert(Tile::kFloats == ", tiling.floats(), ");");
  if (one) {
    const target::BlockScratch planned{attention.facts().partials};
    if (scratch().empty() || planned.bytes() < kMostRuns * heads * planned.stride() * 4)
      return op.emitError("has no memory for the partial sums of its runs of key blocks");
    text.line("static_assert(Tile::kMostRuns == ", kMostRuns,
              " && Tile::kPartialStride == ", planned.stride(), ");");
  }
  text.line("const Tile::Memory memory(", memory, ");");
  auto readQueries = [&] {
    text.open("for (int row = warp(); row < Tile::rows_of(tile); row += kWarps)");
    SharedScope scope(*this);
    text.line("const int token = tile.first_token + Tile::token_of(row);");
    text.line("const int head = Tile::head_of(tile, row);");
    text.line("float *const query = memory.query + row * Tile::kQueryStride;");
    RowValues rows(*this, "token", Team::Warp);
    const int64_t before = sharedBytes();
    rows.write(attention.getQuery(), absl::StrCat("head * ", tiling.keyDim), tiling.keyDim,
               "query");
    if (sharedBytes() != before) // what the next row's values are written over
      sync(Team::Warp);
    text.close();
  };
  auto pageOf = [&] {
    text.open("const auto page_of = [&](int page)");
    text.line("return ", kvPage(attention.getState(), "tile.seq", "page"), ";");
    text.close("};");
  };
  auto writeResults = [&] {
    text.line("Tile::finish(tile, memory);");
    const int64_t rowBytes = quern_q8_row_bytes(heads * tiling.valueDim);
    for (auto [i, value] : llvm::enumerate(yield.getValues())) {
      if (isa<Q8RowsType>(value.getType()))
        text.line("Tile::write_q8(tile, memory, ", result(i), ", ", rowBytes, ");");
      else
        text.line("Tile::write(tile, memory, ", result(i), ");");
    }
  };
  const std::string sinks = attention.getSinks() ? pointer(attention.getSinks()) : "nullptr";
  if (one) {
    text.line("const Tile::Runs runs = Tile::runs_at(", index("positions", "0"), ");");
    text.line("const int tiles = Tile::items(1);");
    text.open("for (int item = worker; item < runs.runs * tiles; item += workers)");
    text.line("const AttentionTile tile = Tile::item(step, 0, 0, 1, item % tiles);");
    text.line("const int run = item / tiles;");
    pageOf();
    readQueries();
    text.line("Tile::begin(tile, memory, run == 0 ? ", sinks, " : nullptr);");
    sync();
    text.line("Tile::attend(page_of, tile, runs.from(run), runs.to(run), ", slopes, ", memory);");
    text.open("if (runs.runs == 1 || Tile::gather(tile, memory, ", scratch(),
              ", run, runs.runs, step.arrivals))");
    writeResults();
    text.close();
    sync();
    text.close();
    return success();
  }
  text.line("int next = worker, done = 0;");
  text.open("for (int seq = 0; seq < ", count("B"), "; ++seq)");
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  text.line("const int items = Tile::items(end - first);");
  text.open("for (; next < done + items; next += workers)");
  text.line("const AttentionTile tile = Tile::item(step, seq, first, end, next - done);");
  pageOf();
  readQueries();
  text.line("Tile::begin(tile, memory, ", sinks, ");");
  sync();
  text.line("Tile::attend(page_of, tile, Tile::first_block(tile), Tile::end_block(tile), ", slopes,
            ", memory);");
  writeResults();
  sync();
  text.close();
  text.line("done += items;");
  text.close();
  return success();
}

} // namespace quern::cuda
