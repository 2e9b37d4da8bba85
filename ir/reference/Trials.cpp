#include "ir/reference/Trials.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Sizes.h"
#include "ir/symbols/Dim.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <random>
#include <set>

namespace quern::reference {
namespace {

using Values = std::map<std::string, int64_t>;

/// What the sizes of an entry have to be like.
struct Demands {
  Values most; ///< of each size
  /// Sizes that are what an expression says, and expressions that have to be equal.
  std::vector<std::pair<std::string, symbols::Dim>> defined;
  std::vector<std::pair<symbols::Dim, symbols::Dim>> equal;
  /// Of tensors: none is negative.
  std::vector<symbols::Dim> dims;
};

/// Expressions over the module's sizes that dimensions of its tensors are.
std::vector<symbols::Dim> dims_of(mlir::ModuleOp module, const Values &most) {
  std::set<std::string> texts;
  const auto note = [&](mlir::Type type) {
    if (auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type))
      for (const std::string &name : dim_names(tensor))
        texts.insert(name);
  };
  module.walk([&](mlir::Operation *op) {
    llvm::for_each(op->getResultTypes(), note);
    for (mlir::Region &region : op->getRegions())
      for (mlir::Block &block : region)
        llvm::for_each(block.getArgumentTypes(), note);
  });
  std::vector<symbols::Dim> dims;
  for (const std::string &text : texts)
    if (const auto dim = symbols::parse_dim(text.empty() ? "0" : text); dim.ok())
      if (llvm::all_of(dim->symbols(), [&](const std::string &s) { return most.contains(s); }))
        dims.push_back(*dim);
  return dims;
}

absl::StatusOr<Demands> demands_of(mlir::func::FuncOp function) {
  Demands demands;
  auto module = function->getParentOfType<mlir::ModuleOp>();
  if (auto sizes = module->getAttrOfType<mlir::DictionaryAttr>(attrs::kSizes))
    for (mlir::NamedAttribute size : sizes)
      if (auto most = mlir::dyn_cast<mlir::IntegerAttr>(size.getValue()))
        demands.most[size.getName().str()] = most.getInt();
  if (auto counted = module->getAttrOfType<mlir::DictionaryAttr>(attrs::kCountedSizes))
    for (mlir::NamedAttribute size : counted)
      demands.most.erase(size.getName().str());
  demands.dims = dims_of(module, demands.most);
  auto equal = function->getAttrOfType<mlir::ArrayAttr>(attrs::kEqualSizes);
  for (mlir::Attribute entry : equal ? equal.getValue() : llvm::ArrayRef<mlir::Attribute>()) {
    auto both = mlir::dyn_cast<mlir::ArrayAttr>(entry);
    std::vector<symbols::Dim> sides;
    for (unsigned i = 0; both && i < 2 && i < both.size(); ++i)
      if (auto text = mlir::dyn_cast<mlir::StringAttr>(both[i]))
        if (const auto dim = symbols::parse_dim(text.str()); dim.ok())
          sides.push_back(*dim);
    if (sides.size() != 2)
      return absl::InvalidArgumentError("quern.equal_sizes holds lists of two texts and a node");
    demands.equal.emplace_back(sides[0], sides[1]);
    for (int i = 0; i < 2; ++i) {
      const std::optional<std::string> name = sides[static_cast<size_t>(i)].symbol_name();
      const symbols::Dim &other = sides[static_cast<size_t>(1 - i)];
      const auto is_defined = [&](const auto &known) { return known.first == *name; };
      if (name && !other.symbols().contains(*name) && llvm::none_of(demands.defined, is_defined)) {
        demands.defined.emplace_back(*name, other);
        break;
      }
    }
  }
  return demands;
}

/// Whether the sizes meet the demands; those that are defined are filled in.
bool meets(const Demands &demands, Values &sizes, int64_t least) {
  // One may be defined by another that is.
  for (size_t round = 0; round < demands.defined.size(); ++round)
    for (const auto &[name, dim] : demands.defined)
      if (const auto value = symbols::evaluate(dim, sizes); value.ok())
        sizes[name] = *value;
  for (const auto &[name, most] : demands.most)
    if (const auto size = sizes.find(name);
        size == sizes.end() || size->second < std::min(least, most) || size->second > most)
      return false;
  const auto value = [&](const symbols::Dim &dim) { return symbols::evaluate(dim, sizes); };
  for (const auto &[a, b] : demands.equal)
    if (const auto x = value(a), y = value(b); !x.ok() || !y.ok() || *x != *y)
      return false;
  return llvm::all_of(demands.dims, [&](const symbols::Dim &dim) {
    const auto size = value(dim);
    return size.ok() && (*size >= least || dim.is_constant());
  });
}

/// The `choice`th sizes that the demands allow.
absl::StatusOr<Values> choose_sizes(const Demands &demands, size_t choice) {
  static constexpr int64_t kSizes[] = {2, 3, 5, 4, 7, 6, 1, 8, 11, 9, 13, 16, 24, 32, 48, 64};
  constexpr size_t kCount = std::size(kSizes), kMostTries = 20000;
  std::vector<std::string> free;
  for (const auto &[name, most] : demands.most)
    if (llvm::none_of(demands.defined, [&](const auto &defined) { return defined.first == name; }))
      free.push_back(name);
  // A size defined by itself through others is free after all.
  for (const auto &[name, dim] : demands.defined)
    if (llvm::any_of(dim.symbols(),
                     [&](const std::string &symbol) { return !llvm::is_contained(free, symbol); }))
      free.push_back(name);
  for (const int64_t least : {1, 0})
    for (size_t attempt = 0; attempt < kMostTries; ++attempt) {
      Values sizes;
      size_t digits = attempt, position = choice;
      for (const std::string &name : free) {
        const int64_t size = kSizes[(position++ + digits) % kCount];
        sizes[name] = std::min(size, demands.most.at(name));
        digits /= kCount;
      }
      if (meets(demands, sizes, least))
        return sizes;
    }
  return absl::NotFoundError("found no small sizes that its inputs could have");
}

/// A number of a normal distribution; not the library's, whose numbers differ.
double normal(std::mt19937_64 &random) {
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
  const double radius = std::sqrt(-2 * std::log(uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

/// Whether an integer that no constant is divides one.
bool divides(mlir::ModuleOp module) {
  namespace arith = mlir::arith;
  return module
      .walk([](mlir::Operation *op) {
        const bool divides =
            mlir::isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
                      arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op) &&
            !op->getOperand(1).getDefiningOp<arith::ConstantOp>();
        return divides ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

/// Integers are `least` or one more.
absl::StatusOr<Tensor> made_up(mlir::RankedTensorType type, int64_t least, Sizes &sizes,
                               std::mt19937_64 &random) {
  absl::StatusOr<std::vector<int64_t>> shape = sizes.shape(type);
  if (!shape.ok())
    return shape.status();
  absl::StatusOr<Tensor> tensor = Tensor::zeros(type.getElementType(), *std::move(shape));
  if (!tensor.ok())
    return tensor;
  for (double &x : tensor->floats)
    x = normal(random);
  if (tensor->is_float())
    round_to(mlir::cast<mlir::FloatType>(tensor->element), tensor->floats);
  for (int64_t &x : tensor->ints)
    x = static_cast<int64_t>(random() >> 63) + (width_of(tensor->element) == 1 ? 0 : least);
  return tensor;
}

absl::StatusOr<Trial> trial(mlir::func::FuncOp function, const Values &chosen, uint64_t seed) {
  std::mt19937_64 random(seed);
  Sizes sizes(chosen);
  const int64_t least = divides(function->getParentOfType<mlir::ModuleOp>()) ? 1 : 0;
  Trial trial;
  trial.name =
      chosen.empty() ? "fixed sizes" : absl::StrJoin(chosen, ", ", absl::PairFormatter(" = "));
  for (mlir::Type type : function.getArgumentTypes()) {
    auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
    if (!tensor)
      return absl::UnimplementedError(
          absl::StrCat(argument_name(function, static_cast<unsigned>(trial.inputs.size())),
                       " is neither a tensor nor a batch's"));
    absl::StatusOr<Tensor> input = made_up(tensor, least, sizes, random);
    if (!input.ok())
      return input.status();
    trial.inputs.push_back(*std::move(input));
  }
  return trial;
}

} // namespace

bool takes_batch(mlir::func::FuncOp function) {
  return function.getNumArguments() > 0 &&
         llvm::all_of(function.getArgumentTypes(), [](mlir::Type type) {
           return mlir::isa<BatchType>(type) ||
                  (isIndices(type) && (rowsOf(type) == "T" || rowsOf(type) == "R"));
         });
}

void calm(Trials &trials) {
  for (auto &[entry, calls] : trials)
    for (Trial &trial : calls) {
      int64_t least = 1;
      const auto is_number = [](const Tensor &tensor) {
        return !tensor.is_float() && width_of(tensor.element) > 1;
      };
      for (const Tensor &tensor : trial.inputs)
        if (is_number(tensor) && !tensor.ints.empty())
          least = std::min(least, *std::ranges::min_element(tensor.ints));
      for (Tensor &tensor : trial.inputs)
        if (is_number(tensor))
          std::ranges::fill(tensor.ints, least);
    }
}

absl::StatusOr<Trials> trials(mlir::ModuleOp module, uint64_t seed) {
  Trials all;
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    auto entry = function->getAttrOfType<mlir::StringAttr>(attrs::kEntry);
    const std::string name = entry ? entry.str() : function.getName().str();
    if (function.isDeclaration() || (!entry && !function.isPublic()) || takes_batch(function) ||
        all.contains(name))
      continue;
    const absl::StatusOr<Demands> demands = demands_of(function);
    if (!demands.ok())
      return demands.status();
    std::set<Values> chosen;
    for (const size_t choice : {0, 3}) {
      const absl::StatusOr<Values> sizes = choose_sizes(*demands, choice);
      if (!sizes.ok())
        return absl::Status(
            sizes.status().code(),
            absl::StrCat("entry ", name, ": ", std::string(sizes.status().message())));
      if (!chosen.insert(*sizes).second)
        continue;
      absl::StatusOr<Trial> made = trial(function, *sizes, seed + choice);
      if (!made.ok())
        return absl::Status(
            made.status().code(),
            absl::StrCat("entry ", name, ": ", std::string(made.status().message())));
      all[name].push_back(*std::move(made));
    }
  }
  return all;
}

} // namespace quern::reference
