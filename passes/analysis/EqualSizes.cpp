#include "passes/analysis/EqualSizes.h"

#include "ir/quern/AttributeNames.h"

using namespace mlir;

namespace quern {

/// What a size is in terms of others where `zero`, which is 0, has it as a term by itself and
/// nowhere else.
static std::optional<std::pair<std::string, symbols::Dim>> solved(const symbols::Dim &zero) {
  for (const std::string &name : zero.symbols()) {
    const symbols::Dim size = symbols::Dim::symbol(name);
    for (const symbols::Dim &others : {size - zero, size + zero})
      if (others.valid() && !others.symbols().contains(name))
        return std::pair(name, others);
  }
  return std::nullopt;
}

bool areEqual(func::FuncOp entry, symbols::Dim a, symbols::Dim b) {
  symbols::Dim difference = a - b;
  auto demands = entry->getAttrOfType<ArrayAttr>(attrs::kEqualSizes);
  SmallVector<symbols::Dim> zeros;
  for (Attribute demand : demands ? demands.getValue() : ArrayRef<Attribute>()) {
    auto both = dyn_cast<ArrayAttr>(demand);
    if (!both || both.size() < 2 || !llvm::all_of(both, llvm::IsaPred<StringAttr>))
      continue;
    const auto first = symbols::parse_dim(cast<StringAttr>(both[0]).str());
    const auto second = symbols::parse_dim(cast<StringAttr>(both[1]).str());
    if (first.ok() && second.ok() && (*first - *second).valid())
      zeros.push_back(*first - *second);
  }
  // Every demand that says what a size is takes that size out of what is left.
  for (size_t i = 0; i < zeros.size() && difference.valid() && !difference.is(0); ++i) {
    const auto known = solved(zeros[i]);
    if (!known)
      continue;
    auto put = [&](symbols::Dim &dim) {
      dim = symbols::substitute(dim, [&](const std::string &name) -> std::optional<symbols::Dim> {
        return name == known->first ? std::optional(known->second) : std::nullopt;
      });
    };
    put(difference);
    for (symbols::Dim &zero : MutableArrayRef(zeros).drop_front(i + 1))
      put(zero);
  }
  return difference.is(0);
}

} // namespace quern
