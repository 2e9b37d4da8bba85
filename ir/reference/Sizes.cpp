#include "ir/reference/Sizes.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/symbols/Dim.h"

#include "llvm/Support/raw_ostream.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
namespace {

std::string type_text(mlir::Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

std::string name_of(mlir::DictionaryAttr attributes, const char *what, unsigned number) {
  if (attributes)
    if (auto name = attributes.getAs<mlir::StringAttr>(attrs::kName))
      return absl::StrCat(what, " ", name.str());
  return absl::StrCat(what, " ", number);
}

} // namespace

absl::StatusOr<int64_t> Sizes::of(llvm::StringRef text) {
  if (const auto found = known_.find(text); found != known_.end())
    return found->second;
  const absl::StatusOr<symbols::Dim> dim = symbols::parse_dim(text.str());
  if (!dim.ok())
    return dim.status();
  absl::StatusOr<int64_t> value = symbols::evaluate(*dim, values_);
  if (value.ok())
    known_[text] = *value;
  return value;
}

std::vector<std::string> dim_names(mlir::RankedTensorType type) {
  std::vector<std::string> names;
  auto dims = mlir::dyn_cast_if_present<DimsAttr>(type.getEncoding());
  size_t next = 0;
  for (const int64_t dim : type.getShape())
    if (mlir::ShapedType::isDynamic(dim) && dims && next < dims.getNames().size())
      names.push_back(dims.getNames()[next++].str());
    else
      names.emplace_back();
  return names;
}

absl::StatusOr<std::vector<int64_t>> Sizes::shape(mlir::RankedTensorType type) {
  const std::vector<std::string> names = dim_names(type);
  std::vector<int64_t> shape(type.getShape().begin(), type.getShape().end());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!mlir::ShapedType::isDynamic(shape[d]))
      continue;
    if (names[d].empty())
      return absl::InvalidArgumentError(
          absl::StrCat("dimension ", d, " of ", type_text(type), " has no name"));
    const absl::StatusOr<int64_t> value = of(names[d]);
    if (!value.ok())
      return value.status();
    shape[d] = *value;
  }
  return shape;
}

absl::Status Sizes::check(const Tensor &tensor, mlir::RankedTensorType type) {
  const std::vector<std::string> names = dim_names(type);
  bool same = tensor.element == type.getElementType() && tensor.shape.size() == names.size();
  for (size_t d = 0; same && d < names.size(); ++d) {
    int64_t size = type.getDimSize(static_cast<unsigned>(d));
    if (mlir::ShapedType::isDynamic(size)) {
      if (names[d].empty())
        continue;
      const absl::StatusOr<int64_t> value = of(names[d]);
      if (!value.ok())
        return value.status();
      size = *value;
    }
    if (tensor.shape[d] != size)
      return absl::InvalidArgumentError(absl::StrCat("dimension ", d, " is ", tensor.shape[d],
                                                     " and not ", size, ", which ", type_text(type),
                                                     " says"));
  }
  if (!same)
    return absl::InvalidArgumentError(
        absl::StrCat("a tensor of ", type_text(tensor.element), " of shape ",
                     shape_text(tensor.shape), " is not the ", type_text(type), " that is said"));
  return absl::OkStatus();
}

std::string argument_name(mlir::func::FuncOp function, unsigned number) {
  return name_of(function.getArgAttrDict(number), "input", number);
}
std::string result_name(mlir::func::FuncOp function, unsigned number) {
  return name_of(function.getResultAttrDict(number), "output", number);
}

absl::Status check_sizes(mlir::func::FuncOp function, Sizes &sizes) {
  if (auto most = function->getParentOfType<mlir::ModuleOp>()->getAttrOfType<mlir::DictionaryAttr>(
          attrs::kSizes))
    for (mlir::NamedAttribute entry : most) {
      const auto limit = mlir::dyn_cast<mlir::IntegerAttr>(entry.getValue());
      const auto size = sizes.values().find(entry.getName().str());
      if (limit && size != sizes.values().end() && size->second > limit.getInt())
        return absl::OutOfRangeError(absl::StrCat(size->first, " is ", size->second,
                                                  ", more than the ", limit.getInt(),
                                                  " that quern.sizes allows"));
    }
  auto equal = function->getAttrOfType<mlir::ArrayAttr>(attrs::kEqualSizes);
  if (!equal)
    return absl::OkStatus();
  for (mlir::Attribute entry : equal) {
    auto both = mlir::dyn_cast<mlir::ArrayAttr>(entry);
    if (!both || both.size() < 2 || !llvm::all_of(both, llvm::IsaPred<mlir::StringAttr>))
      return absl::InvalidArgumentError("quern.equal_sizes holds lists of two texts and a node");
    const auto text = [&](unsigned i) { return mlir::cast<mlir::StringAttr>(both[i]).str(); };
    const absl::StatusOr<int64_t> a = sizes.of(text(0)), b = sizes.of(text(1));
    if (!a.ok() || !b.ok())
      return a.ok() ? b.status() : a.status();
    if (*a != *b)
      return absl::InvalidArgumentError(
          absl::StrCat(text(0), " is ", *a, " and ", text(1), " is ", *b, "; they have to be equal",
                       both.size() > 2 ? absl::StrCat(" for ", text(2)) : ""));
  }
  return absl::OkStatus();
}

absl::StatusOr<Sizes> bind_sizes(mlir::func::FuncOp function, std::span<const Tensor> inputs) {
  if (inputs.size() != function.getNumArguments())
    return absl::InvalidArgumentError(absl::StrCat("entry ", std::string(function.getName()),
                                                   " has ", function.getNumArguments(),
                                                   " inputs, and ", inputs.size(), " are given"));
  std::map<std::string, int64_t> values;
  std::map<std::string, std::string> bound_by;
  for (unsigned i = 0; i < inputs.size(); ++i) {
    const std::string name = argument_name(function, i);
    auto type = mlir::dyn_cast<mlir::RankedTensorType>(function.getArgumentTypes()[i]);
    if (!type)
      return absl::InvalidArgumentError(
          absl::StrCat(name, " of entry ", std::string(function.getName()), " is no tensor"));
    const Tensor &input = inputs[i];
    if (input.element != type.getElementType())
      return absl::InvalidArgumentError(absl::StrCat(name, " is of ", type_text(input.element),
                                                     ", not of ",
                                                     type_text(type.getElementType())));
    if (static_cast<int64_t>(input.shape.size()) != type.getRank())
      return absl::InvalidArgumentError(
          absl::StrCat(name, " has ", input.shape.size(), " dimensions, not ", type.getRank()));
    const absl::StatusOr<int64_t> count = element_count(input.shape);
    if (!count.ok())
      return count.status();
    if (*count != input.count() || (input.is_float() ? !input.ints.empty() : !input.floats.empty()))
      return absl::InvalidArgumentError(absl::StrCat(name, " is of shape ", shape_text(input.shape),
                                                     " and has ", input.count(), " elements"));
    const std::vector<std::string> names = dim_names(type);
    for (size_t d = 0; d < names.size(); ++d) {
      const absl::StatusOr<symbols::Dim> dim =
          symbols::parse_dim(names[d].empty() ? "0" : names[d]);
      if (!dim.ok())
        return dim.status();
      const std::optional<std::string> symbol = dim->symbol_name();
      if (!symbol)
        continue;
      const auto [known, is_new] = values.emplace(*symbol, input.shape[d]);
      const std::string here = absl::StrCat("dimension ", d, " of ", name);
      if (is_new)
        bound_by[*symbol] = here;
      else if (known->second != input.shape[d])
        return absl::InvalidArgumentError(absl::StrCat(here, " is ", input.shape[d], ", but ",
                                                       *symbol, " is ", known->second, ", which ",
                                                       bound_by[*symbol], " is"));
    }
  }
  Sizes sizes(std::move(values));
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (absl::Status status = sizes.check(
            inputs[i], mlir::cast<mlir::RankedTensorType>(function.getArgumentTypes()[i]));
        !status.ok())
      return absl::Status(status.code(), absl::StrCat(argument_name(function, i), ": ",
                                                      std::string(status.message())));
  if (absl::Status status = check_sizes(function, sizes); !status.ok())
    return status;
  return sizes;
}

} // namespace quern::reference
