// Tests that dimensions of a piece are short where it only carries them along, and nowhere else.
// Where they are, the short piece of the first elements is held to the first elements of the long
// one.
#include "passes/raise/ShortShapes.h"

#include "ir/quern/QuernDialect.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Piece.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace quern::raise {
namespace {

using Shape = std::vector<int64_t>;

/// Everything that the function computes its result of, its arguments being leaves. Before it may
/// stand names of types.
class Written {
public:
  explicit Written(const std::string &text) {
    const size_t begin = text.find("func.func");
    context.loadDialect<QuernDialect, mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::linalg::LinalgDialect, mlir::math::MathDialect,
                        mlir::tensor::TensorDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(
        "#id = affine_map<(i, j, k) -> (i, j, k)>\n#row = affine_map<(i, j, k) -> (i, j)>\n"
        "#last = affine_map<(i, j, k) -> (k)>\n" +
            text.substr(0, begin) + "module attributes {quern.sizes = {b = 8 : i64}} {\n" +
            text.substr(begin) + "\n}",
        &context);
    if (!module)
      return;
    auto main = *module->getOps<mlir::func::FuncOp>().begin();
    piece.emplace(main.getBody().front().getTerminator()->getOperand(0).getDefiningOp());
    while (piece->growBehind([](mlir::Operation *) { return true; })) {
    }
  }

  /// Shapes of the leaves, in the order of arguments, and of the result; empty where none is short.
  std::vector<Shape> shapes() {
    reference::Sizes sizes({{"b", 2}});
    const auto shapes = shortShapes(*piece, sizes);
    std::vector<Shape> found;
    if (!shapes)
      return found;
    for (mlir::Value argument : piece->root()->getBlock()->getArguments())
      if (shapes->contains(argument))
        found.push_back(shapes->at(argument));
    found.push_back(shapes->at(piece->root()->getResult(0)));
    return found;
  }

  /// Whether the first elements of the long piece are those of the short one.
  void expectFirst() {
    auto full = Function::of(*piece, {{"b", 2}});
    auto few = Function::of(*piece);
    ASSERT_TRUE(full.ok() && few.ok()) << full.status() << few.status();
    std::vector<reference::Tensor> all, some;
    for (size_t i = 0; i < piece->leaves().size(); ++i) {
      all.push_back(normalNumbers(mlir::Float32Type::get(&context), full->shape(i), i + 1));
      some.push_back(firstOf(all.back(), few->shape(i)));
    }
    auto long_result = full->run(all), short_result = few->run(some);
    ASSERT_TRUE(long_result.ok() && short_result.ok())
        << long_result.status() << short_result.status();
    EXPECT_LT(short_result->floats.size(), long_result->floats.size());
    EXPECT_EQ(short_result->floats, firstOf(*long_result, short_result->shape).floats);
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<Piece> piece;

private:
  static reference::Tensor firstOf(const reference::Tensor &of, const Shape &shape) {
    reference::Tensor first = *reference::Tensor::zeros(of.element, shape);
    const std::vector<int64_t> strides = reference::row_major(of.shape);
    for (size_t i = 0; i < first.floats.size(); ++i) {
      auto rest = static_cast<int64_t>(i);
      int64_t at = 0;
      for (size_t dim = shape.size(); dim-- > 0; rest /= shape[dim])
        at += rest % shape[dim] * strides[dim];
      first.floats[i] = of.floats[static_cast<size_t>(at)];
    }
    return first;
  }
};

/// One op element by element, of `%x`, `inputs` being more of them with their maps.
std::string pointwise(const std::string &body, const std::string &maps = "#id, #id",
                      const std::string &inputs = "%x : !X", const std::string &more = "") {
  return "!X = tensor<?x300x400xf32, #quern.dims<\"b\">>\nfunc.func @main(%x: !X, %v: "
         "tensor<400xf32>) -> !X {\n%b = quern.size \"b\"\n%e = tensor.empty(%b) : !X\n" +
         more + "\n%y = linalg.generic {indexing_maps = [" + maps +
         "], iterator_types = [\"parallel\", \"parallel\", \"parallel\"]} ins(" + inputs +
         ") outs(%e : !X) {\n" + body + "\n} -> !X\nreturn %y : !X\n}";
}

TEST(ShortShapes, ElementsAndVectorsAreCarriedAlong) {
  Written piece(pointwise("^bb0(%p: f32, %q: f32, %o: f32):\n%r = arith.addf %p, %q : f32\n"
                          "linalg.yield %r : f32",
                          "#id, #last, #id", "%x, %v : !X, tensor<400xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 24, 40}, {40}, {2, 24, 40}}));
  piece.expectFirst();
}

TEST(ShortShapes, AConstantOfOneNumberIsAsLongAsWhatReadsIt) {
  Written piece(pointwise("^bb0(%p: f32, %q: f32, %o: f32):\n%r = arith.mulf %p, %q : f32\n"
                          "linalg.yield %r : f32",
                          "#id, #last, #id", "%x, %t : !X, tensor<400xf32>",
                          "%t = arith.constant dense<3.0> : tensor<400xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 24, 40}, {2, 24, 40}}));
  piece.expectFirst();
}

TEST(ShortShapes, ATableKeepsItsDimension) {
  std::string table = "0.0";
  for (int i = 1; i < 400; ++i)
    table += ", " + std::to_string(i) + ".0";
  Written piece(pointwise("^bb0(%p: f32, %q: f32, %o: f32):\n%r = arith.mulf %p, %q : f32\n"
                          "linalg.yield %r : f32",
                          "#id, #last, #id", "%x, %t : !X, tensor<400xf32>",
                          "%t = arith.constant dense<[" + table + "]> : tensor<400xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 6, 400}, {2, 6, 400}}));
  piece.expectFirst();
}

TEST(ShortShapes, AnIndexKeepsItsDimension) {
  Written piece(pointwise("^bb0(%p: f32, %o: f32):\n%i = linalg.index 1 : index\n%n = "
                          "arith.index_cast %i : index to i64\n%f = arith.sitofp %n : i64 to f32\n"
                          "%r = arith.mulf %p, %f : f32\nlinalg.yield %r : f32"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 300, 3}, {2, 300, 3}}));
  piece.expectFirst();
}

TEST(ShortShapes, WhatIsReadAtAnIndexKeepsAllDimensions) {
  Written piece(pointwise("^bb0(%p: f32, %o: f32):\n%i = arith.constant 7 : index\n"
                          "%f = tensor.extract %v[%i] : tensor<400xf32>\n"
                          "%r = arith.mulf %p, %f : f32\nlinalg.yield %r : f32"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 6, 400}, {400}, {2, 6, 400}}));
}

const char kSum[] = R"(!X = tensor<?x300x400xf32, #quern.dims<"b">>
!R = tensor<?x300xf32, #quern.dims<"b">>
func.func @main(%x: !X) -> !X {
  %b = quern.size "b"
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%b) : !X
  %er = tensor.empty(%b) : !R
  %f = linalg.fill ins(%zero : f32) outs(%er : !R) -> !R
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x : !X) outs(%f : !R) {
  ^bb0(%p: f32, %q: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> !R
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %s : !X, !R) outs(%e : !X) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.subf %p, %q : f32
    linalg.yield %r : f32
  } -> !X
  return %y : !X
})";

TEST(ShortShapes, WhatIsSummedOverKeepsItsDimension) {
  Written piece(kSum);
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{2, 6, 400}, {2, 6, 400}}));
  piece.expectFirst();
}

/// `%x` through `moves`, which give `%y` of this type and rank, and the negative of that.
std::string moved(const std::string &moves, const std::string &type, size_t rank = 3) {
  const std::string loops = std::string("i, j, k, l").substr(0, 3 * rank - 2);
  std::string parallel = "\"parallel\"";
  for (size_t i = 1; i < rank; ++i)
    parallel += ", \"parallel\"";
  return "func.func @main(%x: tensor<20x30x40xf32>) -> " + type + " {\n" + moves +
         "\n%e = tensor.empty() : " + type +
         "\n%r = linalg.generic {indexing_maps = [affine_map<(" + loops + ") -> (" + loops +
         ")>, affine_map<(" + loops + ") -> (" + loops + ")>], iterator_types = [" + parallel +
         "]} ins(%y : " + type + ") outs(%e : " + type +
         ") {\n^bb0(%p: f32, %o: f32):\n%n = arith.negf %p : f32\nlinalg.yield %n : f32\n} -> " +
         type + "\nreturn %r : " + type + "\n}";
}

TEST(ShortShapes, AProductOfDimensionsIsAsLongAsTheseAre) {
  // Rows are merged, and come apart in the same way.
  Written piece(moved("%m = quern.reshape %x : tensor<20x30x40xf32> -> tensor<600x40xf32>\n"
                      "%y = quern.reshape %m : tensor<600x40xf32> -> tensor<20x1x30x40xf32>",
                      "tensor<20x1x30x40xf32>", 4));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{12, 20, 28}, {12, 1, 20, 28}}));
  piece.expectFirst();
}

TEST(ShortShapes, WhatIsSplitInSeveralWaysKeepsItsLength) {
  Written piece(moved("%m = quern.reshape %x : tensor<20x30x40xf32> -> tensor<600x40xf32>\n"
                      "%y = quern.reshape %m : tensor<600x40xf32> -> tensor<30x20x40xf32>",
                      "tensor<30x20x40xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{20, 30, 3}, {30, 20, 3}}));
  piece.expectFirst();
}

TEST(ShortShapes, WhatIsCutKeepsItsLength) {
  Written piece(moved("%y = tensor.extract_slice %x[0, 3, 0] [20, 20, 40] [1, 1, 1] : "
                      "tensor<20x30x40xf32> to tensor<20x20x40xf32>",
                      "tensor<20x20x40xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{6, 30, 10}, {6, 20, 10}}));
  piece.expectFirst();
}

TEST(ShortShapes, WhatIsConcatenatedKeepsItsLength) {
  Written piece(moved("%y = tensor.concat dim(1) %x, %x : (tensor<20x30x40xf32>, "
                      "tensor<20x30x40xf32>) -> tensor<20x60x40xf32>",
                      "tensor<20x60x40xf32>"));
  EXPECT_EQ(piece.shapes(), (std::vector<Shape>{{6, 30, 10}, {6, 60, 10}}));
  piece.expectFirst();
}

TEST(ShortShapes, AnOpThatIsNotKnownKeepsAll) {
  Written piece(
      moved("%zero = arith.constant 0.0 : f32\n%y = tensor.pad %x low[0, 0, 0] high[0, "
            "0, 1] {\n^bb0(%i: index, %j: index, %k: index):\ntensor.yield %zero : f32\n} "
            ": tensor<20x30x40xf32> to tensor<20x30x41xf32>",
            "tensor<20x30x41xf32>"));
  EXPECT_EQ(piece.shapes(), std::vector<Shape>());
}

TEST(ShortShapes, WhatIsShortAlreadyStays) {
  Written piece("func.func @main(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {\n"
                "%y = quern.reshape %x : tensor<4x8xf32> -> tensor<8x4xf32>\n"
                "return %y : tensor<8x4xf32>\n}");
  EXPECT_EQ(piece.shapes(), std::vector<Shape>());
}

} // namespace
} // namespace quern::raise
