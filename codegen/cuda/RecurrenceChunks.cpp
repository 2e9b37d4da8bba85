// Linear recurrences over chunks of tokens, which a block's warps read a token each, and write the
// results of.
#include "codegen/cuda/RecurrenceForms.h"
#include "passes/analysis/WeightRoles.h"

using namespace mlir;

namespace quern::cuda {
namespace {

/// Of a block's shared memory, with room left for what prologues place: so that an A100 holds two
/// blocks (163 KiB), and where no chunk is small enough, that the smallest GPUs (99 KiB) hold one.
constexpr int64_t kFloatsOfTwo = 19 << 10, kMostFloats = 23 << 10;

/// What a block computes of a head.
struct Shape {
  int64_t keys, chunk, columns;
  bool byKey, delta, freely;

  /// RecurrenceChunks::kFloats of the device library.
  int64_t floats() const {
    const int64_t rows = llvm::alignTo(keys, 16), stride = rows + 8;
    const int64_t ofKeys = chunk * stride, ofValues = chunk * (columns + 4);
    const int64_t pairs = chunk * (chunk + 4);
    return rows * (columns + 4) + std::max(ofKeys, ofValues) + ofKeys + (freely ? 2 * ofKeys : 0) +
           (byKey ? ofKeys + rows : 2 * chunk) + ofValues + (freely ? ofValues : 0) +
           (delta ? chunk : 0) + pairs + (freely ? 2 * pairs : 0) + (delta || freely ? pairs : 0) +
           (byKey ? 0 : pairs);
  }
};

Shape shapeOf(LinearRecurrenceOp scan, const Chunks &chunks) {
  return {.keys = scan.keyDim(),
          .chunk = chunks.tokens,
          .columns = chunks.columns,
          .byKey = chunks.byKey,
          .delta = scan.getBeta() != nullptr,
          .freely = scan.getA() != nullptr};
}

/// Whether the model's logits are promised to be the same bits however a sequence is cut into
/// steps: where matrices are of integers, nothing else depends on it.
bool promisesBits(Operation *op) {
  WalkResult found = op->getParentOfType<ModuleOp>().walk([](KernelOp kernel) {
    for (Type type : kernel.getBody().getArgumentTypes())
      if (auto weight = dyn_cast<WeightType>(type); weight && isQuantized(weight))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return found.wasInterrupted();
}

} // namespace

std::string HeadColumns::begin(int64_t columns, int64_t theirs, int64_t block) {
  const int64_t sharing = of.heads() / theirs;
  std::string from = sharing == 1 ? "head" : absl::StrCat("head / ", sharing);
  if (columns != 1)
    absl::StrAppend(&from, " * ", columns);
  return block ? absl::StrCat(from, " + ", block * theirs * columns) : from;
}

std::optional<Chunks> Chunks::of(LinearRecurrenceOp scan) {
  const DecayKind kind = scan.getDecayKind();
  if (kind == DecayKind::value || kind == DecayKind::elementwise || scan.products() != 1 ||
      scan.reads() != 1 || scan.keyDim() < 8 || promisesBits(scan))
    return std::nullopt;
  const int64_t values = llvm::alignTo(scan.valueDim(), 16);
  // What reads the state before the token is only among the products of each key.
  const bool byKey = kind == DecayKind::key || scan.getA() || scan.getBonus();
  for (auto [tokens, columns] : {std::pair{32, 64}, {16, 64}, {32, 32}, {16, 32}}) {
    const Chunks chunks{tokens, std::min<int64_t>(values, columns), byKey};
    const int64_t most = tokens == 16 && columns == 32 ? kMostFloats : kFloatsOfTwo;
    if (!(byKey && tokens == 32) && shapeOf(scan, chunks).floats() <= most)
      return chunks;
  }
  return std::nullopt;
}

void Chunks::declare(Kernel &kernel) const {
  auto scan = cast<LinearRecurrenceOp>(kernel.anchor);
  kernel.include("RecurrenceChunks.cuh");
  kernel.text.line("using Chunks = RecurrenceChunks<", scan.keyDim(), ", ", scan.valueDim(), ", ",
                   columns, ", ", tokens, ", ", byKey ? "true" : "false", ", Corrects::",
                   scan.getBeta() ? "delta"
                   : scan.getA()  ? "freely"
                                  : "nothing",
                   ", ", scan.getBonus() ? "true" : "false", ">;");
}

LogicalResult Chunks::write(Kernel &kernel, const std::string &slice) const {
  auto scan = cast<LinearRecurrenceOp>(kernel.anchor);
  Text &text = kernel.text;
  HeadColumns columnsOf{scan};
  const int64_t keyDim = scan.keyDim(), valueDim = scan.valueDim();
  const auto groups = static_cast<int64_t>(scan.getGroups());
  const std::string values = columnsOf.values(), own = values + " + column";
  Kernel::SharedScope scope(kernel);
  const int64_t floats = shapeOf(scan, *this).floats();
  const std::string memory = kernel.shared("float", floats, "chunk");
  text.line("static_assert(Chunks::kFloats == ", floats, ");");
  const int64_t wide = llvm::divideCeil(columns, kSlice); // slices of a block: the first one's
  if (wide != 1) {
    text.line("if (", slice, " % ", wide, " != 0)");
    text.line("  continue;");
  }
  text.line("const int begin = ", slice, " * ", kSlice, ";");
  text.line("const Chunks chunks(", memory, ", ", kernel.fixedState(scan.getState(), "seq"),
            " + i64(head) * ", keyDim * valueDim, ", begin);");
  // body() for each token, and each column of it that the block has.
  auto eachToken = [&](llvm::function_ref<void()> body) {
    text.open("for (int at = warp(); at < Chunks::kTokens; at += kWarps)");
    text.line("const int token = from + at;");
    body();
    text.close();
  };
  auto eachColumn = [&](llvm::function_ref<void()> body) {
    text.open("for (int j = lane(); j < ", columns, "; j += kWarpLanes)");
    text.line("const int column = begin + j;");
    body();
    text.close();
  };
  text.open("for (int from = first; from < end; from += Chunks::kTokens)");
  eachToken([&] {
    Kernel::SharedScope scope(kernel);
    RowValues rows(kernel, "token", Team::Warp);
    text.open("if (token >= end)");
    text.line("chunks.clear(at);");
    text.line("continue;");
    text.close();
    rows.write(scan.getR(), columnsOf.begin(keyDim, groups), keyDim, "chunks.r(at)");
    rows.write(scan.getK(), columnsOf.begin(keyDim, groups), keyDim, "chunks.k(at)");
    if (scan.getA()) {
      rows.write(scan.getA(), columnsOf.shared(scan.getA(), keyDim), keyDim, "chunks.a(at)");
      rows.write(scan.getB(), columnsOf.shared(scan.getB(), keyDim), keyDim, "chunks.b(at)");
    }
    if (scan.getBeta())
      rows.write(scan.getBeta(), columnsOf.begin(1, scan.heads()), 1, "chunks.beta(at)");
    const std::string decays = columnsOf.shared(scan.getDecay(), scan.decayColumns());
    if (byKey && scan.getDecayKind() == DecayKind::head) {
      const std::string decay = rows.place(scan.getDecay(), decays, 1);
      text.line("for (int i = lane(); i < ", keyDim, "; i += kWarpLanes)");
      text.line("  chunks.decay(at)[i] = ", grouped(decay), "[0];");
    } else {
      rows.write(scan.getDecay(), decays, scan.decayColumns(), "chunks.decay(at)");
    }
    RowValues::Element value = rows.reader(scan.getV(), values, valueDim);
    rows.sync();
    eachColumn([&] {
      text.line("chunks.v(at)[j] = column < ", valueDim, " ? ", value(own, 0), " : 0.0f;");
    });
    text.line("chunks.pad(at);");
    kernel.sync(Team::Warp); // what the next token's values are written over
  });
  kernel.sync();
  text.line("chunks.step(",
            scan.getBonus() ? absl::StrCat(kernel.pointer(scan.getBonus()), " + head * ", keyDim)
                            : "nullptr",
            ");");
  bool ownOnly = true; // no other column of the result is asked for
  eachToken([&] {
    Kernel::SharedScope scope(kernel);
    RowValues rows(kernel, "token", Team::Warp);
    text.line("if (token >= end)");
    text.line("  break;");
    rows.bind(scan.getResult(), [&](const std::string &col, int64_t shift) -> std::string {
      ownOnly &= col == own && shift == 0;
      return "chunks.out(at)[j]";
    });
    std::vector<RowValues::Element> results;
    for (mlir::Value value : kernel.yield.getValues())
      results.push_back(rows.reader(value, values, valueDim));
    rows.sync();
    eachColumn([&] {
      text.line("if (column >= ", valueDim, ")");
      text.line("  break;");
      for (auto [i, element] : llvm::enumerate(results))
        text.line(kernel.result(i), "[i64(token) * ", scan.heads() * valueDim, " + ", own,
                  "] = ", element(own, 0), ";");
    });
    kernel.sync(Team::Warp);
  });
  kernel.sync(); // what the next chunk is written over
  text.close();
  text.line("chunks.keep();");
  kernel.sync();
  text.line("continue;");
  if (!ownOnly)
    return kernel.op.emitError("has an epilogue that reads other columns: the cuda target has no "
                               "code for it");
  return success();
}

} // namespace quern::cuda
