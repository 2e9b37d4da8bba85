// A piece of a general program: what lies between some values and one that is computed of them.
// What it means is asked by running it, so that no spelling of an exporter is looked for.
#ifndef QUERN_PASSES_RAISE_PIECE_H
#define QUERN_PASSES_RAISE_PIECE_H

#include "ir/reference/Sizes.h"
#include "ir/reference/Tensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace quern::raise {

/// It grows from its root towards its leaves, the latest leaf first.
class Piece {
public:
  /// The piece that is `root`'s op alone.
  explicit Piece(mlir::Operation *root);

  mlir::Operation *root() const { return ops_.front(); }
  /// Its ops, the root first.
  llvm::ArrayRef<mlir::Operation *> ops() const { return ops_.getArrayRef(); }
  /// The same as they stand in their block.
  llvm::SmallVector<mlir::Operation *> inOrder() const;
  bool contains(mlir::Operation *op) const { return op && ops_.contains(op); }
  /// The tensors it reads from outside, in the order in which they were found. Constants and what
  /// only has a shape are inside.
  llvm::ArrayRef<mlir::Value> leaves() const { return leaves_.getArrayRef(); }

  /// Takes in the op of the latest leaf for which `may` holds and that nothing outside reads. False
  /// if there is none.
  bool grow(llvm::function_ref<bool(mlir::Operation *)> may);
  /// The same of ops that something outside may read too: the piece is looked at, and stays.
  bool growBehind(llvm::function_ref<bool(mlir::Operation *)> may);

  /// The float constants in it.
  std::vector<double> constants() const;

private:
  void add(mlir::Operation *op);
  bool growBy(llvm::function_ref<bool(mlir::Operation *)> may);

  llvm::SetVector<mlir::Operation *> ops_;
  llvm::SetVector<mlir::Value> leaves_;
};

/// Of every tensor of a piece, its leaves too.
using ShapesOfValues = llvm::DenseMap<mlir::Value, std::vector<int64_t>>;

/// A piece as a function, of sizes that are small and chosen once. Dimensions that it only carries
/// along are short too, though the program says how long they are (ShortShapes.h): shapes of
/// leaves are `shape`'s, and not what their types say.
class Function {
public:
  static absl::StatusOr<Function> of(const Piece &piece);
  /// Of these sizes, and with all fixed dimensions as long as they are.
  static absl::StatusOr<Function> of(const Piece &piece,
                                     const std::map<std::string, int64_t> &sizes);

  /// The shape that leaf `index` has when the function is run.
  const std::vector<int64_t> &shape(size_t index) const { return shapes_[index]; }
  absl::StatusOr<reference::Tensor> run(std::vector<reference::Tensor> leaves);

private:
  static absl::StatusOr<Function> make(const Piece &piece, reference::Sizes &sizes,
                                       const std::optional<ShapesOfValues> &shortened);

  mlir::OwningOpRef<mlir::ModuleOp> module_;
  std::vector<std::vector<int64_t>> shapes_;
};

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_PIECE_H
