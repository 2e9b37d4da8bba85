// Kernels whose anchor is the products of tokens with their experts' matrices.
//
// A prompt makes one product an expert over its tokens: blocks of these are gathered, and run
// through a linear's microkernels. What is left as blocks is shared out in panels of blocks of
// tokens, experts in rising number. What is combined is shared out in columns: a worker goes
// through all experts for its own, and adds each one's products to the tokens that it has, so that
// a token's sum has the order of its experts' numbers, whatever else is in the step. A single token
// reads the panels of its experts and no others.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "codegen/schedule/ProductShifts.h"
#include "codegen/schedule/WeightPacking.h"
#include "ir/formats/Packing.h"
#include "runtime/abi/StepArgs.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

constexpr int64_t kLanes = 16;
// Rows of an expert that pass over a panel together, and the most bytes of them that are gathered:
// both stay in the second cache.
constexpr int64_t kRowBlock = 96, kBlockBytes = 512 << 10;
// Panels that they are multiplied with in one call.
constexpr int64_t kCallPanels = 8;
// Bytes of weights in a chunk of work that a worker fetches (LinearKernel.cpp).
constexpr int64_t kChunkBytes = 16 << 10, kChunkBytesSingle = 64 << 10;
// Chunks of columns that a worker has, of what is combined: each gathers all tokens' rows anew.
constexpr int64_t kColumnChunks = 4;

class ExpertProduct {
public:
  ExpertProduct(Kernel &kernel, const formats::Packing &packing, ArrayRef<int64_t> shifts)
      : kernel(kernel), code(kernel.code), expert(cast<ExpertLinearOp>(kernel.anchor)),
        microkernel("qk_gemm_" + formats::packing_symbol(packing)), shifts(shifts),
        quantized(isa<Q8RowsType>(expert.getInput().getType())), inputs(expert.blockInputs()),
        rowBytes(quantized ? quern_q8_row_bytes(inputs) : inputs * 4),
        panelBytes(packing.panel_bytes(inputs)), choices(expert.choices()),
        experts(expert.getWeight().getType().getShape()[0]),
        matrixPanels(formats::Packing::panels(expert.blockOutputs())) {
    for (CombineOp op : kernel.op.getBody().front().getOps<CombineOp>())
      combine = op;
    const int64_t all = colsOf(kernel.yield.getOperand(0).getType());
    cols = combine ? all : all / choices;
    panels = llvm::divideCeil(cols, kLanes);
    together = kernel.single ? 1 : std::min(kCallPanels, panels);
    height = std::clamp(kBlockBytes / rowBytes / kLanes * kLanes, kLanes, kRowBlock);
    tileFloats = (kernel.single ? 1 : height) * kLanes;
    for (size_t i = 0; i < shifts.size(); ++i)
      tiles.push_back(code.scratch<float>(together * tileFloats));
    sums = code.scratch<float>(kLanes);
    tokens = kernel.count(rowsOf(expert.getInput().getType()));
    ids = kernel.pointer<int32_t>(expert.getIds());
    if (kernel.single)
      return;
    gathered = code.scratch<uint8_t>(height * rowBytes);
    found = code.scratch<int32_t>(height);
    first = code.scratch<int64_t>(experts + 1);
    places = code.mul(tokens, choices);
    code.call("qk_expert_blocks", {ids, places, code.c(experts), code.c(height), first});
  }

  void write() {
    if (kernel.single)
      combine ? writeSingleSum() : writeSingleBlocks();
    else
      combine ? writeSums() : writeBlocks();
  }

private:
  // A single token.

  void writeSingleBlocks() {
    kernel.scheduleGuided(code.c(choices * panels), chunk(kChunkBytesSingle),
                          [&](Value from, Value to) {
                            code.loop(from, to, [&](Value item) {
                              Value j = code.div(item, panels), panel = code.rem(item, panels);
                              multiplySingle(j, panel);
                              finishBlock(code.c(0), j, idAt(j), panel, code.c(0), code.c(0));
                            });
                          });
  }

  void writeSingleSum() {
    kernel.scheduleGuided(
        code.c(panels), code.ceilDiv(chunk(kChunkBytesSingle), choices), [&](Value from, Value to) {
          code.loop(from, to, [&](Value panel) {
            Value col = code.mul(panel, kLanes);
            code.loop(kLanes, [&](Value lane) { code.storeF(code.cf(0), sums, lane); });
            code.loop(choices, [&](Value j) {
              multiplySingle(j, panel);
              addTo(sums, code.c(0), j, idAt(j), col, code.c(0), code.c(0));
            });
            finishSum(code.c(0), col);
          });
        });
  }

  void multiplySingle(Value j, Value panel) {
    Value row = expert.readsBlocks() ? code.mul(j, rowBytes) : code.c(0);
    Value x = code.atBytes(input(), row);
    for (auto [i, shift] : llvm::enumerate(shifts)) {
      Pointer<const QkPanel> w = panelOf(idAt(j), code.add(panel, shift / kLanes));
      if (quantized)
        code.call(microkernel + "_m1", {w, Pointer<const QkQ8Row>(x), k(), tiles[i]});
      else
        code.call(microkernel + "_m1", {w, Pointer<const float>(x), k(), tiles[i]});
    }
  }

  // Many tokens.

  /// Panels of one block of an expert's rows after the other.
  void writeBlocks() {
    Value blocks = code.load(code.i64(), code.at(first, code.c(experts)));
    Value items = code.mul(blocks, panels);
    Value chunks = code.max(chunk(kChunkBytes), code.c(together));
    auto at = code.scratch<int64_t>(1);
    kernel.scheduleGuided(items, chunks, [&](Value from, Value to) {
      auto next = [&] { return code.load(code.i64(), at); };
      code.store(from, at);
      code.whilst([&] { return code.less(next(), to); },
                  [&] {
                    Value item = next();
                    Value block = code.div(item, panels), panel = code.rem(item, panels);
                    Value end = code.min(code.add(panel, code.sub(to, item)), code.c(panels));
                    Value e = code.call("qk_expert_of_block", {first, code.c(experts), block});
                    Value before = code.load(code.i64(), code.at(first, e));
                    Value rows = gather(e, code.sub(block, before));
                    eachPanels(panel, end, [&](Value panel, Value many) {
                      multiply(e, panel, many, rows);
                      eachRow(rows, [&](Value m, Value token, Value j) {
                        eachPanel(many, [&](Value at) {
                          finishBlock(token, j, e, code.add(panel, at), m, at);
                        });
                      });
                    });
                    code.store(code.add(item, code.sub(end, panel)), at);
                  });
    });
  }

  /// Of a stretch of columns all experts, in rising number.
  void writeSums() {
    Value chunks = code.ceilDiv(code.c(panels), code.mul(kernel.workers, kColumnChunks));
    kernel.scheduleGuided(code.c(panels), chunks, [&](Value from, Value to) {
      code.loop(experts, [&](Value e) {
        Value begin = code.load(code.i64(), code.at(first, e));
        Value end = code.load(code.i64(), code.at(first, code.add(e, 1)));
        code.loop(code.c(0), code.sub(end, begin), [&](Value block) {
          Value rows = gather(e, block);
          eachPanels(from, to, [&](Value panel, Value many) {
            multiply(e, panel, many, rows);
            eachRow(rows, [&](Value m, Value token, Value j) {
              eachPanel(many, [&](Value at) { addBlock(token, j, e, code.add(panel, at), m, at); });
            });
          });
        });
      });
    });
  }

  /// Gathers block number `block` of the expert's rows; returns how many they are.
  Value gather(Value e, Value block) {
    Value rows = code.call("qk_rows_of_expert",
                           {ids, places, e, code.mul(block, height), code.c(height), found});
    Value share = code.c(expert.readsBlocks() ? 1 : choices);
    code.call("qk_gather_rows", {Pointer<const void>(input()), code.c(rowBytes),
                                 Pointer<const int32_t>(found), rows, share, gathered});
    return rows;
  }

  void eachPanels(Value from, Value to, std::function<void(Value, Value)> body) {
    code.loop(from, to, code.c(together),
              [&](Value panel) { body(panel, code.min(code.c(together), code.sub(to, panel))); });
  }
  void eachPanel(Value many, std::function<void(Value)> body) {
    together == 1 ? body(code.c(0)) : (void)code.loop(code.c(0), many, body);
  }
  /// body(row of the tiles, token, which of its experts).
  void eachRow(Value rows, std::function<void(Value, Value, Value)> body) {
    code.loop(code.c(0), rows, [&](Value m) {
      Value place = code.toI64(code.load(code.i32(), code.at(found, m)));
      body(m, code.div(place, choices), code.rem(place, choices));
    });
  }

  void multiply(Value e, Value panel, Value many, Value rows) {
    if (quantized)
      multiply<QkQ8Row, QkQ8Product>(e, panel, many, rows);
    else
      multiply<float, QkFloatProduct>(e, panel, many, rows);
  }
  template <class X, class Operands> void multiply(Value e, Value panel, Value many, Value rows) {
    for (auto [i, shift] : llvm::enumerate(shifts))
      code.call(microkernel + "_rows",
                {code.pack<Operands>({.panel = panelOf(e, code.add(panel, shift / kLanes)),
                                      .panel_bytes = code.c(panelBytes),
                                      .panels = many,
                                      .x = Pointer<const X>(gathered),
                                      .x_stride = code.c(quantized ? rowBytes : inputs),
                                      .rows = rows,
                                      .k = k(),
                                      .acc = tiles[i],
                                      .acc_stride = code.c(tileFloats)})});
  }

  // Both.

  /// The product of expert e in row m of panel `at` of the tiles, whose first column is `col`.
  void bindProduct(RowValues &values, Value e, Value col, Value m, Value at) {
    values.readOneBlock();
    Value product = code.add(code.mul(at, tileFloats), code.mul(m, kLanes));
    values.bind(expert.getResult(), [this, e, col, product](Value c, int64_t shift) {
      size_t which = llvm::find(shifts, shift) - shifts.begin();
      Value y = code.loadF(tiles[which], code.add(product, code.sub(c, col)));
      if (!expert.getBias())
        return y;
      Value bias = code.add(code.mul(e, expert.blockOutputs()), code.add(c, shift));
      return code.fadd(y, code.loadF(kernel.pointer(expert.getBias()), bias));
    });
  }

  /// A panel of block j of a token's row of results.
  void finishBlock(Value token, Value j, Value e, Value panel, Value m, Value at) {
    Value col = code.mul(panel, kLanes);
    RowValues values(kernel, token);
    bindProduct(values, e, col, m, at);
    Value block = code.mul(code.add(code.mul(token, choices), j), cols);
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      auto out = code.at(kernel.result(i), code.add(block, col));
      code.loop(code.c(0), lanesFrom(col), [&](Value lane) {
        code.storeF(values.element(value, code.add(col, lane)), out, lane);
      });
    }
  }

  /// Adds the weighted columns from `col` on of the token's expert number j to `to`.
  void addTo(Pointer<float> to, Value token, Value j, Value e, Value col, Value m, Value at) {
    RowValues values(kernel, token);
    bindProduct(values, e, col, m, at);
    Value weight =
        code.loadF(kernel.pointer(combine.getWeights()), code.add(code.mul(token, choices), j));
    code.loop(code.c(0), lanesFrom(col), [&](Value lane) {
      Value y = values.element(combine.getInput(), code.add(col, lane));
      code.storeF(code.fadd(code.loadF(to, lane), code.fmul(weight, y)), to, lane);
    });
  }

  /// The same, where the sum so far lies in the results, which it leaves with the last expert.
  void addBlock(Value token, Value j, Value e, Value panel, Value m, Value at) {
    Value col = code.mul(panel, kLanes);
    auto so_far = code.at(kernel.result(0), code.add(code.mul(token, cols), col));
    Value isFirst = code.equal(j, code.c(0));
    code.when(isFirst, [&] {
      code.loop(code.c(0), lanesFrom(col),
                [&](Value lane) { code.storeF(code.cf(0), so_far, lane); });
    });
    addTo(so_far, token, j, e, col, m, at);
    if (isa<CombineOp>(kernel.yield.getOperand(0).getDefiningOp()) &&
        kernel.yield.getNumOperands() == 1)
      return; // nothing follows
    code.when(code.equal(j, code.c(choices - 1)), [&] {
      code.loop(code.c(0), lanesFrom(col),
                [&](Value lane) { code.storeF(code.loadF(so_far, lane), sums, lane); });
      finishSum(token, col);
    });
  }

  /// What becomes of the sums of columns from `col` on.
  void finishSum(Value token, Value col) {
    RowValues values(kernel, token);
    values.bind(combine.getResult(), [this, col](Value c, int64_t shift) {
      return code.loadF(sums, code.sub(code.add(c, shift), col));
    });
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      auto out = code.at(kernel.result(i), code.add(code.mul(token, cols), col));
      code.loop(code.c(0), lanesFrom(col), [&](Value lane) {
        code.storeF(values.element(value, code.add(col, lane)), out, lane);
      });
    }
  }

  Value lanesFrom(Value col) {
    return cols % kLanes ? code.min(code.c(kLanes), code.sub(code.c(cols), col)) : code.c(kLanes);
  }
  Value idAt(Value j) { return code.toI64(code.load(code.i32(), code.at(ids, j))); }
  Value input() { return kernel.pointer<uint8_t>(expert.getInput()); }
  Value k() { return code.c(quantized ? llvm::alignTo(inputs, 32) : inputs); }
  Value chunk(int64_t bytes) {
    return code.c(std::max<int64_t>(1, bytes / (panelBytes * static_cast<int64_t>(shifts.size()))));
  }
  Pointer<const QkPanel> panelOf(Value e, Value panel) {
    Value number = code.add(code.mul(e, matrixPanels), panel);
    return code.atBytes(kernel.pointer<QkPanel>(expert.getWeight()), code.mul(number, panelBytes));
  }

  Kernel &kernel;
  Code &code;
  ExpertLinearOp expert;
  CombineOp combine; ///< null where blocks are left as they are
  std::string microkernel;
  ArrayRef<int64_t> shifts;
  bool quantized;
  int64_t inputs, rowBytes, panelBytes; ///< of a block of a row, and of a panel
  int64_t choices, experts;
  int64_t matrixPanels; ///< of an expert's matrix
  int64_t cols, panels; ///< of a block of the results
  int64_t together;     ///< panels of a call
  int64_t height;       ///< rows of one expert that are multiplied together
  int64_t tileFloats;   ///< from the product of a panel to that of the next
  Value tokens, places; ///< and ids
  Pointer<const int32_t> ids;
  SmallVector<Pointer<float>> tiles; ///< a shift's products
  Pointer<float> sums;
  Pointer<uint8_t> gathered;
  Pointer<int32_t> found; ///< which of all ids the gathered rows are of
  Pointer<int64_t> first; ///< first block of each expert
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
  ExpertProduct(*this, *packing, *shifts).write();
  return success();
}
