#include "passes/analysis/Sizes.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

symbols::Maxima sizesOf(Operation *op) {
  symbols::Maxima maxima;
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  auto sizes = module ? module->getAttrOfType<DictionaryAttr>(attrs::kSizes) : DictionaryAttr();
  for (NamedAttribute size : sizes ? sizes.getValue() : ArrayRef<NamedAttribute>())
    if (auto most = dyn_cast<IntegerAttr>(size.getValue()))
      maxima[size.getName().str()] = most.getInt();
  return maxima;
}

std::optional<symbols::Dim> dimOf(StringRef text, const symbols::Maxima &sizes) {
  const auto dim = symbols::parse_dim(std::string_view(text.data(), text.size()));
  if (!dim.ok() || !dim->valid())
    return std::nullopt;
  for (const std::string &symbol : dim->symbols())
    if (!sizes.contains(symbol))
      return std::nullopt;
  return *dim;
}

int64_t mostOf(const symbols::Dim &dim, const symbols::Maxima &sizes) {
  return std::clamp<int64_t>(symbols::bounds(dim, sizes).high, 0, kTooMany);
}

ArrayRef<StringAttr> dimNames(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto dims = tensor ? dyn_cast_or_null<DimsAttr>(tensor.getEncoding()) : DimsAttr();
  return dims ? dims.getNames() : ArrayRef<StringAttr>();
}

bool takesSizes(func::FuncOp entry) {
  return llvm::none_of(
      llvm::concat<const Type>(entry.getArgumentTypes(), entry.getResultTypes()), [](Type type) {
        return isa<BatchType>(type) || llvm::any_of(dimNames(type), [](StringAttr name) {
                 return isKnownSymbol(name.getValue());
               });
      });
}

int64_t elementBytes(Type element) {
  return llvm::divideCeil(element.isIndex() ? 64 : element.getIntOrFloatBitWidth(), 8);
}

} // namespace quern
