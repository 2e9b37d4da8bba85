#include "frontends/onnx/lowering/GraphLowering.h"

#include "frontends/onnx/OnnxFile.h"
#include "frontends/onnx/lowering/Lowering.h"
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/shapes/LiveNodes.h"
#include "ir/quern/AttributeNames.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Verifier.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iterator>

namespace quern::onnx {
namespace {

/// What the rows of a step are named by.
constexpr std::string_view kReserved[] = {"T", "B", "R"};

std::string renamed(const std::string &symbol, const std::vector<SizeBound> &bounds) {
  std::string name = symbol;
  while (std::ranges::find(kReserved, name) != std::end(kReserved) ||
         (name != symbol && std::ranges::find(bounds, name, &SizeBound::symbol) != bounds.end()))
    name += "_";
  return name;
}

} // namespace

GraphLowering::GraphLowering(const Model &model, const Inference &inference,
                             const std::vector<SizeBound> &bounds, mlir::MLIRContext &context,
                             Problems &problems, std::vector<std::string> &notes)
    : model_(model), inference_(inference), bounds_(bounds), problems_(problems), notes_(notes),
      builder_(&context), declarations_(&context),
      arrays_(builder_, mlir::UnknownLoc::get(&context)), facts_(inference.facts),
      arrays_of_(model.values.size()) {
  for (const SizeBound &bound : bounds)
    renamed_.emplace(bound.symbol, renamed(bound.symbol, bounds));
  limits_ = maxima(bounds);
  for (const SizeBound &bound : bounds)
    limits_of_ir_.emplace(renamed_.at(bound.symbol), bound.most);
  for (Fact &fact : facts_) {
    if (fact.shape)
      for (Dim &dim : *fact.shape)
        dim = settled(dim);
    if (fact.elements)
      for (Element &element : *fact.elements)
        if (Dim *dim = std::get_if<Dim>(&element))
          *dim = settled(*dim);
  }
}

Dim GraphLowering::settled(const Dim &dim) const {
  return symbols::substitute(symbols::within(dim, limits_),
                             [&](const std::string &name) -> std::optional<Dim> {
                               const auto found = renamed_.find(name);
                               return found == renamed_.end() || found->second == name
                                          ? std::nullopt
                                          : std::optional(Dim::symbol(found->second));
                             });
}

bool GraphLowering::is_sized(const Shape &shape) const {
  return std::ranges::all_of(shape, [&](const Dim &dim) {
    return dim.valid() && std::ranges::all_of(dim.symbols(), [&](const std::string &symbol) {
             return std::ranges::any_of(renamed_,
                                        [&](const auto &pair) { return pair.second == symbol; });
           });
  });
}

mlir::Location GraphLowering::location(const Node &node) {
  const auto name = builder_.getStringAttr(node.name);
  if (node.scope.empty())
    return mlir::NameLoc::get(name);
  return mlir::NameLoc::get(name, mlir::NameLoc::get(builder_.getStringAttr(node.scope)));
}

mlir::DictionaryAttr GraphLowering::attributes(ValueId id) {
  llvm::SmallVector<mlir::NamedAttribute> list = {
      builder_.getNamedAttr(attrs::kName, builder_.getStringAttr(model_.value(id).name))};
  if (const auto element = element_name(fact(id).type))
    list.push_back(builder_.getNamedAttr(attrs::kElement, builder_.getStringAttr(*element)));
  return builder_.getDictionaryAttr(list);
}

void GraphLowering::declare(mlir::ModuleOp module) {
  llvm::SmallVector<mlir::Attribute> files;
  for (const auto &file : model_.files)
    files.push_back(builder_.getStringAttr(file->path()));
  module->setAttr(attrs::kFiles, builder_.getArrayAttr(files));
  module->setAttr(attrs::kModel, builder_.getDictionaryAttr({builder_.getNamedAttr(
                                     attrs::kModelFamily, builder_.getStringAttr("onnx"))}));
  llvm::SmallVector<mlir::NamedAttribute> sizes;
  for (const SizeBound &bound : bounds_)
    sizes.push_back(
        builder_.getNamedAttr(renamed_.at(bound.symbol), builder_.getI64IntegerAttr(bound.most)));
  module->setAttr(attrs::kSizes, builder_.getDictionaryAttr(sizes));
  llvm::SmallVector<mlir::NamedAttribute> counted;
  std::set<std::string> names;
  for (const SizeBound &bound : bounds_)
    if (bound.counted) {
      const std::string &name = renamed_.at(bound.symbol);
      counted.push_back(
          builder_.getNamedAttr(name, builder_.getStringAttr(settled(*bound.counted).text())));
      names.insert(name);
    }
  if (!counted.empty())
    module->setAttr(attrs::kCountedSizes, builder_.getDictionaryAttr(counted));
  arrays_.set_counted(std::move(names));

  llvm::SmallVector<mlir::Type> inputs, results;
  for (const ValueId id : model_.graph.inputs)
    inputs.push_back(arrays_.type_of(fact(id).type, *fact(id).shape));
  for (const ValueId id : model_.graph.outputs)
    if (fact(id).shape && is_sized(*fact(id).shape) &&
        stored_type(builder_.getContext(), fact(id).type))
      results.push_back(arrays_.type_of(fact(id).type, *fact(id).shape));
  builder_.setInsertionPointToEnd(module.getBody());
  auto main = mlir::func::FuncOp::create(builder_, module.getLoc(), "main",
                                         builder_.getFunctionType(inputs, results));
  for (const Check &check : inference_.checks) {
    // What a symbol that gave way stood for is checked where its input is bound.
    const Dim a = settled(check.a), b = settled(check.b);
    if (!(a == b) && is_sized({a, b}) && (arrays_.is_counted(a) || arrays_.is_counted(b)))
      problems_.add(check.node,
                    absl::StrCat("needs ", a.text(), " to be equal to ", b.text(),
                                 ", and not before it runs is known whether they are"),
                    "cut this part off before exporting");
    else if (!(a == b) && is_sized({a, b}))
      if (!equal_.contains({b.text(), a.text()}))
        equal_.emplace(std::pair(a.text(), b.text()), check.node);
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    main.setArgAttrs(static_cast<unsigned>(i), attributes(model_.graph.inputs[i]));
  for (size_t i = 0; i < results.size() && results.size() == model_.graph.outputs.size(); ++i)
    main.setResultAttrs(static_cast<unsigned>(i), attributes(model_.graph.outputs[i]));
  mlir::Block *body = main.addEntryBlock();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId id = model_.graph.inputs[i];
    set(id, {body->getArgument(static_cast<unsigned>(i)), fact(id).type, *fact(id).shape});
  }
  builder_.setInsertionPointToStart(body);
  declarations_.setInsertionPointToStart(module.getBody());
}

namespace {

constexpr size_t kMostRank = 16;

const char *takes_text(Takes takes) {
  switch (takes) {
  case Takes::Numbers:
    return "numbers";
  case Takes::Reals:
    return "floats of 16 bits or more";
  case Takes::Integers:
    return "integers";
  case Takes::SmallIntegers:
    return "integers of 8 bits";
  case Takes::Bools:
    return "bool";
  case Takes::Any:
    break;
  }
  return "any";
}

bool are_taken(Takes takes, ElementType type) {
  switch (takes) {
  case Takes::Numbers:
    return is_real(type) || is_integer(type);
  case Takes::Reals:
    return is_real(type);
  case Takes::Integers:
    return is_integer(type);
  case Takes::SmallIntegers:
    return is_integer(type) && element_bits(type) == 8;
  case Takes::Bools:
    return type == ElementType::Bool;
  case Takes::Any:
    return true;
  }
  return true;
}

/// An element of a constant place that the tensor does not have.
bool reads_outside(mlir::Operation &op) {
  return op
      .walk([](mlir::tensor::ExtractOp extract) {
        for (auto [size, index] :
             llvm::zip(extract.getTensor().getType().getShape(), extract.getIndices())) {
          llvm::APInt at;
          if (!mlir::ShapedType::isDynamic(size) &&
              mlir::matchPattern(index, mlir::m_ConstantInt(&at)) &&
              (at.isNegative() || at.getSExtValue() >= size))
            return mlir::WalkResult::interrupt();
        }
        return mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

} // namespace

bool GraphLowering::is_lowerable(NodeLowering &lowering) {
  const auto refuse = [&](std::string what, std::string hint) {
    lowering.refuse(std::move(what), std::move(hint));
    return false;
  };
  const Node &node = lowering.node();
  for (size_t i = 0; i < lowering.outputs(); ++i) {
    if (!lowering.wants(i))
      continue;
    const Fact &result = fact(node.outputs[i]);
    if (!result.shape)
      return refuse("the rank of its result is known only when the model runs",
                    "declare the shape of the result in the file");
    if (!is_sized(*result.shape))
      return refuse(absl::StrCat("its result's shape, ", shape_text(result.shape),
                                 ", depends on what the model computes"),
                    "declare the shape of the result in the file, or cut this part off before "
                    "exporting");
    if (!stored_type(builder_.getContext(), result.type))
      return refuse(absl::StrCat("its result is of ", std::string(element_type_name(result.type))),
                    "Quern computes with tensors of numbers");
    if (result.shape->size() > kMostRank)
      return refuse(absl::StrCat("its result has ", result.shape->size(), " dimensions"),
                    absl::StrCat("Quern's tensors have up to ", kMostRank));
  }
  for (size_t i = 0; i < lowering.inputs(); ++i) {
    if (!lowering.has(i))
      continue;
    const Fact &input = lowering.fact(i);
    if (!input.shape || !is_sized(*input.shape))
      return refuse(
          absl::StrCat("the shape of its input ", i, " is known only when the model runs"),
          "declare the shape of '" + model_.value(node.inputs[i]).name + "' in the file");
    if (!stored_type(builder_.getContext(), input.type) || input.shape->size() > kMostRank)
      return refuse(absl::StrCat("its input ", i, " is no tensor of numbers of up to ", kMostRank,
                                 " dimensions"),
                    "cut this part off before exporting");
  }
  return true;
}

void GraphLowering::check(NodeLowering &lowering, mlir::Operation *before) {
  for (const auto &[first, second] : arrays_.take_demands()) {
    // Formulas that the lowering made itself may be longer than they need to be.
    const Dim a = symbols::within(first, limits_of_ir_), b = symbols::within(second, limits_of_ir_);
    if (a == b)
      continue;
    if (!a.valid() || !b.valid() || (a - b).is_constant())
      return lowering.refuse(
          a.valid() && b.valid()
              ? absl::StrCat("the sizes ", a.text(), " and ", b.text(), " have to be equal")
              : "its inputs have not the dimensions that it takes",
          "the model is not as its exporter meant it: export it again");
    if (arrays_.is_counted(a) || arrays_.is_counted(b))
      return lowering.refuse(absl::StrCat("needs ", a.text(), " to be equal to ", b.text(),
                                          ", and not before it runs is known whether they are"),
                             "cut this part off before exporting");
    if (!equal_.contains({b.text(), a.text()}))
      equal_.emplace(std::pair(a.text(), b.text()), lowering.node().name);
  }
  std::string why;
  const mlir::ScopedDiagnosticHandler handler(builder_.getContext(),
                                              [&](mlir::Diagnostic &diagnostic) {
                                                if (why.empty())
                                                  why = diagnostic.str();
                                              });
  mlir::Block *block = builder_.getInsertionBlock();
  auto op = before != nullptr ? std::next(before->getIterator()) : block->begin();
  for (; op != block->end(); ++op) {
    if (mlir::failed(mlir::verify(&*op)))
      return lowering.refuse(absl::StrCat("its inputs and attributes do not fit it (", why, ")"),
                             "the model is not as its exporter meant it: export it again");
    if (reads_outside(*op))
      return lowering.refuse("an input has fewer elements than it takes",
                             "the model is not as its exporter meant it: export it again");
  }
}

void GraphLowering::lower_node(const Node &node) {
  for (const ValueId id : node.inputs)
    if (id != kNoValue && !is_set(id) && !model_.value(id).constant && !fact(id).is_known() &&
        !(node.domain.empty() && (node.op == "Shape" || node.op == "Size")))
      return; // of a node that was refused
  arrays_.at(location(node));
  NodeLowering lowering(*this, node);
  const LoweringRow *row = find_lowering(node.domain, node.op);
  if (row == nullptr)
    return lowering.refuse("Quern makes no code for this op");
  if (!is_lowerable(lowering))
    return;
  if (lowering.has(0) && !are_taken(row->takes, lowering.type(0)))
    return lowering.refuse(absl::StrCat("its first input is of ",
                                        std::string(element_type_name(lowering.type(0))),
                                        ", and it takes ", takes_text(row->takes)),
                           "put a Cast before it");
  if (lowering.rank(0) < row->rank)
    return lowering.refuse(absl::StrCat("its first input has ", lowering.rank(0),
                                        " dimensions, and it takes ", row->rank, " or more"),
                           "the model is not as its exporter meant it: export it again");
  mlir::Block *block = builder_.getInsertionBlock();
  mlir::Operation *before = block->empty() ? nullptr : &block->back();
  row->lower(lowering);
  if (!lowering.refused())
    check(lowering, before);
  arrays_.take_demands();
  if (lowering.refused()) {
    for (const ValueId id : node.outputs)
      if (id != kNoValue)
        arrays_of_[static_cast<size_t>(id)].reset();
    return;
  }
  for (size_t i = 0; i < lowering.outputs(); ++i)
    if (lowering.wants(i) && !lowering.done(i))
      lowering.refuse(absl::StrCat("its output ", i, " is not lowered"));
}

void GraphLowering::finish(mlir::ModuleOp module) {
  llvm::SmallVector<mlir::Value> results;
  arrays_.at(module.getLoc());
  for (const ValueId id : model_.graph.outputs) {
    if (!is_set(id) && !model_.value(id).constant && !fact(id).is_known())
      return;
    const Array result = array(id);
    const auto type = arrays_.type_of(fact(id).type, *fact(id).shape);
    results.push_back(result.value.getType() == type
                          ? result.value
                          : mlir::Value(mlir::tensor::CastOp::create(builder_, module.getLoc(),
                                                                     type, result.value)));
  }
  mlir::func::ReturnOp::create(builder_, module.getLoc(), results);
  llvm::SmallVector<mlir::Attribute> equal;
  for (const auto &[sizes, node] : equal_)
    equal.push_back(builder_.getStrArrayAttr({sizes.first, sizes.second, node}));
  if (!equal.empty())
    module.lookupSymbol("main")->setAttr(attrs::kEqualSizes, builder_.getArrayAttr(equal));
}

mlir::OwningOpRef<mlir::ModuleOp> GraphLowering::run() {
  const size_t before = problems_.size();
  const auto unsized = [&](ValueId id) {
    return !fact(id).shape || !is_sized(*fact(id).shape) ||
           !stored_type(builder_.getContext(), fact(id).type);
  };
  const auto refuse_unsized = [&](const std::vector<ValueId> &list) {
    for (const ValueId id : list)
      if (unsized(id) && problems_.size() < kMostProblems)
        problems_.add(model_.value(id).name,
                      absl::StrCat("its shape, ", shape_text(fact(id).shape),
                                   ", is not known when the model is called"),
                      "declare the shape in the file, or cut this part off before exporting");
  };
  refuse_unsized(model_.graph.inputs);
  if (problems_.size() != before)
    return {};
  const auto location = mlir::NameLoc::get(builder_.getStringAttr("main"));
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(location);
  arrays_.at(location);
  declare(*module);
  const std::vector<bool> live = live_nodes(model_, inference_);
  for (size_t i = 0; i < live.size(); ++i)
    if (live[i] && problems_.size() < kMostProblems)
      lower_node(model_.graph.nodes[i]);
  // Where the shape got lost says more than that it is not there at the end.
  if (problems_.size() == before)
    refuse_unsized(model_.graph.outputs);
  if (problems_.size() == before)
    finish(*module);
  if (problems_.size() != before)
    return {};
  return module;
}

mlir::OwningOpRef<mlir::ModuleOp> lower(const Model &model, const Inference &inference,
                                        const std::vector<SizeBound> &bounds,
                                        mlir::MLIRContext &context, Problems &problems,
                                        std::vector<std::string> &notes) {
  return GraphLowering(model, inference, bounds, context, problems, notes).run();
}

} // namespace quern::onnx
