// See RowValues.h.
#include "codegen/cuda/RowValues.h"

#include "passes/target/Target.h"

#include "llvm/ADT/TypeSwitch.h"

#include <absl/strings/str_join.h>

using namespace mlir;

namespace quern::cuda {

bool isElementwise(Operation *op) {
  return op && (op->hasTrait<Elementwise>() || op->hasTrait<View>() || isa<CombineOp>(op));
}

const RowValues::Placed *RowValues::find(mlir::Value value, const std::string &from,
                                         int64_t cols) const {
  auto it = placed.find(value);
  if (it == placed.end())
    return nullptr;
  for (const Placed &place : it->second)
    if (place.cols == colsOf(value.getType()) || (place.from == from && place.cols >= cols))
      return &place;
  return nullptr;
}

std::string RowValues::rowOf(mlir::Value argument) const {
  return plus(kernel.pointer(argument),
              row == "0" ? "0" : absl::StrCat("i64(", row, ") * ", colsOf(argument.getType())));
}

void RowValues::sync() {
  if (written)
    kernel.sync(team);
  written = false;
}

std::string RowValues::place(mlir::Value value, const std::string &from, int64_t cols) {
  if (const Placed *known = find(value, from, cols)) {
    sync();
    return plus(known->pointer, minus(from, known->from));
  }
  Operation *def = value.getDefiningOp();
  if (!def)
    return plus(rowOf(value), from);
  // Of a concatenation whole groups are computed, whatever is read of it.
  if (auto concat = dyn_cast<ConcatOp>(def); concat && cols % concat.headColumns() != 0)
    return plus(place(value, "0", colsOf(value.getType())), from);
  if (auto slice = dyn_cast<SliceOp>(def); slice && slice.getGroups() == 1 &&
                                           slice.getInput().getDefiningOp<ConcatOp>() &&
                                           !bound.count(slice.getInput())) {
    const std::string all = place(slice.getInput(), "0", colsOf(slice.getInput().getType()));
    return plus(all, plus(from, static_cast<int64_t>(slice.getOffset())));
  }
  if (auto slice = dyn_cast<SliceOp>(def);
      slice && slice.getGroups() == 1 && !bound.count(slice.getInput()))
    return place(slice.getInput(), plus(from, static_cast<int64_t>(slice.getOffset())), cols);
  if (auto gather = dyn_cast<GatherRowsOp>(def)) {
    sync();
    const std::string source = absl::StrCat(kernel.pointer(gather.getRows()), "[", row, "]");
    return RowValues(kernel, source, team).place(gather.getInput(), from, cols);
  }
  const std::string target = kernel.shared("float", cols, "columns", team);
  write(value, from, cols, target);
  sync();
  return target;
}

void RowValues::write(mlir::Value value, const std::string &target) {
  auto quantize = value.getDefiningOp<QuantizeRowsOp>();
  const int64_t inputs = colsOf(quantize.getInput().getType());
  const std::string source = place(quantize.getInput(), "0", inputs);
  kernel.include("Quantize.cuh");
  const int64_t blocks = quantize.getType().getBlocks(), width = inputs / blocks;
  const int64_t bytes = rowBytes(quantize.getType(), target::of(kernel.op)) / blocks;
  for (int64_t block = 0; block < blocks; ++block)
    text.line("quantize_row<", nameOf(team).str(), ", ", width, ">(", plus(source, block * width),
              ", ", plus(target, block * bytes), ");");
  written = true;
}

void RowValues::write(mlir::Value value, const std::string &from, int64_t cols,
                      const std::string &target) {
  compute(value, from, cols, target);
  placed[value].push_back({target, from, cols});
  written = true;
}

void RowValues::eachColumn(int64_t cols, llvm::function_ref<void(const std::string &i)> body) {
  const std::string team_name = nameOf(team).str(), i = "i";
  // NVRTC would unroll a loop that nobody goes through twice.
  if (cols <= threadsOf(team))
    text.open("if (const int i = ", team_name, "::thread(); i < ", cols, ")");
  else
    text.open("for (int i = ", team_name, "::thread(); i < ", cols, "; i += ", team_name,
              "::kThreads)");
  body(i);
  text.close();
}

void RowValues::compute(mlir::Value value, const std::string &from, int64_t cols,
                        const std::string &target) {
  Operation *def = value.getDefiningOp();
  if (auto norm = dyn_cast_or_null<NormOpInterface>(def))
    return computeNorm(norm, from, cols, target);
  if (auto rope = dyn_cast_or_null<RopeOp>(def))
    return computeRope(rope, from, cols, target);
  if (auto table = dyn_cast_or_null<RopeTableOp>(def))
    return computeRopeTable(table, target);
  if (auto concat = dyn_cast_or_null<ConcatOp>(def))
    return computeConcat(concat, from, cols, target);
  if (auto sum = dyn_cast_or_null<GroupSumOp>(def)) {
    const int64_t width = colsOf(sum.getInput().getType()) / colsOf(sum.getType());
    const std::string source = place(sum.getInput(), times(grouped(from), width), cols * width);
    kernel.include("Rows.cuh");
    text.line("group_sum<", nameOf(team).str(), ", ", width, ", ", cols, ">(", source, ", ", target,
              ");");
    return;
  }
  if (auto transpose = dyn_cast_or_null<TransposeOp>(def)) {
    const int64_t all = colsOf(transpose.getType());
    const auto groups = static_cast<int64_t>(transpose.getGroups());
    const std::string source = place(transpose.getInput(), "0", all);
    sync();
    return eachColumn(cols, [&](const std::string &i) {
      const std::string at = grouped(plus(from, i));
      text.line(grouped(target), "[", i, "] = ", grouped(source), "[", at, " % ", groups, " * ",
                all / groups, " + ", at, " / ", groups, "];");
    });
  }
  if (isa_and_nonnull<StartsOp>(def)) {
    text.line("if (", nameOf(team).str(), "::thread() == 0)");
    text.line("  ", grouped(target), "[0] = ", Kernel::index("positions", row),
              " == 0 ? 1.0f : 0.0f;");
    return;
  }
  if (!isElementwise(def) && !bound.count(value)) {
    const std::string source = place(value, from, cols);
    return eachColumn(cols, [&](const std::string &i) {
      text.line(grouped(target), "[", i, "] = ", grouped(source), "[", i, "];");
    });
  }
  Element element = reader(value, from, cols);
  eachColumn(cols, [&](const std::string &i) {
    text.line(grouped(target), "[", i, "] = ", element(plus(from, i), 0), ";");
  });
}

RowValues::Element RowValues::reader(mlir::Value value, const std::string &from, int64_t cols) {
  return readerOf(value, Window{from, cols});
}

RowValues::Element RowValues::load(const Placed &place) {
  sync();
  return [place](const std::string &col, int64_t shift) {
    return absl::StrCat(grouped(place.pointer), "[", minus(plus(col, shift), place.from), "]");
  };
}

RowValues::Element RowValues::readerOf(mlir::Value value, std::optional<Window> window) {
  if (auto it = bound.find(value); it != bound.end())
    return it->second;
  if (window)
    if (const Placed *known = find(value, window->from, window->cols))
      return load(*known);
  Operation *def = value.getDefiningOp();
  if (!def)
    return [start = rowOf(value)](const std::string &col, int64_t shift) {
      return absl::StrCat(grouped(start), "[", plus(col, shift), "]");
    };
  if (!isElementwise(def)) {
    assert(window && "an op that looks at several columns is computed into memory");
    Placed place{this->place(value, window->from, window->cols), window->from, window->cols};
    placed[value].push_back(place);
    return load(place);
  }
  kernel.include("Math.cuh");
  return llvm::TypeSwitch<Operation *, Element>(def)
      .Case([&](SliceOp op) -> Element {
        const auto offset = static_cast<int64_t>(op.getOffset());
        const auto groups = static_cast<int64_t>(op.getGroups());
        if (groups != 1 && !oneBlock) {
          const int64_t all = colsOf(op.getInput().getType());
          const int64_t width = colsOf(op.getType()) / groups;
          if (window)
            window = Window{"0", all};
          return [offset, width, stride = all / groups,
                  input = readerOf(op.getInput(), window)](const std::string &col, int64_t shift) {
            const std::string at = grouped(plus(col, shift));
            return input(absl::StrCat(at, " / ", width, " * ", stride, " + ", at, " % ", width),
                         offset);
          };
        }
        if (window && op.getInput().getDefiningOp<ConcatOp>())
          window = Window{"0", colsOf(op.getInput().getType())};
        else if (window)
          window->move(offset);
        return [offset, input = readerOf(op.getInput(), window)](
                   const std::string &col, int64_t shift) { return input(col, shift + offset); };
      })
      .Case([&](UnaryOp op) -> Element {
        return [op, input = readerOf(op.getInput(), window)](const std::string &col,
                                                             int64_t shift) mutable {
          return absl::StrCat(stringifyUnaryKind(op.getFn()).str(), "(", input(col, shift), ")");
        };
      })
      .Case([&](GatedActOp op) -> Element {
        if (op.getLimit())
          kernel.include("Rows.cuh");
        return [op, gate = readerOf(op.getGate(), window),
                up = readerOf(op.getUp(), window)](const std::string &col, int64_t shift) mutable {
          std::string x = gate(col, shift), y = up(col, shift);
          if (auto limit = op.getLimit()) {
            const std::string most = literal(limit->convertToFloat());
            x = absl::StrCat("at_most(", x, ", ", most, ")");
            y = absl::StrCat("clamped(", y, ", -", most, ", ", most, ")");
          }
          const std::string alpha = op.getAlpha() ? literal(op.getAlpha()->convertToFloat()) : "";
          if (!alpha.empty())
            x = absl::StrCat(grouped(x), " * ", alpha);
          x = absl::StrCat(stringifyUnaryKind(op.getFn()).str(), "(", x, ")");
          if (!alpha.empty())
            x = absl::StrCat(x, " / ", alpha);
          if (auto more = op.getShift())
            y = absl::StrCat(grouped(y), " + ", literal(more->convertToFloat()));
          return absl::StrCat(x, " * ", grouped(y));
        };
      })
      .Case([&](ScaleOp op) -> Element {
        return [op, input = readerOf(op.getInput(), window)](const std::string &col,
                                                             int64_t shift) mutable {
          return absl::StrCat(grouped(input(col, shift)), " * ",
                              literal(op.getFactor().convertToFloat()));
        };
      })
      .Case([&](ClampOp op) -> Element {
        kernel.include("Rows.cuh");
        return [op, input = readerOf(op.getInput(), window)](const std::string &col,
                                                             int64_t shift) mutable {
          return absl::StrCat("clamped(", input(col, shift), ", ",
                              literal(op.getMin().convertToFloat()), ", ",
                              literal(op.getMax().convertToFloat()), ")");
        };
      })
      .Case([&](BinaryOp op) { return readerOf(op, window); })
      .Case([&](CombineOp op) { return readerOf(op, window); })
      .Default([](Operation *op) -> Element {
        llvm::report_fatal_error("the cuda target has no code for the elementwise op " +
                                 op->getName().getStringRef());
      });
}

void RowValues::Window::move(int64_t columns) {
  from = plus(from, columns);
  shift += columns;
}

// A reader's own windows begin at multiples of their columns, and of the groups that these hold.
bool RowValues::Window::isWhole(int64_t repeat) const {
  if (cols % repeat != 0 && repeat % cols != 0)
    return false;
  return shift % std::min(cols, repeat) == 0;
}

RowValues::Element RowValues::readerOf(BinaryOp op, std::optional<Window> window) {
  if (op.getFn() == BinaryKind::max)
    kernel.include("Rows.cuh");
  const auto repeat = static_cast<int64_t>(op.getRepeat());
  Element left = readerOf(op.getLhs(), window), right;
  if (isa<WeightType>(op.getRhs().getType())) {
    right = [rhs = kernel.pointer(op.getRhs())](const std::string &col, int64_t shift) {
      return absl::StrCat(rhs, "[", plus(col, shift), "]");
    };
  } else if (window && repeat != 1) {
    // Shared by `repeat` columns: computed once for each, not once a column.
    const bool whole = !window->isWhole(repeat);
    const std::string start =
        whole || window->from == "0" ? "0" : absl::StrCat(grouped(window->from), " / ", repeat);
    const int64_t shared =
        whole ? colsOf(op.getRhs().getType()) : std::max<int64_t>(1, window->cols / repeat);
    Placed place{this->place(op.getRhs(), start, shared), start, shared};
    if (!find(op.getRhs(), start, shared))
      placed[op.getRhs()].push_back(place);
    right = load(place);
  } else {
    right = readerOf(op.getRhs(), window);
  }
  return [op, repeat, left, right](const std::string &col, int64_t shift) mutable {
    const std::string l = grouped(left(col, shift));
    const std::string r =
        grouped(repeat == 1 ? right(col, shift)
                            : right(absl::StrCat(grouped(plus(col, shift)), " / ", repeat), 0));
    switch (op.getFn()) {
    case BinaryKind::add:
      return absl::StrCat(l, " + ", r);
    case BinaryKind::sub:
      return absl::StrCat(l, " - ", r);
    case BinaryKind::mul:
      return absl::StrCat(l, " * ", r);
    case BinaryKind::max:
      return absl::StrCat("larger(", l, ", ", r, ")");
    case BinaryKind::div:
      return absl::StrCat(l, " / ", r);
    }
    llvm_unreachable("a binary kind without code");
  };
}

RowValues::Element RowValues::readerOf(CombineOp op, std::optional<Window> window) {
  const int64_t cols = colsOf(op.getType()), blocks = colsOf(op.getWeights().getType());
  SmallVector<Element> inputs;
  for (int64_t j = 0; j < blocks; ++j) {
    std::optional<Window> block = window;
    if (block)
      block->move(j * cols);
    inputs.push_back(readerOf(op.getInput(), block));
  }
  const std::string weights = grouped(place(op.getWeights(), "0", blocks));
  return [cols, inputs, weights](const std::string &col, int64_t shift) {
    std::string sum = "0.0f";
    for (auto [j, input] : llvm::enumerate(inputs)) {
      const auto block = static_cast<int64_t>(j);
      absl::StrAppend(&sum, " + ", weights, "[", block, "] * ",
                      grouped(input(col, shift + block * cols)));
    }
    return sum;
  };
}

void RowValues::computeNorm(NormOpInterface op, const std::string &from, int64_t cols,
                            const std::string &target) {
  const int64_t group = op.groupSize();
  const std::string source = place(op.getInput(), from, cols);
  // What a weight or bias holds for the first column, and from one group's to the next.
  int64_t step = 0;
  auto vector = [&](mlir::Value weight) -> std::string {
    if (!weight)
      return "nullptr";
    if (cast<WeightType>(weight.getType()).getShape()[0] == group)
      return kernel.pointer(weight);
    return plus(kernel.pointer(weight), from);
  };
  auto wide = [&](mlir::Value weight) {
    return weight && cast<WeightType>(weight.getType()).getShape()[0] != group;
  };
  const std::string weight = vector(op.getWeight()), bias = vector(op.getBias());
  (void)step;
  kernel.include("Rows.cuh");
  std::string parts = "nullptr";
  if (team == Team::Block && cols == group)
    parts = kernel.shared("float", 8, "parts");
  text.line(op.isCentered()      ? "layer_norm<"
            : op.addsEpsToRoot() ? "root_norm<"
                                 : "rms_norm<",
            nameOf(team).str(), ", ", group, ", ", cols / group, ">(", source, ", {", weight, ", ",
            wide(op.getWeight()) ? group : 0, "}, {", bias, ", ", wide(op.getBias()) ? group : 0,
            "}, ", literal(op.getEps().convertToFloat()), ", ", parts, ", ", target, ");");
}

void RowValues::computeRope(RopeOp op, const std::string &from, int64_t cols,
                            const std::string &target) {
  const auto dim = static_cast<int64_t>(op.getHeadDim());
  const int64_t rotated = colsOf(op.getTable().getType());
  const std::string source = place(op.getInput(), from, cols);
  const std::string table = place(op.getTable(), "0", rotated);
  kernel.include("Rows.cuh");
  text.line("rope<", nameOf(team).str(), ", ", cols / dim, ", ", dim, ", ", rotated, ", ",
            op.getInterleaved() ? "true" : "false", ">(", source, ", ", table, ", ", target, ");");
}

// Whole groups: `from` and `cols` are multiples of theirs.
void RowValues::computeConcat(ConcatOp op, const std::string &from, int64_t cols,
                              const std::string &target) {
  const auto groups = static_cast<int64_t>(op.getGroups());
  const int64_t width = op.headColumns(), many = cols / width;
  int64_t offset = 0;
  for (mlir::Value input : op.getInputs()) {
    const int64_t own = colsOf(input.getType()) / groups;
    const std::string first =
        from == "0" ? "0" : absl::StrCat(grouped(from), " / ", width, " * ", own);
    Element element = reader(input, first, many * own);
    eachColumn(many * own, [&](const std::string &i) {
      const std::string to = many == 1 ? plus(i, offset)
                                       : absl::StrCat(i, " / ", own, " * ", width, " + ", offset,
                                                      " + ", i, " % ", own);
      text.line(grouped(target), "[", to, "] = ", element(plus(first, i), 0), ";");
    });
    offset += own;
  }
}

void RowValues::computeRopeTable(RopeTableOp op, const std::string &target) {
  ArrayRef<float> frequencies = op.getInvFreq();
  const auto n = static_cast<int64_t>(frequencies.size());
  const std::string name = kernel.fresh(kernel.name() + "_frequencies");
  std::vector<std::string> numbers;
  for (float frequency : frequencies)
    numbers.push_back(literal(frequency));
  std::string lines;
  for (size_t i = 0; i < numbers.size(); i += 6)
    absl::StrAppend(
        &lines, "\n    ",
        absl::StrJoin(numbers.begin() + i, numbers.begin() + std::min(numbers.size(), i + 6), ", "),
        ",");
  kernel.declare(absl::StrCat("__device__ const float ", name, "[", n, "] = {", lines, "\n};"));
  kernel.include("Rows.cuh");
  text.line("rope_table<", nameOf(team).str(), ", ", n, ">(", name, ", ",
            Kernel::index("positions", row), ", ", literal(op.getScale().convertToFloat()), ", ",
            target, ");");
}

} // namespace quern::cuda
