// Kernels whose anchor is the products of tokens with their experts' matrices: a linear's products
// (LinearKernel.cpp) of some panels with some rows that have chosen one expert.
//
// What is left as blocks is shared out in panels of blocks of an expert's rows. What is combined is
// shared out in columns: a block goes through all experts for its own, in rising number, and adds
// each one's products to the tokens that it has, so that a token's sum has the order of its
// experts' numbers. A single token reads the panels of its experts and no others.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/LinearProduct.h"
#include "codegen/cuda/RowValues.h"
#include "codegen/cuda/WeightPacking.h"
#include "codegen/schedule/ProductShifts.h"
#include "codegen/schedule/WeightPacking.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern::cuda {
namespace {

constexpr int64_t kLanes = formats::kPanelLanes;

class Writer {
public:
  Writer(Kernel &kernel, const formats::Packing &packing, ArrayRef<int64_t> shifts)
      : kernel(kernel), text(kernel.text), expert(cast<ExpertLinearOp>(kernel.anchor)),
        shifts(shifts), choices(expert.choices()),
        experts(expert.getWeight().getType().getShape()[0]),
        matrixPanels(formats::Packing::panels(expert.blockOutputs())) {
    for (CombineOp op : kernel.op.getBody().front().getOps<CombineOp>())
      combine = op;
    const int64_t all = colsOf(kernel.yield.getOperand(0).getType());
    cols = combine ? all : all / choices;
    panels = llvm::divideCeil(cols, kLanes);
    product = productFor({.packing = packing,
                          .inputs = expert.blockInputs(),
                          .outputs = experts * matrixPanels * kLanes,
                          .panels = panels,
                          .form = kernel.single ? Form::One : Form::Many,
                          .quantized = isa<Q8RowsType>(expert.getInput().getType()),
                          .chosen = !kernel.single});
    width = product.panels * kLanes;
    groups = panels / product.panels;
  }

  void write() {
    const std::string symbol = rowsOf(expert.getInput().getType()).str();
    kernel.include(product.header);
    kernel.include("Experts.cuh");
    kernel.setWork([this_ = groups, sums = bool(combine), choices = choices, experts = experts,
                    height = product.rows, symbol](const BucketShape &shape) {
      const int64_t places = shape.most(symbol) * choices;
      return sums ? this_ : this_ * std::min(places, places / height + experts);
    });
    const int64_t tileFloats = product.rows * width;
    const std::string tile = kernel.shared("float", tileFloats * shifts.size(), "tile");
    for (size_t i = 0; i < shifts.size(); ++i)
      tiles.push_back(plus(tile, i * tileFloats));
    const std::string scratch = kernel.shared("u8", product.scratch, "scratch");
    text.line("const int *const ids = ", kernel.pointer(expert.getIds()), ";");
    if (!kernel.single) {
      first = kernel.shared("int", experts + 1, "first");
      places = kernel.shared("int", product.rows, "places");
      rows = kernel.shared("int", product.rows, "rows");
      found = kernel.shared("int", 1, "found");
      text.line("const int all = ", times(kernel.count(symbol), choices), ";");
      text.line("expert_blocks<", experts, ">(ids, all, ", product.rows, ", ", first, ");");
      text.line("const int blocks = ", first, "[", experts, "];");
    }
    // An item's multiplications, in order: of each expert (in a sum) each shift.
    items = combine         ? absl::StrCat(groups)
            : kernel.single ? absl::StrCat(choices * groups)
                            : absl::StrCat("blocks * ", groups);
    text.open("const auto expert_of = [=](int item, int n)");
    if (combine)
      text.line("return ",
                kernel.single ? "ids[n]"
                              : absl::StrCat("expert_of_block<", experts, ">(", first, ", n)"),
                ";");
    else
      text.line("return ",
                kernel.single
                    ? absl::StrCat("ids[item / ", groups, "]")
                    : absl::StrCat("expert_of_block<", experts, ">(", first, ", item % blocks)"),
                ";");
    text.close("};");
    text.open("const auto group_of = [=](int item)");
    text.line("return ",
              combine         ? "item"
              : kernel.single ? absl::StrCat("item % ", groups)
                              : "item / blocks",
              ";");
    text.close("};");
    const std::string turns = !combine ? "1" : kernel.single ? absl::StrCat(choices) : "blocks";
    const size_t many = shifts.size();
    text.open("const auto panel_of = [=](int n)");
    text.line("const int turn = n / ", many, " % ", turns, ", item = worker + n / ", many, " / ",
              turns, " * workers;");
    std::string offset = absl::StrCat(shifts.back() / kLanes);
    for (size_t i = many - 1; i > 0; --i)
      offset =
          absl::StrCat("(n % ", many, " < ", i, " ? ", shifts[i - 1] / kLanes, " : ", offset, ")");
    text.line("return expert_of(item, turn) * ", matrixPanels, " + ",
              times("group_of(item)", product.panels), " + ", offset, ";");
    text.close("};");
    text.line("using Product = ", product.type, ";");
    text.line("static_assert(Product::kScratch == ", product.scratch, ");");
    text.line("Product product(", kernel.pointer(expert.getWeight()), ", ", scratch,
              ", panel_of, ceil_div(", items, " - worker, workers) * ", turns, " * ", many, ");");
    if (!kernel.single)
      text.line("product.choose({", rows, "});");
    text.open("for (int item = worker; item < ", items, "; item += workers)");
    text.line("const int panel = ", times("group_of(item)", product.panels), ";");
    if (combine)
      text.open("for (int turn = 0; turn < ", turns, "; ++turn)");
    else
      text.line("constexpr int turn = 0;");
    multiply();
    finish();
    if (combine)
      text.close();
    text.close();
    kernel.sync();
  }

private:
  /// Leaves the products with the turn's expert in the tiles.
  void multiply() {
    const std::string bytes =
        isa<Q8RowsType>(expert.getInput().getType())
            ? kernel.pointer(expert.getInput())
            : absl::StrCat("reinterpret_cast<const u8 *>(", kernel.pointer(expert.getInput()), ")");
    text.line("const int expert = expert_of(item, turn);");
    if (kernel.single) {
      text.line("constexpr int height = 1;");
      text.line("const int choice = ", combine ? "turn" : absl::StrCat("item / ", groups), ";");
      text.line("const u8 *const x = ", bytes,
                expert.readsBlocks() ? " + i64(choice) * Product::kRowBytes;" : ";");
    } else {
      text.line("const int block = ", combine ? "turn" : "item % blocks", ";");
      text.line("const int height = rows_of_expert(ids, all, expert, (block - ", first,
                "[expert]) * ", product.rows, ", ", product.rows, ", ",
                expert.readsBlocks() ? 1 : choices, ", ", places, ", ", rows, ", ", found, ");");
      text.line("product.choose({", rows, "});");
      text.line("const u8 *const x = ", bytes, ";");
    }
    std::string tile = tiles[0];
    if (shifts.size() > 1) {
      text.line("#pragma unroll 1");
      text.open("for (int n = 0; n < ", shifts.size(), "; ++n)");
      tile = plus(tile, times("n", product.rows * width));
    }
    text.line("product.multiply<", width, ">(x, height, ", tile, ");");
    if (shifts.size() > 1)
      text.close();
  }

  void bindProduct(RowValues &values) {
    values.readOneBlock();
    values.bind(expert.getResult(), [this](const std::string &col, int64_t shift) {
      const size_t which = llvm::find(shifts, shift) - shifts.begin();
      std::string y = absl::StrCat(grouped(tiles[which]), "[i]");
      if (expert.getBias())
        absl::StrAppend(&y, " + ", kernel.pointer(expert.getBias()), "[expert * ",
                        expert.blockOutputs(), " + ", plus(col, shift), "]");
      return y;
    });
  }

  void finish() {
    text.open("for (int i = thread(); i < height * ", width, "; i += kThreads)");
    text.line("const int m = i / ", width, ", col = panel * ", kLanes, " + i % ", width, ";");
    const bool whole = cols % width == 0;
    if (!whole)
      text.open("if (col < ", cols, ")");
    if (kernel.single) {
      text.line("constexpr int token = 0;");
    } else {
      text.line("const int token = ", places, "[m] / ", choices, ", choice = ", places, "[m] % ",
                choices, ";");
    }
    RowValues values(kernel, "token");
    bindProduct(values);
    if (!combine) {
      for (auto [i, value] : llvm::enumerate(kernel.yield.getValues()))
        text.line(kernel.result(i), "[(i64(token) * ", choices, " + choice) * ", cols,
                  " + col] = ", values.element(value, "col"), ";");
    } else {
      // The thread's own from expert to expert, or that of one before it in a tile, which it has
      // met since.
      const std::string at = absl::StrCat("[i64(token) * ", cols, " + col]");
      text.line("const float y = ", values.element(combine.getInput(), "col"), ";");
      text.line("const float so_far = choice == 0 ? 0.0f : ", kernel.result(0), at, ";");
      text.line("const float sum = so_far + ", kernel.pointer(combine.getWeights()), "[token * ",
                choices, " + choice] * y;");
      RowValues sums(kernel, "token");
      sums.bind(combine.getResult(), [](const std::string &, int64_t) { return "sum"; });
      text.open("if (choice != ", choices - 1, ")");
      text.line(kernel.result(0), at, " = sum;");
      text.close("} else {");
      for (auto [i, value] : llvm::enumerate(kernel.yield.getValues()))
        text.line("  ", kernel.result(i), at, " = ", sums.element(value, "col"), ";");
      text.line("}");
    }
    if (!whole)
      text.close();
    text.close();
    kernel.sync();
  }

  Kernel &kernel;
  Text &text;
  ExpertLinearOp expert;
  CombineOp combine; ///< null where blocks are left as they are
  ArrayRef<int64_t> shifts;
  LinearProduct product;
  int64_t choices, experts;
  int64_t matrixPanels; ///< of an expert's matrix
  int64_t cols, panels; ///< of a block of the results
  int64_t width, groups;
  std::string items, first, places, rows, found;
  SmallVector<std::string> tiles; ///< a shift's products
};

} // namespace

LogicalResult Kernel::generateExpertLinear() {
  auto expert = cast<ExpertLinearOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(expert, expert.getWeight());
  if (failed(packing))
    return failure();
  const FailureOr<SmallVector<int64_t>> shifts = codegen::productShifts(op);
  if (failed(shifts))
    return failure();
  Writer(*this, *packing, *shifts).write();
  return success();
}

} // namespace quern::cuda
