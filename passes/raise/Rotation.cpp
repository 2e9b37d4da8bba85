// See Rotation.h.
#include "passes/raise/Rotation.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/WeightRefs.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include <algorithm>
#include <random>

using namespace mlir;

namespace quern::raise {
namespace {

/// Ops that compute a table of an exported decoder, from positions on: some twenty.
constexpr size_t kMostTableOps = 128;

/// Whether the leaf's dimensions are the last of the root's, each as it is or of one element, and
/// it differs from position to position.
bool isTable(Value leaf, RankedTensorType root) {
  const auto type = dyn_cast<RankedTensorType>(leaf.getType());
  if (!type || !type.getElementType().isF32() || type.getRank() < 2 ||
      type.getRank() > root.getRank() || type.isDynamicDim(type.getRank() - 1))
    return false;
  const int64_t columns = type.getShape().back(), most = root.getShape().back();
  if (columns < 1 || columns > most)
    return false;
  bool varies = false;
  const auto ahead = static_cast<unsigned>(root.getRank() - type.getRank());
  for (unsigned i = 0; i + 1 < type.getRank(); ++i) {
    const DimSize own = dimOf(type, i), whole = dimOf(root, i + ahead);
    if (own.size == 1)
      continue;
    if (own.size != whole.size)
      return false;
    varies = true;
  }
  return varies;
}

/// A run of a piece: numbers of its leaves, and of its result.
struct Run {
  std::vector<reference::Tensor> leaves;
  reference::Tensor result;

  /// The row of leaf `index` that is read for a row of the result.
  const double *row(size_t index, int64_t of_result) const {
    const reference::Tensor &leaf = leaves[index];
    const size_t rank = result.shape.size(), ahead = rank - leaf.shape.size();
    int64_t at = 0, stride = 1;
    for (size_t dim = rank - 1; dim-- > 0;) {
      const int64_t place = of_result % result.shape[dim];
      of_result /= result.shape[dim];
      if (dim < ahead)
        continue;
      const int64_t size = leaf.shape[dim - ahead];
      at += size == 1 ? 0 : place * stride;
      stride *= size;
    }
    return leaf.floats.data() + at * leaf.shape.back();
  }
};

/// Leaves, by their numbers, as what a rotation reads.
struct Roles {
  size_t input, cosines, sines;
};

bool holds(const Run &run, const Roles &roles, const Rotation &rotation) {
  const int64_t columns = run.result.shape.back();
  const auto rows = static_cast<int64_t>(run.result.floats.size()) / columns;
  for (int64_t r = 0; r < rows; ++r) {
    const double *y = run.result.floats.data() + r * columns, *x = run.row(roles.input, r);
    const double *cos = run.row(roles.cosines, r), *sin = run.row(roles.sines, r);
    for (int64_t i = 0; i < rotation.pairs; ++i) {
      const int64_t first = rotation.interleaved ? 2 * i : i;
      const int64_t second = rotation.interleaved ? 2 * i + 1 : i + rotation.pairs;
      const double a = x[first], b = x[second];
      if (!close(y[first], a * cos[rotation.cosines.first(i)] - b * sin[rotation.sines.first(i)]) ||
          !close(y[second], a * sin[rotation.sines.second(i, rotation.pairs)] +
                                b * cos[rotation.cosines.second(i, rotation.pairs)]))
        return false;
    }
    for (int64_t c = 2 * rotation.pairs; c < columns; ++c)
      if (y[c] != x[c])
        return false;
  }
  return true;
}

/// Layouts that a table of so many columns may have for so many pairs.
SmallVector<AngleTable::Layout> layoutsOf(int64_t columns, int64_t pairs) {
  using enum AngleTable::Layout;
  if (columns == pairs)
    return {Single};
  if (columns == 2 * pairs)
    return {Halves, Neighbours};
  return {};
}

int64_t columnsOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

/// Whether a weight of as many columns as the table has equal numbers, in each row, where the table
/// is to have them.
bool pairsAreAlike(WeightTensorOp tensor, const AngleTable &table, int64_t pairs) {
  auto reference = tensor.getWeight().getDefiningOp<WeightRefOp>();
  if (!reference || tensor.getType().getShape().back() != columnsOf(table.value))
    return false;
  auto declared =
      SymbolTable::lookupNearestSymbolFrom<WeightOp>(reference, reference.getNameAttr());
  auto place = declared ? weightRef(declared) : absl::NotFoundError("");
  if (!place.ok())
    return false;
  weights::WeightStore store;
  if (auto files = tensor->getParentOfType<ModuleOp>()->getAttrOfType<ArrayAttr>(attrs::kFiles))
    for (auto file : files.getAsRange<StringAttr>())
      if (!store.add(file.str()).ok())
        return false;
  std::vector<float> row(static_cast<size_t>(place->row_elements()));
  for (int64_t r = 0; r < place->rows(); ++r) {
    if (!store.read_rows(*place, r, 1, row.data()).ok())
      return false;
    for (int64_t i = 0; i < pairs; ++i)
      if (row[static_cast<size_t>(table.first(i))] !=
          row[static_cast<size_t>(table.second(i, pairs))])
        return false;
  }
  return true;
}

/// The same number for both of each pair, in each row.
void makeAlike(std::vector<double> &numbers, const AngleTable &table, int64_t pairs) {
  const int64_t columns = columnsOf(table.value);
  for (auto row = numbers.begin(); row < numbers.end(); row += columns)
    for (int64_t i = 0; i < pairs; ++i)
      row[table.second(i, pairs)] = row[table.first(i)];
}

bool isAlike(const std::vector<double> &numbers, const AngleTable &table, int64_t pairs) {
  const int64_t columns = columnsOf(table.value);
  for (auto row = numbers.begin(); row < numbers.end(); row += columns)
    for (int64_t i = 0; i < pairs; ++i)
      if (row[table.second(i, pairs)] != row[table.first(i)])
        return false;
  return true;
}

} // namespace

bool mayRotate(const Piece &piece) {
  const auto type = cast<RankedTensorType>(piece.root()->getResult(0).getType());
  size_t inputs = 0, tables = 0;
  for (Value leaf : piece.leaves())
    if (leaf.getType() == type)
      ++inputs;
    else if (isTable(leaf, type))
      ++tables;
    else
      return false;
  // Of one head a table looks like what it turns.
  const bool oneHead = type.getRank() == 4 && llvm::is_contained(type.getShape().drop_back(), 1);
  return inputs + tables == 3 && (inputs == 1 || (inputs == 3 && oneHead));
}

std::optional<Rotation> rotationOf(const Piece &piece) {
  auto function = Function::of(piece);
  if (!function.ok())
    return std::nullopt;
  const auto type = cast<RankedTensorType>(piece.root()->getResult(0).getType());
  Run run;
  for (size_t i = 0; i < piece.leaves().size(); ++i)
    run.leaves.push_back(normalNumbers(type.getElementType(), function->shape(i), i + 1));
  auto result = function->run(run.leaves);
  if (!result.ok() || result->floats.empty())
    return std::nullopt;
  run.result = *std::move(result);
  const ArrayRef<Value> leaves = piece.leaves();
  for (Roles roles : {Roles{0, 1, 2}, Roles{0, 2, 1}, Roles{1, 0, 2}, Roles{1, 2, 0},
                      Roles{2, 0, 1}, Roles{2, 1, 0}}) {
    if (leaves[roles.input].getType() != type || !isTable(leaves[roles.cosines], type) ||
        !isTable(leaves[roles.sines], type))
      continue;
    const int64_t columns = columnsOf(leaves[roles.cosines]);
    for (int64_t pairs : {columns, columns / 2}) {
      if (pairs < 1 || 2 * pairs > type.getShape().back())
        continue;
      for (auto cosines : layoutsOf(columns, pairs))
        for (auto sines : layoutsOf(columnsOf(leaves[roles.sines]), pairs))
          for (bool interleaved : {false, true})
            if (Rotation rotation{leaves[roles.input],
                                  {leaves[roles.cosines], cosines},
                                  {leaves[roles.sines], sines},
                                  pairs,
                                  interleaved};
                holds(run, roles, rotation))
              return rotation;
    }
  }
  return std::nullopt;
}

bool turnsPairsAlike(const AngleTable &table, int64_t pairs, std::string &why) {
  if (table.layout == AngleTable::Layout::Single)
    return true;
  Operation *root = table.value.getDefiningOp();
  if (!root || !isGeneral(root)) {
    why = "nothing says that its angles are the same for both numbers of a pair";
    return false;
  }
  Piece piece(root);
  while (piece.ops().size() < kMostTableOps && piece.growBehind([](Operation *op) {
    return isGeneral(op) && !isa<WeightTensorOp>(op);
  })) {
  }
  auto function = Function::of(piece);
  if (!function.ok()) {
    why = std::string(function.status().message());
    return false;
  }
  SmallVector<bool> tables; // leaves that are known to be such themselves
  for (Value leaf : piece.leaves()) {
    auto tensor = leaf.getDefiningOp<WeightTensorOp>();
    tables.push_back(tensor && pairsAreAlike(tensor, table, pairs));
  }
  bool ran = false;
  for (uint64_t most : {2, 3, 64}) {
    std::vector<reference::Tensor> given;
    std::mt19937_64 generator(most);
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      given.push_back(normalNumbers(cast<RankedTensorType>(leaf.getType()).getElementType(),
                                    function->shape(i), most + i));
      if (tables[i])
        makeAlike(given.back().floats, table, pairs);
      // Positions, or a mask that they are counted from: small ones are in every table.
      for (int64_t &number : given.back().ints)
        number = static_cast<int64_t>(generator() % most);
    }
    auto made = function->run(std::move(given));
    if (!made.ok()) {
      why = std::string(made.status().message());
      continue;
    }
    ran = true;
    if (!isAlike(made->floats, table, pairs)) {
      why = "the numbers of a pair are turned by different angles";
      return false;
    }
  }
  return ran;
}

} // namespace quern::raise
