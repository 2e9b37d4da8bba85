// Kernels whose anchor is a linear recurrence, which walks a sequence in order: a block takes some
// columns of a head's state, which stay in its registers over the step's tokens, or in its shared
// memory where a sequence brings tokens enough to be computed in chunks.
#include "codegen/cuda/RecurrenceForms.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateRecurrence() {
  auto scan = cast<LinearRecurrenceOp>(anchor);
  const int64_t heads = scan.heads(), keyDim = scan.keyDim(), valueDim = scan.valueDim();
  const auto groups = static_cast<int64_t>(scan.getGroups());
  const int64_t products = scan.products(), reads = scan.reads();
  constexpr int64_t kWarps = 8;
  const int64_t slices = llvm::divideCeil(valueDim, kSlice);
  setWork([=](const BucketShape &of) { return of.max_seqs * heads * slices; });
  include("Recurrence.cuh");
  include("State.cuh");
  if (scan.getRate())
    include("Math.cuh");
  const std::string parts = this->shared("float", kSlice * kWarps, "parts");
  const std::optional<Chunks> chunks = single ? std::nullopt : Chunks::of(scan);
  text.line("using Head = Recurrence<", keyDim, ", ", valueDim, ">;");
  if (chunks)
    chunks->declare(*this);
  text.open("for (int item = worker; item < ", times(count("B"), heads * slices),
            "; item += workers)");
  text.line("const int seq = item / ", heads * slices, ", head = item / ", slices, " % ", heads,
            ", slice = item % ", slices, ";");
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  if (chunks) {
    text.open("if (end - first >= ", Chunks::kLeast, ")");
    if (failed(chunks->write(*this, "slice")))
      return failure();
    text.close();
  }
  text.line("const int column = slice * kWarpLanes + lane(); // of the head's values");
  text.line("Head of(", fixedState(scan.getState(), "seq"), " + i64(head) * ", keyDim * valueDim,
            ", column);");
  text.open("for (int token = first; token < end; ++token)");
  {
    SharedScope scope(*this);
    RowValues rows(*this, "token");
    HeadColumns columns{scan};
    // An item has its own column of the values, whatever else of them is placed.
    auto own = [&](int64_t block) { return columns.values(block) + " + column"; };
    auto decided = [&](const std::string &expression) {
      return absl::StrCat("column < ", valueDim, " ? ", expression, " : 0.0f");
    };
    auto keys = [&](mlir::Value value, int64_t block = 0) {
      return rows.place(value, columns.begin(keyDim, groups, block), keyDim);
    };
    auto corrections = [&](mlir::Value value) {
      return rows.place(value, columns.shared(value, keyDim), keyDim);
    };
    std::vector<std::string> r, k, beta;
    std::vector<RowValues::Element> values;
    for (int64_t q = 0; q < reads; ++q)
      r.push_back(keys(scan.getR(), q));
    for (int64_t p = 0; p < products; ++p) {
      k.push_back(keys(scan.getK(), p));
      if (scan.getBeta())
        beta.push_back(absl::StrCat(
            grouped(rows.place(scan.getBeta(), columns.begin(1, heads, p), 1)), "[0]"));
    }
    const std::string a = scan.getA() ? corrections(scan.getA()) : "";
    const std::string b = scan.getB() ? corrections(scan.getB()) : "";
    for (int64_t p = 0; p < products; ++p)
      values.push_back(rows.reader(scan.getV(), columns.values(p), valueDim));
    const int64_t decayCols = scan.decayColumns();
    const std::string decayFrom = columns.shared(scan.getDecay(), decayCols);
    std::string decay;
    switch (scan.getDecayKind()) {
    case DecayKind::head:
      decay = absl::StrCat(grouped(rows.place(scan.getDecay(), decayFrom, 1)), "[0]");
      break;
    case DecayKind::key:
      decay = absl::StrCat(grouped(rows.place(scan.getDecay(), decayFrom, keyDim)), "[i]");
      break;
    case DecayKind::value:
      decay = decided(rows.reader(scan.getDecay(), decayFrom,
                                  valueDim)(absl::StrCat(decayFrom, " + column"), 0));
      break;
    case DecayKind::elementwise:
      decay = decided(rows.reader(scan.getDecay(), decayFrom, keyDim * valueDim)(
          absl::StrCat(decayFrom, " + i * ", valueDim, " + column"), 0));
      break;
    }
    rows.sync();
    if (scan.getRate()) {
      text.line("const float width = ", decay, ";");
      decay = decided(absl::StrCat("math::exponential(width * ", pointer(scan.getRate()),
                                   "[(head * ", keyDim, " + i) * ", valueDim, " + column])"));
    }
    text.line("const auto decay = [&](int i) { return ", decay, "; };");
    std::string outPart;
    for (int64_t p = 0; p < products; ++p) {
      const std::string v = p ? absl::StrCat("v", p) : "v";
      text.line("const float ", v, " = ", decided(values[p](own(p), 0)), ";");
      // What is added after the first product finds the state decayed.
      const std::string with = p ? "[](int) { return 1.0f; }" : "decay";
      std::string added = v, correction;
      if (scan.getA() && p == 0) {
        text.line("const float u = Head::sum(of.correction(", a, "), ", parts, ");");
        sync();
        correction = absl::StrCat(b, ", u, ");
      }
      if (scan.getBeta()) {
        text.line("const float u", p, " = Head::sum(of.known(", k[p], ", ", with, "), ", parts,
                  ");");
        sync();
        added = absl::StrCat("w", p);
        text.line("const float ", added, " = ", beta[p], " * (", v, " - u", p, ");");
      }
      if (scan.getBonus())
        outPart = absl::StrCat("of.before(", r[0], ", ", k[p], ", ", v, ", ",
                               pointer(scan.getBonus()), " + head * ", keyDim, ")");
      else
        outPart =
            absl::StrCat("of.step(", r[0], ", ", k[p], ", ", added, ", ", correction, with, ")");
      if (p + 1 < products)
        text.line(outPart, ";");
    }
    text.line("const float out = Head::sum(", outPart, ", ", parts, ");");
    if (scan.getBonus())
      text.line("of.step(", r[0], ", ", k[0], ", v, decay);");
    for (int64_t q = 1; q < reads; ++q) {
      sync();
      text.line("const float out", q, " = Head::sum(of.read(", r[q], "), ", parts, ");");
    }
    bool ownOnly = true; // no other column of the result is asked for
    for (int64_t q = 0; q < reads; ++q) {
      rows.bind(scan.getResult(), [&, q](const std::string &col, int64_t shift) -> std::string {
        ownOnly &= col == own(q) && shift == 0;
        return q ? absl::StrCat("out", q) : "out";
      });
      std::vector<RowValues::Element> results;
      for (mlir::Value value : yield.getValues())
        results.push_back(rows.reader(value, columns.values(q), valueDim));
      rows.sync();
      text.open("if (warp() == 0 && column < ", valueDim, ")");
      for (auto [i, element] : llvm::enumerate(results))
        text.line(result(i), "[i64(token) * ", reads * heads * valueDim, " + ", own(q),
                  "] = ", element(own(q), 0), ";");
      text.close();
    }
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
