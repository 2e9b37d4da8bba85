// Kernels whose anchor is a matrix product: tiles of some rows by some panels of 16 output columns,
// shared among the blocks, and the epilogue on each tile while it lies in shared memory.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/LinearProduct.h"
#include "codegen/cuda/RowValues.h"
#include "codegen/cuda/WeightPacking.h"
#include "codegen/schedule/ProductShifts.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern::cuda {
namespace {

constexpr int64_t kLanes = formats::kPanelLanes;
/// Panels of a pair of groups of quantized results.
constexpr int64_t kPairPanels = 2;

/// Writes a kernel around a matrix product.
class Writer {
public:
  /// `shifts` are the column offsets at which the epilogue reads the product: the kernel's columns
  /// are its results', and each panel of them needs a panel of the product for each.
  Writer(Kernel &kernel, const formats::Packing &packing, ArrayRef<int64_t> shifts)
      : kernel(kernel), text(kernel.text), linear(cast<LinearOp>(kernel.anchor)), shifts(shifts),
        product(productFor(
            {.packing = packing,
             .inputs = colsOf(linear.getInput().getType()),
             .outputs = colsOf(linear.getType()),
             .panels = formats::Packing::panels(colsOf(kernel.yield.getOperand(0).getType())),
             .form = kernel.last     ? Form::Last
                     : kernel.single ? Form::One
                                     : Form::Many,
             .quantized = isa<Q8RowsType>(linear.getInput().getType())})),
        cols(colsOf(kernel.yield.getOperand(0).getType())), panels(llvm::divideCeil(cols, kLanes)),
        // A pair of groups of quantized results is one block's.
        together(llvm::any_of(kernel.yield.getOperandTypes(), llvm::IsaPred<Q8RowsType>)
                     ? std::max(product.panels, kPairPanels)
                     : product.panels),
        width(together * kLanes) {}

  void write() {
    const std::string symbol = rowsOf(linear.getInput().getType()).str();
    const int64_t groups = llvm::divideCeil(panels, together), height = product.rows;
    kernel.include(product.header);
    kernel.setWork([=](const BucketShape &shape) {
      return llvm::divideCeil(shape.most(symbol), height) * groups;
    });
    const std::string tile = kernel.shared("float", product.rows * width * shifts.size(), "tile");
    for (size_t i = 0; i < shifts.size(); ++i)
      tiles.push_back(plus(tile, i * product.rows * width));
    const std::string scratch = kernel.shared("u8", product.scratch, "scratch");
    for (mlir::Value value : kernel.yield.getValues())
      finished.push_back(isa<Q8RowsType>(value.getType())
                             ? kernel.shared("float", product.rows * width, "finished")
                             : "");
    const std::string rows = kernel.count(symbol);
    if (rows != "1")
      text.line("const int rows = ", rows, ";");
    if (kernel.last)
      text.line("u64 best = 0; // the largest of this thread's columns");
    // Blocks that run together share the weights, which are what is large.
    std::string items = absl::StrCat(groups), row = "0", panel = times("item", together);
    if (rows != "1" && product.rows == 1) {
      items = times("rows", groups);
      row = absl::StrCat("item / ", groups);
      panel = times(absl::StrCat("item % ", groups), together);
    } else if (rows != "1") {
      text.line("const int blocks = ceil_div(rows, ", product.rows, ");");
      items = absl::StrCat("blocks * ", groups);
      row = absl::StrCat("item % blocks * ", product.rows);
      panel = times("item / blocks", together);
    }
    stream(items, panel, scratch);
    text.open("for (int item = worker; item < ", items, "; item += workers)");
    text.line(row == "0" ? "constexpr" : "const", " int row = ", row, ";");
    text.line("const int panel = ", panel, ";");
    if (product.rows == 1)
      text.line("constexpr int height = 1;");
    else
      text.line("const int height = least(", product.rows, ", rows - row);");
    text.line("const u8 *const x = ", bytesOf(linear.getInput()),
              " + i64(row) * Product::kRowBytes;");
    multiply();
    finish();
    kernel.sync();
    text.close();
    if (kernel.last) {
      text.open("if (step.argmax != nullptr)");
      text.line("hand_in_argmax(step, best);");
      text.close();
    }
  }

private:
  std::string bytesOf(mlir::Value rows) const {
    return isa<Q8RowsType>(rows.getType())
               ? kernel.pointer(rows)
               : absl::StrCat("reinterpret_cast<const u8 *>(", kernel.pointer(rows), ")");
  }

  /// Begins the stream of the weights that the block's items need, in the order in which they are
  /// multiplied: `panel` is the first panel of `item`, `items` how many there are for all blocks.
  void stream(const std::string &items, const std::string &panel, const std::string &scratch) {
    const int64_t each = together / product.panels, all = each * shifts.size();
    std::string offset = absl::StrCat(shifts.back() / kLanes);
    for (size_t i = shifts.size() - 1; i > 0; --i)
      offset = absl::StrCat("(n % ", all, " < ", each * i, " ? ", shifts[i - 1] / kLanes, " : ",
                            offset, ")");
    if (each > 1)
      absl::StrAppend(&offset, " + ", times(absl::StrCat("n % ", each), product.panels));
    const std::string count = times(absl::StrCat("ceil_div(", items, " - worker, workers)"), all);
    auto panelOf = [&](Text &to, const std::string &panel) {
      to.open("const auto panel_of = [=](int n)");
      to.line("const int item = worker + ", all == 1 ? "n" : absl::StrCat("n / ", all),
              " * workers;");
      to.line("return ", panel, offset == "0" ? "" : " + " + offset, ";");
      to.close("};");
    };
    panelOf(text, panel);
    text.line("using Product = ", product.type, ";");
    text.line("static_assert(Product::kScratch == ", product.scratch, " && Product::kRowBytes == ",
              rowBytes(linear.getInput().getType(), target::of(kernel.op)), ");");
    text.line("Product product(", kernel.pointer(linear.getWeight()), ", ", scratch, ", panel_of, ",
              count, ");");
    if (!kernel.single)
      return;
    // Of one row, whether it is wanted or not.
    Text ahead;
    ahead.open(kernel.name(), "_prefetch(int worker, int workers, const u8 *weights)");
    panelOf(ahead, times("item", together));
    ahead.line(
        "prefetch_panels<", product.shape, ">(weights, panel_of, ",
        times(absl::StrCat("ceil_div(", llvm::divideCeil(panels, together), " - worker, workers)"),
              all),
        ");");
    ahead.close();
    kernel.setPrefetch(ahead.str(), linear.getWeight());
  }

  /// Leaves the products of the item's panels, `shifts[i]` columns on, in tiles[i].
  void multiply() {
    // The product's code is there once: it is long.
    const int64_t each = together / product.panels, all = each * shifts.size();
    std::string tile = tiles[0];
    if (all > 1) {
      text.line("#pragma unroll 1");
      text.open("for (int n = 0; n < ", all, "; ++n)");
      if (shifts.size() > 1)
        tile =
            plus(tile, times(each == 1 ? "n" : absl::StrCat("n / ", each), product.rows * width));
      if (each > 1)
        tile = plus(tile, times(shifts.size() == 1 ? "n" : absl::StrCat("n % ", each),
                                product.panels * kLanes));
    }
    text.line("product.multiply<", width, ">(x, height, ", tile, ");");
    if (all > 1)
      text.close();
  }
  /// The epilogue of the item's tiles.
  void finish() {
    // NVRTC would unroll a loop that nobody goes through twice.
    if (product.rows * width <= threadsOf(Team::Block))
      text.open("if (const int i = thread(); i < height * ", width, ")");
    else
      text.open("for (int i = thread(); i < height * ", width, "; i += kThreads)");
    text.line("const int m = i / ", width, ", col = panel * ", kLanes, " + i % ", width, ";");
    RowValues values(kernel, "(row + m)");
    values.bind(linear.getResult(), [&](const std::string &col, int64_t shift) {
      const size_t which = llvm::find(shifts, shift) - shifts.begin();
      std::string y = absl::StrCat(grouped(tiles[which]), "[i]");
      if (linear.getBias())
        absl::StrAppend(&y, " + ", kernel.pointer(linear.getBias()), "[", plus(col, shift), "]");
      return y;
    });
    const bool whole = cols % width == 0;
    if (!whole)
      text.open("if (col < ", cols, ")");
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      if (!finished[i].empty()) {
        auto quantize = value.getDefiningOp<QuantizeRowsOp>();
        text.line(finished[i], "[i] = ", values.element(quantize.getInput(), "col"), ";");
      } else if (kernel.last) {
        kernel.include("Argmax.cuh");
        text.line("const float y = ", values.element(value, "col"), ";");
        text.open("if (step.argmax == nullptr)");
        text.line(resultAt(i), " = y;");
        text.close("} else {");
        text.line("  best = most(best, argmax_key(y, col));");
        text.line("}");
      } else {
        text.line(resultAt(i), " = ", values.element(value, "col"), ";");
      }
    }
    if (!whole)
      text.close();
    text.close();
    for (size_t i = 0; i < finished.size(); ++i)
      if (!finished[i].empty())
        quantize(i);
  }

  std::string resultAt(size_t index) const {
    return absl::StrCat(kernel.result(index), "[i64(row + m) * ", cols, " + col]");
  }

  /// The item's columns of a quantized result: a warp a pair of groups of a row.
  void quantize(size_t i) {
    kernel.include("Quantize.cuh");
    const int64_t pairs = together / kPairPanels;
    kernel.sync();
    const std::string first = absl::StrCat("panel / ", kPairPanels);
    if (pairs == 1) {
      text.open("for (int m = warp(); m < height; m += kWarps)");
      text.line("const int at = lane(), pair = ", first, ";");
    } else {
      text.open("for (int i = warp(); i < height * ", pairs, "; i += kWarps)");
      text.line("const int m = i / ", pairs, ", at = i % ", pairs, " * ", kPairColumns,
                " + lane(), pair = ", first, " + i % ", pairs, ";");
    }
    std::string y = absl::StrCat(finished[i], "[m * ", width, " + at]");
    if (cols % width != 0)
      y = absl::StrCat("panel * ", kLanes, " + at < ", cols, " ? ", y, " : 0.0f");
    text.line("quantize_pair<", cols, ">(", y, ", pair, ", kernel.result(i), " + i64(row + m) * ",
              rowBytes(kernel.yield.getOperand(i).getType(), target::of(kernel.op)), ");");
    text.close();
  }

  static constexpr int64_t kPairColumns = kPairPanels * kLanes;

  Kernel &kernel;
  Text &text;
  LinearOp linear;
  ArrayRef<int64_t> shifts;
  LinearProduct product;
  int64_t cols, panels;
  int64_t together;                  ///< panels of an item
  int64_t width;                     ///< columns of an item
  SmallVector<std::string> tiles;    ///< a shift's products
  SmallVector<std::string> finished; ///< a result's floats, if it is quantized; else empty
};

} // namespace

LogicalResult Kernel::generateLinear() {
  auto linear = cast<LinearOp>(anchor);
  FailureOr<formats::Packing> packing = packingOf(linear, linear.getWeight());
  if (failed(packing))
    return failure();
  const FailureOr<SmallVector<int64_t>> shifts = codegen::productShifts(op);
  if (failed(shifts))
    return failure();
  Writer(*this, *packing, *shifts).write();
  return success();
}

} // namespace quern::cuda
