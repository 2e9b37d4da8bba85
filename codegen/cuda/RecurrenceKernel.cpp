// Kernels whose anchor is a linear recurrence, which walks a sequence in order: a block takes some
// columns of a head's state, which stay in its registers over the step's tokens.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateRecurrence() {
  auto scan = cast<LinearRecurrenceOp>(anchor);
  ArrayRef<int64_t> shape = scan.getState().getType().getShape();
  const int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  const int64_t shared = heads / static_cast<int64_t>(scan.getGroups());
  constexpr int64_t kLanes = 32, kWarps = 8;
  const int64_t slices = llvm::divideCeil(valueDim, kLanes);
  setWork([=](const BucketShape &of) { return of.max_seqs * heads * slices; });
  include("Recurrence.cuh");
  include("State.cuh");
  const std::string parts = this->shared("float", kLanes * kWarps, "parts");
  text.line("using Head = Recurrence<", keyDim, ", ", valueDim, ">;");
  text.open("for (int item = worker; item < ", times(count("B"), heads * slices),
            "; item += workers)");
  text.line("const int seq = item / ", heads * slices, ", head = item / ", slices, " % ", heads,
            ";");
  text.line("const int column = item % ", slices,
            " * kWarpLanes + lane(); // of the head's values");
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  text.line("Head of(", fixedState(scan.getState(), "seq"), " + i64(head) * ", keyDim * valueDim,
            ", column);");
  text.open("for (int token = first; token < end; ++token)");
  {
    SharedScope scope(*this);
    RowValues rows(*this, "token");
    const std::string keyFrom = shared == 1 ? absl::StrCat("head * ", keyDim)
                                            : absl::StrCat("head / ", shared, " * ", keyDim);
    const std::string valueFrom = absl::StrCat("head * ", valueDim);
    // An item has its own column of the values, whatever else of them is placed.
    const std::string own = absl::StrCat(valueFrom, " + column");
    auto decided = [&](const std::string &expression) {
      return absl::StrCat("column < ", valueDim, " ? ", expression, " : 0.0f");
    };
    auto keys = [&](mlir::Value value) { return rows.place(value, keyFrom, keyDim); };
    const std::string r = keys(scan.getR()), k = keys(scan.getK());
    const std::string a = scan.getA() ? keys(scan.getA()) : "";
    const std::string b = scan.getB() ? keys(scan.getB()) : "";
    RowValues::Element values = rows.reader(scan.getV(), valueFrom, valueDim);
    std::string decay;
    switch (scan.getDecayKind()) {
    case DecayKind::head:
      decay = absl::StrCat(grouped(rows.place(scan.getDecay(), "head", 1)), "[0]");
      break;
    case DecayKind::key:
      decay = absl::StrCat(
          grouped(rows.place(scan.getDecay(), absl::StrCat("head * ", keyDim), keyDim)), "[i]");
      break;
    case DecayKind::value:
      decay = decided(rows.reader(scan.getDecay(), valueFrom, valueDim)(own, 0));
      break;
    case DecayKind::elementwise: {
      const std::string from = absl::StrCat("head * ", keyDim * valueDim);
      decay = decided(rows.reader(scan.getDecay(), from, keyDim * valueDim)(
          absl::StrCat(from, " + i * ", valueDim, " + column"), 0));
      break;
    }
    }
    rows.sync();
    text.line("const float v = ", decided(values(own, 0)), ";");
    text.line("const auto decay = [&](int i) { return ", decay, "; };");
    std::string correction;
    if (scan.getA()) {
      text.line("const float u = Head::sum(of.correction(", a, "), ", parts, ");");
      sync();
      correction = absl::StrCat(b, ", u, ");
    }
    text.line("const float out = Head::sum(of.step(", r, ", ", k, ", v, ", correction, "decay), ",
              parts, ");");
    bool ownOnly = true; // no other column of the result is asked for
    rows.bind(scan.getResult(), [&](const std::string &col, int64_t shift) -> std::string {
      ownOnly &= col == own && shift == 0;
      return "out";
    });
    std::vector<RowValues::Element> results;
    for (mlir::Value value : yield.getValues())
      results.push_back(rows.reader(value, valueFrom, valueDim));
    rows.sync();
    text.open("if (warp() == 0 && column < ", valueDim, ")");
    for (auto [i, element] : llvm::enumerate(results))
      text.line(result(i), "[i64(token) * ", heads * valueDim, " + ", own, "] = ", element(own, 0),
                ";");
    text.close();
    if (!ownOnly)
      return op.emitError("has an epilogue that reads other columns: the cuda target has no code "
                          "for it");
    sync(); // what the next token's values are written over
  }
  text.close();
  text.line("of.keep();");
  text.close();
  return success();
}

} // namespace quern::cuda
